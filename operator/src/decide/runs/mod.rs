//! Runs: from the frozen targets to the last result.
//!
//! ```text
//! freeze ─▶ collect ─▶ admit ─▶ status ─▶ orders
//! ```
//!
//! Every run is first brought up to date with what its nodes report ([`collect`]), then the runs are admitted, oldest
//! first ([`admit`]), and what stands at the end is written ([`status`]). The work orders follow from the statuses as
//! they will stand after the plan; the step that records an assignment comes before the order, and the step that
//! records a result before the order leaves.
//!
//! Progress alone is written at most every 2 s; a start, an end and a cancellation at once. A run whose turn to write
//! has not come stays exactly as it is: what it has not recorded it does not act on, either.

mod admit;
mod collect;
mod drills;
mod freeze;
mod group;
mod network;
mod ring;
mod status;
#[cfg(test)]
mod tests;
mod validate;
mod view;

use crate::{
    plan::{EventNote, Plan, Regarding, Write},
    world::{SILENT_AFTER_SECONDS, World},
};
use admit::Load;
use crds::{
    CheckSpec, HealthCheckRun, Time,
    check::Class,
    health_check_run::{HealthCheckRunStatus, Phase, TargetState},
    node_health::{Assignment, Group, MAX_ASSIGNMENTS},
    reason,
};
use drills::Permits;
use group::GroupCheck;
use std::collections::{BTreeMap, BTreeSet};
use view::{all_done, is_at_work, is_unadmitted, node_of};

/// Progress of a run is written at most once in so many seconds.
const WRITE_EVERY_SECONDS: i64 = 2;
/// How often to look whether a silent agent is heard again, in seconds: a renewed Lease alone wakes nobody.
const LOOK_FOR_SILENT_SECONDS: i64 = 10;

/// The work orders that nodes shall have after this decision.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Orders {
    /// By node name. A node that is not here shall have no assignment.
    pub by_node: BTreeMap<String, NodeOrders>,
    /// For nodes whose assignment goes away in this decision: the step that recorded the result, which must succeed
    /// before the assignment leaves the spec, since the agent then forgets the result.
    pub released_after: BTreeMap<String, Vec<usize>>,
}

/// The work orders of one node.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NodeOrders {
    /// At most [`crds::node_health::MAX_ASSIGNMENTS`].
    pub assignments: Vec<Assignment>,
    /// Steps of the plan (run statuses) that must succeed before the spec is written.
    pub after: Vec<usize>,
}

/// A run on its way through one decision.
struct Course<'w> {
    run: &'w HealthCheckRun,
    checks: Vec<CheckSpec>,
    group: Option<GroupCheck>,
    /// Whether it needs nodes on which no other such run is at work.
    heavy: bool,
    /// How its status will stand.
    status: HealthCheckRunStatus,
    /// Whether its status may be written in this decision.
    may_write: bool,
}

impl Course<'_> {
    fn id(&self, attempt: i64) -> String {
        let uid = self.run.metadata.uid.as_deref().unwrap_or_default();
        format!("{uid}/{attempt}")
    }

    fn deadline(&self) -> Time {
        let start = self.status.start_time.unwrap_or_default();
        start.plus(self.run.spec.deadline_seconds)
    }
}

/// Decides every run: pushes statuses and deletions to the plan and returns what each node shall work on.
pub fn decide(world: &World, now: Time, plan: &mut Plan) -> Orders {
    let permits = Permits::of(world);
    let mut courses: Vec<Course<'_>> =
        in_order(world).into_iter().filter_map(|run| set_out(world, run, &permits, now, plan)).collect();
    let mut load = Load::of(world, permits, &courses);
    for course in &mut courses {
        admit::admit(world, course, &mut load, now);
        if course.may_write {
            status::derive(&mut course.status, course.run, world.hold_everything, now);
        }
    }
    let mut orders = Orders::default();
    let mut heavy = BTreeSet::new();
    for course in &courses {
        let step = record(course, plan);
        let parts = group::orders(world, course, now, plan);
        order(world, course, step, parts, &mut heavy, &mut orders);
        wakes(world, course, now, plan);
    }
    orders
}

