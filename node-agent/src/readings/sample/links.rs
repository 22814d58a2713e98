//! What is read of the links between GPUs.

use serde::{Deserialize, Serialize};

/// The links of one GPU. Links that do not exist are not listed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NvlinkReading {
    /// By number.
    pub links: Vec<LinkReading>,
    /// How many links more there are, whose state could not be read.
    pub unread: u32,
    /// Chip-to-chip links to the CPU that the device has (field 170); absent where it has none.
    pub c2c_links: Option<u32>,
    /// How many of them are active (field 171).
    pub c2c_active: Option<u32>,
}

/// The state of an NVLink (field 165, `NVML_NVLINK_STATE_*`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum LinkState {
    /// Down.
    #[default]
    Inactive,
    /// Up.
    Active,
    /// Up and asleep, to save power while nothing is sent.
    Asleep,
    /// Up, but not usable for traffic.
    NoTraffic,
}

impl LinkState {
    /// Whether traffic can pass: now, or as soon as there is some.
    pub const fn is_up(self) -> bool {
        match self {
            Self::Active | Self::Asleep => true,
            Self::Inactive | Self::NoTraffic => false,
        }
    }
}

/// One NVLink.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LinkReading {
    /// Its number.
    pub link: u32,
    /// Up, down, or between.
    pub state: LinkState,
    /// PCI address of what is at the other end, read once for as long as the link stays up.
    pub remote: Option<String>,
    /// Replays since the driver was loaded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replays: Option<u64>,
    /// Recoveries; on NVLink 5 how often the link went from up to recovery, with whatever result (field 215).
    pub recoveries: Option<u64>,
    /// CRC errors of flits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crc_flit: Option<u64>,
    /// CRC errors of data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crc_data: Option<u64>,
    /// What only NVLink 5 and later count.
    #[serde(skip_serializing_if = "NewerCounters::are_absent")]
    pub newer: NewerCounters,
}

/// Counters of NVLink 5 and later (fields 206 to 222; the scope is the link). Totals since the link's counters began. On the
/// wire they are a list in this order: sixteen GPUs with 36 links each have to fit into a line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "[Option<u64>; 9]", into = "[Option<u64>; 9]")]
pub struct NewerCounters {
    /// Recoveries that failed, so that the link went down (field 214).
    pub failed_recoveries: Option<u64>,
    /// Packets with errors that were received (field 208).
    pub receive_errors: Option<u64>,
    /// Packets that were discarded for lack of room in the buffer (field 207).
    pub buffer_overruns: Option<u64>,
    /// How often the count of local errors passed its threshold (field 211).
    pub integrity_errors: Option<u64>,
    /// Packets with errors that were discarded instead of sent (field 212).
    pub send_discards: Option<u64>,
    /// The errors in each packet, summed (field 219).
    pub effective_errors: Option<u64>,
    /// Errors in received symbols (field 221).
    pub symbol_errors: Option<u64>,
    /// The rate of effective errors (field 220).
    pub effective_ber: Option<ErrorRate>,
    /// The rate of symbol errors (field 222).
    pub symbol_ber: Option<ErrorRate>,
}

impl NewerCounters {
    fn are_absent(&self) -> bool {
        *self == Self::default()
    }
}

impl From<NewerCounters> for [Option<u64>; 9] {
    fn from(counters: NewerCounters) -> Self {
        let NewerCounters {
            failed_recoveries,
            receive_errors,
            buffer_overruns,
            integrity_errors,
            send_discards,
            effective_errors,
            symbol_errors,
            effective_ber,
            symbol_ber,
        } = counters;
        let [effective_ber, symbol_ber] = [effective_ber, symbol_ber].map(|rate| rate.map(ErrorRate::encode));
        [
            failed_recoveries,
            receive_errors,
            buffer_overruns,
            integrity_errors,
            send_discards,
            effective_errors,
            symbol_errors,
            effective_ber,
            symbol_ber,
        ]
    }
}

