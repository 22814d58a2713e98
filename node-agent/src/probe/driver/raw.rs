//! Safe functions around the driver's library: one per C function, without interpreting the answers.
//!
//! The only module of the sampler with unsafe code. Every call goes through `call!`, which records it in [`Calls`].
//! Functions that this library lacks answer 13 (function not found), as the library itself would.

#![allow(unsafe_code)]

use std::ffi::{c_char, c_uint, c_ulonglong};
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use nvml_wrapper_sys::bindings::{
    NvmlLib, nvmlDevice_t, nvmlEccSramErrorStatus_t, nvmlFieldValue_t, nvmlGpuFabricInfo_t, nvmlGpuFabricInfoV_t,
    nvmlMemory_t, nvmlPciInfo_t, nvmlPlatformInfo_t, nvmlRowRemapperHistogramValues_t, nvmlUtilization_t,
};

use super::calls::{About, Calls};

const SUCCESS: u32 = 0;
const NOT_SUPPORTED: u32 = 3;
const INSUFFICIENT_SIZE: u32 = 7;
pub(crate) const FUNCTION_NOT_FOUND: u32 = 13;
pub(crate) const ARGUMENT_VERSION_MISMATCH: u32 = 25;

/// Longer than any length in nvml.h, so that a driver that writes past the given length does no harm.
const TEXT: usize = 1024;

/// A call that returned an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Failure {
    /// The C function.
    pub(crate) symbol: &'static str,
    /// The return code.
    pub(crate) code: u32,
}

pub(crate) type Answer<T> = Result<T, Failure>;

/// Why the library could not be loaded.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoadError {
    /// The loader's own message, which names the file.
    #[error("{0}")]
    Library(String),
    /// Its first function failed.
    #[error("{} answered {}", .failure.symbol, .failure.code)]
    Init {
        failure: Failure,
        /// The library's own version, which it tells without being initialized.
        version: Option<String>,
    },
}

/// A library that stays loaded and initialized until this is dropped.
pub(crate) struct Library {
    lib: NvmlLib,
    newer: Newer,
    calls: Arc<Calls>,
    initialized: bool,
}

/// A GPU of one library.
#[derive(Clone, Copy)]
pub(crate) struct Gpu<'library> {
    handle: nvmlDevice_t,
    pub(crate) about: About,
    of: PhantomData<&'library Library>,
}

impl Gpu<'_> {
    /// The value that identifies the GPU in events.
    pub(crate) fn name_in_events(&self) -> usize {
        self.handle.addr()
    }
}

macro_rules! call {
    ($library:ident.$table:ident, $thread:ident, $about:expr, $meant:expr, $symbol:ident($($argument:expr),*)) => {{
        let symbol = stringify!($symbol);
        let function = $library.$table.$symbol.as_ref().map_err(|_| Failure { symbol, code: FUNCTION_NOT_FOUND })?;
        let begun = $library.calls.$thread.begin(symbol, $about, $meant);
        // SAFETY: the function has the type that nvml.h gives it; handles come from this library, which is initialized
        // and stays loaded as long as they are borrowed from it; each pointer is null where nvml.h allows that, or
        // points to a local that is valid for what the function writes.
        let code = unsafe { function($($argument),*) };
        drop(begun);
        if code == SUCCESS { Ok(()) } else { Err(Failure { symbol, code }) }
    }};
    ($library:ident.$table:ident, $about:expr, $symbol:ident($($argument:expr),*)) => {
        call!($library.$table, asked, $about, Duration::ZERO, $symbol($($argument),*))
    };
}

/// Functions that write one plain value.
macro_rules! getters {
    ($table:ident; $($method:ident($($argument:ident),*) -> $out:ty = $symbol:ident;)*) => { $(
        pub(crate) fn $method(&self, gpu: Gpu<'_>, $($argument: c_uint),*) -> Answer<$out> {
            let mut value = MaybeUninit::<$out>::zeroed();
            call!(self.$table, gpu.about, $symbol(gpu.handle, $($argument,)* value.as_mut_ptr()))?;
            // SAFETY: all types here are integers of C and structs and arrays of them, for which any bits are valid.
            Ok(unsafe { value.assume_init() })
        }
    )* };
}

/// Functions that write a text into a buffer of the given length (nvml.h has the length).
macro_rules! texts {
    ($($method:ident = $symbol:ident, $length:literal;)*) => { $(
        pub(crate) fn $method(&self, gpu: Gpu<'_>) -> Answer<String> {
            let mut buffer = [0; TEXT];
            call!(self.lib, gpu.about, $symbol(gpu.handle, buffer.as_mut_ptr(), $length))?;
            Ok(text_of(&buffer[..$length]))
        }
    )* };
}

