//! Texts of agents in the status of a run. Whoever controls an agent chooses them, so none may decide whether the status can
//! be written.

use crds::{
    Outcome, Severity,
    health_check_run::{HealthCheckRunStatus, WorstFinding},
    names::TARGET_NODE,
};

/// What stands for the messages of agents in a status that the API server refused.
const LEFT_OUT: &str = "left out: the API server refused the texts of the agent; see status.report of the NodeHealth";
/// What stands for a name that an agent made up.
const UNREADABLE: &str = "unreadable";

/// The reason as Kubernetes takes it in a condition (`metav1.Condition`), else the outcome: an agent's reason becomes that
/// of the run.
pub(super) fn word(reason: &str, outcome: &Outcome) -> String {
    let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ',' | ':');
    let is_word = reason.len() <= 63
        && reason.starts_with(|c: char| c.is_ascii_alphabetic())
        && !reason.ends_with([',', ':'])
        && reason.chars().all(inner);
    if is_word { reason.to_owned() } else { known(outcome).as_str().to_owned() }
}

/// An outcome that this version does not know counts as Inconclusive.
pub(super) fn known(outcome: &Outcome) -> Outcome {
    match outcome {
        Outcome::Unrecognized(_) => Outcome::Inconclusive,
        Outcome::Pass | Outcome::Skipped | Outcome::Inconclusive | Outcome::Warn | Outcome::Fail => outcome.clone(),
    }
}

/// A severity that this version does not know counts as Monitor.
pub(super) fn known_severity(severity: &Severity) -> Severity {
    match severity {
        Severity::Unrecognized(_) => Severity::Monitor,
        Severity::None | Severity::Monitor | Severity::Reset | Severity::Reboot | Severity::Isolate => severity.clone(),
    }
}

/// Leaves nothing in the status that an agent could have made up: only words, names and addresses of a few characters.
pub(super) fn leave_out(status: &mut HealthCheckRunStatus) {
    let is_name = |text: &str| {
        !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, ':' | '.' | '/' | '_' | '-'))
    };
    for target in &mut status.targets {
        target.outcome = target.outcome.as_ref().map(known);
        let outcome = target.outcome.clone().unwrap_or_default();
        target.reason = target.reason.take().map(|reason| word(&reason, &outcome));
    }
    for found in &mut status.worst {
        let WorstFinding { node: _, check, target, outcome, severity, reason, code, message } = found;
        *code = code.take().filter(|code| is_name(code));
        *outcome = known(outcome);
        *severity = known_severity(severity);
        *reason = word(reason, outcome);
        LEFT_OUT.clone_into(message);
        if !is_name(check) {
            UNREADABLE.clone_into(check);
        }
        if !is_name(target) {
            TARGET_NODE.clone_into(target);
        }
    }
    for edge in status.network.iter_mut().flat_map(|network| &mut network.edges) {
        edge.outcome = known(&edge.outcome);
        for name in [&mut edge.rail, &mut edge.interface] {
            *name = name.take().filter(|name| is_name(name));
        }
        edge.reason = edge.reason.take().map(|reason| word(&reason, &edge.outcome));
    }
}
