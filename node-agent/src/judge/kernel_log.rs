//! `kernelLog`: what the kernel log says besides Xids. So far: whether records were lost.

use super::core::{Ground, Judged, Page, Rule};
use crds::check::Check;
use crds::names::TARGET_NODE;
use crds::{Outcome, Severity, reason};

/// What it can find.
pub static RULES: &[Rule] = &[Rule {
    reason: reason::LOG_GAP,
    outcome: Outcome::Inconclusive,
    severity: Severity::None,
    when: "Kernel log records were overwritten before the agent could read them. One of them may have reported a fault.",
    lifts: "One interval without another loss.",
    act: "Find what fills the kernel log (`dmesg --follow`). If it happens again and again, enlarge the buffer with the kernel parameter `log_buf_len`.",
    source: "our judgement: lost records neither prove a fault nor rule one out",
}];

/// The page of `kernelLog`.
pub static PAGE: Page = Page {
    check: Check::KernelLog,
    means: "Kernel log records were lost, so a fault that only the log reports may have been missed.",
    measured: "/dev/kmsg reports that records were overwritten; what syslog(2) returns is compared with what was read before.",
    profile: &[],
    metrics: &["gpu_health_agent_kernel_log_overruns_total", "gpu_health_agent_kernel_log_readable"],
    rules: RULES,
};

/// A gap neither condemns nor heals: the row is Inconclusive, covers nothing, and leaves every finding as it is.
pub fn judge(ground: &Ground<'_>) -> Judged {
    if let Err(unread) = ground.log() {
        return *unread;
    }
    if ground.log_has_gap() {
        let why = "kernel log records were lost before they could be read; one may have reported a fault";
        return Judged::unknown(reason::LOG_GAP, why.to_owned());
    }
    Judged {
        outcome: Outcome::Pass,
        reason: None,
        message: None,
        covered: vec![TARGET_NODE.to_owned()],
        found: Vec::new(),
        complete: true,
    }
}
