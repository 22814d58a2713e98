//! The judgement on one node. First match wins:
//!
//! | what is known | state | reason |
//! |---|---|---|
//! | a cause with `Fail` at Reset or above is open | Unhealthy | that of the worst cause; `Adopted` if our taint is the only trace of it |
//! | no report yet | Unknown | NeverReported |
//! | the agent is silent | Unknown | AgentSilent |
//! | another cause is open | Suspect | that of the worst cause |
//! | `inventory` was skipped for lack of an accelerator, none is offered, none is expected | NotApplicable | NoAccelerator |
//! | no row has a verdict, and the node was neither Healthy, Suspect nor Unhealthy before, or no enabled monitor has a row | Unknown | NeverJudged |
//! | a maintenance takes longer than expected | Healthy | MaintenanceOverrun |
//! | a monitor has no row, or a GPU is not covered | Healthy | NotCovered |
//! | some row has no verdict | Healthy | Inconclusive |
//! | else | Healthy | AllChecksPassed |
//!
//! So `Inconclusive` never quarantines (a healthy node stays Healthy when its checks become inconclusive) and never heals
//! (causes stay open), and a silent agent hides everything but a quarantine.
//!
//! A drill without marks makes its node Suspect in the NodeHealth, while the Node shows the judgement without the drill
//! ([`Judgement::on_node`]).

use super::{
    coverage::{gaps, has_no_row},
    drill_causes,
    evidence::has_verdict,
    facts::Facts,
    fold::{self, Folded},
};
use crate::decide::{
    annotation,
    govern::{maintenance, selection::Subject},
};
use crds::{
    Action, Outcome, Severity, State, Time,
    node_health::{Cause, Occurrence, Report},
    reason,
};

/// The judgement on a node, before marks and texts.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Judgement {
    /// The state.
    pub(crate) state: State,
    /// The severity of the worst cause.
    pub(crate) severity: Severity,
    /// The reason, in PascalCase.
    pub(crate) reason: String,
    /// When state, severity or reason last changed.
    pub(crate) since: Time,
    /// Every open cause, worst first.
    pub(crate) causes: Vec<Cause>,
    /// The recorded occurrences.
    pub(crate) history: Vec<Occurrence>,
    /// Whether the agent is silent.
    pub(crate) silent: bool,
    /// Whether a maintenance takes longer than expected.
    pub(crate) overrun: bool,
    /// What the Node shows, if different: the judgement without drills that set no marks.
    for_node: Option<Box<Judgement>>,
}

impl Judgement {
    /// The judgement that the marks on the Node show.
    pub(crate) fn on_node(&self) -> &Self {
        self.for_node.as_deref().unwrap_or(self)
    }

    /// Whether a drill is the only reason for this judgement.
    pub(crate) fn is_drill(&self) -> bool {
        self.causes.first().is_some_and(Cause::is_drill)
    }

    /// What to do next; nothing in a drill, or automation would repair a healthy node.
    pub(crate) fn action(&self) -> Action {
        if self.is_drill() { Action::None } else { Action::for_severity(&self.severity) }
    }
}

/// Judges a node by its report and its record.
pub(crate) fn judge(facts: &Facts<'_>) -> Judgement {
    let folded = fold::fold(facts);
    let for_node = folded.causes.iter().any(drill_causes::is_unmarked).then(|| {
        let mut real = folded.clone();
        real.causes.retain(|cause| !drill_causes::is_unmarked(cause));
        Box::new(conclude(facts, real))
    });
    Judgement { for_node, ..conclude(facts, folded) }
}

/// The judgement that follows from these causes.
fn conclude(facts: &Facts<'_>, folded: Folded) -> Judgement {
    let (before, silent, now) = (facts.before(), facts.silent, facts.now);
    let overrun = maintenance::overrun(facts.subject.node, facts.health, now).is_some();
    let (state, why) = verdict(facts, &folded, overrun);
    let severity = folded.causes.first().map_or(Severity::None, |worst| worst.severity.clone());
    let stood = before.filter(|b| b.state == state && b.severity == severity && b.reason == why).map(|b| b.since);
    // A drill without marks leaves the Node unchanged: its annotation still says since when.
    let annotated = || annotation::annotated_since(facts.subject.node, &state, &severity);
    let is_interlude = folded.causes.iter().chain(before.iter().flat_map(|b| &b.causes)).any(drill_causes::is_unmarked);
    let since = stood.or_else(|| if is_interlude { annotated() } else { None }).unwrap_or(now);
    Judgement {
        severity,
        reason: why.to_owned(),
        since,
        state,
        causes: folded.causes,
        history: folded.history,
        silent,
        overrun,
        for_node: None,
    }
}

fn verdict<'a>(facts: &Facts<'_>, folded: &'a Folded, overrun: bool) -> (State, &'a str) {
    let worst = folded.causes.first();
    if let Some(worst) = worst.filter(|cause| cause.condemns()) {
        let why = if folded.adopted { reason::ADOPTED } else { worst.reason.as_str() };
        return (State::Unhealthy, why);
    }
    let Some(report) = facts.report() else {
        return (State::Unknown, reason::NEVER_REPORTED);
    };
    if facts.silent {
        return (State::Unknown, reason::AGENT_SILENT);
    }
    if let Some(worst) = worst {
        return (State::Suspect, worst.reason.as_str());
    }
    if has_no_accelerator(facts.subject, report) {
        return (State::NotApplicable, reason::NO_ACCELERATOR);
    }
    let was_judged = facts.before().is_some_and(|b| match b.state {
        State::Healthy | State::Suspect | State::Unhealthy => true,
        State::Unknown | State::NotApplicable | State::Unrecognized(_) => false,
    });
    if (!was_judged || has_no_row(facts.subject, report)) && !has_verdict(report) {
        return (State::Unknown, reason::NEVER_JUDGED);
    }
    if overrun {
        (State::Healthy, reason::MAINTENANCE_OVERRUN)
    } else {
        (State::Healthy, gaps(facts.subject, report).reason())
    }
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
