//! One assignment, from the order to its results.
//!
//! ```text
//!  Accepted ──(written)──▶ Checks: begun in the order of the spec, each when its class allows ──▶ Done
//! ```
//!
//! At most once: no probe starts before the report that says `Accepted` is written, and an assignment in the report of
//! a previous process is never started again. Nothing is `Done` while one of its probes runs.

mod active;
mod begin;

use super::checks::ProbeCheck;
use super::classes;
use super::context::Context;
use super::drill;
use super::probe::Measured;
use super::restore::Restore;
use super::verdict::Verdict;
use crate::judge::Findings;
use crate::time::Now;
use active::{Active, Doing, Ended};
use begin::Begun;
use crds::check::{Check, Class};
use crds::node_health::{Assignment, RunReport, RunState};
use crds::{CheckSpec, Time, reason};

/// The limit of `report.runs[].results`.
const MAX_RESULTS: usize = 16;
/// Why an order that a previous process had begun gets no further results.
const RESTARTED: &str = "the agent or the node restarted during this work order; it is not started again";

/// One assignment in progress.
#[derive(Clone, Debug)]
pub(crate) struct Work {
    assignment: Assignment,
    report: RunReport,
    stage: Stage,
    /// A previous process had begun the order: no other check begins.
    restarted: bool,
    /// The id was removed from the spec: stop, then drop it.
    cancelled: bool,
}

#[derive(Clone, Debug)]
enum Stage {
    Accepted {
        written: bool,
    },
    Checks {
        /// The position in [`Work::plan`] of the check that begins next.
        next: usize,
        active: Vec<Active>,
    },
    Done,
}

impl Work {
    /// A new order.
    pub(crate) fn new(assignment: &Assignment) -> Self {
        let report = RunReport {
            id: assignment.id.clone(),
            state: RunState::Accepted,
            report_only: assignment.report_only,
            ..RunReport::default()
        };
        Self::at(assignment.clone(), report, Stage::Accepted { written: false })
    }

    const fn at(assignment: Assignment, report: RunReport, stage: Stage) -> Self {
        Self { assignment, report, stage, restarted: false, cancelled: false }
    }

    /// An order accepted by a previous process of this agent: a finished one stays finished, a drill whose finding
    /// stands continues to its end, and anything else was interrupted. What its probes may have changed is restored first.
    pub(crate) fn taken_over(
        assignment: &Assignment,
        report: RunReport,
        findings: &Findings,
        checks: &'static [ProbeCheck],
        now: Now,
    ) -> Self {
        let mut work = Self::at(assignment.clone(), report, Stage::Done);
        if work.report.state == RunState::Done {
            return work;
        }
        let active = match work.drill_under_way(findings, now) {
            Some(drill) => vec![drill],
            None => work.restores(checks, now),
        };
        work.stage = Stage::Checks { next: MAX_RESULTS, active };
        work.restarted = true;
        if work.active().is_empty() {
            work.end_rest(reason::INTERRUPTED, RESTARTED, now.wall());
        }
        work
    }

    /// An order that a previous process had begun and that was withdrawn since: whatever its probes may have changed is
    /// restored. `None` if there is nothing to restore.
    pub(crate) fn left_over(report: RunReport, checks: &'static [ProbeCheck], now: Now) -> Option<Self> {
        let restores = checks.iter().filter(|row| row.restores && report.state != RunState::Done);
        let restore = |row| Active {
            check: MAX_RESULTS,
            since: now.mono_ms,
            doing: Doing::Restore(Restore::of(row, now.mono_ms)),
        };
        let active: Vec<Active> = restores.map(restore).collect();
        let assignment = Assignment { id: report.id.clone(), ..Assignment::default() };
        let is_needed = !active.is_empty();
        let work = Self::at(assignment, report, Stage::Checks { next: MAX_RESULTS, active });
        is_needed.then_some(Self { restarted: true, cancelled: true, ..work })
    }

    /// The drill of the first check without a result, if its finding stands.
    fn drill_under_way(&self, findings: &Findings, now: Now) -> Option<Active> {
        let check = self.plan().into_iter().find(|check| !self.has_result(*check))?;
        let drill = self.assignment.checks.get(check)?.drill.as_ref()?;
        let target = drill::target(drill);
        let began = findings.get(Check::Drill.name(), &target).map(|finding| finding.since)?;
        let doing = Doing::Drill { target, until: drill::until(drill, began) };
        Some(Active { check, since: now.mono_ms, doing })
    }

