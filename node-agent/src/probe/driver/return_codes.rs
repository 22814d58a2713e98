//! Return codes of NVIDIA's management library (nvml.h).

/// Return codes and the stable names used in reasons.
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

/// Answers that mean that a value does not exist here or now, which is no error of the GPU: not supported, no
/// permission, function not found, in use, no data, argument version mismatch, deprecated.
const ABSENCE: &[u32] = &[3, 4, 13, 19, 21, 25, 26];

/// Answers for an index that mean a hole in the numbering.
const HOLE: &[&str] = &["InvalidArgument", "NotFound", "GpuNotFound"];

/// A stable name for a return code of the library.
pub(super) fn kind_of(code: u32) -> String {
    let known = KINDS.iter().find(|(known, _)| *known == code);
    known.map_or_else(|| format!("Unknown({code})"), |(_, name)| (*name).to_owned())
}

/// Whether an answer is the absence of a value rather than an informative failure.
pub(super) fn is_absence(code: u32) -> bool {
    ABSENCE.contains(&code)
}

/// Whether an answer for an index is a hole in the numbering.
pub(super) fn is_hole(kind: &str) -> bool {
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
