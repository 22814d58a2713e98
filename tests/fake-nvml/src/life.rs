//! Start, end, and the machine's versions.

use std::ffi::{c_char, c_int, c_uint};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use nvml_wrapper_sys::bindings::*;

use crate::call::{Answer, begin, put, put_text, system};
use crate::state::Machine;
use crate::{cache, events};

/// How often the library was started and not yet ended.
static STARTED: AtomicUsize = AtomicUsize::new(0);

/// Whether the environment asked for the view of MPS when the library was started.
static IS_MPS_VIEW: AtomicBool = AtomicBool::new(false);

/// What nvml.h 13.5.37 lists as supported in that view, as far as it is here.
const OF_MPS_VIEW: &[&str] = &[
    "nvmlInit_v2",
    "nvmlInitWithFlags",
    "nvmlShutdown",
    "nvmlSystemGetNVMLVersion",
    "nvmlErrorString",
    "nvmlDeviceGetCount_v2",
    "nvmlDeviceGetHandleByIndex_v2",
    "nvmlDeviceGetHandleByUUID",
    "nvmlDeviceGetHandleByPciBusId_v2",
    "nvmlDeviceGetIndex",
    "nvmlDeviceGetUUID",
    "nvmlDeviceGetName",
    "nvmlDeviceGetCudaComputeCapability",
    "nvmlDeviceGetPciInfo_v3",
    "nvmlDeviceGetNumaNodeId",
    "nvmlDeviceGetMemoryInfo",
    "nvmlDeviceGetMemoryInfo_v2",
    "nvmlDeviceGetP2PStatus",
];

/// Whether the library shows a view that lacks this function.
pub(crate) fn lacks(name: &str) -> bool {
    IS_MPS_VIEW.load(Ordering::SeqCst) && !OF_MPS_VIEW.contains(&name)
}

/// Whether calls may be made.
pub(crate) fn is_initialized() -> bool {
    STARTED.load(Ordering::SeqCst) > 0
}

exports! {
    nvmlSystemGetDriverVersion(version: *mut c_char, length: c_uint) =
        |machine: &Machine, version, length| put_text(version, length, &machine.driver);
    nvmlSystemGetCudaDriverVersion_v2(version: *mut c_int) = |machine: &Machine, version| put(version, machine.cuda);
    nvmlSystemGetProcessName(pid: c_uint, name: *mut c_char, length: c_uint) = process_name;
}

/// The library's own version, which it tells before it is started too (nvml.h has no `UNINITIALIZED` here).
///
/// # Safety
/// As nvml.h has it.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn nvmlSystemGetNVMLVersion(version: *mut c_char, length: c_uint) -> nvmlReturn_t {
    // SAFETY: by nvml.h's contract.
    begin("nvmlSystemGetNVMLVersion", |machine| unsafe { put_text(version, length, &machine.nvml) })
}

/// Starts the library.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn nvmlInit_v2() -> nvmlReturn_t {
    begin("nvmlInit_v2", init)
}

/// Starts the library; the flags (no GPUs is no error, attach to none) change nothing here.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn nvmlInitWithFlags(_flags: c_uint) -> nvmlReturn_t {
    begin("nvmlInitWithFlags", init)
}

/// Ends the library; the last end frees what it holds.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn nvmlShutdown() -> nvmlReturn_t {
    system("nvmlShutdown", |_| {
        let end = STARTED.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |started| started.checked_sub(1));
        if end == Ok(1) {
            events::free_all();
            cache::forget();
        }
        Ok(())
    })
}

fn init(machine: &Machine) -> Answer {
    if machine.module != machine.driver {
        return Err(nvmlReturn_enum_NVML_ERROR_LIB_RM_VERSION_MISMATCH);
    }
    let is_mps_view = std::env::var_os("NVML_MPS_DEVICE_ENUMERATION").is_some_and(|value| value == "1");
    IS_MPS_VIEW.store(is_mps_view, Ordering::SeqCst);
    STARTED.fetch_add(1, Ordering::SeqCst);
    Ok(())
}