    /// What the checks without a result may have changed.
    fn restores(&self, checks: &'static [ProbeCheck], now: Now) -> Vec<Active> {
        let restore = |check: usize| {
            let kind = self.assignment.checks.get(check)?.kind()?;
            let row = ProbeCheck::of(kind, checks).filter(|row| row.restores)?;
            Some(Active { check, since: now.mono_ms, doing: Doing::Restore(Restore::of(row, now.mono_ms)) })
        };
        self.plan().into_iter().filter(|check| !self.has_result(*check)).filter_map(restore).collect()
    }

    fn has_result(&self, check: usize) -> bool {
        let spec = self.assignment.checks.get(check);
        spec.is_some_and(|spec| self.report.results.iter().any(|result| result.name == spec.name))
    }

    pub(crate) fn id(&self) -> &str {
        &self.assignment.id
    }

    pub(crate) const fn report(&self) -> &RunReport {
        &self.report
    }

    pub(crate) const fn is_cancelled(&self) -> bool {
        self.cancelled
    }

    /// Updates the order: a group gets its start time, or a deadline moves.
    pub(crate) fn update(&mut self, assignment: &Assignment) {
        self.assignment = assignment.clone();
    }

    /// The order was withdrawn.
    pub(crate) const fn cancel(&mut self) {
        self.cancelled = true;
    }

    /// The order was withdrawn and given again under the same id: it had begun, and is not begun again.
    pub(crate) fn end_as_interrupted(&mut self, assignment: &Assignment, now: Time) {
        self.cancelled = false;
        self.assignment = assignment.clone();
        self.end_rest(reason::INTERRUPTED, "the work order was withdrawn and issued again under the same id", now);
    }

    /// The report that names this assignment is on the API server.
    pub(crate) const fn written(&mut self) {
        if let Stage::Accepted { written } = &mut self.stage {
            *written = true;
        }
    }

    /// Whether nothing is left to do for a withdrawn order.
    pub(crate) const fn is_over(&self) -> bool {
        self.cancelled && self.active().is_empty()
    }

    const fn active(&self) -> &[Active] {
        match &self.stage {
            Stage::Checks { active, .. } => active.as_slice(),
            Stage::Accepted { .. } | Stage::Done => &[],
        }
    }

    /// The classes of its checks that run now.
    pub(crate) fn classes(&self) -> impl Iterator<Item = Class> {
        self.active().iter().map(Active::class)
    }

    /// Whether one of its probes may have changed something that is not restored yet.
    pub(crate) fn must_restore(&self) -> bool {
        self.active().iter().any(Active::must_restore)
    }

    /// Whether one of its probes needs the driver's library for itself.
    pub(crate) fn needs_driver_released(&self) -> bool {
        self.active().iter().any(Active::needs_driver_released)
    }

    /// Whether a drill of this order stands at the target.
    pub(crate) fn drills_at(&self, target: &str) -> bool {
        let is_there = |active: &Active| matches!(&active.doing, Doing::Drill { target: own, .. } if own == target);
        !self.cancelled && self.active().iter().any(is_there)
    }

    /// Processes the result of one of this assignment's probes; returns the measurement if the probe is not ours.
    pub(crate) fn probe_finished(
        &mut self,
        id: u64,
        measured: Measured,
        duration_ms: u64,
        context: &Context<'_>,
    ) -> Option<Measured> {
        let Stage::Checks { active, .. } = &mut self.stage else { return Some(measured) };
        let mut measured = Some(measured);
        for active in active {
            let Some(given) = measured.take() else { break };
            measured = active.probe_finished(id, given, duration_ms, &mut self.report, context);
        }
        measured
    }

    /// Makes as much progress as it can without waiting. Returns whether one of its checks has ended.
    pub(crate) fn advance(&mut self, context: &mut Context<'_>) -> bool {
        if self.cancelled {
            return self.withdraw(context);
        }
        let mut has_ended = false;
        loop {
            let left_ms = self.left_ms(context.now);
            if matches!(self.stage, Stage::Accepted { written } if written || left_ms == 0) {
                self.report.state = RunState::Running;
                self.report.started_at = Some(context.now.wall());
                self.stage = Stage::Checks { next: 0, active: Vec::new() };
            }
            let ends = self.advance_active(left_ms, context);
            has_ended |= ends;
            if !self.begin_next(left_ms, context) && !ends {
                break;
            }
        }
        // Probes stopped at a passed deadline are awaited anyway.
        if !matches!(self.stage, Stage::Done) && self.left_ms(context.now) > 0 {
            context.wake_at(context.now.mono_of_time(self.assignment.deadline));
        }
        has_ended
    }

