//! How every call goes: read the state, take the time that it takes, play a fault if there is one, else answer.

use std::cell::Cell;
use std::ffi::{c_char, c_uint};

use nvml_wrapper_sys::bindings::*;

use crate::cache;
use crate::fault::{Fault, Played};
use crate::gpu::Gpu;
use crate::handle::Handle;
use crate::life;
use crate::state::Machine;
use crate::timing;

// The sizes of nvml.h on 64-bit Linux: a binding that differs would write past what the caller gave.
const _: () = assert!(size_of::<nvmlPciInfo_t>() == 68);
const _: () = assert!(size_of::<nvmlMemory_t>() == 24);
const _: () = assert!(size_of::<nvmlMemory_v2_t>() == 40);
const _: () = assert!(size_of::<nvmlFieldValue_t>() == 40);
const _: () = assert!(size_of::<nvmlEventData_t>() == 32);
const _: () = assert!(size_of::<nvmlProcessInfo_t>() == 24);
const _: () = assert!(size_of::<nvmlUtilization_t>() == 8);
const _: () = assert!(size_of::<nvmlViolationTime_t>() == 16);
const _: () = assert!(size_of::<nvmlRowRemapperHistogramValues_t>() == 20);
const _: () = assert!(size_of::<nvmlEccSramErrorStatus_t>() == 104);
const _: () = assert!(size_of::<nvmlMarginTemperature_t>() == 8);
const _: () = assert!(size_of::<nvmlTemperature_t>() == 12);
const _: () = assert!(size_of::<nvmlGpuFabricInfo_t>() == 28);
const _: () = assert!(size_of::<nvmlGpuFabricInfo_v2_t>() == 36);
const _: () = assert!(size_of::<nvmlGpuFabricInfoV_t>() == 40);

/// The answer of a call: `Err` is the code that C gets.
pub(crate) type Answer = Result<(), nvmlReturn_t>;

/// What a call about a GPU is about.
pub(crate) struct At<'a> {
    pub(crate) machine: &'a Machine,
    pub(crate) gpu: &'a Gpu,
    pub(crate) index: usize,
    /// The instance, where the handle is one of a MIG device.
    pub(crate) instance: Option<usize>,
}

/// Calls that take the handle of a MIG device; all others answer `INVALID_ARGUMENT` for one (nvml.h: "This API does not
/// support MIG device handles").
const FOR_INSTANCES: &[&str] = &[
    "nvmlDeviceGetName",
    "nvmlDeviceGetUUID",
    "nvmlDeviceGetGpuUptime_v1",
    "nvmlDeviceGetMemoryInfo",
    "nvmlDeviceGetMemoryInfo_v2",
    "nvmlDeviceGetComputeRunningProcesses_v3",
    "nvmlDeviceIsMigDeviceHandle",
    "nvmlDeviceGetDeviceHandleFromMigDeviceHandle",
];

thread_local! {
    /// The call of this thread writes garbage.
    static GARBAGE: Cell<bool> = const { Cell::new(false) };
}

/// Makes C functions of blocks. The first argument of a block is the machine or, in `device` form, what the call is about.
macro_rules! exports {
    (device: $($name:ident($($arg:ident: $type:ty),*) = $answer:expr;)*) => { $(
        #[unsafe(no_mangle)]
        #[allow(unused_unsafe, reason = "some blocks write to no pointer")]
        pub(crate) unsafe extern "C" fn $name(
            device: nvml_wrapper_sys::bindings::nvmlDevice_t, $($arg: $type),*
        ) -> nvml_wrapper_sys::bindings::nvmlReturn_t {
            // SAFETY: the caller keeps nvml.h's contract for the pointers that the block writes to.
            crate::call::device(stringify!($name), device, |at| unsafe { ($answer)(at, $($arg),*) })
        }
    )* };
    ($($name:ident($($arg:ident: $type:ty),*) = $answer:expr;)*) => { $(
        #[unsafe(no_mangle)]
        #[allow(unused_unsafe, reason = "some blocks write to no pointer")]
        pub(crate) unsafe extern "C" fn $name($($arg: $type),*) -> nvml_wrapper_sys::bindings::nvmlReturn_t {
            // SAFETY: the caller keeps nvml.h's contract for the pointers that the block writes to.
            crate::call::system(stringify!($name), |machine| unsafe { ($answer)(machine, $($arg),*) })
        }
    )* };
}

