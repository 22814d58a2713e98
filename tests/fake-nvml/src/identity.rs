//! Which GPU it is.

use std::ffi::{c_char, c_uint};

use nvml_wrapper_sys::bindings::*;

use crate::call::{Answer, put, put_text};
use crate::state::Gpu;

exports! { device:
    nvmlDeviceGetName(to: *mut c_char, length: c_uint) = |gpu: &Gpu, _, to, length| put_text(to, length, &gpu.name);
    nvmlDeviceGetUUID(to: *mut c_char, length: c_uint) =
        |gpu: &Gpu, index, to, length| put_text(to, length, &uuid(gpu, index));
    nvmlDeviceGetSerial(to: *mut c_char, length: c_uint) =
        |gpu: &Gpu, index, to, length| put_text(to, length, &serial(gpu, index));
    nvmlDeviceGetVbiosVersion(to: *mut c_char, length: c_uint) =
        |gpu: &Gpu, _, to, length| put_text(to, length, &gpu.vbios);
    nvmlDeviceGetPciInfo_v3(to: *mut nvmlPciInfo_t) = |gpu: &Gpu, _, to| pci_info(gpu, to);
}

fn uuid(gpu: &Gpu, index: usize) -> String {
    gpu.uuid.clone().unwrap_or_else(|| format!("GPU-simulated-0000-0000-0000-{:012}", index + 1))
}

fn serial(gpu: &Gpu, index: usize) -> String {
    gpu.serial.clone().unwrap_or_else(|| format!("SIM{:010}", index + 1))
}

unsafe fn pci_info(gpu: &Gpu, to: *mut nvmlPciInfo_t) -> Answer {
    let mut parts = gpu.pci.split([':', '.']).map(|part| u32::from_str_radix(part, 16));
    let mut next = || parts.next().and_then(Result::ok).ok_or(nvmlReturn_enum_NVML_ERROR_UNKNOWN);
    let (domain, bus, device, function) = (next()?, next()?, next()?, next()?);
    let info = nvmlPciInfo_t {
        // The legacy form has four digits for the domain, the present one eight.
        busIdLegacy: chars(&format!("{domain:04X}:{bus:02X}:{device:02X}.{function:X}")),
        domain,
        bus,
        device,
        pciDeviceId: gpu.pci_device_id,
        pciSubSystemId: 0,
        busId: chars(&format!("{domain:08X}:{bus:02X}:{device:02X}.{function:X}")),
    };
    // SAFETY: by nvml.h's contract.
    unsafe { put(to, info) }
}

/// Cut to the array, its last element always NUL.
fn chars<const N: usize>(text: &str) -> [c_char; N] {
    let mut array = [0; N];
    for (to, byte) in array.iter_mut().take(N - 1).zip(text.bytes()) {
        *to = c_char::from_ne_bytes([byte]);
    }
    array
}