    fn withdraw(&mut self, context: &mut Context<'_>) -> bool {
        let Stage::Checks { active, .. } = &mut self.stage else { return false };
        let before = active.len();
        active.retain_mut(|active| !active.withdraw(context));
        active.len() < before
    }

    /// The time until the deadline, in milliseconds; 0 if it has passed.
    fn left_ms(&self, now: Now) -> u64 {
        if now.wall() >= self.assignment.deadline {
            return 0;
        }
        now.mono_of_time(self.assignment.deadline).saturating_sub(now.mono_ms).max(1)
    }

    /// Advances what has begun. Returns whether any of it has ended.
    fn advance_active(&mut self, left_ms: u64, context: &mut Context<'_>) -> bool {
        let Stage::Checks { active, .. } = &mut self.stage else { return false };
        let (assignment, report) = (&self.assignment, &mut self.report);
        let mut ended: Vec<(usize, Ended)> = Vec::new();
        active.retain_mut(|active| match active.advance(left_ms, assignment, report, context) {
            None => true,
            Some(end) => {
                ended.push((active.check, end));
                false
            }
        });
        let any = !ended.is_empty();
        for (check, end) in ended {
            match end {
                Ended::Judged(verdict, took_ms) => self.push(check, verdict, took_ms),
                Ended::Interrupted => {}
            }
        }
        any
    }

    /// Begins the next check if it may begin now. Returns whether anything changed.
    fn begin_next(&mut self, left_ms: u64, context: &mut Context<'_>) -> bool {
        let Stage::Checks { next, active } = &self.stage else { return false };
        let (next, is_idle) = (*next, active.is_empty());
        if is_idle && self.restarted {
            self.end_rest(reason::INTERRUPTED, RESTARTED, context.now.wall());
            return true;
        }
        if left_ms == 0 || self.restarted {
            if is_idle {
                let why = "the work order's deadline passed first";
                self.end_rest(reason::DEADLINE_EXCEEDED, why, context.now.wall());
            }
            return is_idle;
        }
        let Some((check, spec)) =
            self.plan().get(next).and_then(|check| Some((*check, self.assignment.checks.get(*check)?.clone())))
        else {
            if is_idle {
                self.end(context.now.wall());
            }
            return is_idle;
        };
        let class = begin::class(&spec, context.checks);
        if !self.active().iter().all(|active| active.may_overlap(&spec)) || !classes::may_begin(class, &context.others)
        {
            return false;
        }
        let begun = begin::begin(&self.assignment, &spec, context);
        let Stage::Checks { next, active } = &mut self.stage else { return false };
        *next += 1;
        match begun {
            Begun::Doing(doing) => {
                if matches!(doing, Doing::Ready) {
                    self.report.state = RunState::Ready;
                }
                active.push(Active { check, since: context.now.mono_ms, doing });
            }
            Begun::Judged(verdict) => self.push(check, verdict, 0),
        }
        true
    }

    /// First the checks of this node, in the order of the spec; then the check between nodes.
    fn plan(&self) -> Vec<usize> {
        let is_group = |index: &usize| {
            self.assignment.checks.get(*index).and_then(CheckSpec::kind) == Some(Check::NetworkBandwidth)
        };
        let (group, alone): (Vec<usize>, Vec<usize>) =
            (0..self.assignment.checks.len().min(MAX_RESULTS)).partition(is_group);
        alone.into_iter().chain(group).collect()
    }

    /// Records the result of a check, in the order of the plan.
    fn push(&mut self, check: usize, verdict: Verdict, duration_ms: u64) {
        let Some(spec) = self.assignment.checks.get(check) else { return };
        if self.report.results.len() >= MAX_RESULTS {
            return;
        }
        let plan: Vec<&str> =
            self.plan().iter().filter_map(|check| Some(self.assignment.checks.get(*check)?.name.as_str())).collect();
        let place = |name: &str| plan.iter().position(|planned| *planned == name).unwrap_or(MAX_RESULTS);
        let result = verdict.into_result(spec, duration_ms);
        let at = self.report.results.partition_point(|known| place(&known.name) <= place(&result.name));
        self.report.results.insert(at, result);
    }

    /// Gives this result to every check without one.
    fn end_rest(&mut self, reason: &str, message: &str, now: Time) {
        for check in 0..self.assignment.checks.len() {
            if !self.has_result(check) {
                self.push(check, Verdict::unknown(reason, message.to_owned()), 0);
            }
        }
        self.end(now);
    }

    fn end(&mut self, now: Time) {
        self.report.state = RunState::Done;
        self.report.finished_at = Some(now);
        self.stage = Stage::Done;
    }
}
