//! A drill: a simulated finding, clearly marked, that ends by itself.
//!
//! It has a check name of its own, so that it neither hides a real finding nor is mistaken for one. Whether it has
//! ended is computed from the finding's own `since`, so that a drill survives a restart of the agent and still ends on
//! time.

use crate::judge::bounded;
use crds::check::{Check, Drill};
use crds::names::TARGET_NODE;
use crds::node_health::Finding;
use crds::{Outcome, Time};

/// The prefix of every message of a drill.
const MARK: &str = "DRILL:";

/// The target of the drill, spelled as in its order: the operator recognizes the drill by it.
pub(super) fn target(drill: &Drill) -> String {
    bounded(drill.finding.target.as_deref().unwrap_or(TARGET_NODE), 64)
}

/// When a drill that began at this time ends. A drill lasts at most a day.
pub(super) fn until(drill: &Drill, began: Time) -> Time {
    began.plus(drill.seconds.clamp(1, 86_400))
}

/// The finding that stands during the drill.
pub(super) fn finding(drill: &Drill, run: &str, now: Time) -> Finding {
    let reason = &drill.finding.reason;
    Finding {
        check: Check::Drill.name().to_owned(),
        target: target(drill),
        outcome: Outcome::Fail,
        severity: drill.finding.severity.clone(),
        reason: bounded(reason, 63),
        message: bounded(&format!("{MARK} {reason} is not true; it ends at {}", until(drill, now)), 256),
        since: now,
        last_seen: now,
        count: 1,
        evidence: Some(bounded(&format!("drill of run {run}"), 256)),
        code: None,
        uuid: None,
        serial: None,
        caused_by: None,
    }
}

/// Whether the finding belongs to a drill.
pub(crate) fn is_drill(finding: &Finding) -> bool {
    finding.check == Check::Drill.name()
}
