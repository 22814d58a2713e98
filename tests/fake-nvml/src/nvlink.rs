//! NVLinks.

use std::collections::BTreeMap;
use std::ffi::{c_uint, c_ulonglong};

use nvml_wrapper_sys::bindings::*;
use serde::{Deserialize, Deserializer, de::Error};
use serde_json::Value;

use crate::call::{At, put, put_flag, supported};
use crate::gpu::Gpu;
use crate::identity::pci_at;

/// The links of one GPU.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Nvlink {
    /// Links 0 to one less.
    pub(crate) count: u32,
    pub(crate) version: u32,
    /// Of one link that is up, in megabytes per second.
    pub(crate) mbps: u32,
    remote_type: RemoteType,
    /// PCI addresses of the switches, which the links take in turn.
    switches: Vec<String>,
    /// Something is at the other ends. A PCIe card without a bridge has links, and all are down.
    bridged: Option<bool>,
    /// Those that differ, by number.
    #[serde(deserialize_with = "links")]
    links: BTreeMap<u32, Link>,
}

/// One link, as far as it differs.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Link {
    up: Option<bool>,
    /// As field 165 has it: 0 inactive, 1 active, 2 asleep, 3 active without traffic. Above `up`.
    state: Option<u32>,
    version: Option<u32>,
    remote: Option<String>,
    remote_type: Option<RemoteType>,
    pub(crate) replays: u64,
    pub(crate) recoveries: u64,
    pub(crate) crc_flit: u64,
    pub(crate) crc_data: u64,
    pub(crate) ecc_data: u64,
    /// NVLink 5.
    pub(crate) symbol_errors: u64,
    pub(crate) effective_errors: u64,
    pub(crate) recovery_successes: u64,
    pub(crate) recovery_failures: u64,
    pub(crate) receive_errors: u64,
    pub(crate) buffer_overruns: u64,
    pub(crate) integrity_errors: u64,
    pub(crate) send_discards: u64,
    /// As field 220 has it; without it, that of a link without errors.
    pub(crate) effective_ber: Option<u64>,
    /// As field 222 has it.
    pub(crate) symbol_ber: Option<u64>,
}

/// What is at the other end.
#[derive(Debug, Default, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RemoteType {
    Gpu,
    #[default]
    Switch,
    Npu,
    Unknown,
}

static UNCHANGED: Link = Link {
    up: None,
    state: None,
    version: None,
    remote: None,
    remote_type: None,
    replays: 0,
    recoveries: 0,
    crc_flit: 0,
    crc_data: 0,
    ecc_data: 0,
    symbol_errors: 0,
    effective_errors: 0,
    recovery_successes: 0,
    recovery_failures: 0,
    receive_errors: 0,
    buffer_overruns: 0,
    integrity_errors: 0,
    send_discards: 0,
    effective_ber: None,
    symbol_ber: None,
};

/// A list from link 0 on, or an object by number.
fn links<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<u32, Link>, D::Error> {
    let pairs: Vec<(u32, Value)> = match Value::deserialize(from)? {
        Value::Array(list) => (0..).zip(list).collect(),
        Value::Object(object) => {
            let number = |key: String| key.parse().map_err(|_| D::Error::custom(format!("links: {key} is no number")));
            object.into_iter().map(|(key, link)| Ok((number(key)?, link))).collect::<Result<_, D::Error>>()?
        }
        other => return Err(D::Error::custom(format!("links: {other} is neither a list nor an object"))),
    };
    let read = |(number, link)| match serde_json::from_value(link) {
        Ok(link) => Ok((number, link)),
        Err(error) => Err(D::Error::custom(format!("links: {number}: {error}"))),
    };
    pairs.into_iter().map(read).collect()
}

impl Nvlink {
    /// What is stated of a link; links beyond the last are none.
    pub(crate) fn link(&self, number: u32) -> Option<&Link> {
        (number < self.count).then(|| self.links.get(&number).unwrap_or(&UNCHANGED))
    }

    /// Whether a link is up. In MIG mode none is (nvidia-smi shows them inactive then).
    pub(crate) fn is_up(&self, gpu: &Gpu, number: u32) -> bool {
        self.state(gpu, number) != states::INACTIVE
    }

    /// The state, as field 165 has it.
    pub(crate) fn state(&self, gpu: &Gpu, number: u32) -> u32 {
        let Some(link) = self.link(number).filter(|_| !gpu.mig_is_on()) else { return states::INACTIVE };
        let up = link.up.or(self.bridged).unwrap_or(true);
        link.state.unwrap_or(if up { states::ACTIVE } else { states::INACTIVE })
    }

    pub(crate) fn any_up(&self, gpu: &Gpu) -> bool {
        (0..self.count).any(|number| self.is_up(gpu, number))
    }

    /// The version of a link.
    pub(crate) fn version_of(&self, number: u32) -> u32 {
        self.link(number).and_then(|link| link.version).unwrap_or(self.version)
    }

    /// What it leads to: as stated, else the switches in turn.
    fn remote(&self, number: u32) -> Option<&str> {
        let stated = self.link(number)?.remote.as_deref();
        stated.or_else(|| {
            let place = (number as usize).checked_rem(self.switches.len())?;
            self.switches.get(place).map(String::as_str)
        })
    }
}

