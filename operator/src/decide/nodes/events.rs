//! What is told as Events: a node's state changes, or it begins to wait for budget. Each only after the status says so.

use super::selection::Subject;
use crate::plan::{EventNote, Plan, Regarding};
use crds::{NodeHealth, State, names, node_health::Decision, reason};

/// Tells what a new decision changes.
pub(super) fn tell(
    subject: &Subject<'_>,
    health: &NodeHealth,
    decision: &Decision,
    waits: bool,
    step: usize,
    plan: &mut Plan,
) {
    let before = health.status.as_ref().and_then(|s| s.decision.as_ref()).map_or(&State::Unknown, |d| &d.state);
    if is_news(before, &decision.state) {
        let warning = match decision.state {
            State::Quarantined | State::Suspect | State::Unknown | State::Unrecognized(_) => true,
            State::Healthy | State::NotApplicable => false,
        };
        let message = format!("{before} -> {}: {}", decision.state, decision.message);
        note(subject, health, warning, decision.state.as_str(), &message, step, plan);
    }
    let waited = *before == State::Quarantined && subject.node.taint(names::TAINT_UNHEALTHY).is_some();
    if waits && !waited {
        note(subject, health, true, reason::BUDGET_EXHAUSTED, &decision.message, step, plan);
    }
}

/// A node that becomes known for the first time, and well, is no news.
fn is_news(before: &State, after: &State) -> bool {
    let unremarkable = match before {
        State::Unknown | State::Unrecognized(_) => match after {
            State::Healthy | State::NotApplicable => true,
            State::Suspect | State::Quarantined | State::Unknown | State::Unrecognized(_) => false,
        },
        State::Healthy | State::Suspect | State::Quarantined | State::NotApplicable => false,
    };
    before != after && !unremarkable
}

fn note(
    subject: &Subject<'_>,
    health: &NodeHealth,
    warning: bool,
    reason: &str,
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
            message: crds::condition::truncate(message, 1024),
            after: Some(step),
        });
    }
}
