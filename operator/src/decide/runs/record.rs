//! The writes about a run: its status, its deletion, and the Events for its start and end.

use super::{course::Course, rejection::Rejection, status};
use crate::plan::{EventNote, Plan, Regarding, Write};
use crds::{
    HealthCheckRun, Time,
    health_check_run::{HealthCheckRunStatus, Phase},
};

/// A run that has ended: keeps `observedGeneration` up to date and deletes the object when its TTL expires.
pub(super) fn rest(run: &HealthCheckRun, status: &HealthCheckRunStatus, now: Time, plan: &mut Plan) {
    let uid = run.metadata.uid.clone().unwrap_or_default();
    let name = run.metadata.name.clone().unwrap_or_default();
    // A negative TTL bypassed validation and got the run rejected; the run stays so that people see that.
    let ttl = run.spec.ttl_seconds_after_finished.filter(|ttl| *ttl >= 0);
    if let (Some(ttl), Some(end)) = (ttl, status.completion_time) {
        if now >= end.plus(ttl) {
            plan.push(Write::DeleteRun { run: name, uid }, Vec::new());
            return;
        }
        plan.wake_after(now, end.plus(ttl));
    }
    if status.observed_generation != run.metadata.generation {
        let mut status = status.clone();
        status::tell(&mut status, run, now);
        push_status(run, status, plan);
    }
}

/// Ends a rejected run, with an Event that says why.
pub(super) fn reject(run: &HealthCheckRun, rejection: &Rejection, now: Time, plan: &mut Plan) {
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
        series: String::new(),
        message,
        after: Some(step),
    });
}

/// Writes the status if it changed, with Events for start and end.
pub(super) fn record(course: &Course<'_>, plan: &mut Plan) -> Option<usize> {
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