/// A call about the machine.
pub(crate) fn system(name: &'static str, answer: impl FnOnce(&Machine) -> Answer) -> nvmlReturn_t {
    if !life::is_initialized() {
        return nvmlReturn_enum_NVML_ERROR_UNINITIALIZED;
    }
    begin(name, answer)
}

/// A call that may come before initialization.
pub(crate) fn begin(name: &'static str, answer: impl FnOnce(&Machine) -> Answer) -> nvmlReturn_t {
    code(read().and_then(|machine| {
        start(&machine, name)?;
        answer(&machine)
    }))
}

/// A call about one GPU.
pub(crate) fn device(name: &'static str, handle: nvmlDevice_t, answer: impl FnOnce(&At<'_>) -> Answer) -> nvmlReturn_t {
    system(name, |machine| {
        let at = find(machine, handle)?;
        if at.instance.is_some() && !FOR_INSTANCES.contains(&name) {
            return Err(nvmlReturn_enum_NVML_ERROR_INVALID_ARGUMENT);
        }
        play_for(at.gpu, name)?;
        answer(&at)
    })
}

/// The GPU of a handle.
pub(crate) fn find(machine: &Machine, handle: nvmlDevice_t) -> Result<At<'_>, nvmlReturn_t> {
    let (pci, instance) = Handle::read(handle).ok_or(nvmlReturn_enum_NVML_ERROR_INVALID_ARGUMENT)?;
    // Its GPU was taken out of the state while someone held the handle.
    let (index, gpu) = machine.gpu_at(&pci).ok_or(nvmlReturn_enum_NVML_ERROR_GPU_IS_LOST)?;
    Ok(At { machine, gpu, index, instance })
}

/// The faults of one GPU.
pub(crate) fn play_for(gpu: &Gpu, name: &str) -> Answer {
    if gpu.lost {
        return Err(nvmlReturn_enum_NVML_ERROR_GPU_IS_LOST);
    }
    match gpu.calls.of(name) {
        Some(fault) => play(fault, &format!("{name} {}", gpu.pci)),
        None => gpu.fault.as_ref().map_or(Ok(()), |fault| play(fault, &gpu.pci)),
    }
}

fn start(machine: &Machine, name: &'static str) -> Answer {
    GARBAGE.set(false);
    if machine.missing.iter().any(|missing| missing == name) {
        return Err(nvmlReturn_enum_NVML_ERROR_FUNCTION_NOT_FOUND);
    }
    if life::lacks(name) {
        return Err(nvmlReturn_enum_NVML_ERROR_NOT_SUPPORTED);
    }
    timing::take(machine, name);
    machine.calls.of(name).map_or(Ok(()), |fault| play(fault, name))
}

fn play(fault: &Fault, place: &str) -> Answer {
    match fault.play(place) {
        Played::Nothing => Ok(()),
        Played::Garbage => {
            GARBAGE.set(true);
            Ok(())
        }
        Played::Return(code) => Err(code),
    }
}

fn read() -> Result<std::sync::Arc<Machine>, nvmlReturn_t> {
    cache::machine().map_err(|error| {
        eprintln!("simulated NVML: {error}");
        nvmlReturn_enum_NVML_ERROR_UNKNOWN
    })
}

fn code(answer: Answer) -> nvmlReturn_t {
    answer.err().unwrap_or(nvmlReturn_enum_NVML_SUCCESS)
}

/// A reading that a GPU may not have.
pub(crate) fn supported<T: Copy>(reading: Option<T>) -> Result<T, nvmlReturn_t> {
    reading.ok_or(nvmlReturn_enum_NVML_ERROR_NOT_SUPPORTED)
}

/// Whether the fault of this call is garbage.
pub(crate) fn is_garbage() -> bool {
    GARBAGE.get()
}

/// Writes one value where C wants it.
pub(crate) unsafe fn put<T>(to: *mut T, value: T) -> Answer {
    if to.is_null() {
        return Err(nvmlReturn_enum_NVML_ERROR_INVALID_ARGUMENT);
    }
    // SAFETY: not null, and by nvml.h's contract valid for one value; all types of nvml.h take any bits.
    unsafe {
        to.write(value);
        if is_garbage() {
            to.write_bytes(0xff, 1);
        }
    }
    Ok(())
}