unsafe fn process_name(machine: &Machine, pid: c_uint, name: *mut c_char, length: c_uint) -> Answer {
    let process = machine.gpus.iter().flat_map(|gpu| &gpu.processes).find(|process| process.pid == pid);
    let process = process.ok_or(nvmlReturn_enum_NVML_ERROR_NOT_FOUND)?;
    // SAFETY: by nvml.h's contract.
    unsafe { put_text(name, length, &process.name) }
}

/// The one function that cannot fail and reads no state.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn nvmlErrorString(result: nvmlReturn_t) -> *const c_char {
    let text = match result {
        nvmlReturn_enum_NVML_SUCCESS => c"Success",
        nvmlReturn_enum_NVML_ERROR_UNINITIALIZED => c"Uninitialized",
        nvmlReturn_enum_NVML_ERROR_INVALID_ARGUMENT => c"Invalid Argument",
        nvmlReturn_enum_NVML_ERROR_NOT_SUPPORTED => c"Not Supported",
        nvmlReturn_enum_NVML_ERROR_NO_PERMISSION => c"Insufficient Permissions",
        nvmlReturn_enum_NVML_ERROR_ALREADY_INITIALIZED => c"Already Initialized",
        nvmlReturn_enum_NVML_ERROR_NOT_FOUND => c"Not Found",
        nvmlReturn_enum_NVML_ERROR_INSUFFICIENT_SIZE => c"Insufficient Size",
        nvmlReturn_enum_NVML_ERROR_INSUFFICIENT_POWER => c"Insufficient External Power",
        nvmlReturn_enum_NVML_ERROR_DRIVER_NOT_LOADED => c"Driver Not Loaded",
        nvmlReturn_enum_NVML_ERROR_TIMEOUT => c"Timeout",
        nvmlReturn_enum_NVML_ERROR_IRQ_ISSUE => c"Interrupt Request Issue",
        nvmlReturn_enum_NVML_ERROR_LIBRARY_NOT_FOUND => c"NVML Shared Library Not Found",
        nvmlReturn_enum_NVML_ERROR_FUNCTION_NOT_FOUND => c"Function Not Found",
        nvmlReturn_enum_NVML_ERROR_CORRUPTED_INFOROM => c"Corrupted infoROM",
        nvmlReturn_enum_NVML_ERROR_GPU_IS_LOST => c"GPU is lost",
        nvmlReturn_enum_NVML_ERROR_RESET_REQUIRED => c"GPU requires reset",
        nvmlReturn_enum_NVML_ERROR_OPERATING_SYSTEM => {
            c"The operating system has blocked the operation on the GPU being queried"
        }
        nvmlReturn_enum_NVML_ERROR_LIB_RM_VERSION_MISMATCH => c"Driver/library version mismatch",
        nvmlReturn_enum_NVML_ERROR_IN_USE => c"In use by another client",
        nvmlReturn_enum_NVML_ERROR_MEMORY => c"Insufficient Memory",
        nvmlReturn_enum_NVML_ERROR_NO_DATA => c"No data",
        nvmlReturn_enum_NVML_ERROR_VGPU_ECC_NOT_SUPPORTED => c"Operation not supported on vGPU host with ECC on",
        nvmlReturn_enum_NVML_ERROR_INSUFFICIENT_RESOURCES => c"Insufficient Resources",
        nvmlReturn_enum_NVML_ERROR_FREQ_NOT_SUPPORTED => c"Requested frequency is not supported",
        nvmlReturn_enum_NVML_ERROR_ARGUMENT_VERSION_MISMATCH => c"Argument version mismatch",
        nvmlReturn_enum_NVML_ERROR_DEPRECATED => c"Deprecated",
        nvmlReturn_enum_NVML_ERROR_NOT_READY => c"System is not ready",
        nvmlReturn_enum_NVML_ERROR_GPU_NOT_FOUND => c"No GPUs found",
        nvmlReturn_enum_NVML_ERROR_INVALID_STATE => c"Invalid state",
        nvmlReturn_enum_NVML_ERROR_RESET_TYPE_NOT_SUPPORTED => c"Reset type not supported",
        _ => c"Unknown Error",
    };
    text.as_ptr()
}
