//! Limits on drills in runs: on which nodes, on how many at once, and for how long.
//!
//! The policy that governs a node must allow drills (`drills.allow`), else the target ends as Skipped/DrillNotAllowed,
//! even in the middle of a drill. At most `drills.maxNodes` nodes of a policy are drilled at once; the others wait for
//! their turn. A drill whose agent does not end it in time is ended by the operator's clock.

use super::{
    course::{Course, drill_seconds},
    view::{end, is_at_work, node_of, report_of},
};
use crate::{decide::govern::roster::Roster, world::World};
use crds::{
    HealthCheckRun, NodeHealthPolicy, Outcome, Time,
    health_check_run::{Target, TargetState},
    node_health_policy::DEFAULT_DRILL_NODES,
    reason,
};
use std::collections::{BTreeMap, BTreeSet};

/// The policies that allow drills; none while no run has a drill.
#[derive(Default)]
pub(super) struct Permits<'w> {
    roster: Option<&'w Roster>,
}

impl<'w> Permits<'w> {
    /// Those of the policies that govern the nodes, if any unfinished run has a drill.
    pub(super) fn of(world: &World, roster: &'w Roster) -> Self {
        let asks = |run: &HealthCheckRun| run.spec.checks.iter().flatten().any(|check| check.drill.is_some());
        Self { roster: world.runs.open().any(asks).then_some(roster) }
    }

    /// The policy that allows drills on this node.
    fn policy(&self, node: &str) -> Option<&'w NodeHealthPolicy> {
        let policy = self.roster?.policy_of(node)?;
        policy.spec.drills.as_ref().is_some_and(|drills| drills.allow).then_some(policy)
    }
}

/// Ends drills that are not, or no longer, allowed, and those whose time is over. Returns whether there was one.
pub(super) fn end_drills(course: &mut Course<'_>, permits: &Permits<'_>, now: Time) -> bool {
    if drill_seconds(&course.checks).is_none() {
        return false;
    }
    let mut any = false;
    for index in 0..course.status.targets.len() {
        let is_over = course.drill_over_at(&course.status.targets[index]).is_some_and(|at| now >= at);
        let target = &mut course.status.targets[index];
        if target.state == TargetState::Done {
            continue;
        }
        if permits.policy(&target.node).is_none() {
            end(target, Outcome::Skipped, Some(reason::DRILL_NOT_ALLOWED), now);
            any = true;
        } else if is_over {
            end(target, Outcome::Inconclusive, Some(reason::DEADLINE_EXCEEDED), now);
            any = true;
        }
    }
    any
}

/// The nodes that are drilled now, by policy.
#[derive(Default)]
pub(super) struct Drilled<'w> {
    nodes: BTreeMap<String, BTreeSet<&'w str>>,
}

impl<'w> Drilled<'w> {
    /// Those of all runs.
    pub(super) fn of(world: &'w World, permits: &Permits<'w>, courses: &[Course<'w>]) -> Self {
        let mut drilled = Self::default();
        for course in courses.iter().filter(|course| drill_seconds(&course.checks).is_some()) {
            for target in course.status.targets.iter().filter(|t| is_at_work(t)) {
                drilled.take(world, permits, target);
            }
        }
        drilled
    }

    /// Counts a node that is drilled from now on.
    pub(super) fn take(&mut self, world: &'w World, permits: &Permits<'w>, target: &Target) {
        if let (Some(node), Some(policy)) = (node_of(world, target), permits.policy(&target.node)) {
            let name = policy.metadata.name.clone().unwrap_or_default();
            self.nodes.entry(name).or_default().insert(&node.name);
        }
    }

    /// Whether a drill may start on this node in addition to those running; a node takes part in one drill at a time.
    pub(super) fn has_room(&self, permits: &Permits<'w>, target: &Target) -> bool {
        let Some(policy) = permits.policy(&target.node) else { return false };
        let max = policy.spec.drills.as_ref().map_or(DEFAULT_DRILL_NODES, |drills| drills.max_nodes);
        let drilled = policy.metadata.name.as_deref().and_then(|name| self.nodes.get(name));
        drilled.is_none_or(|nodes| {
            !nodes.contains(target.node.as_str()) && i64::try_from(nodes.len()).is_ok_and(|count| count < max)
        })
    }
}

/// Whether the node has been judged: its state without the drill must be known.
pub(super) fn is_judged(world: &World, target: &Target) -> bool {
    report_of(world, target).is_some_and(|report| {
        report.checks.iter().any(|row| matches!(row.outcome, Outcome::Pass | Outcome::Warn | Outcome::Fail))
    })
}