/// Writes a value that may not be there.
pub(crate) unsafe fn put_some<T: Copy>(to: *mut T, value: Option<T>) -> Answer {
    let value = supported(value)?;
    // SAFETY: by the caller's contract.
    unsafe { put(to, value) }
}

/// Writes 1 or 0.
pub(crate) unsafe fn put_flag(to: *mut c_uint, value: bool) -> Answer {
    // SAFETY: by the caller's contract.
    unsafe { put(to, c_uint::from(value)) }
}

/// Writes a string and its NUL into a buffer of `length` bytes; garbage fills the whole buffer, without any NUL.
pub(crate) unsafe fn put_text(to: *mut c_char, length: c_uint, text: &str) -> Answer {
    if to.is_null() {
        return Err(nvmlReturn_enum_NVML_ERROR_INVALID_ARGUMENT);
    }
    if is_garbage() {
        // SAFETY: not null, and by nvml.h's contract valid for `length` bytes. 0xff is in no UTF-8 string.
        unsafe { to.write_bytes(0xff, length as usize) };
        return Ok(());
    }
    if text.len() >= length as usize {
        return Err(nvmlReturn_enum_NVML_ERROR_INSUFFICIENT_SIZE);
    }
    // SAFETY: not null, by nvml.h's contract valid for `length` bytes, and text and NUL are no longer than that.
    unsafe {
        to.copy_from_nonoverlapping(text.as_ptr().cast(), text.len());
        to.add(text.len()).write(0);
    }
    Ok(())
}

/// The version tag of a struct (`NVML_STRUCT_VERSION`): its size, and the version in the upper byte.
pub(crate) const fn tag<T>(version: u32) -> u32 {
    // No struct of nvml.h comes near the limit of u32.
    #[allow(clippy::cast_possible_truncation)]
    let size = size_of::<T>() as u32;
    size | version << 24
}

/// What the caller wrote as the version of a struct, its first member.
pub(crate) unsafe fn version_of<T>(of: *const T) -> Result<u32, nvmlReturn_t> {
    if of.is_null() {
        return Err(nvmlReturn_enum_NVML_ERROR_INVALID_ARGUMENT);
    }
    // SAFETY: not null; by nvml.h's contract the struct starts with its version, and the caller has set it.
    Ok(unsafe { of.cast::<u32>().read_unaligned() })
}

/// Writes a struct of this version, if the caller's is the same.
pub(crate) unsafe fn put_version<T>(to: *mut T, version: u32, value: T) -> Answer {
    // SAFETY: by the caller's contract.
    if unsafe { version_of(to) }? != tag::<T>(version) {
        return Err(nvmlReturn_enum_NVML_ERROR_ARGUMENT_VERSION_MISMATCH);
    }
    // SAFETY: by the caller's contract.
    unsafe { put(to, value) }
}

/// Writes a list as nvml.h does: with too little room only the count, and `INSUFFICIENT_SIZE`.
pub(crate) unsafe fn put_list<T: Copy>(count: *mut c_uint, to: *mut T, list: &[T]) -> Answer {
    if count.is_null() {
        return Err(nvmlReturn_enum_NVML_ERROR_INVALID_ARGUMENT);
    }
    let there = small(list.len());
    // SAFETY: not null; by nvml.h's contract the caller has set how much room there is.
    let room = unsafe { count.read() };
    // SAFETY: as above.
    unsafe { put(count, there) }?;
    if room < there {
        return Err(nvmlReturn_enum_NVML_ERROR_INSUFFICIENT_SIZE);
    }
    if there > 0 && to.is_null() {
        return Err(nvmlReturn_enum_NVML_ERROR_INVALID_ARGUMENT);
    }
    for (at, value) in list.iter().enumerate() {
        // SAFETY: the caller has room for `room` values, and `at` is less.
        unsafe { put(to.add(at), *value) }?;
    }
    Ok(())
}

pub(crate) fn small(number: usize) -> c_uint {
    c_uint::try_from(number).unwrap_or(c_uint::MAX)
}
