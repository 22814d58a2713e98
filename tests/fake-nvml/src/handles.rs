//! How many GPUs there are, and how they are addressed.

use std::ffi::{CStr, c_char, c_uint};

use nvml_wrapper_sys::bindings::*;

use crate::call::{Answer, At, play_for, put, small};
use crate::gpu::Gpu;
use crate::handle::Handle;
use crate::identity::{serial, uuid};
use crate::state::Machine;

exports! {
    nvmlDeviceGetCount_v2(count: *mut c_uint) = |machine: &Machine, count| put(count, counted(machine));
    nvmlDeviceGetHandleByIndex_v2(index: c_uint, device: *mut nvmlDevice_t) = by_index;
    nvmlDeviceGetHandleByUUID(uuid: *const c_char, device: *mut nvmlDevice_t) = by_uuid;
    nvmlDeviceGetHandleBySerial(serial: *const c_char, device: *mut nvmlDevice_t) = by_serial;
    nvmlDeviceGetHandleByPciBusId_v2(pci: *const c_char, device: *mut nvmlDevice_t) = by_pci;
}

exports! { device:
    nvmlDeviceGetIndex(to: *mut c_uint) = |at: &At<'_>, to| put(to, small(at.index));
}

fn counted(machine: &Machine) -> c_uint {
    small(machine.gpus.iter().filter(|gpu| !gpu.hole).count())
}

unsafe fn by_index(machine: &Machine, index: c_uint, device: *mut nvmlDevice_t) -> Answer {
    let gpu = machine.gpus.get(index as usize).ok_or(nvmlReturn_enum_NVML_ERROR_INVALID_ARGUMENT)?;
    // SAFETY: by nvml.h's contract.
    unsafe { give(gpu, "nvmlDeviceGetHandleByIndex_v2", device) }
}

unsafe fn by_uuid(machine: &Machine, wanted: *const c_char, device: *mut nvmlDevice_t) -> Answer {
    // SAFETY: by nvml.h's contract.
    let wanted = unsafe { text(wanted) }?;
    let mut gpus = machine.gpus.iter().enumerate();
    let found = gpus.find(|(index, gpu)| !gpu.hole && uuid(gpu, *index) == wanted);
    let (_, gpu) = found.ok_or(nvmlReturn_enum_NVML_ERROR_NOT_FOUND)?;
    // SAFETY: by nvml.h's contract.
    unsafe { give(gpu, "nvmlDeviceGetHandleByUUID", device) }
}

unsafe fn by_serial(machine: &Machine, wanted: *const c_char, device: *mut nvmlDevice_t) -> Answer {
    // SAFETY: by nvml.h's contract.
    let wanted = unsafe { text(wanted) }?;
    let mut gpus = machine.gpus.iter().enumerate();
    let found = gpus.find(|(index, gpu)| !gpu.hole && serial(gpu, *index) == wanted);
    let (_, gpu) = found.ok_or(nvmlReturn_enum_NVML_ERROR_NOT_FOUND)?;
    // SAFETY: by nvml.h's contract.
    unsafe { give(gpu, "nvmlDeviceGetHandleBySerial", device) }
}

unsafe fn by_pci(machine: &Machine, wanted: *const c_char, device: *mut nvmlDevice_t) -> Answer {
    // SAFETY: by nvml.h's contract.
    let wanted = address(unsafe { text(wanted) }?).ok_or(nvmlReturn_enum_NVML_ERROR_INVALID_ARGUMENT)?;
    let found = machine.gpus.iter().find(|gpu| !gpu.hole && address(&gpu.pci) == Some(wanted));
    let gpu = found.ok_or(nvmlReturn_enum_NVML_ERROR_NOT_FOUND)?;
    // SAFETY: by nvml.h's contract.
    unsafe { give(gpu, "nvmlDeviceGetHandleByPciBusId_v2", device) }
}

unsafe fn give(gpu: &Gpu, name: &str, device: *mut nvmlDevice_t) -> Answer {
    if gpu.hole {
        return Err(nvmlReturn_enum_NVML_ERROR_NOT_FOUND);
    }
    play_for(gpu, name)?;
    // SAFETY: by nvml.h's contract; the handle is a number that nobody follows.
    unsafe { put(device, Handle::of(&gpu.pci, None)) }
}

unsafe fn text<'a>(from: *const c_char) -> Result<&'a str, nvmlReturn_t> {
    if from.is_null() {
        return Err(nvmlReturn_enum_NVML_ERROR_INVALID_ARGUMENT);
    }
    // SAFETY: not null, and by nvml.h's contract a C string that lives as long as the call.
    unsafe { CStr::from_ptr(from) }.to_str().map_err(|_| nvmlReturn_enum_NVML_ERROR_INVALID_ARGUMENT)
}

/// Domain, bus, device, function.
pub(crate) fn address(text: &str) -> Option<[u32; 4]> {
    let mut parts = text.split([':', '.']).map(|part| u32::from_str_radix(part, 16));
    let mut next = || parts.next().and_then(Result::ok);
    Some([next()?, next()?, next()?, next()?])
}