impl From<[Option<u64>; 9]> for NewerCounters {
    fn from(list: [Option<u64>; 9]) -> Self {
        let [
            failed_recoveries,
            receive_errors,
            buffer_overruns,
            integrity_errors,
            send_discards,
            effective_errors,
            symbol_errors,
            effective_ber,
            symbol_ber,
        ] = list;
        let [effective_ber, symbol_ber] = [effective_ber, symbol_ber].map(|value| value.and_then(ErrorRate::decode));
        Self {
            failed_recoveries,
            receive_errors,
            buffer_overruns,
            integrity_errors,
            send_discards,
            effective_errors,
            symbol_errors,
            effective_ber,
            symbol_ber,
        }
    }
}

/// A bit error rate as the driver encodes it: `mantissa` times ten to the minus `exponent`. nvml.h names the bits of the
/// two; how they make a rate is as DCGM computes it (`NvmlBerParser`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ErrorRate {
    /// Bits 8 to 11 of the value.
    pub mantissa: u8,
    /// Bits 0 to 7 of the value.
    pub exponent: u8,
}

impl ErrorRate {
    /// Decodes a value of field 220 or 222 (`NVML_NVLINK_ERROR_COUNTER_BER_GET`); `None` if other bits are set.
    pub fn decode(value: u64) -> Option<Self> {
        let [exponent, mantissa, rest @ ..] = value.to_le_bytes();
        (mantissa <= 0xf && rest == [0; 6]).then_some(Self { mantissa, exponent })
    }

    /// As the driver has it.
    pub fn encode(self) -> u64 {
        u64::from(self.mantissa) << 8 | u64::from(self.exponent)
    }

    /// Errors per bit.
    pub fn per_bit(self) -> f64 {
        f64::from(self.mantissa) * 10_f64.powi(-i32::from(self.exponent))
    }
}

/// The fabric of NVSwitch systems, as `nvmlDeviceGetGpuFabricInfoV` reports it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct FabricReading {
    /// 0 not supported, 1 not started, 2 in progress, 3 completed.
    pub state: Option<u32>,
    /// A return code of NVML, once completed.
    pub status: Option<u32>,
    /// The health mask (nvml.h: bits 0-1 degraded bandwidth, 2-3 route recovery, 4-5 route unhealthy, 6-7 access timeout
    /// recovery, 8-11 incorrect configuration, 12-13 partition, 14-15 global fabric manager).
    pub health_mask: Option<u32>,
    /// 0 not supported, 1 healthy, 2 unhealthy, 3 limited capacity.
    pub health_summary: Option<u32>,
    /// UUID of the cluster, hexadecimal.
    pub cluster_uuid: Option<String>,
    /// The clique within it.
    pub clique: Option<u32>,
}

/// Where this GPU stands to the others.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TopologyReading {
    /// For each other GPU: its PCI address and the nearest common ancestor (nvml.h: 0 internal, 10 single switch, 20
    /// multiple switches, 30 host bridge, 40 NUMA node, 50 system).
    pub ancestors: Vec<(String, u32)>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_rate_is_a_mantissa_times_ten_to_the_minus_exponent() {
        let rate = |value| ErrorRate::decode(value).map(ErrorRate::per_bit);
        let is_close = |value, expected: f64| rate(value).is_some_and(|rate| (rate / expected - 1.0).abs() < 1e-9);
        assert!(is_close(0x106, 1e-6) && is_close(0xf0c, 1.5e-11) && is_close(0x20c, 2e-12));
        // What a link without any error shows.
        assert!(rate(0xfff).is_some_and(|rate| rate < 1e-250) && rate(0) == Some(0.0));
        assert_eq!((rate(0x1000), rate(u64::MAX)), (None, None));
    }

    #[test]
    fn counters_come_back_from_the_wire_as_they_were() {
        let newer = NewerCounters {
            receive_errors: Some(u64::MAX),
            symbol_errors: Some(3),
            effective_ber: ErrorRate::decode(0x206),
            ..NewerCounters::default()
        };
        let link = LinkReading { link: 35, state: LinkState::Asleep, newer, ..LinkReading::default() };
        let text = serde_json::to_string(&link).unwrap();
        assert_eq!(serde_json::from_str::<LinkReading>(&text).unwrap(), link, "{text}");
        let none: LinkReading = serde_json::from_str("{\"link\":35,\"state\":\"active\"}").unwrap();
        assert_eq!((none.newer, none.replays), (NewerCounters::default(), None));
    }
}