pub(super) mod event_set;
mod newer;
mod newer_calls;

use newer::Newer;

impl Library {
    /// Loads and initializes the library.
    pub(crate) fn load(path: &Path, calls: &Arc<Calls>) -> Result<Self, LoadError> {
        let loading = calls.asked.begin_other("dlopen", About::default(), Duration::ZERO);
        // SAFETY: that its initializers are sound is what whoever names the library vouches for.
        let lib = unsafe { NvmlLib::new(path) };
        drop(loading);
        let lib = lib.map_err(|error| LoadError::Library(error.to_string()))?;
        let newer = Newer::in_library(&lib);
        let mut library = Self { lib, newer, calls: Arc::clone(calls), initialized: false };
        if let Err(failure) = library.init() {
            return Err(LoadError::Init { failure, version: library.library_version().ok() });
        }
        library.initialized = true;
        Ok(library)
    }

    fn init(&self) -> Answer<()> {
        call!(self.lib, About::default(), nvmlInit_v2())
    }

    fn shut_down(&self) -> Answer<()> {
        call!(self.lib, About::default(), nvmlShutdown())
    }

    pub(crate) fn driver_version(&self) -> Answer<String> {
        let mut buffer = [0; TEXT];
        call!(self.lib, About::default(), nvmlSystemGetDriverVersion(buffer.as_mut_ptr(), 80))?;
        Ok(text_of(&buffer[..80]))
    }

    pub(crate) fn library_version(&self) -> Answer<String> {
        let mut buffer = [0; TEXT];
        call!(self.lib, About::default(), nvmlSystemGetNVMLVersion(buffer.as_mut_ptr(), 80))?;
        Ok(text_of(&buffer[..80]))
    }

    pub(crate) fn count(&self) -> Answer<u32> {
        let mut count = 0;
        call!(self.lib, About::default(), nvmlDeviceGetCount_v2(&raw mut count))?;
        Ok(count)
    }

