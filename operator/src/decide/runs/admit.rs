//! Which targets may start: older runs first, one test between nodes (or exclusive test) per node, groups only as a
//! whole.

use super::{
    course::{Course, drill_seconds},
    drill_permits::{Drilled, Permits, is_judged},
    view::{end, enter, is_at_work, is_unadmitted, node_of, report_of},
};
use crate::world::World;
use crds::{
    Outcome, Time,
    health_check_run::{Target, TargetState, WhenBusy},
    node_health::{MAX_ASSIGNED_CHECKS, MAX_ASSIGNMENTS},
    reason,
};
use std::collections::{BTreeMap, HashMap};

/// How much of each node the runs use.
#[derive(Default)]
pub(super) struct Load<'w> {
    by_node: HashMap<&'w str, Seat<'w>>,
    permits: Permits<'w>,
    drilled: Drilled<'w>,
}

/// How much of one node is in use.
#[derive(Default)]
struct Seat<'w> {
    assignments: usize,
    /// How many checks the assignments have in total.
    checks: usize,
    /// Whether one of them is a test between nodes or an exclusive one.
    heavy: bool,
    /// The runs that use it, or reserve it.
    runs: Vec<&'w str>,
}

/// What a run needs of each of its nodes.
#[derive(Clone, Copy)]
struct Need<'w> {
    run: &'w str,
    checks: usize,
    heavy: bool,
    is_drill: bool,
}

impl<'w> Need<'w> {
    fn of(course: &Course<'w>) -> Self {
        let is_drill = drill_seconds(&course.checks).is_some();
        Self { run: course.name(), checks: course.checks.len(), heavy: course.heavy, is_drill }
    }
}

impl<'w> Load<'w> {
    /// What the runs use now.
    pub(super) fn of(world: &'w World, permits: Permits<'w>, courses: &[Course<'w>]) -> Self {
        let drilled = Drilled::of(world, &permits, courses);
        let mut load = Self { by_node: HashMap::new(), permits, drilled };
        for course in courses {
            for target in course.status.targets.iter().filter(|t| is_at_work(t)) {
                load.take(world, target, Need::of(course));
            }
        }
        load
    }

    fn take(&mut self, world: &'w World, target: &Target, need: Need<'w>) {
        if let Some(node) = node_of(world, target) {
            let seat = self.by_node.entry(&node.name).or_default();
            seat.assignments += 1;
            seat.checks += need.checks;
            seat.heavy |= need.heavy;
            seat.runs.push(need.run);
        }
        if need.is_drill {
            self.drilled.take(world, &self.permits, target);
        }
    }

    /// Reserves a seat for a waiting group: the one that another test between nodes will free, else one more.
    fn keep(&mut self, world: &'w World, target: &Target, run: &'w str) {
        if let Some(node) = node_of(world, target) {
            let seat = self.by_node.entry(&node.name).or_default();
            seat.assignments += usize::from(!seat.heavy);
            seat.heavy = true;
            seat.runs.push(run);
        }
    }

    /// The runs behind which the targets of a run wait, and how many of its nodes each of them uses or reserves.
    pub(super) fn ahead_of(&self, course: &Course<'_>) -> BTreeMap<&'w str, usize> {
        let mut ahead = BTreeMap::new();
        let is_busy = |t: &&Target| t.state == TargetState::Waiting && t.reason.as_deref() == Some(reason::NODE_BUSY);
        for target in course.status.targets.iter().filter(is_busy) {
            let seat = self.by_node.get(target.node.as_str());
            let others = seat.into_iter().flat_map(|seat| &seat.runs).filter(|run| **run != course.name());
            others.for_each(|run| *ahead.entry(*run).or_default() += 1);
        }
        ahead
    }

    /// Why the node cannot take this run now.
    fn obstacle(&self, target: &Target, need: Need<'_>) -> Option<&'static str> {
        if self.is_busy(target, need) {
            Some(reason::NODE_BUSY)
        } else if need.is_drill && !self.drilled.has_room(&self.permits, target) {
            Some(reason::DRILL_NOT_ALLOWED)
        } else {
            None
        }
    }

    fn is_busy(&self, target: &Target, need: Need<'_>) -> bool {
        self.by_node.get(target.node.as_str()).is_some_and(|seat| {
            seat.assignments >= MAX_ASSIGNMENTS
                || seat.checks + need.checks > MAX_ASSIGNED_CHECKS
                || (need.heavy && seat.heavy)
        })
    }
}

/// Why a node cannot take any run now.
fn absence(world: &World, target: &Target) -> Option<&'static str> {
    let health = super::view::health_of(world, target);
    if health.is_some_and(|h| h.spec.maintenance.is_some())
        || node_of(world, target).is_some_and(|node| node.maintenance().is_some())
    {
        Some(reason::MAINTENANCE)
    } else if report_of(world, target).is_none() {
        Some(reason::NEVER_REPORTED)
    } else if world.agent_is_silent(&target.node) {
        Some(reason::AGENT_SILENT)
    } else {
        None
    }
}

/// Admits as many targets as may start. A run that may not write yet admits none, but a waiting group still reserves
/// its members.
pub(super) fn admit<'w>(world: &'w World, course: &mut Course<'w>, load: &mut Load<'w>, now: Time) {
    if course.may_write {
        stop_after_failures(course, now);
    }
    if world.hold_everything || course.run.spec.suspend {
        return;
    }
    match (course.group.is_some(), course.may_write) {
        (true, true) => admit_group(world, course, load, now),
        (true, false) => keep_group(world, course, load, now),
        (false, true) => admit_each(world, course, load, now),
        (false, false) => {}
    }
}

/// With `failFast`, enough failed nodes end those that are not admitted yet.
fn stop_after_failures(course: &mut Course<'_>, now: Time) {
    let Some(most) = course.run.spec.fail_fast else { return };
    let failed = course.status.targets.iter().filter(|t| t.outcome == Some(Outcome::Fail)).count();
    if i64::try_from(failed).is_ok_and(|failed| failed >= most) {
        for target in course.status.targets.iter_mut().filter(|t| is_unadmitted(t)) {
            end(target, Outcome::Skipped, Some(reason::FAIL_FAST), now);
        }
    }
}

fn keep_group<'w>(world: &'w World, course: &Course<'w>, load: &mut Load<'w>, now: Time) {
    let waiting = || course.status.targets.iter().filter(|t| is_unadmitted(t));
    if course.reserves(now).0 && waiting().all(|t| absence(world, t).is_none()) {
        for target in waiting() {
            load.keep(world, target, course.name());
        }
    }
}

