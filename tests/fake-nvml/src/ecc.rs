//! ECC.

use std::collections::BTreeMap;
use std::ffi::{c_uint, c_ulonglong};

use nvml_wrapper_sys::bindings::*;
use serde::Deserialize;

use crate::call::{Answer, At, put, put_some, put_version, supported, tag};

/// ECC of one GPU: the totals as stated, or the sum of the locations; device memory as stated, or what the other
/// locations leave of the total. So a state file needs to state an error only once.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Ecc {
    /// Off: `false`. On where nothing is stated.
    pub(crate) enabled: Option<bool>,
    /// After the next reset; else as now.
    pub(crate) pending: Option<bool>,
    volatile_corrected: Option<u64>,
    volatile_uncorrected: Option<u64>,
    aggregate_corrected: Option<u64>,
    aggregate_uncorrected: Option<u64>,
    /// The locations that the GPU counts by: `dram`, `sram`, `l1`, `l2`, `register_file`, `texture_memory`,
    /// `texture_shm`, `cbu`. One that is null is not supported.
    locations: BTreeMap<Location, Option<Counters>>,
    /// `nvmlDeviceGetSramEccErrorStatus` is supported (Hopper and later).
    has_sram_detail: bool,
    /// The SRAM count passed the threshold for replacement.
    sram_threshold: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Location {
    L1,
    L2,
    Dram,
    RegisterFile,
    TextureMemory,
    TextureShm,
    Cbu,
    Sram,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Counters {
    volatile_corrected: Option<u64>,
    volatile_uncorrected: Option<u64>,
    aggregate_corrected: Option<u64>,
    aggregate_uncorrected: Option<u64>,
}

/// Which errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kind {
    pub(crate) uncorrected: bool,
    pub(crate) aggregate: bool,
}

impl Ecc {
    /// On at the moment.
    pub(crate) fn is_on(&self) -> bool {
        self.enabled.unwrap_or(true)
    }

    /// On after the next reset.
    pub(crate) fn will_be_on(&self) -> bool {
        self.pending.unwrap_or_else(|| self.is_on())
    }

    fn stated_total(&self, kind: Kind) -> Option<u64> {
        match (kind.aggregate, kind.uncorrected) {
            (false, false) => self.volatile_corrected,
            (false, true) => self.volatile_uncorrected,
            (true, false) => self.aggregate_corrected,
            (true, true) => self.aggregate_uncorrected,
        }
    }

    fn stated(&self, kind: Kind, location: Location) -> Option<u64> {
        let counters = self.locations.get(&location)?.as_ref()?;
        match (kind.aggregate, kind.uncorrected) {
            (false, false) => counters.volatile_corrected,
            (false, true) => counters.volatile_uncorrected,
            (true, false) => counters.aggregate_corrected,
            (true, true) => counters.aggregate_uncorrected,
        }
    }

    fn sum(&self, kind: Kind, but: Option<Location>) -> u64 {
        let locations = self.locations.keys().filter(|location| Some(**location) != but);
        locations.filter_map(|location| self.stated(kind, *location)).sum()
    }

    /// All errors of a kind.
    pub(crate) fn total(&self, kind: Kind) -> u64 {
        self.stated_total(kind).unwrap_or_else(|| self.sum(kind, None))
    }

    /// The errors of a kind at a location, where the GPU counts by it.
    pub(crate) fn at(&self, kind: Kind, location: Location) -> Option<u64> {
        self.locations.get(&location)?.as_ref()?;
        Some(self.stated(kind, location).unwrap_or_else(|| match location {
            Location::Dram => self.total(kind).saturating_sub(self.sum(kind, Some(Location::Dram))),
            _ => 0,
        }))
    }
}

exports! { device:
    nvmlDeviceGetEccMode(current: *mut nvmlEnableState_t, pending: *mut nvmlEnableState_t) =
        |at: &At<'_>, current, pending| {
            let ecc = supported(at.gpu.ecc.as_ref())?;
            put(current, nvmlEnableState_t::from(ecc.is_on()))?;
            put(pending, nvmlEnableState_t::from(ecc.will_be_on()))
        };
    nvmlDeviceGetTotalEccErrors(
        error: nvmlMemoryErrorType_t, counter: nvmlEccCounterType_t, to: *mut c_ulonglong
    ) = |at: &At<'_>, error, counter, to| put(to, counting(at)?.total(kind(error, counter)?));
    nvmlDeviceGetMemoryErrorCounter(
        error: nvmlMemoryErrorType_t, counter: nvmlEccCounterType_t, location: nvmlMemoryLocation_t, to: *mut c_ulonglong
    ) = |at: &At<'_>, error, counter, location, to| {
        put_some(to, counting(at)?.at(kind(error, counter)?, place(location)?))
    };
    nvmlDeviceGetSramEccErrorStatus(to: *mut nvmlEccSramErrorStatus_t) = sram_status;
}

