//! Return codes of NVIDIA's management library, and what each says where it is returned.
//!
//! A code is not a verdict. Two of them are: 15 (the GPU is lost) and 16 (it has to be reset). Every other code warns, or
//! says that a value does not exist, or says nothing that could be judged.

use super::inventory::NvmlError;

/// What a return code says about a GPU or the driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Means {
    /// The GPU no longer answers.
    Lost,
    /// The GPU has to be reset.
    ResetRequired,
    /// The InfoROM is corrupted: a warning.
    CorruptedInforom,
    /// Something is wrong, but the code does not say what: a warning.
    Trouble,
    /// The kernel module is not loaded.
    NotLoaded,
    /// Library and kernel module have different versions.
    Mismatch,
    /// The value does not exist here or now, which is no error.
    Absent,
    /// The GPU is not for this process: another container's, or a MIG device. No error either.
    Withheld,
    /// No GPU has this index.
    Hole,
    /// Nothing that could be judged.
    Unclear,
}

/// One return code. Where it is returned makes a difference: at the start of the library (`nvmlInit`, the count of
/// GPUs), at the handle of a GPU, or at a reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReturnCode {
    /// The number.
    pub code: u32,
    /// A stable name, used in messages and in `NvmlView::status`.
    pub name: &'static str,
    /// At the start of the library.
    pub at_init: Means,
    /// At the handle of a GPU.
    pub at_handle: Means,
    /// At a reading.
    pub at_reading: Means,
    /// What nvml.h (CUDA 13.5) says about it.
    pub source: &'static str,
}

#[allow(clippy::enum_glob_use, reason = "a table of them")]
use Means::*;

const fn row(
    code: u32,
    name: &'static str,
    [at_init, at_handle, at_reading]: [Means; 3],
    source: &'static str,
) -> ReturnCode {
    ReturnCode { code, name, at_init, at_handle, at_reading, source }
}

/// Every return code of nvml.h but success: at init, at a handle, at a reading.
#[rustfmt::skip]
pub const CODES: &[ReturnCode] = &[
    row(1, "Uninitialized", [Unclear, Unclear, Unclear], "the library was not initialized: a mistake of the caller"),
    row(2, "InvalidArgument", [Unclear, Hole, Absent], "at a handle the index is invalid; at a reading this library does not know what is asked for (a threshold, a memory location)"),
    row(3, "NotSupported", [Unclear, Unclear, Absent], "not available on the target device"),
    row(4, "NoPermission", [Unclear, Withheld, Absent], "at a handle: the caller may not talk to this device, and the library goes on with the others"),
    row(5, "AlreadyInitialized", [Unclear, Unclear, Unclear], "deprecated: no longer returned"),
    row(6, "NotFound", [Unclear, Hole, Absent], "a query to find an object was unsuccessful"),
    row(7, "InsufficientSize", [Unclear, Unclear, Unclear], "an argument is not large enough: a mistake of the caller"),
    row(8, "InsufficientPower", [Trouble, Trouble, Trouble], "external power cables are not properly attached"),
    row(9, "DriverNotLoaded", [NotLoaded, Unclear, Unclear], "the driver is not loaded"),
    row(10, "Timeout", [Trouble, Trouble, Trouble], "a timeout passed"),
    row(11, "IrqIssue", [Trouble, Trouble, Trouble], "the kernel detected an interrupt issue with a GPU"),
    row(12, "LibraryNotFound", [Unclear, Unclear, Unclear], "the library could not be found or loaded"),
    row(13, "FunctionNotFound", [Unclear, Unclear, Absent], "this version of the library does not have the function"),
    row(14, "CorruptedInforom", [CorruptedInforom, CorruptedInforom, CorruptedInforom], "the infoROM is corrupted"),
    row(15, "GpuLost", [Lost, Lost, Lost], "the GPU has fallen off the bus or has otherwise become inaccessible"),
    row(16, "ResetRequired", [ResetRequired, ResetRequired, ResetRequired], "the GPU requires a reset before it can be used again"),
    row(17, "OperatingSystem", [Unclear, Unclear, Unclear], "the operating system, for example a device cgroup, blocked the request"),
    row(18, "LibRmVersionMismatch", [Mismatch, Unclear, Unclear], "the kernel module detects another version of the library"),
    row(19, "InUse", [Unclear, Unclear, Absent], "the GPU is in use by another client"),
    row(20, "InsufficientMemory", [Unclear, Unclear, Unclear], "not enough memory for the call"),
    row(21, "NoData", [Unclear, Unclear, Absent], "no data"),
    row(22, "VgpuEccNotSupported", [Unclear, Unclear, Absent], "not available for a vGPU because ECC is on"),
    row(23, "InsufficientResources", [Unclear, Unclear, Unclear], "ran out of resources other than memory"),
    row(24, "FrequencyNotSupported", [Unclear, Unclear, Absent], "the requested frequency is not supported"),
    row(25, "ArgumentVersionMismatch", [Unclear, Unclear, Absent], "the version of the struct is unknown to this library"),
    row(26, "Deprecated", [Unclear, Unclear, Absent], "the function is deprecated"),
    row(27, "NotReady", [Unclear, Unclear, Unclear], "the system is not ready for the request"),
    row(28, "GpuNotFound", [Unclear, Hole, Unclear], "no GPUs were found"),
    row(29, "InvalidState", [Unclear, Unclear, Unclear], "the resource is not in the right state for the operation"),
    row(30, "ResetTypeNotSupported", [Unclear, Unclear, Absent], "this kind of reset is not supported"),
    row(999, "Unknown", [Trouble, Trouble, Trouble], "an internal driver error; drivers return it for single values of healthy GPUs too"),
];

