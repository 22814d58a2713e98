//! How much memory a GPU has.

use nvml_wrapper_sys::bindings::*;

use crate::call::{Answer, put};
use crate::state::Gpu;

const MIB: u64 = 1024 * 1024;

exports! { device:
    nvmlDeviceGetMemoryInfo(to: *mut nvmlMemory_t) = |gpu: &Gpu, _, to| {
        let (total, used) = bytes(gpu);
        put(to, nvmlMemory_t { total, free: total - used, used })
    };
    nvmlDeviceGetMemoryInfo_v2(to: *mut nvmlMemory_v2_t) = |gpu: &Gpu, _, to| second(gpu, to);
}

unsafe fn second(gpu: &Gpu, to: *mut nvmlMemory_v2_t) -> Answer {
    // NVML_STRUCT_VERSION(Memory, 2): the size, and the version in the upper byte.
    let expected = u32::try_from(size_of::<nvmlMemory_v2_t>() | (2 << 24)).unwrap_or_default();
    if to.is_null() {
        return Err(nvmlReturn_enum_NVML_ERROR_INVALID_ARGUMENT);
    }
    // SAFETY: not null; by nvml.h's contract the caller has set the version.
    if unsafe { (*to).version } != expected {
        return Err(nvmlReturn_enum_NVML_ERROR_ARGUMENT_VERSION_MISMATCH);
    }
    let (total, used) = bytes(gpu);
    // SAFETY: as above.
    unsafe { put(to, nvmlMemory_v2_t { version: expected, total, reserved: 0, free: total - used, used }) }
}

fn bytes(gpu: &Gpu) -> (u64, u64) {
    let total = gpu.memory_mib * MIB;
    (total, total.min(gpu.memory_used_mib * MIB))
}
