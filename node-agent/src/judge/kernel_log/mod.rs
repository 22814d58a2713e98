//! `kernelLog`: what the kernel log says besides Xids.
//!
//! A message is a fault only until the driver reads the GPU again: an adapter that fails once at boot, a heartbeat that
//! stands still on a GPU that works, a task that hung for three minutes are not worth a reboot. So each message at Reset
//! or above waits for a reading of the driver that was taken after it. If the driver reads the GPU, it is a warning; if
//! not, or if nobody can tell, it is the verdict of its rule, and stays until the driver reads the GPU or the node boots.

mod fold;
mod place;
mod present;
mod rules;
#[cfg(test)]
mod tests;

pub use fold::{Worth, lift, observe, recovered, severity};
pub use place::{Target, locate};
pub use present::ask;
pub use rules::RULES;

use super::core::{Ground, Judged, Page};
use super::xid::covered;
use crds::check::Check;
use crds::reason;

/// The page of `kernelLog`.
pub static PAGE: Page = Page {
    check: Check::KernelLog,
    means: "The kernel or the driver reports a fault that has no Xid: a GPU that cannot be initialised, a loss that only PCIe tells, tasks stuck in the driver, a crash of the driver, errors of the machine itself. Or records were lost, so that such a fault may have been missed.",
    measured: "Records of the kernel log that the kernel itself wrote. A line at Reset or above waits for a reading of the driver taken after it, at most 10 s: if the driver reads the GPU, the line is only a warning. A port is mapped to the GPU behind it by sysfs; the driver's own number of a GPU (`GPU5`) is no address, and is told against the node unless the node has one GPU.",
    profile: &[],
    metrics: &[
        "gpu_health_agent_kernel_log_overruns_total",
        "gpu_health_agent_kernel_log_readable",
        "gpu_health_findings",
    ],
    rules: RULES,
};

/// A gap neither condemns nor heals: the row is Inconclusive, covers nothing, and leaves every finding as it is. The
/// findings were already added by [`observe`].
pub fn judge(ground: &Ground<'_>) -> Judged {
    if let Err(unread) = ground.log() {
        return *unread;
    }
    if ground.log_has_gap() {
        let why = "kernel log records were lost before they could be read; one may have reported a fault";
        return Judged::unknown(reason::LOG_GAP, why.to_owned());
    }
    Judged::by_events(covered(ground))
}