    pub(crate) fn gpu(&self, index: u32) -> Answer<Gpu<'_>> {
        let about = About { index: Some(index), pci: None };
        let mut handle = std::ptr::null_mut();
        call!(self.lib, about, nvmlDeviceGetHandleByIndex_v2(index, &raw mut handle))?;
        Ok(Gpu { handle, about, of: PhantomData })
    }

    texts! {
        uuid = nvmlDeviceGetUUID, 96;
        serial = nvmlDeviceGetSerial, 30;
        name = nvmlDeviceGetName, 96;
        vbios = nvmlDeviceGetVbiosVersion, 32;
    }

    getters! {
        lib;
        pci_info() -> nvmlPciInfo_t = nvmlDeviceGetPciInfo_v3;
        memory() -> nvmlMemory_t = nvmlDeviceGetMemoryInfo;
        persistence() -> c_uint = nvmlDeviceGetPersistenceMode;
        total_ecc_errors(error_type, counter_type) -> c_ulonglong = nvmlDeviceGetTotalEccErrors;
        memory_errors(error_type, counter_type, location) -> c_ulonglong = nvmlDeviceGetMemoryErrorCounter;
        histogram() -> nvmlRowRemapperHistogramValues_t = nvmlDeviceGetRowRemapperHistogram;
        retirement_pending() -> c_uint = nvmlDeviceGetRetiredPagesPendingStatus;
        event_reasons() -> c_ulonglong = nvmlDeviceGetCurrentClocksEventReasons;
        throttle_reasons() -> c_ulonglong = nvmlDeviceGetCurrentClocksThrottleReasons;
        clock(clock_type) -> c_uint = nvmlDeviceGetClockInfo;
        max_clock(clock_type) -> c_uint = nvmlDeviceGetMaxClockInfo;
        utilization() -> nvmlUtilization_t = nvmlDeviceGetUtilizationRates;
        performance_state() -> c_uint = nvmlDeviceGetPerformanceState;
        temperature(sensor) -> c_uint = nvmlDeviceGetTemperature;
        temperature_threshold(threshold) -> c_uint = nvmlDeviceGetTemperatureThreshold;
        power_usage() -> c_uint = nvmlDeviceGetPowerUsage;
        power_limit() -> c_uint = nvmlDeviceGetPowerManagementLimit;
        enforced_power_limit() -> c_uint = nvmlDeviceGetEnforcedPowerLimit;
        default_power_limit() -> c_uint = nvmlDeviceGetPowerManagementDefaultLimit;
        link_generation() -> c_uint = nvmlDeviceGetCurrPcieLinkGeneration;
        link_width() -> c_uint = nvmlDeviceGetCurrPcieLinkWidth;
        max_link_generation() -> c_uint = nvmlDeviceGetMaxPcieLinkGeneration;
        max_link_width() -> c_uint = nvmlDeviceGetMaxPcieLinkWidth;
        pcie_replays() -> c_uint = nvmlDeviceGetPcieReplayCounter;
        nvlink_state(link) -> c_uint = nvmlDeviceGetNvLinkState;
        nvlink_remote(link) -> nvmlPciInfo_t = nvmlDeviceGetNvLinkRemotePciInfo_v2;
        nvlink_errors(link, counter) -> c_ulonglong = nvmlDeviceGetNvLinkErrorCounter;
        fabric_v1() -> nvmlGpuFabricInfo_t = nvmlDeviceGetGpuFabricInfo;
        supported_events() -> c_ulonglong = nvmlDeviceGetSupportedEventTypes;
    }

    /// The current mode, and the mode after the next reset.
    pub(crate) fn ecc_mode(&self, gpu: Gpu<'_>) -> Answer<(c_uint, c_uint)> {
        let (mut current, mut pending) = (0, 0);
        call!(self.lib, gpu.about, nvmlDeviceGetEccMode(gpu.handle, &raw mut current, &raw mut pending))?;
        Ok((current, pending))
    }

    /// The current mode.
    pub(crate) fn mig_mode(&self, gpu: Gpu<'_>) -> Answer<c_uint> {
        let (mut current, mut pending) = (0, 0);
        call!(self.lib, gpu.about, nvmlDeviceGetMigMode(gpu.handle, &raw mut current, &raw mut pending))?;
        Ok(current)
    }

    /// How many compute processes there are.
    pub(crate) fn processes(&self, gpu: Gpu<'_>) -> Answer<u32> {
        let mut count = 0;
        let none = std::ptr::null_mut();
        counted(call!(self.lib, gpu.about, nvmlDeviceGetComputeRunningProcesses_v3(gpu.handle, &raw mut count, none)))?;
        Ok(count)
    }

    /// Status of the SRAMs, version 1.
    pub(crate) fn sram_status(&self, gpu: Gpu<'_>) -> Answer<nvmlEccSramErrorStatus_t> {
        // SAFETY: integers of C.
        let mut status: nvmlEccSramErrorStatus_t = unsafe { MaybeUninit::zeroed().assume_init() };
        status.version = version(size_of::<nvmlEccSramErrorStatus_t>(), 1);
        call!(self.lib, gpu.about, nvmlDeviceGetSramEccErrorStatus(gpu.handle, &raw mut status))?;
        Ok(status)
    }

    /// The place in the rack, version 2.
    pub(crate) fn platform(&self, gpu: Gpu<'_>) -> Answer<nvmlPlatformInfo_t> {
        // SAFETY: integers of C and arrays of them.
        let mut info: nvmlPlatformInfo_t = unsafe { MaybeUninit::zeroed().assume_init() };
        info.version = version(size_of::<nvmlPlatformInfo_t>(), 2);
        call!(self.lib, gpu.about, nvmlDeviceGetPlatformInfo(gpu.handle, &raw mut info))?;
        Ok(info)
    }

    /// Correctable, uncorrectable, pending, failure.
    pub(crate) fn remapped_rows(&self, gpu: Gpu<'_>) -> Answer<[c_uint; 4]> {
        let (mut correctable, mut uncorrectable, mut pending, mut failure) = (0, 0, 0, 0);
        call!(
            self.lib,
            gpu.about,
            nvmlDeviceGetRemappedRows(
                gpu.handle,
                &raw mut correctable,
                &raw mut uncorrectable,
                &raw mut pending,
                &raw mut failure
            )
        )?;
        Ok([correctable, uncorrectable, pending, failure])
    }

    /// How many pages were retired for a cause.
    pub(crate) fn retired_pages(&self, gpu: Gpu<'_>, cause: c_uint) -> Answer<u32> {
        let (mut count, addresses, times) = (0, std::ptr::null_mut(), std::ptr::null_mut());
        counted(call!(
            self.lib,
            gpu.about,
            nvmlDeviceGetRetiredPages_v2(gpu.handle, cause, &raw mut count, addresses, times)
        ))?;
        Ok(count)
    }

    /// As [`Self::retired_pages`], for libraries without its second version.
    pub(crate) fn retired_pages_v1(&self, gpu: Gpu<'_>, cause: c_uint) -> Answer<u32> {
        let (mut count, addresses) = (0, std::ptr::null_mut());
        counted(call!(self.lib, gpu.about, nvmlDeviceGetRetiredPages(gpu.handle, cause, &raw mut count, addresses)))?;
        Ok(count)
    }

    /// The fabric, in version 2 or 3 of its struct; version 2 leaves the summary unset.
    pub(crate) fn fabric(&self, gpu: Gpu<'_>, struct_version: u32) -> Answer<nvmlGpuFabricInfoV_t> {
        // SAFETY: integers of C and an array of them.
        let mut info: nvmlGpuFabricInfoV_t = unsafe { MaybeUninit::zeroed().assume_init() };
        // Version 2 ends before the summary, version 3 pads after it: 36 and 40 bytes.
        let size = if struct_version == 2 { 36 } else { size_of::<nvmlGpuFabricInfoV_t>() };
        info.version = version(size, struct_version);
        call!(self.lib, gpu.about, nvmlDeviceGetGpuFabricInfoV(gpu.handle, &raw mut info))?;
        Ok(info)
    }

    /// The nearest common ancestor of two GPUs.
    pub(crate) fn common_ancestor(&self, gpu: Gpu<'_>, other: Gpu<'_>) -> Answer<c_uint> {
        let mut level = 0;
        call!(self.lib, gpu.about, nvmlDeviceGetTopologyCommonAncestor(gpu.handle, other.handle, &raw mut level))?;
        Ok(level)
    }

    /// Field values by field id and scope id (the link, where a field is about one). Each has an answer of its own.
    pub(crate) fn fields<const N: usize>(&self, gpu: Gpu<'_>, ids: [(u32, u32); N]) -> Answer<[Answer<i128>; N]> {
        let mut values = ids.map(|(field, scope)| {
            // SAFETY: integers of C and a union of numbers.
            let mut value: nvmlFieldValue_t = unsafe { MaybeUninit::zeroed().assume_init() };
            value.fieldId = field;
            value.scopeId = scope;
            // A value that the driver does not fill in counts as not supported.
            value.nvmlReturn = NOT_SUPPORTED;
            value
        });
        let count = i32::try_from(N).unwrap_or(i32::MAX);
        call!(self.lib, gpu.about, nvmlDeviceGetFieldValues(gpu.handle, count, values.as_mut_ptr()))?;
        Ok(values.map(|value| number_in(&value)))
    }
}

