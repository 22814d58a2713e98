//! How much memory a GPU has.

use nvml_wrapper_sys::bindings::*;

use crate::call::{At, put, put_version, tag};

const MIB: u64 = 1024 * 1024;

exports! { device:
    nvmlDeviceGetMemoryInfo(to: *mut nvmlMemory_t) = |at: &At<'_>, to| {
        let Bytes { total, used, reserved } = bytes(at);
        put(to, nvmlMemory_t { total, free: total - used - reserved, used: used + reserved })
    };
    nvmlDeviceGetMemoryInfo_v2(to: *mut nvmlMemory_v2_t) = |at: &At<'_>, to| {
        let Bytes { total, used, reserved } = bytes(at);
        let version = tag::<nvmlMemory_v2_t>(2);
        put_version(to, 2, nvmlMemory_v2_t { version, total, reserved, free: total - used - reserved, used })
    };
}

struct Bytes {
    total: u64,
    used: u64,
    reserved: u64,
}

fn bytes(at: &At<'_>) -> Bytes {
    let instance = at.instance.and_then(|number| at.gpu.mig.as_ref()?.instances.get(number));
    if let Some(instance) = instance {
        return Bytes { total: instance.memory_mib * MIB, used: 0, reserved: 0 };
    }
    let total = at.gpu.memory_mib * MIB;
    let reserved = total.min(at.gpu.memory_reserved_mib * MIB);
    Bytes { total, used: (total - reserved).min(at.gpu.memory_used_mib * MIB), reserved }
}
