//! The page of `xid`. Its rows come from the catalogue.

use crate::judge::core::Page;
use crds::check::Check;

/// The page of `xid`.
pub static PAGE: Page = Page {
    check: Check::Xid,
    means: "The driver reports faults by number: Xid for a GPU, SXid for an NVSwitch. The table below names the cure of each number. Faults of programs are only watched. A fault at Reset or above stays until it is known to be cured; the absence of new records is not enough.",
    measured: "Records of the kernel log (only those that the kernel itself wrote), and NVML's own events; a fault reported by both counts once. Xid 74 is decided by its registers, 144 to 150 by NVIDIA's decode table, 154 by the action that it names, 64 by its text, 94 and 95 by what the line says about containment. What another fault of the node explains carries causedBy and is only watched. Without a readable kernel log the result is Inconclusive/KernelLogUnreadable.",
    profile: &[],
    metrics: &["gpu_health_agent_kernel_log_readable", "gpu_health_findings"],
    rules: &[],
};