/// The name without its prefix and version of the call that gives a GPU's handle.
pub const HANDLE_CALL: &str = "DeviceGetHandleByIndex";

/// The stable name of a code; `Unknown(CODE)` if nvml.h has none.
pub fn name_of(code: u32) -> String {
    let known = CODES.iter().find(|known| known.code == code);
    known.map_or_else(|| format!("Unknown({code})"), |known| known.name.to_owned())
}

/// The code with this name.
pub fn named(name: &str) -> Option<&'static ReturnCode> {
    CODES.iter().find(|known| known.name == name)
}

/// What an answer at the start of the library means. A code without a name says nothing.
pub fn at_init(name: &str) -> Means {
    named(name).map_or(Unclear, |code| code.at_init)
}

/// What a code means at a reading.
pub(crate) fn at_reading(code: u32) -> Means {
    CODES.iter().find(|known| known.code == code).map_or(Unclear, |known| known.at_reading)
}

/// What a code means at the handle of a GPU.
pub(crate) fn at_handle(code: u32) -> Means {
    CODES.iter().find(|known| known.code == code).map_or(Unclear, |known| known.at_handle)
}

impl NvmlError {
    /// Whether no handle was given: nothing was read of this GPU.
    pub fn is_of_handle(&self) -> bool {
        self.call == HANDLE_CALL
    }

    /// What the failed call says.
    pub fn means(&self) -> Means {
        match named(&self.kind) {
            Some(code) if self.is_of_handle() => code.at_handle,
            Some(code) => code.at_reading,
            None => Unclear,
        }
    }

    /// `nvmlDeviceGetUUID answered NotReady`.
    pub fn in_words(&self) -> String {
        format!("nvml{} answered {}", self.call, self.kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_of_the_header_has_a_name_of_its_own_and_others_keep_their_number() {
        let mut codes: Vec<u32> = CODES.iter().map(|row| row.code).collect();
        assert_eq!(codes.pop(), Some(999));
        assert_eq!(codes, (1..=30).collect::<Vec<u32>>());
        let names: std::collections::BTreeSet<&str> = CODES.iter().map(|row| row.name).collect();
        assert_eq!(names.len(), CODES.len());
        assert_eq!((name_of(22), name_of(1234)), ("VgpuEccNotSupported".to_owned(), "Unknown(1234)".to_owned()));
    }

    #[test]
    fn only_lost_and_reset_required_say_that_a_gpu_is_sick() {
        for row in CODES {
            let condemns =
                [row.at_init, row.at_handle, row.at_reading].iter().any(|means| matches!(means, Lost | ResetRequired));
            assert_eq!(condemns, [15, 16].contains(&row.code), "{row:?}");
        }
    }

    #[test]
    fn a_code_without_a_name_says_nothing_wherever_it_is_returned() {
        assert_eq!((at_init("Unknown(77)"), at_handle(77), at_reading(77)), (Unclear, Unclear, Unclear));
    }
}
