//! Start, end, and the machine's versions.

use std::ffi::{c_char, c_uint};

use nvml_wrapper_sys::bindings::*;

use crate::call::put_text;
use crate::state::State;

exports! {
    nvmlInit_v2() = |_: &State| Ok(());
    nvmlInitWithFlags(_flags: c_uint) = |_: &State, _| Ok(());
    nvmlShutdown() = |_: &State| Ok(());
    nvmlSystemGetDriverVersion(version: *mut c_char, length: c_uint) =
        |state: &State, version, length| put_text(version, length, &state.driver);
    nvmlSystemGetNVMLVersion(version: *mut c_char, length: c_uint) =
        |state: &State, version, length| put_text(version, length, &state.nvml);
}

/// The one function that cannot fail and reads no state.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn nvmlErrorString(result: nvmlReturn_t) -> *const c_char {
    let text = match result {
        nvmlReturn_enum_NVML_SUCCESS => c"Success",
        nvmlReturn_enum_NVML_ERROR_NOT_SUPPORTED => c"Not Supported",
        nvmlReturn_enum_NVML_ERROR_DRIVER_NOT_LOADED => c"Driver Not Loaded",
        nvmlReturn_enum_NVML_ERROR_GPU_IS_LOST => c"GPU is lost",
        nvmlReturn_enum_NVML_ERROR_RESET_REQUIRED => c"GPU requires reset",
        nvmlReturn_enum_NVML_ERROR_LIB_RM_VERSION_MISMATCH => c"Driver/library version mismatch",
        _ => c"Unknown Error",
    };
    text.as_ptr()
}
