//! Functions of newer drivers that answer with a struct. Those that the bindings lack are looked up when the library is
//! loaded; a library without them answers 13 (function not found), as for every other function.
//!
//! The layouts are those of nvml.h 13.5.37, whose name of the struct stands beside each.

use std::ffi::{c_int, c_uint};
use std::mem::MaybeUninit;

use nvml_wrapper_sys::bindings::{NvmlLib, nvmlDevice_t, nvmlMarginTemperature_t, nvmlRepairStatus_t, nvmlReturn_t};

use super::{Answer, FUNCTION_NOT_FOUND, Failure, Gpu, Library, SUCCESS, version};
use std::time::Duration;

/// `nvmlGpuUptime_v1_t`
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub(crate) struct GpuUptime {
    pub(crate) seconds: c_uint,
}

/// `nvmlUnrepairableMemoryStatus_v1_t`
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub(crate) struct UnrepairableMemory {
    pub(crate) flag: c_uint,
}

/// `nvmlEccBankRemapperStatus_v1_t`, with `nvmlEccBankRemapperHistogram_v1_t` at its end.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub(crate) struct BankRemapper {
    pub(crate) active: c_uint,
    pub(crate) inactive: c_uint,
    pub(crate) pending: c_uint,
    pub(crate) groups_full: c_uint,
    pub(crate) groups_without: c_uint,
}

type Getter<T> = unsafe extern "C" fn(nvmlDevice_t, *mut T) -> nvmlReturn_t;

macro_rules! newer {
    ($($symbol:ident($out:ty);)*) => {
        /// The functions; an error for those that the library lacks.
        #[allow(non_snake_case, reason = "the names are those of the C library")]
        pub(super) struct Newer { $($symbol: Result<Getter<$out>, ()>,)* }

        impl Newer {
            /// Looks them up. They are valid as long as the library stays loaded.
            pub(super) fn in_library(library: &NvmlLib) -> Self {
                // SAFETY: each function has the type that nvml.h gives it.
                unsafe {
                    Self { $($symbol: library
                        .__library
                        .get::<Getter<$out>>(concat!(stringify!($symbol), "\0").as_bytes())
                        .map(|function| *function)
                        .map_err(drop),)* }
                }
            }
        }
    };
}

newer! {
    nvmlDeviceGetGpuUptime_v1(GpuUptime);
    nvmlDeviceGetUnrepairableMemoryFlag_v1(UnrepairableMemory);
    nvmlDeviceGetBankRemapperStatus_v1(BankRemapper);
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layouts_are_those_of_the_header() {
        // nvml.h 13.5.37 compiled for 64-bit Linux.
        assert_eq!(size_of::<GpuUptime>(), 4);
        assert_eq!(size_of::<UnrepairableMemory>(), 4);
        assert_eq!((size_of::<BankRemapper>(), std::mem::offset_of!(BankRemapper, groups_full)), (20, 12));
        assert_eq!(size_of::<nvmlMarginTemperature_t>(), 8);
        assert_eq!(size_of::<nvmlRepairStatus_t>(), 12);
    }
}
