//! Why a node is judged as it is, and what to do, as a sentence: the message of its decision and of its condition.

use crate::decide::{
    govern::{authority::Authority, selection::Subject},
    judge::{evidence::unjudged, verdict::Judgement},
    marks::{
        decision::{MAX_MESSAGE, Marking},
        parts::part,
    },
};
use crds::{
    NodeHealth, Severity, State,
    condition::truncate,
    node_health::{Cause, Report},
    reason,
};
use std::fmt::Write as _;

/// Why, as a sentence, with what to do.
pub(crate) fn message(
    subject: &Subject<'_>,
    health: &NodeHealth,
    judgement: &Judgement,
    marking: Marking<'_>,
) -> String {
    let report = health.status.as_ref().and_then(|s| s.report.as_ref());
    let mut text = match judgement.state {
        State::Quarantined | State::Suspect => {
            let mut text = causes_text(health, judgement);
            text.push_str(&cure_text(judgement));
            text.push_str(&marks_text(subject, judgement, marking));
            text
        }
        State::NotApplicable => "The node has no accelerator, and none is expected.".to_owned(),
        State::Unknown | State::Unrecognized(_) => unknown_text(judgement, report),
        State::Healthy => match report.map(unjudged_text).filter(|t| !t.is_empty()) {
            Some(rows) => {
                format!("Nothing speaks against the node, but not all could be judged: {rows}.")
            }
            None => "Every enabled check passed or did not apply.".to_owned(),
        },
    };
    text.push_str(&overrun_text(health, judgement));
    truncate(&text, MAX_MESSAGE)
}

/// A drill begins with the word that nobody can miss, and does not hide what is real.
fn causes_text(health: &NodeHealth, judgement: &Judgement) -> String {
    let mut causes = judgement.causes.iter();
    let Some(worst) = causes.next() else {
        return String::new();
    };
    let (mut text, told) = if worst.is_drill() {
        let run = worst.run.as_deref().unwrap_or_default();
        let drill = format!("DRILL of run {run}, nothing is wrong: {}", cause_text(health, worst));
        match judgement.causes.iter().find(|cause| !cause.is_drill()) {
            Some(real) => (format!("{drill} What is real: {}", cause_text(health, real)), 2),
            None => (drill, 1),
        }
    } else {
        (cause_text(health, worst), 1)
    };
    match judgement.causes.len() - told {
        0 => {}
        1 => text.push_str(" And 1 more cause."),
        n => {
            let _ = write!(text, " And {n} more causes.");
        }
    }
    text
}

fn cause_text(health: &NodeHealth, cause: &Cause) -> String {
    let what = if cause.message.is_empty() { cause.reason.as_str() } else { cause.message.trim_end_matches('.') };
    let target = part(health, &cause.target);
    if what.starts_with("GPU ") && what.contains(&cause.target) {
        // The agent's own words name the board, by its serial too.
        return format!("{what} [{} {}].", cause.check, cause.reason);
    }
    let place = if target == cause.target { target } else { format!("{target} ({})", cause.target) };
    format!("{place}: {what} [{} {}].", cause.check, cause.reason)
}

fn cure_text(judgement: &Judgement) -> String {
    let cure = cure(judgement);
    if judgement.is_drill() {
        format!(" Nothing is to be done, it ends by itself; a real one would ask for this: {cure}")
    } else {
        format!(" {cure}")
    }
}

fn overrun_text(health: &NodeHealth, judgement: &Judgement) -> String {
    let maintenance = health.spec.maintenance.as_ref().filter(|_| judgement.overrun);
    maintenance.map_or_else(String::new, |m| {
        format!(
            " The maintenance ({}) began at {} and takes longer than expected; end it, or look where it is stuck.",
            m.reason, m.since
        )
    })
}

fn cure(judgement: &Judgement) -> &'static str {
    if judgement.state == State::Suspect {
        return "Keep an eye on it; it stays in use.";
    }
    match judgement.severity {
        Severity::Reset => "Drain the node and reset the GPU.",
        Severity::Reboot => "Drain and reboot the node.",
        Severity::Isolate => "Drain the node and have the part replaced.",
        Severity::None | Severity::Monitor | Severity::Unrecognized(_) => "Keep an eye on it.",
    }
}

fn marks_text(subject: &Subject<'_>, judgement: &Judgement, marking: Marking<'_>) -> String {
    if judgement.state != State::Quarantined {
        return String::new();
    }
    let policy = subject.policy.and_then(|p| p.metadata.name.as_deref()).unwrap_or_default();
    match marking.authority {
        Authority::Enforce(_) if marking.waits => format!(
            " It waits for the budget of policy {policy}, whose limit of nodes out of use is reached; until then pods are only kept away where they can go elsewhere."
        ),
        Authority::Enforce(_) => String::new(),
        Authority::Observe { .. } if marking.removes_capacity => format!(
            " The marks of a former policy stay until a pass lifts every cause or releaseAll is set on a policy ({}).",
            reason::HELD_BY_FORMER_POLICY
        ),
        Authority::Observe { .. } if policy.is_empty() => " Nothing is marked: no policy governs the node.".to_owned(),
        Authority::Observe { .. } => format!(" Nothing is marked: policy {policy} only observes."),
        Authority::Frozen => " Marks are on hold: none is set and none is lifted.".to_owned(),
    }
}

fn unknown_text(judgement: &Judgement, report: Option<&Report>) -> String {
    let Some(report) = report else {
        return "No agent has reported yet: is its pod running on this node (label gpuhealth.dev/agent=true)?"
            .to_owned();
    };
    if judgement.silent {
        return "The agent has not renewed its Lease for 150 s: is the node up, and its agent's pod running?"
            .to_owned();
    }
    match unjudged_text(report) {
        rows if rows.is_empty() => "No check has judged anything yet.".to_owned(),
        rows => format!("No check has judged anything yet: {rows}."),
    }
}

fn unjudged_text(report: &Report) -> String {
    let rows: Vec<String> = unjudged(report)
        .map(|row| format!("{} ({})", row.check, row.reason.as_deref().unwrap_or("no reason given")))
        .collect();
    rows.join(", ")
}
