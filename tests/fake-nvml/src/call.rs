//! How every call goes: read the state, play a fault if there is one, else answer.

use std::ffi::{c_char, c_uint};

use nvml_wrapper_sys::bindings::*;

use crate::state::{Fault, Gpu, State};

// The sizes of nvml.h on 64-bit Linux: a binding that differs would write past what the caller gave.
const _: () = assert!(size_of::<nvmlPciInfo_t>() == 68);
const _: () = assert!(size_of::<nvmlMemory_t>() == 24);
const _: () = assert!(size_of::<nvmlMemory_v2_t>() == 40);

/// The answer of a call: `Err` is the code that C gets.
pub(crate) type Answer = Result<(), nvmlReturn_t>;

/// Makes C functions of blocks. The first argument of a block is the state, the second, in `device` form, the GPU and
/// its index.
macro_rules! exports {
    ($($name:ident($($arg:ident: $type:ty),*) = $answer:expr;)*) => { $(
        #[unsafe(no_mangle)]
        #[allow(unused_unsafe, reason = "some blocks write to no pointer")]
        pub(crate) unsafe extern "C" fn $name($($arg: $type),*) -> nvml_wrapper_sys::bindings::nvmlReturn_t {
            // SAFETY: the caller keeps nvml.h's contract for the pointers that the block writes to.
            crate::call::system(stringify!($name), |state| unsafe { ($answer)(state, $($arg),*) })
        }
    )* };
    (device: $($name:ident($($arg:ident: $type:ty),*) = $answer:expr;)*) => { $(
        #[unsafe(no_mangle)]
        #[allow(unused_unsafe, reason = "some blocks write to no pointer")]
        pub(crate) unsafe extern "C" fn $name(
            device: nvml_wrapper_sys::bindings::nvmlDevice_t, $($arg: $type),*
        ) -> nvml_wrapper_sys::bindings::nvmlReturn_t {
            // SAFETY: the caller keeps nvml.h's contract for the pointers that the block writes to.
            crate::call::device(stringify!($name), device, |gpu, index| unsafe { ($answer)(gpu, index, $($arg),*) })
        }
    )* };
}

/// A call about the machine.
pub(crate) fn system(name: &str, answer: impl FnOnce(&State) -> Answer) -> nvmlReturn_t {
    code(read().and_then(|state| {
        play(state.calls.get(name).copied())?;
        answer(&state)
    }))
}

/// A call about one GPU.
pub(crate) fn device(name: &str, handle: nvmlDevice_t, answer: impl FnOnce(&Gpu, usize) -> Answer) -> nvmlReturn_t {
    code(read().and_then(|state| {
        play(state.calls.get(name).copied())?;
        let index = handle.addr().checked_sub(1).ok_or(nvmlReturn_enum_NVML_ERROR_INVALID_ARGUMENT)?;
        // Its GPU was taken out of the state while someone held the handle.
        let gpu = state.gpus.get(index).ok_or(nvmlReturn_enum_NVML_ERROR_GPU_IS_LOST)?;
        play_for(gpu, name)?;
        answer(gpu, index)
    }))
}

/// The faults of one GPU.
pub(crate) fn play_for(gpu: &Gpu, name: &str) -> Answer {
    play(gpu.calls.get(name).copied().or(gpu.fault))
}

fn read() -> Result<State, nvmlReturn_t> {
    State::read().map_err(|error| {
        eprintln!("simulated NVML: {error}");
        nvmlReturn_enum_NVML_ERROR_UNKNOWN
    })
}

fn code(answer: Answer) -> nvmlReturn_t {
    answer.err().unwrap_or(nvmlReturn_enum_NVML_SUCCESS)
}

fn play(fault: Option<Fault>) -> Answer {
    match fault {
        None | Some(Fault::Return(nvmlReturn_enum_NVML_SUCCESS)) => Ok(()),
        Some(Fault::Return(code)) => Err(code),
        Some(Fault::Hang) => loop {
            std::thread::park();
        },
        Some(Fault::Abort) => std::process::abort(),
        Some(Fault::Segfault) => {
            // SAFETY: not safe, and meant so: the process dies by SIGSEGV here, as with a bug in a driver library.
            unsafe { std::ptr::null_mut::<u8>().write_volatile(0) };
            Ok(())
        }
    }
}

/// Writes one value where C wants it.
pub(crate) unsafe fn put<T>(to: *mut T, value: T) -> Answer {
    if to.is_null() {
        return Err(nvmlReturn_enum_NVML_ERROR_INVALID_ARGUMENT);
    }
    // SAFETY: not null, and by nvml.h's contract valid for one value.
    unsafe { to.write(value) };
    Ok(())
}

/// Writes a string and its NUL into a buffer of `length` bytes.
pub(crate) unsafe fn put_text(to: *mut c_char, length: c_uint, text: &str) -> Answer {
    if to.is_null() {
        return Err(nvmlReturn_enum_NVML_ERROR_INVALID_ARGUMENT);
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
