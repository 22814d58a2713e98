//! The work orders that follow from the targets of a run.

use super::{
    course::Course,
    record,
    view::{is_at_work, node_of},
};
use crate::{decide::orders::Orders, plan::Plan, world::World};
use crds::{
    HealthCheckRun,
    node_health::{Assignment, Group, MAX_ASSIGNMENTS},
};
use std::collections::{BTreeMap, BTreeSet};

/// Whether a NodeHealth has changed since the status of this run was written. If an order that is recorded as given is
/// missing from it, either the order was never written, or it has ended and this run is seen late.
fn has_changed_since(world: &World, node: &str, run: &HealthCheckRun) -> bool {
    let number = |version: Option<&String>| version.and_then(|version| version.parse::<u64>().ok());
    let health = world.node_healths.get(node).map(|health| number(health.metadata.resource_version.as_ref()));
    let recorded = number(run.metadata.resource_version.as_ref());
    health.is_some_and(|health| health.zip(recorded).is_none_or(|(health, recorded)| health > recorded))
}

fn has_order(world: &World, node: &str, id: &str) -> bool {
    world.node_healths.get(node).is_some_and(|health| health.spec.assignments.iter().any(|order| order.id == id))
}

/// Gives work orders to assigned and running targets, and releases the nodes of those that have ended.
///
/// After a failed write of another run, a node can be in more runs than it can take; the older runs win.
pub(super) fn assign<'w>(
    world: &'w World,
    course: &Course<'w>,
    mut step: Option<usize>,
    mut parts: BTreeMap<usize, Group>,
    heavy: &mut BTreeSet<&'w str>,
    orders: &mut Orders,
    plan: &mut Plan,
) {
    for (index, target) in course.status.targets.iter().enumerate() {
        let Some(found) = node_of(world, target) else {
            continue;
        };
        let before = course.run.status.as_ref();
        let before = before.and_then(|s| s.targets.get(index));
        let attempt_before = before.filter(|b| is_at_work(b)).and_then(|b| b.attempt);
        let attempt_now = is_at_work(target).then_some(target.attempt).flatten();
        if let (Some(step), Some(_)) = (step, attempt_before)
            && attempt_before != attempt_now
        {
            let released = orders.released_after.entry(target.node.clone());
            released.or_default().push(step);
        }
        let Some(attempt) = attempt_now else {
            continue;
        };
        let is_free = !course.heavy || heavy.insert(found.name.as_str());
        let node = orders.by_node.entry(target.node.clone()).or_default();
        let id = course.id(attempt);
        let is_room = is_free && node.assignments.len() < MAX_ASSIGNMENTS && !course.checks.is_empty();
        if attempt_before != attempt_now {
            node.after.extend(step);
        } else if is_room && !has_order(world, &target.node, &id) && has_changed_since(world, &target.node, course.run)
        {
            // The API server refuses the status as it stands if the run is seen late.
            let asked = step.unwrap_or_else(|| record::ask(course, plan));
            step = Some(asked);
            node.after.push(asked);
        }
        if is_room {
            node.assignments.push(Assignment {
                id,
                run: course.run.metadata.name.clone().unwrap_or_default(),
                checks: course.checks.clone(),
                deadline: course.deadline(),
                report_only: course.run.spec.report_only,
                group: parts.remove(&index),
            });
        }
    }
}
