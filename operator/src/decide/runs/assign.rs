//! The work orders that follow from the targets of a run.

use super::{
    course::Course,
    view::{is_at_work, node_of},
};
use crate::{decide::orders::Orders, world::World};
use crds::node_health::{Assignment, Group, MAX_ASSIGNMENTS};
use std::collections::{BTreeMap, BTreeSet};

/// Gives work orders to assigned and running targets, and releases the nodes of those that have ended.
///
/// After a failed write of another run, a node can be in more runs than it can take; the older runs win.
pub(super) fn assign<'w>(
    world: &'w World,
    course: &Course<'w>,
    step: Option<usize>,
    mut parts: BTreeMap<usize, Group>,
    heavy: &mut BTreeSet<&'w str>,
    orders: &mut Orders,
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
        if let Some(step) = step.filter(|_| attempt_before != attempt_now) {
            node.after.push(step);
        }
        if is_free && node.assignments.len() < MAX_ASSIGNMENTS && !course.checks.is_empty() {
            node.assignments.push(Assignment {
                id: course.id(attempt),
                run: course.run.metadata.name.clone().unwrap_or_default(),
                checks: course.checks.clone(),
                deadline: course.deadline(),
                report_only: course.run.spec.report_only,
                group: parts.remove(&index),
            });
        }
    }
}
