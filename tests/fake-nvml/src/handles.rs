//! How many GPUs there are, and how they are addressed.

use std::ffi::c_uint;

use nvml_wrapper_sys::bindings::*;

use crate::call::{Answer, play_for, put};
use crate::state::{Gpu, State};

exports! {
    nvmlDeviceGetCount_v2(count: *mut c_uint) = |state: &State, count| put(count, counted(state));
    nvmlDeviceGetHandleByIndex_v2(index: c_uint, device: *mut nvmlDevice_t) = by_index;
}

exports! { device:
    nvmlDeviceGetIndex(to: *mut c_uint) = |_: &Gpu, index: usize, to| put(to, small(index));
}

fn counted(state: &State) -> c_uint {
    small(state.gpus.iter().filter(|gpu| !gpu.hole).count())
}

unsafe fn by_index(state: &State, index: c_uint, device: *mut nvmlDevice_t) -> Answer {
    let gpu = state.gpus.get(index as usize).ok_or(nvmlReturn_enum_NVML_ERROR_INVALID_ARGUMENT)?;
    if gpu.hole {
        return Err(nvmlReturn_enum_NVML_ERROR_NOT_FOUND);
    }
    play_for(gpu, "nvmlDeviceGetHandleByIndex_v2")?;
    // SAFETY: by nvml.h's contract; the handle is a number that nobody follows.
    unsafe { put(device, std::ptr::without_provenance_mut(index as usize + 1)) }
}

fn small(number: usize) -> c_uint {
    c_uint::try_from(number).unwrap_or(c_uint::MAX)
}
