//! Processes with a context on a GPU.

use std::ffi::c_uint;

use nvml_wrapper_sys::bindings::*;

use crate::call::{Answer, At, put_list};
use crate::gpu::ProcessKind;

exports! { device:
    nvmlDeviceGetComputeRunningProcesses_v3(count: *mut c_uint, to: *mut nvmlProcessInfo_t) =
        |at: &At<'_>, count, to| list(at, ProcessKind::Compute, count, to);
    nvmlDeviceGetMPSComputeRunningProcesses_v3(count: *mut c_uint, to: *mut nvmlProcessInfo_t) =
        |at: &At<'_>, count, to| list(at, ProcessKind::Mps, count, to);
    nvmlDeviceGetGraphicsRunningProcesses_v3(count: *mut c_uint, to: *mut nvmlProcessInfo_t) =
        |at: &At<'_>, count, to| list(at, ProcessKind::Graphics, count, to);
}

unsafe fn list(at: &At<'_>, kind: ProcessKind, count: *mut c_uint, to: *mut nvmlProcessInfo_t) -> Answer {
    let processes = at.gpu.processes.iter().filter(|process| process.kind == kind);
    let infos: Vec<nvmlProcessInfo_t> = processes
        .map(|process| nvmlProcessInfo_t {
            pid: process.pid,
            usedGpuMemory: process.memory_mib * 1024 * 1024,
            gpuInstanceId: c_uint::MAX,
            computeInstanceId: c_uint::MAX,
        })
        .collect();
    // SAFETY: by nvml.h's contract.
    unsafe { put_list(count, to, &infos) }
}