fn assign(target: &mut Target, now: Time) {
    enter(target, TargetState::Assigned, None, now);
    target.attempt = Some(1);
}

fn admit_each<'w>(world: &'w World, course: &mut Course<'w>, load: &mut Load<'w>, now: Time) {
    let total = course.status.targets.len();
    let limit = course.run.spec.max_concurrent.of(total, 1);
    let need = Need::of(course);
    let skips = course.run.spec.when_busy == WhenBusy::Skip;
    let mut at_work = course.status.targets.iter().filter(|t| is_at_work(t)).count();
    for target in &mut course.status.targets {
        let is_its_turn = at_work < limit;
        // A waiting target keeps its reason up to date; the others are not examined before their turn.
        if !is_unadmitted(target) || (!is_its_turn && target.state != TargetState::Waiting) {
            continue;
        }
        let unjudged = || (need.is_drill && !is_judged(world, target)).then_some(reason::NEVER_JUDGED);
        let obstacle = absence(world, target).or_else(unjudged).or_else(|| load.obstacle(target, need));
        match obstacle {
            Some(why @ (reason::NODE_BUSY | reason::MAINTENANCE | reason::DRILL_NOT_ALLOWED))
                if skips && is_its_turn =>
            {
                end(target, Outcome::Skipped, Some(why), now);
            }
            Some(why) => enter(target, TargetState::Waiting, Some(why), now),
            None if is_its_turn => {
                assign(target, now);
                load.take(world, target, need);
                at_work += 1;
            }
            None => enter(target, TargetState::Pending, None, now),
        }
    }
}

/// A group starts when every member is free, whatever `maxConcurrent` says: part of a group cannot be tested. While it
/// waits only for busy nodes, it reserves its members in turns ([`Course::reserves`]). While it waits for a node that may
/// never return, it reserves none.
fn admit_group<'w>(world: &'w World, course: &mut Course<'w>, load: &mut Load<'w>, now: Time) {
    let skips = course.run.spec.when_busy == WhenBusy::Skip;
    let need = Need::of(course);
    let mut absences: HashMap<usize, &'static str> = HashMap::new();
    for (index, target) in course.status.targets.iter_mut().enumerate() {
        if !is_unadmitted(target) {
            continue;
        }
        match absence(world, target) {
            Some(why @ reason::MAINTENANCE) if skips => {
                end(target, Outcome::Skipped, Some(why), now);
            }
            Some(why) => {
                absences.insert(index, why);
            }
            None => {}
        }
    }
    let (name, reserves) = (course.name(), course.reserves(now).0);
    let obstacles = if absences.is_empty() { busy_members(course, load, skips, now) } else { absences };
    let mut members: Vec<(usize, &mut Target)> =
        course.status.targets.iter_mut().enumerate().filter(|(_, t)| is_unadmitted(t)).collect();
    if let [(_, alone)] = members.as_mut_slice() {
        let why = Some(reason::GROUP_TOO_SMALL);
        end(alone, Outcome::Inconclusive, why, now);
        return;
    }
    let keeps_its_members = reserves && obstacles.values().all(|why| *why == reason::NODE_BUSY);
    for (index, target) in members {
        if obstacles.is_empty() {
            assign(target, now);
            load.take(world, target, need);
            continue;
        }
        match obstacles.get(&index) {
            Some(why) => enter(target, TargetState::Waiting, Some(why), now),
            None => enter(target, TargetState::Pending, None, now),
        }
        if keeps_its_members {
            load.keep(world, target, name);
        }
    }
}

/// The members that other runs use; with `whenBusy: Skip` they end, and the group goes on without them.
fn busy_members(course: &mut Course<'_>, load: &Load<'_>, skips: bool, now: Time) -> HashMap<usize, &'static str> {
    let need = Need::of(course);
    let mut busy = HashMap::new();
    let targets = course.status.targets.iter_mut().enumerate();
    for (index, target) in targets.filter(|(_, t)| is_unadmitted(t)) {
        if load.is_busy(target, need) {
            if skips {
                end(target, Outcome::Skipped, Some(reason::NODE_BUSY), now);
            } else {
                busy.insert(index, reason::NODE_BUSY);
            }
        }
    }
    busy
}
