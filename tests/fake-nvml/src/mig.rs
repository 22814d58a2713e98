//! Multi-instance mode.

use std::ffi::c_uint;

use nvml_wrapper_sys::bindings::*;

use crate::call::{At, put, put_flag, supported};
use crate::handle::Handle;

exports! { device:
    nvmlDeviceGetMigMode(current: *mut c_uint, pending: *mut c_uint) = |at: &At<'_>, current, pending| {
        let mig = supported(at.gpu.mig.as_ref())?;
        put_flag(current, mig.enabled)?;
        put_flag(pending, mig.pending.unwrap_or(mig.enabled))
    };
    // 0, not an error, where there is no MIG (nvml.h).
    nvmlDeviceGetMaxMigDeviceCount(to: *mut c_uint) =
        |at: &At<'_>, to| put(to, at.gpu.mig.as_ref().map_or(0, |mig| mig.max_instances));
    nvmlDeviceGetMigDeviceHandleByIndex(index: c_uint, to: *mut nvmlDevice_t) = |at: &At<'_>, index, to| {
        let mig = supported(at.gpu.mig.as_ref())?;
        let number = index as usize;
        if number >= mig.max_instances as usize {
            return Err(nvmlReturn_enum_NVML_ERROR_INVALID_ARGUMENT);
        }
        if !mig.enabled || number >= mig.instances.len() {
            return Err(nvmlReturn_enum_NVML_ERROR_NOT_FOUND);
        }
        put(to, Handle::of(&at.gpu.pci, Some(number)))
    };
    nvmlDeviceIsMigDeviceHandle(to: *mut c_uint) = |at: &At<'_>, to| put_flag(to, at.instance.is_some());
    nvmlDeviceGetDeviceHandleFromMigDeviceHandle(to: *mut nvmlDevice_t) = |at: &At<'_>, to| match at.instance {
        Some(_) => put(to, Handle::of(&at.gpu.pci, None)),
        None => Err(nvmlReturn_enum_NVML_ERROR_INVALID_ARGUMENT),
    };
}
