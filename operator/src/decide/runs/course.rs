//! A run in one decision, and when it has to be decided again.

use super::{
    group_check::GroupCheck,
    view::{all_done, is_at_work, is_unadmitted},
};
use crate::plan::Plan;
use crds::{
    CheckSpec, HealthCheckRun, Time,
    health_check_run::{HealthCheckRunStatus, Target, TargetState},
};

/// A group that waits reserves its members for so long, then leaves them to younger runs for as long, and so on, in
/// seconds. Without reservations a stream of younger runs keeps it waiting for ever; with nothing else one stuck node keeps
/// all the others idle.
const RESERVES_FOR_SECONDS: i64 = 600;
/// How long an agent may take to report the end of a drill, in seconds.
const SLACK_SECONDS: i64 = 30;

/// A run in one decision.
pub(super) struct Course<'w> {
    /// The run.
    pub(super) run: &'w HealthCheckRun,
    /// What it does on each node.
    pub(super) checks: Vec<CheckSpec>,
    /// The one check between nodes, if it has one.
    pub(super) group: Option<GroupCheck>,
    /// Whether it needs nodes on which no other such run is active.
    pub(super) heavy: bool,
    /// Its desired status.
    pub(super) status: HealthCheckRunStatus,
    /// Whether its status may be written in this decision.
    pub(super) may_write: bool,
}

impl<'w> Course<'w> {
    /// The name of the run.
    pub(super) fn name(&self) -> &'w str {
        self.run.metadata.name.as_deref().unwrap_or_default()
    }

    /// The id of the work order of this attempt.
    pub(super) fn id(&self, attempt: i64) -> String {
        let uid = self.run.metadata.uid.as_deref().unwrap_or_default();
        format!("{uid}/{attempt}")
    }

    /// When it must have ended.
    pub(super) fn deadline(&self) -> Time {
        let start = self.status.start_time.unwrap_or_default();
        start.plus(self.run.spec.deadline_seconds)
    }

    /// Whether a waiting group keeps its free members from younger runs now, and when that changes.
    pub(super) fn reserves(&self, now: Time) -> (bool, Time) {
        let start = self.status.start_time.unwrap_or(now);
        let turn = now.since(start).div_euclid(RESERVES_FOR_SECONDS);
        (turn.rem_euclid(2) == 0, start.plus((turn + 1) * RESERVES_FOR_SECONDS))
    }

    /// When a drill that has begun on this target must be over.
    pub(super) fn drill_over_at(&self, target: &Target) -> Option<Time> {
        let seconds = drill_seconds(&self.checks).filter(|_| target.state == TargetState::Running)?;
        Some(target.since?.plus(seconds + SLACK_SECONDS))
    }

    /// Asks to be woken when time alone will change something.
    pub(super) fn wake(&self, now: Time, plan: &mut Plan) {
        if all_done(&self.status) {
            let ttl = self.run.spec.ttl_seconds_after_finished;
            if let (Some(ttl), Some(end)) = (ttl, self.status.completion_time) {
                // Its own write wakes the brain before that.
                plan.wake(end.plus(ttl.max(1)));
            }
            return;
        }
        plan.wake_after(now, self.deadline());
        if self.group.is_some() && self.status.targets.iter().any(is_unadmitted) {
            plan.wake_after(now, self.reserves(now).1);
        }
        for target in &self.status.targets {
            if is_at_work(target)
                && let Some(over) = self.drill_over_at(target)
            {
                plan.wake_after(now, over);
            }
        }
    }
}

/// How long the drills of a run take, in seconds; `None` if it has none.
pub(super) fn drill_seconds(checks: &[CheckSpec]) -> Option<i64> {
    let drills: Vec<i64> = checks.iter().filter_map(|check| Some(check.drill.as_ref()?.seconds)).collect();
    (!drills.is_empty()).then(|| drills.iter().sum())
}