impl Drop for Library {
    fn drop(&mut self) {
        if self.initialized {
            // Nobody is left to use the reason.
            let _ = self.shut_down();
        }
    }
}

/// If asked without room for items, a library that has some answers that the room is too small, and how many there are.
fn counted(answer: Answer<()>) -> Answer<()> {
    match answer {
        Err(Failure { code: INSUFFICIENT_SIZE, .. }) => Ok(()),
        other => other,
    }
}

/// `NVML_STRUCT_VERSION`: the size, with the version in the top byte.
fn version(size: usize, version: u32) -> u32 {
    u32::try_from(size).unwrap_or_default() | (version << 24)
}

fn number_in(value: &nvmlFieldValue_t) -> Answer<i128> {
    let failure = |code| Failure { symbol: "nvmlDeviceGetFieldValues", code };
    if value.nvmlReturn != SUCCESS {
        return Err(failure(value.nvmlReturn));
    }
    // SAFETY: all members are plain numbers, and the union was zeroed before the library wrote to it.
    unsafe {
        match value.valueType {
            1 => Ok(value.value.uiVal.into()),
            2 => Ok(value.value.ulVal.into()),
            3 => Ok(value.value.ullVal.into()),
            4 => Ok(value.value.sllVal.into()),
            5 => Ok(value.value.siVal.into()),
            6 => Ok(value.value.usVal.into()),
            // Doubles: none of the fields that we ask for.
            _ => Err(failure(NOT_SUPPORTED)),
        }
    }
}

/// The text in a buffer that a driver filled: up to the NUL, or to the end if there is none. Surrounding white space is
/// trimmed; invalid text and terminal control characters become U+FFFD.
pub fn text_of(buffer: &[c_char]) -> String {
    let bytes: Vec<u8> = buffer.iter().map(|c| c.to_ne_bytes()[0]).take_while(|byte| *byte != 0).collect();
    String::from_utf8_lossy(&bytes).trim().replace(char::is_control, "\u{fffd}")
}
