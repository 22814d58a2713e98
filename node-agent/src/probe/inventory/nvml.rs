//! GPUs as NVIDIA's management library sees them: the form of the answer. The sampler reads it.

use serde::{Deserialize, Serialize};

/// Return codes (nvml.h) and the stable names that reasons are made of.
const KINDS: &[(u32, &str)] = &[
    (1, "Uninitialized"),
    (2, "InvalidArgument"),
    (3, "NotSupported"),
    (4, "NoPermission"),
    (6, "NotFound"),
    (7, "InsufficientSize"),
    (8, "InsufficientPower"),
    (9, "DriverNotLoaded"),
    (10, "Timeout"),
    (11, "IrqIssue"),
    (12, "LibraryNotFound"),
    (13, "FunctionNotFound"),
    (14, "CorruptedInforom"),
    (15, "GpuLost"),
    (16, "ResetRequired"),
    (17, "OperatingSystem"),
    (18, "LibRmVersionMismatch"),
    (19, "InUse"),
    (20, "InsufficientMemory"),
    (21, "NoData"),
    (23, "InsufficientResources"),
    (25, "ArgumentVersionMismatch"),
    (26, "Deprecated"),
    (27, "NotReady"),
    (28, "GpuNotFound"),
    (29, "InvalidState"),
    (999, "Unknown"),
];

/// Answers that say that a value does not exist here or not now, which is no error of the GPU: not supported, no
/// permission, function not found, in use, no data, argument version mismatch, deprecated.
const ABSENCE: &[u32] = &[3, 4, 13, 19, 21, 25, 26];

/// Answers to an index that say that the numbering has a hole there.
const HOLE: &[&str] = &["InvalidArgument", "NotFound", "GpuNotFound"];

/// What the library answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NvmlView {
    /// `Ok`, or the kind of the error that kept us from asking for GPUs: `LibraryNotFound`, `DriverNotLoaded`,
    /// `LibRmVersionMismatch`, …, `Unknown(CODE)` for a code that has no name here.
    pub status: String,
    /// What the library or the loader said, where the status is not `Ok`.
    pub message: Option<String>,
    /// Version of the driver.
    pub driver: Option<String>,
    /// How many GPUs the library counts. Those that it then gives no handle for are among `errors`.
    pub count: Option<u32>,
    /// GPUs that have a handle, by index.
    pub gpus: Vec<NvmlGpu>,
    /// Calls that failed, as far as the failure tells something about a GPU.
    pub errors: Vec<NvmlError>,
}

/// A GPU that the library gives a handle for. Each field is absent where its call failed or is not supported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NvmlGpu {
    /// The library's index. Not stable over reboots, and it may have holes.
    pub index: u32,
    /// PCI address as sysfs writes it.
    pub pci: Option<String>,
    /// `GPU-…`
    pub uuid: Option<String>,
    /// The board's serial number.
    pub serial: Option<String>,
    /// Model.
    pub name: Option<String>,
    /// Version of the VBIOS.
    pub vbios: Option<String>,
    /// Memory, in MiB, rounded down.
    pub memory_mib: Option<u64>,
}

/// A call that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NvmlError {
    /// The GPU's index; absent where the call was not about one.
    pub index: Option<u32>,
    /// The GPU's PCI address, where the library still told it.
    pub pci: Option<String>,
    /// The call, without its prefix: `DeviceGetUUID`.
    pub call: String,
    /// As in `status`.
    pub kind: String,
}

impl NvmlView {
    /// `status` of a library that answered.
    pub const OK: &str = "Ok";

    /// A library that answered and has said nothing yet.
    pub(crate) fn empty() -> Self {
        Self {
            status: Self::OK.to_owned(),
            message: None,
            driver: None,
            count: None,
            gpus: Vec::new(),
            errors: Vec::new(),
        }
    }

    /// A library that could not be asked for its GPUs.
    pub(crate) fn fail(&mut self, kind: String, message: &str) {
        self.status = kind;
        self.message = Some(crate::probe::bounded(message));
    }
}

/// A stable name for a return code of the library.
pub(crate) fn kind_of(code: u32) -> String {
    let known = KINDS.iter().find(|(known, _)| *known == code);
    known.map_or_else(|| format!("Unknown({code})"), |(_, name)| (*name).to_owned())
}

/// Whether an answer is the absence of a value rather than a failure that tells something.
pub(crate) fn is_absence(code: u32) -> bool {
    ABSENCE.contains(&code)
}

/// Whether an answer to an index is a hole in the numbering.
pub(crate) fn is_hole(kind: &str) -> bool {
    HOLE.contains(&kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_return_code_has_a_stable_name() {
        assert_eq!(kind_of(9), "DriverNotLoaded");
        assert_eq!(kind_of(15), "GpuLost");
        assert_eq!(kind_of(16), "ResetRequired");
        assert_eq!(kind_of(18), "LibRmVersionMismatch");
        assert_eq!(kind_of(28), "GpuNotFound");
        assert_eq!(kind_of(999), "Unknown");
        assert_eq!(kind_of(1234), "Unknown(1234)");
    }
}
