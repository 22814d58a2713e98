//! Functions of newer drivers that the bindings lack: they are looked up when the library is loaded. A library without them
//! answers 13 (function not found), as for every other function.
//!
//! The layouts are those of nvml.h 13.5.37, whose name of the struct stands beside each.

use std::ffi::c_uint;

use nvml_wrapper_sys::bindings::{NvmlLib, nvmlDevice_t, nvmlReturn_t};

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
        pub(super) struct Newer { $(pub(super) $symbol: Result<Getter<$out>, ()>,)* }

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layouts_are_those_of_the_header() {
        // nvml.h 13.5.37 compiled for 64-bit Linux.
        assert_eq!(size_of::<GpuUptime>(), 4);
        assert_eq!(size_of::<UnrepairableMemory>(), 4);
        assert_eq!((size_of::<BankRemapper>(), std::mem::offset_of!(BankRemapper, groups_full)), (20, 12));
        assert_eq!(size_of::<nvml_wrapper_sys::bindings::nvmlMarginTemperature_t>(), 8);
        assert_eq!(size_of::<nvml_wrapper_sys::bindings::nvmlRepairStatus_t>(), 12);
    }
}
