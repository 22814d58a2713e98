//! The counters, and where each is found in a reading.

use crate::readings::inventory::NvmlView;
use crate::readings::sample::{GpuReadings, LinkReading};
use crate::readings::sysfs::{PciLink, RdmaPort};
use crate::text::bounded;

macro_rules! counters {
    ($($(#[$doc:meta])* $variant:ident $code:literal $outlives_boot:literal;)+) => {
        /// A counter that is judged by its increase.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Counter { $($(#[$doc])* $variant,)+ }

        impl Counter {
            /// All counters, most important first: baselines are truncated at the end.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Its name in a baseline.
            pub const fn code(self) -> &'static str {
                match self { $(Self::$variant => $code,)+ }
            }

            /// Whether it keeps counting across boots, because the board stores it.
            pub const fn outlives_boot(self) -> bool {
                match self { $(Self::$variant => $outlives_boot,)+ }
            }
        }
    };
}

// Name in a baseline; whether it counts for the life of the board instead of from zero at each load of the driver.
counters! {
    /// Aggregate uncorrected ECC errors.
    EccUncorrected "eu" true;
    /// Aggregate corrected ECC errors. Volatile counts are never substituted, so that there is only one source.
    EccCorrected "ec" true;
    /// Rows remapped because of uncorrectable errors.
    RemapUncorrectable "ru" true;
    /// Rows remapped because of correctable errors.
    RemapCorrectable "rc" true;
    /// PCIe replays.
    PcieReplays "pr" false;
    /// PCIe AER errors, fatal.
    AerFatal "af" false;
    /// PCIe AER errors, not fatal.
    AerNonfatal "an" false;
    /// PCIe AER errors, corrected.
    AerCorrectable "ac" false;
    /// Nanoseconds in hardware thermal slowdown.
    HwThermalNs "th" false;
    /// Nanoseconds in power brake slowdown.
    PowerBrakeNs "pb" false;
    /// Nanoseconds in software thermal slowdown.
    SwThermalNs "ts" false;
    /// NVLink recoveries: of a link, or of all links of a GPU.
    NvlinkRecoveries "nr" false;
    /// NVLink replays.
    NvlinkReplays "np" false;
    /// NVLink CRC errors, flits and data.
    NvlinkCrc "nc" false;
    /// NVLink 5: packets with errors that were received.
    NvlinkPacketErrors "nx" false;
    /// NVLink 5: errors in packets, summed.
    NvlinkEffectiveErrors "ne" false;
    /// RDMA: how often the link went down.
    LinkDowned "ld" false;
    /// RDMA: link recoveries.
    LinkRecoveries "lr" false;
    /// RDMA: symbol errors.
    SymbolErrors "se" false;
    /// RDMA: errors that lose or repeat packets, summed: receive errors, discards, local integrity, overruns, retries.
    PacketErrors "pe" false;
    /// EFA: packets dropped on receipt.
    ReceiveDrops "rd" false;
    /// EFA: retransmission timeouts.
    RetransmitTimeouts "rt" false;
}

/// Files whose sum is [`Counter::PacketErrors`]. Source: Documentation/ABI/stable/sysfs-class-infiniband; the hardware
/// counters of mlx5 (`rnr_nak_retry_err`, `local_ack_timeout_err`).
const PACKET_ERRORS: &[&str] = &[
    "port_rcv_errors",
    "port_xmit_discards",
    "local_link_integrity_errors",
    "excessive_buffer_overrun_errors",
    "rnr_nak_retry_err",
    "local_ack_timeout_err",
];

/// The counters of a GPU.
pub(super) fn of_gpu(gpu: &GpuReadings) -> impl Iterator<Item = (Counter, u64)> {
    let ecc = gpu.ecc.as_ref();
    let remap = gpu.row_remap.as_ref();
    let clocks = gpu.clocks.as_ref();
    let sum = |pick: fn(&LinkReading) -> Option<u64>| {
        let links = &gpu.nvlink.as_ref()?.links;
        links.iter().filter_map(pick).reduce(u64::saturating_add)
    };
    [
        (Counter::EccUncorrected, ecc.and_then(|ecc| ecc.aggregate_uncorrected)),
        (Counter::EccCorrected, ecc.and_then(|ecc| ecc.aggregate_corrected)),
        (Counter::RemapUncorrectable, remap.and_then(|remap| remap.uncorrectable)),
        (Counter::RemapCorrectable, remap.and_then(|remap| remap.correctable)),
        (Counter::PcieReplays, gpu.pcie.as_ref().and_then(|pcie| pcie.replays)),
        (Counter::HwThermalNs, clocks.and_then(|clocks| clocks.hw_thermal_ns)),
        (Counter::PowerBrakeNs, clocks.and_then(|clocks| clocks.power_brake_ns)),
        (Counter::SwThermalNs, clocks.and_then(|clocks| clocks.sw_thermal_ns)),
        (Counter::NvlinkRecoveries, sum(|link| link.recoveries)),
        (Counter::NvlinkReplays, sum(|link| link.replays)),
        (Counter::NvlinkCrc, sum(crc)),
        (Counter::NvlinkPacketErrors, sum(|link| link.newer.receive_errors)),
        (Counter::NvlinkEffectiveErrors, sum(|link| link.newer.effective_errors)),
    ]
    .into_iter()
    .filter_map(|(counter, value)| Some((counter, value?)))
}

/// The counters of a link of a GPU.
pub(super) fn of_link(link: &LinkReading) -> impl Iterator<Item = (Counter, u64)> {
    [
        (Counter::NvlinkRecoveries, link.recoveries),
        (Counter::NvlinkReplays, link.replays),
        (Counter::NvlinkCrc, crc(link)),
        (Counter::NvlinkPacketErrors, link.newer.receive_errors),
        (Counter::NvlinkEffectiveErrors, link.newer.effective_errors),
    ]
    .into_iter()
    .filter_map(|(counter, value)| Some((counter, value?)))
}

fn crc(link: &LinkReading) -> Option<u64> {
    [link.crc_flit, link.crc_data].into_iter().flatten().reduce(u64::saturating_add)
}

/// The counters of a PCI device.
pub(super) fn of_pci(link: &PciLink) -> impl Iterator<Item = (Counter, u64)> {
    [
        (Counter::AerFatal, link.aer_fatal),
        (Counter::AerNonfatal, link.aer_nonfatal),
        (Counter::AerCorrectable, link.aer_correctable),
    ]
    .into_iter()
    .filter_map(|(counter, value)| Some((counter, value?)))
}

/// The counters of an RDMA port.
pub(super) fn of_port(port: &RdmaPort) -> impl Iterator<Item = (Counter, u64)> {
    let file = |name: &str| port.counters.get(name).copied();
    let packet_errors = PACKET_ERRORS.iter().filter_map(|name| file(name)).reduce(u64::saturating_add);
    [
        (Counter::LinkDowned, file("link_downed")),
        (Counter::LinkRecoveries, file("link_error_recovery")),
        (Counter::SymbolErrors, file("symbol_error")),
        (Counter::PacketErrors, packet_errors),
        (Counter::ReceiveDrops, file("rx_drops")),
        (Counter::RetransmitTimeouts, file("retrans_timeout_events")),
    ]
    .into_iter()
    .filter_map(|(counter, value)| Some((counter, value?)))
}

/// What identifies the board: its serial number, or its UUID if there is none.
pub(super) fn serial(view: &NvmlView, pci: &str) -> Option<String> {
    let gpu = view.gpus.iter().find(|gpu| gpu.pci.as_deref() == Some(pci))?;
    let serial = gpu.serial.as_deref().filter(|serial| !matches!(*serial, "" | "0")).or(gpu.uuid.as_deref());
    // As the baseline will give it back, or a restart would take it for another board.
    serial.map(|serial| bounded(serial, 64))
}
