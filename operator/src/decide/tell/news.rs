//! Events about a node: its state changes, a drill starts or ends, or it starts waiting for budget. Each is sent only
//! after the status has been written. A drill's Event says that it is a drill and is never a Warning; real causes are
//! reported too.

use crate::{
    decide::govern::selection::Subject,
    plan::{EventNote, Plan, Regarding},
};
use crds::{NodeHealth, State, names, node_health::Decision, reason};

/// Adds the Events for what a new decision changes.
pub(crate) fn tell(
    subject: &Subject<'_>,
    health: &NodeHealth,
    decision: &Decision,
    waits: bool,
    step: usize,
    plan: &mut Plan,
) {
    let former = health.status.as_ref().and_then(|s| s.decision.as_ref());
    let before = former.map_or(State::Unknown, Decision::state_without_drills);
    let after = decision.state_without_drills();
    if is_news(&before, &after) {
        let warning = match after {
            State::Unhealthy | State::Suspect | State::Unknown | State::Unrecognized(_) => true,
            State::Healthy | State::NotApplicable => false,
        };
        let message = format!("{before} -> {after}: {}", decision.message);
        let about = format!("{before}/{}", cause_of(decision));
        note(subject, health, warning, after.as_str(), &about, &message, step, plan);
    }
    match (former.is_some_and(Decision::has_drill), decision.has_drill()) {
        (false, true) => {
            note(subject, health, false, reason::DRILL, &cause_of(decision), &decision.message, step, plan);
        }
        (true, false) => {
            let message = format!("Drill ended; the node is {after}.");
            note(subject, health, false, reason::DRILL, "Ended", &message, step, plan);
        }
        (true, true) | (false, false) => {}
    }
    let waited =
        former.is_some_and(|d| d.state == State::Unhealthy) && subject.node.taint(names::TAINT_UNHEALTHY).is_some();
    if waits && !waited {
        let is_real = after == State::Unhealthy;
        note(subject, health, is_real, reason::BUDGET_EXHAUSTED, &cause_of(decision), &decision.message, step, plan);
    }
}

/// Whether the change deserves an Event. A node that is healthy when first judged does not.
fn is_news(before: &State, after: &State) -> bool {
    let unremarkable = match before {
        State::Unknown | State::Unrecognized(_) => match after {
            State::Healthy | State::NotApplicable => true,
            State::Suspect | State::Unhealthy | State::Unknown | State::Unrecognized(_) => false,
        },
        State::Healthy | State::Suspect | State::Unhealthy | State::NotApplicable => false,
    };
    before != after && !unremarkable
}

/// What the message of a decision is about: its worst cause, or its reason where there is none.
fn cause_of(decision: &Decision) -> String {
    let causes = decision.causes.len();
    decision.causes.first().map_or_else(
        || decision.reason.clone(),
        |cause| format!("{}/{}/{}/{causes}", cause.check, cause.target, cause.reason),
    )
}

#[allow(clippy::too_many_arguments)]
fn note(
    subject: &Subject<'_>,
    health: &NodeHealth,
    warning: bool,
    reason: &str,
    series: &str,
    message: &str,
    step: usize,
    plan: &mut Plan,
) {
    let name = &subject.node.name;
    let uid = health.metadata.uid.clone().unwrap_or_default();
    for regarding in [Regarding::Node(name.clone(), subject.node.uid.clone()), Regarding::NodeHealth(name.clone(), uid)]
    {
        plan.events.push(EventNote {
            regarding,
            warning,
            reason: reason.to_owned(),
            series: series.to_owned(),
            message: crds::condition::truncate(message, 1024),
            after: Some(step),
        });
    }
}