/// The oldest run first; by name where two are equally old.
fn in_order(world: &World) -> Vec<&HealthCheckRun> {
    let mut runs: Vec<&HealthCheckRun> = world.runs.values().map(AsRef::as_ref).collect();
    runs.sort_by(|a, b| {
        let age = |r: &HealthCheckRun| r.metadata.creation_timestamp.as_ref().map(|t| t.0);
        (age(a), &a.metadata.name).cmp(&(age(b), &b.metadata.name))
    });
    runs
}

/// A run that is under way, brought up to date with what is reported; `None` where nothing is left to order.
fn set_out<'w>(
    world: &'w World,
    run: &'w HealthCheckRun,
    permits: &Permits<'w>,
    now: Time,
    plan: &mut Plan,
) -> Option<Course<'w>> {
    // One that is being deleted orders nothing more.
    if run.metadata.deletion_timestamp.is_some() {
        return None;
    }
    let before = run.status.as_ref();
    if let Some(status) = before.filter(|s| s.phase.is_final()) {
        rest(run, status, now, plan);
        return None;
    }
    let checks = run.spec.resolved_checks().unwrap_or_default();
    let mut course = Course {
        run,
        group: GroupCheck::of(&checks),
        heavy: checks
            .iter()
            .filter_map(CheckSpec::kind)
            .any(|kind| matches!(kind.class(), Class::Group | Class::Exclusive)),
        checks,
        status: before.cloned().unwrap_or_default(),
        may_write: true,
    };
    if course.status.start_time.is_none() {
        match freeze::freeze(world, run, now) {
            Ok(targets) => {
                course.status.targets = targets;
                course.status.start_time = Some(now);
            }
            Err(rejection) => {
                reject(run, &rejection, now, plan);
                return None;
            }
        }
    }
    collect::collect(world, &mut course, now);
    drills::end_drills(&mut course, permits, now);
    if let Some(before) = before.filter(|s| s.start_time.is_some())
        && !all_done(&course.status)
    {
        let next = last_change(before).plus(WRITE_EVERY_SECONDS);
        if now < next {
            wake_after(plan, now, next);
            course.status = before.clone();
            course.may_write = false;
        }
    }
    Some(course)
}

fn last_change(status: &HealthCheckRunStatus) -> Time {
    let changes = status.targets.iter().filter_map(|t| t.since);
    changes.chain(status.start_time).max().unwrap_or_default()
}

/// A run that has ended: `observedGeneration` follows, and the object goes when its time is over.
fn rest(run: &HealthCheckRun, status: &HealthCheckRunStatus, now: Time, plan: &mut Plan) {
    let uid = run.metadata.uid.clone().unwrap_or_default();
    let name = run.metadata.name.clone().unwrap_or_default();
    // One that came around validation may be negative, for which the run was rejected; people have to see that.
    let ttl = run.spec.ttl_seconds_after_finished.filter(|ttl| *ttl >= 0);
    if let (Some(ttl), Some(end)) = (ttl, status.completion_time) {
        if now >= end.plus(ttl) {
            plan.push(Write::DeleteRun { run: name, uid }, Vec::new());
            return;
        }
        wake_after(plan, now, end.plus(ttl));
    }
    if status.observed_generation != run.metadata.generation {
        let mut status = status.clone();
        status::tell(&mut status, run, now);
        push_status(run, status, plan);
    }
}

fn reject(run: &HealthCheckRun, rejection: &freeze::Rejection, now: Time, plan: &mut Plan) {
    let status = status::rejected(run, rejection.reason, &rejection.message, now);
    let message = status.summary.message.clone().unwrap_or_default();
    let step = push_status(run, status, plan);
    tell(run, true, rejection.reason, message, step, plan);
}

