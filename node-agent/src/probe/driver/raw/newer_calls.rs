//! Calls of newer drivers that answer with a struct.

use std::ffi::{c_int, c_uint};
use std::mem::MaybeUninit;
use std::time::Duration;

use nvml_wrapper_sys::bindings::{nvmlMarginTemperature_t, nvmlRepairStatus_t};

use super::newer::{BankRemapper, GpuUptime, UnrepairableMemory};
use super::{Answer, FUNCTION_NOT_FOUND, Failure, Gpu, Library, SUCCESS, version};

impl Library {
    getters! {
        newer;
        uptime() -> GpuUptime = nvmlDeviceGetGpuUptime_v1;
        unrepairable_memory() -> UnrepairableMemory = nvmlDeviceGetUnrepairableMemoryFlag_v1;
        bank_remapper() -> BankRemapper = nvmlDeviceGetBankRemapperStatus_v1;
    }

    /// T.Limit: the distance to the nearest slowdown threshold, version 1.
    pub(crate) fn margin(&self, gpu: Gpu<'_>) -> Answer<c_int> {
        let tag = version(size_of::<nvmlMarginTemperature_t>(), 1);
        let mut margin = nvmlMarginTemperature_t { version: tag, marginTemperature: 0 };
        call!(self.lib, gpu.about, nvmlDeviceGetMarginTemperature(gpu.handle, &raw mut margin))?;
        Ok(margin.marginTemperature)
    }

    /// Which repairs wait for a reset, version 1: of a memory channel, of a TPC.
    pub(crate) fn repairs(&self, gpu: Gpu<'_>) -> Answer<(c_uint, c_uint)> {
        let tag = version(size_of::<nvmlRepairStatus_t>(), 1);
        let mut status = nvmlRepairStatus_t { version: tag, bChannelRepairPending: 0, bTpcRepairPending: 0 };
        call!(self.lib, gpu.about, nvmlDeviceGetRepairStatus(gpu.handle, &raw mut status))?;
        Ok((status.bChannelRepairPending, status.bTpcRepairPending))
    }
}
