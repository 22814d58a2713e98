//! What the world says about one target of a run.

use crate::world::{Node, World};
use crds::{
    NodeHealth, Outcome, Time,
    health_check_run::{HealthCheckRunStatus, Target, TargetState},
    node_health::{Report, RunReport},
};

/// The Node of a target, unless it was deleted or replaced by one of the same name.
pub(super) fn node_of<'w>(world: &'w World, target: &Target) -> Option<&'w Node> {
    world.nodes.get(&target.node).filter(|node| node.uid == target.uid).map(AsRef::as_ref)
}

/// The NodeHealth of exactly this Node, not of one that replaced it.
pub(super) fn health_of<'w>(world: &'w World, target: &Target) -> Option<&'w NodeHealth> {
    world.node_healths.get(&target.node).filter(|health| health.spec.node.uid == target.uid).map(AsRef::as_ref)
}

/// The report of the agent on exactly this Node.
pub(super) fn report_of<'w>(world: &'w World, target: &Target) -> Option<&'w Report> {
    health_of(world, target)?.status.as_ref()?.report.as_ref()
}

/// What the agent reports about one work order.
pub(super) fn run_report_of<'w>(world: &'w World, target: &Target, id: &str) -> Option<&'w RunReport> {
    report_of(world, target)?.runs.iter().find(|r| r.id == id)
}

/// Whether the target has a work order.
pub(super) fn is_at_work(target: &Target) -> bool {
    matches!(target.state, TargetState::Assigned | TargetState::Running)
}

/// Whether the target has not been admitted. A state written by a newer version counts as not admitted: at worst a test
/// runs again.
pub(super) fn is_unadmitted(target: &Target) -> bool {
    matches!(target.state, TargetState::Pending | TargetState::Waiting | TargetState::Unrecognized(_))
}

/// Whether every target has ended.
pub(super) fn all_done(status: &HealthCheckRunStatus) -> bool {
    status.targets.iter().all(|t| t.state == TargetState::Done)
}

/// Moves a target to a state; `since` changes only when the state does.
pub(super) fn enter(target: &mut Target, state: TargetState, reason: Option<&str>, now: Time) {
    if target.state != state {
        target.state = state;
        target.since = Some(now);
    }
    target.reason = reason.map(|r| crds::condition::truncate(r, 63));
}

/// Ends a target.
pub(super) fn end(target: &mut Target, outcome: Outcome, reason: Option<&str>, now: Time) {
    enter(target, TargetState::Done, reason, now);
    target.outcome = Some(outcome);
}