/// `NVML_NVLINK_STATE_*`
mod states {
    pub(super) const INACTIVE: u32 = 0;
    pub(super) const ACTIVE: u32 = 1;
}

exports! { device:
    nvmlDeviceGetNvLinkState(link: c_uint, to: *mut nvmlEnableState_t) = |at: &At<'_>, link, to| {
        let (nvlink, _) = one(at, link)?;
        put(to, nvmlEnableState_t::from(nvlink.is_up(at.gpu, link)))
    };
    nvmlDeviceGetNvLinkVersion(link: c_uint, to: *mut c_uint) =
        |at: &At<'_>, link, to| put(to, numbered(one(at, link)?.0.version_of(link)));
    nvmlDeviceGetNvLinkCapability(link: c_uint, capability: nvmlNvLinkCapability_t, to: *mut c_uint) =
        |at: &At<'_>, link, capability, to| {
            one(at, link)?;
            if capability >= nvmlNvLinkCapability_enum_NVML_NVLINK_CAP_COUNT {
                return Err(nvmlReturn_enum_NVML_ERROR_INVALID_ARGUMENT);
            }
            put_flag(to, capability != nvmlNvLinkCapability_enum_NVML_NVLINK_CAP_SLI_BRIDGE)
        };
    nvmlDeviceGetNvLinkRemotePciInfo_v2(link: c_uint, to: *mut nvmlPciInfo_t) =
        |at: &At<'_>, link, to| put(to, pci_at(supported(up(at, link)?.remote(link))?)?);
    nvmlDeviceGetNvLinkRemoteDeviceType(link: c_uint, to: *mut nvmlIntNvLinkDeviceType_t) = |at: &At<'_>, link, to| {
        let nvlink = up(at, link)?;
        let kind = one(at, link)?.1.remote_type.unwrap_or(nvlink.remote_type);
        put(to, match kind {
            RemoteType::Gpu => nvmlIntNvLinkDeviceType_enum_NVML_NVLINK_DEVICE_TYPE_GPU,
            RemoteType::Switch => nvmlIntNvLinkDeviceType_enum_NVML_NVLINK_DEVICE_TYPE_SWITCH,
            RemoteType::Npu => nvmlIntNvLinkDeviceType_enum_NVML_NVLINK_DEVICE_TYPE_IBMNPU,
            RemoteType::Unknown => nvmlIntNvLinkDeviceType_enum_NVML_NVLINK_DEVICE_TYPE_UNKNOWN,
        })
    };
    nvmlDeviceGetNvLinkErrorCounter(link: c_uint, counter: nvmlNvLinkErrorCounter_t, to: *mut c_ulonglong) =
        |at: &At<'_>, link, counter, to| {
            let (nvlink, own) = one(at, link)?;
            // nvml.h of the fields of the same counters: not supported by Blackwell and later.
            let link = supported(Some(own).filter(|_| nvlink.version_of(link) < 5))?;
            put(to, match counter {
                nvmlNvLinkErrorCounter_enum_NVML_NVLINK_ERROR_DL_REPLAY => link.replays,
                nvmlNvLinkErrorCounter_enum_NVML_NVLINK_ERROR_DL_RECOVERY => link.recoveries,
                nvmlNvLinkErrorCounter_enum_NVML_NVLINK_ERROR_DL_CRC_FLIT => link.crc_flit,
                nvmlNvLinkErrorCounter_enum_NVML_NVLINK_ERROR_DL_CRC_DATA => link.crc_data,
                nvmlNvLinkErrorCounter_enum_NVML_NVLINK_ERROR_DL_ECC_DATA => link.ecc_data,
                _ => return Err(nvmlReturn_enum_NVML_ERROR_INVALID_ARGUMENT),
            })
        };
}

/// The number of a version in `nvmlNvlinkVersion_t`.
pub(crate) fn numbered(version: u32) -> u32 {
    match version {
        3 => nvmlNvlinkVersion_enum_NVML_NVLINK_VERSION_3_0,
        4 => nvmlNvlinkVersion_enum_NVML_NVLINK_VERSION_4_0,
        5 => nvmlNvlinkVersion_enum_NVML_NVLINK_VERSION_5_0,
        // 6.0 is 8; 1.0 and 2.0 have their own numbers.
        6 => 8,
        other => other,
    }
}

/// A link that the GPU has.
pub(crate) fn one<'a>(at: &At<'a>, number: c_uint) -> Result<(&'a Nvlink, &'a Link), nvmlReturn_t> {
    let nvlink = supported(at.gpu.nvlink.as_ref())?;
    let link = nvlink.link(number).ok_or(nvmlReturn_enum_NVML_ERROR_INVALID_ARGUMENT)?;
    Ok((nvlink, link))
}

/// The links, if this one is up: one that is down leads nowhere.
fn up<'a>(at: &At<'a>, number: c_uint) -> Result<&'a Nvlink, nvmlReturn_t> {
    let (nvlink, _) = one(at, number)?;
    supported(Some(nvlink).filter(|nvlink| nvlink.is_up(at.gpu, number)))
}
