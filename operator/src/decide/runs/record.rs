//! The writes about a run: its status, its deletion, and the Events for its start and end.

use super::{course::Course, rejection::Rejection, results, status};
use crate::{
    plan::{EventNote, Plan, Regarding, Write},
    world::{World, runs::Runs},
};
use crds::{
    HealthCheckRun, Time,
    health_check_run::{HealthCheckRunStatus, Phase},
};
use std::collections::BTreeSet;

/// Runs that have ended: deletes those whose TTL has expired, and keeps `observedGeneration` of the others up to date.
pub(super) fn rest(runs: &Runs, now: Time, plan: &mut Plan) {
    let key = |run: &HealthCheckRun| {
        (run.metadata.name.clone().unwrap_or_default(), run.metadata.uid.clone().unwrap_or_default())
    };
    let mut expired = BTreeSet::new();
    for (at, run) in runs.expiring() {
        if at > now {
            plan.wake(at);
            break;
        }
        let (run, uid) = key(run);
        expired.insert(run.clone());
        plan.push(Write::DeleteRun { run, uid }, Vec::new());
    }
    for run in runs.unobserved() {
        let (name, uid) = key(run);
        let Some(mut status) = run.status.clone().filter(|_| !expired.contains(&name)) else { continue };
        status::tell(&mut status, run, now);
        let write = Write::RunObserved {
            run: name,
            uid,
            resource_version: run.metadata.resource_version.clone().unwrap_or_default(),
            generation: status.observed_generation,
            conditions: status.conditions,
        };
        plan.push(write, Vec::new());
    }
}

/// A run that was suspended before it began.
pub(super) fn suspend(run: &HealthCheckRun, now: Time, plan: &mut Plan) {
    let status = status::suspended(run, now);
    if run.status.as_ref() != Some(&status) {
        push_status(run, status, Vec::new(), plan);
    }
}

/// Ends a rejected run, with an Event that says why.
pub(super) fn reject(run: &HealthCheckRun, rejection: &Rejection, now: Time, plan: &mut Plan) {
    let status = status::rejected(run, rejection.reason, &rejection.message, now);
    let message = status.summary.message.clone().unwrap_or_default();
    let step = push_status(run, status, Vec::new(), plan);
    tell(run, true, rejection.reason, message, step, plan);
}

fn push_status(run: &HealthCheckRun, status: HealthCheckRunStatus, after: Vec<usize>, plan: &mut Plan) -> usize {
    let write = Write::RunStatus {
        run: run.metadata.name.clone().unwrap_or_default(),
        uid: run.metadata.uid.clone().unwrap_or_default(),
        resource_version: run.metadata.resource_version.clone().unwrap_or_default(),
        status: Box::new(status),
    };
    plan.push(write, after)
}

fn tell(run: &HealthCheckRun, warning: bool, reason: &str, message: String, step: usize, plan: &mut Plan) {
    plan.events.push(EventNote {
        regarding: Regarding::Run(
            run.metadata.name.clone().unwrap_or_default(),
            run.metadata.uid.clone().unwrap_or_default(),
        ),
        warning,
        reason: reason.to_owned(),
        series: String::new(),
        message,
        after: Some(step),
    });
}

/// Writes the status as it stands: the API server refuses that if the run is seen late.
pub(super) fn ask(course: &Course<'_>, plan: &mut Plan) -> usize {
    push_status(course.run, course.status.clone(), Vec::new(), plan)
}

/// Writes the status if it changed, with Events for start and end. What nodes measured is written before: the status is the
/// word on which their work orders leave, and with these the reports.
pub(super) fn record(world: &World, course: &Course<'_>, plan: &mut Plan) -> Option<usize> {
    let run = course.run;
    let status = &course.status;
    if run.status.as_ref() == Some(status) {
        return None;
    }
    let results = results::of(world, course);
    let after =
        results.into_iter().map(|result| plan.push(Write::ResultCreate(Box::new(result)), Vec::new())).collect();
    let step = push_status(run, status.clone(), after, plan);
    let has_started = run.status.as_ref().is_some_and(|s| s.start_time.is_some());
    if !has_started {
        let names: Vec<&str> = course.checks.iter().map(|c| c.name.as_str()).collect();
        let nodes = status.counts.total;
        let message = format!("nodes to test: {nodes}; checks: {}", names.join(", "));
        tell(run, false, "Started", message, step, plan);
    }
    if status.phase.is_final() {
        let warning = status.phase != Phase::Passed;
        let message = status.summary.message.clone().unwrap_or_default();
        tell(run, warning, status.phase.as_str(), message, step, plan);
    }
    Some(step)
}
