//! The judgement about one node. First match wins:
//!
//! | what is known | state | reason |
//! |---|---|---|
//! | a cause with `Fail` at Reset or above is open | Quarantined | that of the worst cause; `Adopted` while only our taint tells of it |
//! | no report yet | Unknown | NeverReported |
//! | the agent is silent | Unknown | AgentSilent |
//! | another cause is open | Suspect | that of the worst cause |
//! | `inventory` was skipped for want of an accelerator, none is offered, none is expected | NotApplicable | NoAccelerator |
//! | no row holds a verdict, and the node was neither Healthy, Suspect nor Quarantined before | Unknown | NeverJudged |
//! | some row could not be judged | Healthy | Inconclusive |
//! | else | Healthy | AllChecksPassed |
//!
//! So `Inconclusive` never condemns (a healthy node stays Healthy when its checks can no longer judge) and never heals
//! (causes stay open), and silence hides everything but a quarantine.

use super::{
    causes::{self, Folded, condemns, is_verdict},
    selection::Subject,
};
use crds::{
    NodeHealth, Outcome, Severity, State, Time,
    health_check_policy::ClaimFor,
    node_health::{Cause, CheckRow, Decision, Occurrence, Report},
    reason,
};

/// What is thought of a node, before marks and words.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Judgement {
    /// The judgement.
    pub(super) state: State,
    /// The severity of the worst cause.
    pub(super) severity: Severity,
    /// Why, as one word.
    pub(super) reason: String,
    /// Since when state, severity and reason stand.
    pub(super) since: Time,
    /// Every open cause, worst first.
    pub(super) causes: Vec<Cause>,
    /// The remembered occurrences.
    pub(super) history: Vec<Occurrence>,
    /// Whether the agent is silent.
    pub(super) silent: bool,
}

/// Judges a node by its report and by what is remembered of it.
pub(super) fn judge(
    subject: &Subject<'_>,
    health: &NodeHealth,
    claim: Option<&ClaimFor>,
    silent: bool,
    marks_are_frozen: bool,
    now: Time,
) -> Judgement {
    let status = health.status.as_ref();
    let before = status.and_then(|s| s.decision.as_ref());
    let report = status.and_then(|s| s.report.as_ref());
    let folded = causes::fold(subject, health, claim, silent, marks_are_frozen, now);
    let (state, why) = verdict(subject, &folded, report, before, silent);
    let severity = folded.causes.first().map_or(Severity::None, |worst| worst.severity.clone());
    let since =
        before.filter(|b| b.state == state && b.severity == severity && b.reason == why).map_or(now, |b| b.since);
    Judgement { severity, reason: why.to_owned(), since, state, causes: folded.causes, history: folded.history, silent }
}

fn verdict<'a>(
    subject: &Subject<'_>,
    folded: &'a Folded,
    report: Option<&Report>,
    before: Option<&Decision>,
    silent: bool,
) -> (State, &'a str) {
    let worst = folded.causes.first();
    if let Some(worst) = worst.filter(|cause| condemns(cause)) {
        let why = if folded.adopted { reason::ADOPTED } else { worst.reason.as_str() };
        return (State::Quarantined, why);
    }
    let Some(report) = report else {
        return (State::Unknown, reason::NEVER_REPORTED);
    };
    if silent {
        return (State::Unknown, reason::AGENT_SILENT);
    }
    if let Some(worst) = worst {
        return (State::Suspect, worst.reason.as_str());
    }
    if has_no_accelerator(subject, report) {
        return (State::NotApplicable, reason::NO_ACCELERATOR);
    }
    let was_judged = before.is_some_and(|b| match b.state {
        State::Healthy | State::Suspect | State::Quarantined => true,
        State::Unknown | State::NotApplicable | State::Unrecognized(_) => false,
    });
    if !was_judged && !report.checks.iter().any(|row| is_verdict(&row.outcome)) {
        return (State::Unknown, reason::NEVER_JUDGED);
    }
    if unjudged(report).next().is_some() {
        (State::Healthy, reason::INCONCLUSIVE)
    } else {
        (State::Healthy, reason::ALL_CHECKS_PASSED)
    }
}

/// The rows that could not be judged, for another reason than that they did not apply.
pub(super) fn unjudged(report: &Report) -> impl Iterator<Item = &CheckRow> {
    report.checks.iter().filter(|row| match row.outcome {
        Outcome::Inconclusive | Outcome::Unrecognized(_) => true,
        Outcome::Pass | Outcome::Skipped | Outcome::Warn | Outcome::Fail => false,
    })
}

/// Whether there is no accelerator, none is offered and none is expected.
fn has_no_accelerator(subject: &Subject<'_>, report: &Report) -> bool {
    let expected = subject.profile.and_then(|p| p.spec.gpus.as_ref()).and_then(|gpus| gpus.count).unwrap_or(0);
    expected == 0
        && subject.node.accelerators.values().all(|count| *count == 0)
        && report.checks.iter().any(|row| {
            row.check == crds::Check::Inventory.name()
                && row.outcome == Outcome::Skipped
                && row.reason.as_deref() == Some(reason::NO_ACCELERATOR)
        })
}
