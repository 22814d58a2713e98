//! Runs: from the frozen targets to the last result.
//!
//! ```text
//! freeze ─▶ collect ─▶ admit ─▶ status ─▶ orders
//! ```
//!
//! Every run is first updated from the reports of its nodes ([`collect`]), then the runs are admitted, oldest first
//! ([`admit`]), and the result is written ([`status`]). Work orders are derived from the statuses that this plan writes:
//! an assignment is recorded before its order is given, and a result is recorded before its order is removed.
//!
//! Progress is written at most every 2 s; a start, an end, a cancellation and the end of a drill at once. A run that may
//! not write yet stays exactly as it is: it does not act on what it has not recorded.

mod admit;
mod assign;
mod bounds;
mod collect;
mod course;
mod drill_permits;
mod freeze;
mod group;
mod group_check;
mod network;
mod record;
mod rejection;
mod results;
mod ring;
mod status;
#[cfg(test)]
mod tests;
mod texts;
mod validate;
mod view;

use super::{govern::roster::Roster, orders::Orders};
use crate::{
    key::{Key, Kind},
    plan::Plan,
    world::World,
};
use admit::Load;
use course::Course;
use crds::{CheckSpec, HealthCheckRun, Time, check::Class, health_check_run::HealthCheckRunStatus};
use drill_permits::Permits;
use group_check::GroupCheck;
use std::collections::BTreeSet;
use view::all_done;

/// Progress of a run is written at most once in this many seconds.
const WRITE_EVERY_SECONDS: i64 = 2;

/// Decides every run: pushes statuses and deletions to the plan and returns the work orders of each node.
/// `roster`: which policy governs which node.
pub(crate) fn decide<'w>(world: &'w World, roster: &'w Roster, now: Time, plan: &mut Plan) -> Orders {
    record::rest(&world.runs, now, plan);
    let permits = Permits::of(world, roster);
    let mut courses: Vec<Course<'_>> =
        world.runs.open().filter_map(|run| course_of(world, run, &permits, now, plan)).collect();
    let mut load = Load::of(world, permits, &courses);
    for course in &mut courses {
        admit::admit(world, course, &mut load, now);
    }
    for course in &mut courses {
        if course.may_write {
            if world.refused_texts.contains(&Key::new(Kind::Run, course.name())) {
                texts::leave_out(&mut course.status);
            }
            let ahead = load.ahead_of(course);
            status::derive(&mut course.status, course.run, &ahead, world.hold_everything, now);
        }
    }
    let mut orders = Orders::default();
    let mut heavy = BTreeSet::new();
    for course in &courses {
        let step = record::record(world, course, plan);
        let parts = group::orders(world, course, now, plan);
        assign::assign(world, course, step, parts, &mut heavy, &mut orders, plan);
        course.wake(now, plan);
    }
    orders
}

/// An unfinished run, updated from the reports; `None` if there is nothing left to order.
fn course_of<'w>(
    world: &'w World,
    run: &'w HealthCheckRun,
    permits: &Permits<'w>,
    now: Time,
    plan: &mut Plan,
) -> Option<Course<'w>> {
    let before = run.status.as_ref();
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
        let frozen = freeze::freeze(world, run, now);
        if run.spec.suspend && !run.spec.cancel && frozen.is_ok() {
            record::suspend(run, now, plan);
            return None;
        }
        match frozen {
            Ok(targets) => {
                course.status.targets = targets;
                course.status.start_time = Some(now);
            }
            Err(rejection) => {
                record::reject(run, &rejection, now, plan);
                return None;
            }
        }
    }
    collect::collect(world, &mut course, now);
    // A drill lasts no longer than it may, whatever else of its run waits to be written.
    let has_ended_drills = drill_permits::end_drills(&mut course, permits, now);
    if let Some(before) = before.filter(|s| s.start_time.is_some())
        && !all_done(&course.status)
        && !has_ended_drills
    {
        let next = last_change(before).plus(WRITE_EVERY_SECONDS);
        if now < next {
            plan.wake_after(now, next);
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
