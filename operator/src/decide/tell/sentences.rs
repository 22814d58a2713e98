//! The message of a decision and of its condition: why the node is in its state, and what to do.

use crate::decide::{
    govern::{authority::Authority, selection::Subject},
    judge::{
        coverage::{gaps, has_no_row},
        evidence::unjudged,
        verdict::Judgement,
    },
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

/// Why the node is in its state, and what to do.
pub(crate) fn message(
    subject: &Subject<'_>,
    health: &NodeHealth,
    judgement: &Judgement,
    marking: Marking<'_>,
) -> String {
    let report = health.status.as_ref().and_then(|s| s.report.as_ref());
    let mut text = match judgement.state {
        State::Unhealthy | State::Suspect => {
            let mut text = causes_text(health, judgement);
            text.push_str(&cure_text(judgement));
            text.push_str(&marks_text(subject, judgement, marking));
            text
        }
        State::NotApplicable => "The node has no accelerator, and none is expected.".to_owned(),
        State::Unknown | State::Unrecognized(_) => unknown_text(subject, judgement, report),
        State::Healthy => match report.map(|report| gaps(subject, report)).filter(|gaps| !gaps.is_none()) {
            Some(gaps) if gaps.missing.is_empty() => {
                format!("No fault found, but some checks gave no verdict: {}.", gaps.text())
            }
            Some(gaps) => format!("No fault found, but not everything was judged: {}.", gaps.text()),
            None => "Every enabled check passed or did not apply.".to_owned(),
        },
    };
    text.push_str(&overrun_text(health, judgement));
    truncate(&text, MAX_MESSAGE)
}

/// A drill's text starts with DRILL so that nobody mistakes it for a fault, and still names the worst real cause.
fn causes_text(health: &NodeHealth, judgement: &Judgement) -> String {
    let mut causes = judgement.causes.iter();
    let Some(worst) = causes.next() else {
        return String::new();
    };
    let (mut text, named) = if worst.is_drill() {
        let run = worst.run.as_deref().unwrap_or_default();
        let drill = format!("DRILL (run {run}), not a real fault: {}", cause_text(health, worst));
        match judgement.causes.iter().find(|cause| !cause.is_drill()) {
            Some(real) => (format!("{drill} Real cause: {}", cause_text(health, real)), 2),
            None => (drill, 1),
        }
    } else {
        (cause_text(health, worst), 1)
    };
    match judgement.causes.len() - named {
        0 => {}
        1 => text.push_str(" Plus 1 more cause."),
        n => {
            let _ = write!(text, " Plus {n} more causes.");
        }
    }
    text
}

fn cause_text(health: &NodeHealth, cause: &Cause) -> String {
    let what = if cause.message.is_empty() { cause.reason.as_str() } else { cause.message.trim_end_matches('.') };
    let target = part(health, &cause.target);
    if what.starts_with("GPU ") && what.contains(&cause.target) {
        // The agent's message already names the GPU, with its serial number.
        return format!("{what} [{} {}].", cause.check, cause.reason);
    }
    let place = if target == cause.target { target } else { format!("{target} ({})", cause.target) };
    format!("{place}: {what} [{} {}].", cause.check, cause.reason)
}

fn cure_text(judgement: &Judgement) -> String {
    let cure = cure(judgement);
    if judgement.is_drill() {
        format!(" No action needed: the drill ends on its own. For a real fault: {cure}")
    } else {
        format!(" {cure}")
    }
}

fn overrun_text(health: &NodeHealth, judgement: &Judgement) -> String {
    let maintenance = health.spec.maintenance.as_ref().filter(|_| judgement.overrun);
    maintenance.map_or_else(String::new, |m| {
        format!(
            " Maintenance ({}), started at {}, is taking longer than expected. Finish it or find out where it is stuck.",
            m.reason, m.since
        )
    })
}

fn cure(judgement: &Judgement) -> &'static str {
    if judgement.state == State::Suspect {
        return "Monitor the node; it stays in service.";
    }
    match judgement.severity {
        Severity::Reset => "Drain the node and reset the GPU.",
        Severity::Reboot => "Drain and reboot the node.",
        Severity::Isolate => "Drain the node and replace the faulty part.",
        Severity::None | Severity::Monitor | Severity::Unrecognized(_) => "Monitor the node.",
    }
}

fn marks_text(subject: &Subject<'_>, judgement: &Judgement, marking: Marking<'_>) -> String {
    if judgement.state != State::Unhealthy {
        return String::new();
    }
    let policy = subject.policy.and_then(|p| p.metadata.name.as_deref()).unwrap_or_default();
    match marking.authority {
        Authority::Enforce(_) if marking.waits => format!(
            " Waiting for a slot in the budget of policy {policy}, which has reached its limit of nodes out of service. Until then the taint is at most PreferNoSchedule."
        ),
        Authority::Enforce(_) | Authority::Observe { .. } | Authority::Frozen if marking.is_refused => {
            let effect = if marking.removes_capacity { "it stays as it is" } else { "pods may still be placed here" };
            format!(
                " The API server refuses to change the taint, so {effect}: look for an admission webhook or policy of the cluster that forbids it, and at the operator's log."
            )
        }
        Authority::Enforce(_) => String::new(),
        Authority::Observe { .. } if marking.removes_capacity => format!(
            " Marks set under a former policy stay until checks pass and lift every cause, or until a policy in mode Observe sets releaseAll ({}).",
            reason::HELD_BY_FORMER_POLICY
        ),
        Authority::Observe { .. } if policy.is_empty() => " No marks set: no policy governs the node.".to_owned(),
        Authority::Observe { .. } => format!(" No marks set: policy {policy} is in mode Observe."),
        Authority::Frozen => {
            " Marks are frozen (policy mode Hold, or --hold-everything): none are set or lifted.".to_owned()
        }
    }
}

fn unknown_text(subject: &Subject<'_>, judgement: &Judgement, report: Option<&Report>) -> String {
    let Some(report) = report else {
        return "No agent has reported yet. Check that its pod is running on this node (label gpuhealth.dev/agent=true)."
            .to_owned();
    };
    if judgement.silent {
        return "The agent has not renewed its Lease for 150 s. Check that the node is up and that the agent's pod is running."
            .to_owned();
    }
    if has_no_row(subject, report) {
        return "The agent reports, but has no result of any enabled check. Look at its log.".to_owned();
    }
    match unjudged_text(report) {
        rows if rows.is_empty() => "No check has reached a verdict yet.".to_owned(),
        rows => format!("No check has reached a verdict yet: {rows}."),
    }
}

fn unjudged_text(report: &Report) -> String {
    let rows: Vec<String> = unjudged(report)
        .map(|row| format!("{} ({})", row.check, row.reason.as_deref().unwrap_or("no reason given")))
        .collect();
    rows.join(", ")
}