/// The counters, where ECC is there and on.
pub(crate) fn counting<'a>(at: &At<'a>) -> Result<&'a Ecc, nvmlReturn_t> {
    supported(at.gpu.ecc.as_ref().filter(|ecc| ecc.is_on()))
}

fn kind(error: nvmlMemoryErrorType_t, counter: nvmlEccCounterType_t) -> Result<Kind, nvmlReturn_t> {
    if error >= nvmlMemoryErrorType_enum_NVML_MEMORY_ERROR_TYPE_COUNT
        || counter >= nvmlEccCounterType_enum_NVML_ECC_COUNTER_TYPE_COUNT
    {
        return Err(nvmlReturn_enum_NVML_ERROR_INVALID_ARGUMENT);
    }
    Ok(Kind {
        uncorrected: error == nvmlMemoryErrorType_enum_NVML_MEMORY_ERROR_TYPE_UNCORRECTED,
        aggregate: counter == nvmlEccCounterType_enum_NVML_AGGREGATE_ECC,
    })
}

fn place(location: nvmlMemoryLocation_t) -> Result<Location, nvmlReturn_t> {
    Ok(match location {
        nvmlMemoryLocation_enum_NVML_MEMORY_LOCATION_L1_CACHE => Location::L1,
        nvmlMemoryLocation_enum_NVML_MEMORY_LOCATION_L2_CACHE => Location::L2,
        nvmlMemoryLocation_enum_NVML_MEMORY_LOCATION_DRAM => Location::Dram,
        nvmlMemoryLocation_enum_NVML_MEMORY_LOCATION_REGISTER_FILE => Location::RegisterFile,
        nvmlMemoryLocation_enum_NVML_MEMORY_LOCATION_TEXTURE_MEMORY => Location::TextureMemory,
        nvmlMemoryLocation_enum_NVML_MEMORY_LOCATION_TEXTURE_SHM => Location::TextureShm,
        nvmlMemoryLocation_enum_NVML_MEMORY_LOCATION_CBU => Location::Cbu,
        nvmlMemoryLocation_enum_NVML_MEMORY_LOCATION_SRAM => Location::Sram,
        _ => return Err(nvmlReturn_enum_NVML_ERROR_INVALID_ARGUMENT),
    })
}

unsafe fn sram_status(at: &At<'_>, to: *mut nvmlEccSramErrorStatus_t) -> Answer {
    let ecc = supported(Some(counting(at)?).filter(|ecc| ecc.has_sram_detail))?;
    let sram = |aggregate: bool, uncorrected: bool| {
        ecc.at(Kind { uncorrected, aggregate }, Location::Sram).unwrap_or_default()
    };
    let status = nvmlEccSramErrorStatus_t {
        version: tag::<nvmlEccSramErrorStatus_t>(1),
        aggregateUncParity: sram(true, true),
        aggregateUncSecDed: 0,
        aggregateCor: sram(true, false),
        volatileUncParity: sram(false, true),
        volatileUncSecDed: 0,
        volatileCor: sram(false, false),
        aggregateUncBucketL2: 0,
        aggregateUncBucketSm: sram(true, true),
        aggregateUncBucketPcie: 0,
        aggregateUncBucketMcu: 0,
        aggregateUncBucketOther: 0,
        bThresholdExceeded: c_uint::from(ecc.sram_threshold),
    };
    // SAFETY: by nvml.h's contract.
    unsafe { put_version(to, 1, status) }
}

#[cfg(test)]
mod tests {
    use super::{Ecc, Kind, Location};
    use serde_json::{from_value, json};

    const UNCORRECTED: Kind = Kind { uncorrected: true, aggregate: false };

    #[test]
    fn an_error_needs_to_be_stated_only_once() {
        let total: Ecc = from_value(json!({"volatile_uncorrected": 3, "locations": {"dram": {}, "sram": {}}})).unwrap();
        let seen = |ecc: &Ecc| {
            (ecc.total(UNCORRECTED), ecc.at(UNCORRECTED, Location::Dram), ecc.at(UNCORRECTED, Location::Sram))
        };
        assert_eq!(seen(&total), (3, Some(3), Some(0)));
        let sram = json!({"locations": {"dram": {}, "sram": {"volatile_uncorrected": 2}}});
        assert_eq!(seen(&from_value(sram).unwrap()), (2, Some(0), Some(2)));
        let both = json!({"volatile_uncorrected": 5, "locations": {"dram": {}, "sram": {"volatile_uncorrected": 2}}});
        assert_eq!(seen(&from_value(both).unwrap()), (5, Some(3), Some(2)));
        assert_eq!(total.at(UNCORRECTED, Location::L1), None);
    }
}
