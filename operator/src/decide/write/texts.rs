//! The status of a NodeHealth without the texts of its agent. Whoever controls an agent chooses them, so none may keep the
//! status from being written: a mark must never stand beside a status that says something else.

use crate::plan::NodeHealthStatusWrite;
use crds::{Outcome, Severity, names::TARGET_NODE, node_health::Cause};
use std::collections::BTreeSet;

/// What stands for a text that the API server refused.
const LEFT_OUT: &str = "Left out: the API server refused the texts of the agent. They stand in status.report.";
/// What stands for a name that an agent made up.
const UNREADABLE: &str = "unreadable";

/// Leaves nothing in the status that an agent could have made up, but words, names and addresses of plain characters.
pub(super) fn leave_out(write: &mut NodeHealthStatusWrite) {
    let decision = &mut write.decision;
    decision.reason = crds::condition::word(&decision.reason);
    LEFT_OUT.clone_into(&mut decision.message);
    decision.causes.iter_mut().for_each(leave_out_of_cause);
    // Several that read alike now would open again beside each other in each decision.
    let mut seen = BTreeSet::new();
    decision.causes.retain(|cause| seen.insert((cause.check.clone(), cause.target.clone())));
    for known in &mut decision.history {
        (known.check, known.target) = (name(&known.check), target(&known.target));
        known.reason = crds::condition::word(&known.reason);
    }
    for found in &mut decision.fleet_findings {
        found.target = target(&found.target);
    }
    for gpu in &mut write.gpus {
        gpu.reason = gpu.reason.take().map(|reason| crds::condition::word(&reason).into());
        (gpu.uuid, gpu.serial) = (gpu.uuid.take().filter(|t| is_name(t)), gpu.serial.take().filter(|t| is_name(t)));
    }
    write.gpus.retain(|gpu| is_name(&gpu.pci_address));
    write.summary.target = write.summary.target.take().filter(|text| is_name(text));
    for condition in &mut write.conditions {
        condition.message = LEFT_OUT.into();
    }
}

fn leave_out_of_cause(cause: &mut Cause) {
    cause.outcome = match &cause.outcome {
        Outcome::Unrecognized(_) => Outcome::Inconclusive,
        Outcome::Pass | Outcome::Skipped | Outcome::Inconclusive | Outcome::Warn | Outcome::Fail => {
            cause.outcome.clone()
        }
    };
    cause.severity = match &cause.severity {
        Severity::Unrecognized(_) => Severity::Monitor,
        Severity::None | Severity::Monitor | Severity::Reset | Severity::Reboot | Severity::Isolate => {
            cause.severity.clone()
        }
    };
    LEFT_OUT.clone_into(&mut cause.message);
    cause.reason = crds::condition::word(&cause.reason);
    (cause.check, cause.target) = (name(&cause.check), target(&cause.target));
    cause.serial = cause.serial.take().filter(|text| is_name(text));
    if !cause.lift.text.chars().all(|c| c == ' ' || is_plain(c)) {
        cause.lift.text = format!("{} of {} on {}", cause.lift.required_passes, cause.check, cause.target);
    }
}

fn name(text: &str) -> String {
    if is_name(text) { text.to_owned() } else { UNREADABLE.to_owned() }
}

fn target(text: &str) -> String {
    if is_name(text) { text.to_owned() } else { TARGET_NODE.to_owned() }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(is_plain)
}

fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, ':' | '.' | '/' | '_' | '-')
}