fn push_status(run: &HealthCheckRun, status: HealthCheckRunStatus, plan: &mut Plan) -> usize {
    let write = Write::RunStatus {
        run: run.metadata.name.clone().unwrap_or_default(),
        uid: run.metadata.uid.clone().unwrap_or_default(),
        resource_version: run.metadata.resource_version.clone().unwrap_or_default(),
        status: Box::new(status),
    };
    plan.push(write, Vec::new())
}

fn tell(run: &HealthCheckRun, warning: bool, reason: &str, message: String, step: usize, plan: &mut Plan) {
    plan.events.push(EventNote {
        regarding: Regarding::Run(
            run.metadata.name.clone().unwrap_or_default(),
            run.metadata.uid.clone().unwrap_or_default(),
        ),
        warning,
        reason: reason.to_owned(),
        message,
        after: Some(step),
    });
}

/// Writes the status if it changed, and tells of a start and an end.
fn record(course: &Course<'_>, plan: &mut Plan) -> Option<usize> {
    let run = course.run;
    let status = &course.status;
    if run.status.as_ref() == Some(status) {
        return None;
    }
    let step = push_status(run, status.clone(), plan);
    let has_started = run.status.as_ref().is_some_and(|s| s.start_time.is_some());
    if !has_started {
        let names: Vec<&str> = course.checks.iter().map(|c| c.name.as_str()).collect();
        let nodes = status.counts.total;
        let message = format!("{nodes} nodes are to be tested: {}", names.join(", "));
        tell(run, false, "Started", message, step, plan);
    }
    if status.phase.is_final() {
        let warning = status.phase != Phase::Passed;
        let message = status.summary.message.clone().unwrap_or_default();
        tell(run, warning, status.phase.as_str(), message, step, plan);
    }
    Some(step)
}

/// Orders what the targets that are at work have to do, and releases the nodes of those that no longer are.
///
/// Where a write of another run failed, a node can stand in more runs than it can take; the older ones are ordered.
fn order<'w>(
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
        let stood = before.filter(|b| is_at_work(b)).and_then(|b| b.attempt);
        let stands = is_at_work(target).then_some(target.attempt).flatten();
        if let (Some(step), Some(_)) = (step, stood)
            && stood != stands
        {
            let released = orders.released_after.entry(target.node.clone());
            released.or_default().push(step);
        }
        let Some(attempt) = stands else {
            continue;
        };
        let is_free = !course.heavy || heavy.insert(found.name.as_str());
        let node = orders.by_node.entry(target.node.clone()).or_default();
        if let Some(step) = step.filter(|_| stood != stands) {
            node.after.push(step);
        }
        if is_free && node.assignments.len() < MAX_ASSIGNMENTS && !course.checks.is_empty() {
            node.assignments.push(Assignment {
                id: course.id(attempt),
                run: course.run.metadata.name.clone().unwrap_or_default(),
                checks: course.checks.clone(),
                deadline: course.deadline(),
                group: parts.remove(&index),
            });
        }
    }
}

/// When time alone will change something.
fn wakes(world: &World, course: &Course<'_>, now: Time, plan: &mut Plan) {
    if all_done(&course.status) {
        let ttl = course.run.spec.ttl_seconds_after_finished;
        if let (Some(ttl), Some(end)) = (ttl, course.status.completion_time) {
            // Its own write wakes the brain before that.
            plan.wake(end.plus(ttl.max(1)));
        }
        return;
    }
    wake_after(plan, now, course.deadline());
    for target in &course.status.targets {
        if is_at_work(target) {
            let heard = world.agent_last_heard(&target.node);
            wake_after(plan, now, heard.plus(SILENT_AFTER_SECONDS + 1));
            if let Some(over) = drills::over_at(course, target) {
                wake_after(plan, now, over);
            }
        } else if is_unadmitted(target)
            && target.state == TargetState::Waiting
            && target.reason.as_deref() == Some(reason::AGENT_SILENT)
        {
            plan.wake(now.plus(LOOK_FOR_SILENT_SECONDS));
        }
    }
}

/// Asks to be woken at a time that is still to come.
fn wake_after(plan: &mut Plan, now: Time, at: Time) {
    if at > now {
        plan.wake(at);
    }
}
