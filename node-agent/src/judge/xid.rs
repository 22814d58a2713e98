//! `xid`: the kernel log, folded into latched findings.
//!
//! A finding at Reset or above stays until the agent sees a new boot id, or until the driver reports by Xid 154 or by
//! its recovery action (field 230) that no recovery is needed any more. That report lifts findings that a reset or a
//! reboot cures, but not a board that needs replacement. A finding at Monitor stays for [`MONITOR_SECONDS`] after the
//! last sighting.
//!
//! One fault reports several codes (48, 63, 94, 154). There is one finding per GPU, the most severe, and it is acted on
//! once. Of equally severe codes the first stays, because it names the cause, and the others are counted.
//!
//! What another fault explains carries `causedBy` and is only watched: see [`roots`].

mod doubt;
mod fold;
mod lift;
mod page;
mod remarks;
mod roots;

pub use super::core::events::{MONITOR_SECONDS, end_with_boot, expire, next_expiry};
pub use doubt::{Doubt, Present, ask, refute, warn};
pub use fold::{is_switch, observe, raises, remark};
pub use lift::{SIGNS, Sign, lift_by_recovery_action, lift_by_reset};
pub use page::PAGE;
pub use roots::{CONSEQUENCES, ECHOES, Echo, Kind, Place, ROOTS, Root, attribute};

use super::core::hardware::addresses;
use super::core::{Ground, Hardware, Judged, MAX_COVERED};
use crds::names::TARGET_NODE;
use crds::reason;

/// The row: whether the log was read without a gap. The findings were already added by [`observe`].
///
/// Lost records may have hidden a fault, so the check is inconclusive for one interval after an overrun. After that the
/// log counts as complete again: a lost fault shows up in other checks or is logged again.
pub fn judge(ground: &Ground<'_>) -> Judged {
    if let Err(unread) = ground.log() {
        return *unread;
    }
    if ground.log_has_gap() {
        return Judged::unknown(
            reason::KERNEL_LOG_OVERRUN,
            "kernel log records were overwritten before they could be read".to_owned(),
        );
    }
    Judged::by_events(covered(ground))
}

/// When an overrun is over, by the monotonic clock in milliseconds.
pub fn overrun_ends(at: u64, interval_seconds: i64) -> u64 {
    at.saturating_add(u64::try_from(interval_seconds).unwrap_or(0).saturating_mul(1000))
}

/// Every known GPU, the switches that the log has named, and the node.
pub(super) fn covered(ground: &Ground<'_>) -> Vec<String> {
    let mut covered: Vec<String> = match ground.hardware {
        Hardware::Seen(report) => addresses(report).into_iter().collect(),
        Hardware::NotYet | Hardware::Unknown { .. } => ground.kernel_log.known_gpus.clone(),
    };
    covered.truncate(MAX_COVERED - 1);
    covered.push(TARGET_NODE.to_owned());
    for switch in &ground.kernel_log.switches {
        if covered.len() < MAX_COVERED && !covered.contains(switch) {
            covered.push(switch.clone());
        }
    }
    covered
}

#[cfg(test)]
mod tests;
