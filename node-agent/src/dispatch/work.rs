//! One assignment, from the order to its results.
//!
//! ```text
//!  Accepted ──(written)──▶ Checks ──▶ [Ready ──(startAt)──▶ Slots] ──▶ Done
//! ```
//!
//! At most once: no probe starts before the report that says `Accepted` is written, and an assignment in the report of
//! a previous process is never started again. Nothing is `Done` while one of its probes runs.

mod begin;
mod drilling;

use super::context::Context;
use super::passive;
use super::probe::Measured;
use super::slots::Slots;
use super::turn::Probes;
use super::verdict::{self, Verdict};
use crate::judge::Findings;
use crate::time::Now;
use crds::check::Check;
use crds::node_health::{Assignment, RunReport, RunState};
use crds::{CheckSpec, Outcome, Time, reason};

/// The limit of `report.runs[].results`.
const MAX_RESULTS: usize = 16;
/// One assignment in progress.
#[derive(Clone, Debug)]
pub(crate) struct Work {
    assignment: Assignment,
    report: RunReport,
    phase: Phase,
    /// The id was removed from the spec: stop, then drop it.
    cancelled: bool,
}

#[derive(Clone, Debug)]
enum Phase {
    Accepted {
        written: bool,
    },
    Checks {
        next: usize,
        probe: Option<Running>,
    },
    /// Waits for readings that begin after this moment.
    Reads {
        next: usize,
        check: usize,
        kind: Check,
        since: u64,
    },
    /// A drill is active. After a restart of the agent no other check of the order begins.
    Drill {
        next: usize,
        check: usize,
        target: String,
        until: Time,
        since: u64,
        is_last: bool,
    },
    Ready {
        check: usize,
    },
    Slots {
        check: usize,
        slots: Slots,
        since: u64,
    },
    Done,
}

/// A check whose probe is running.
#[derive(Clone, Copy, Debug)]
struct Running {
    probe: u64,
    check: usize,
}

impl Work {
    /// A new order.
    pub(crate) fn new(assignment: &Assignment) -> Self {
        let report = RunReport { id: assignment.id.clone(), state: RunState::Accepted, ..RunReport::default() };
        Self { assignment: assignment.clone(), report, phase: Phase::Accepted { written: false }, cancelled: false }
    }

    /// An order accepted by a previous process of this agent: a finished one stays finished, a drill whose finding
    /// stands continues to its end, and anything else was interrupted.
    pub(crate) fn taken_over(assignment: &Assignment, report: RunReport, findings: &Findings, now: Now) -> Self {
        let mut work = Self { assignment: assignment.clone(), report, phase: Phase::Done, cancelled: false };
        if work.report.state == RunState::Done {
            return work;
        }
        if let Some(phase) = work.drill_under_way(findings, now) {
            work.phase = phase;
        } else {
            let now = now.wall();
            let why = "the agent or the node restarted during this work order; it is not started again";
            work.end_rest(reason::INTERRUPTED, why, now);
        }
        work
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
    pub(crate) fn end_as_interrupted(&mut self, now: Time) {
        self.cancelled = false;
        self.end_rest(reason::INTERRUPTED, "the work order was withdrawn and issued again under the same id", now);
    }

    /// The report that names this assignment is on the API server.
    pub(crate) const fn written(&mut self) {
        if let Phase::Accepted { written } = &mut self.phase {
            *written = true;
        }
    }

    /// Whether nothing is left to do for a withdrawn order.
    pub(crate) fn is_over(&self, probes: &Probes) -> bool {
        self.cancelled && self.probe_ids().iter().all(|id| !probes.is_running(*id))
    }

    fn probe_ids(&self) -> Vec<u64> {
        match &self.phase {
            Phase::Checks { probe: Some(running), .. } => vec![running.probe],
            Phase::Slots { slots, .. } => slots.probe_ids(),
            _ => Vec::new(),
        }
    }

    /// Processes the result of one of this assignment's probes; returns the measurement if the probe is not ours.
    pub(crate) fn probe_finished(
        &mut self,
        id: u64,
        measured: Measured,
        duration_ms: u64,
        context: &mut Context<'_>,
    ) -> Option<Measured> {
        match &mut self.phase {
            Phase::Checks { next, probe } if probe.is_some_and(|running| running.probe == id) => {
                let Some(running) = probe.take() else {
                    return Some(measured);
                };
                *next += 1;
                self.conclude(running, &measured, duration_ms, context);
                None
            }
            Phase::Slots { slots, .. } => slots.probe_finished(id, measured, &mut self.report.edges),
            _ => Some(measured),
        }
    }

    fn conclude(&mut self, running: Running, measured: &Measured, duration_ms: u64, context: &mut Context<'_>) {
        let Some(spec) = self.assignment.checks.get(running.check).cloned() else {
            return;
        };
        let late = self.is_late(context.now);
        let mut said = match measured {
            Measured::Custom(report) => verdict::of_custom(&spec, report, context.findings, context.now.wall()),
            Measured::Tree(_) | Measured::Iperf(_) => {
                Verdict::unknown(reason::UNKNOWN_OUTPUT, "the probe returned the report of another probe".to_owned())
            }
            Measured::Unknown { reason, .. } if reason == reason::INTERRUPTED && context.in_maintenance() => {
                Verdict::skipped(reason::MAINTENANCE)
            }
            Measured::Unknown { reason, message } => Verdict::unknown(reason, message.clone()),
        };
        if late && said.outcome == Outcome::Inconclusive {
            said = Verdict::unknown(
                reason::DEADLINE_EXCEEDED,
                "the work order's deadline passed before the check finished".to_owned(),
            );
        }
        self.push(&spec, said, duration_ms);
    }

    fn push(&mut self, spec: &CheckSpec, verdict: Verdict, duration_ms: u64) {
        if self.report.results.len() < MAX_RESULTS {
            self.report.results.push(verdict.into_result(spec, duration_ms));
        }
    }

    fn is_late(&self, now: Now) -> bool {
        now.wall() >= self.assignment.deadline
    }

    /// Makes as much progress as it can without waiting.
    pub(crate) fn advance(&mut self, context: &mut Context<'_>) {
        if self.cancelled {
            for id in self.probe_ids() {
                context.stop(id);
            }
            return;
        }
        while self.advance_once(context) {}
        // Probes stopped at a passed deadline are awaited anyway.
        if !matches!(self.phase, Phase::Done) && !self.is_late(context.now) {
            context.wake_at(context.now.mono_of_time(self.assignment.deadline));
        }
    }

    /// Makes one transition. Returns whether another may follow at once.
    fn advance_once(&mut self, context: &mut Context<'_>) -> bool {
        let late = self.is_late(context.now);
        match &mut self.phase {
            Phase::Accepted { written: false } if !late => false,
            Phase::Accepted { .. } => {
                self.report.state = RunState::Running;
                self.report.started_at = Some(context.now.wall());
                self.phase = Phase::Checks { next: 0, probe: None };
                true
            }
            Phase::Checks { probe: Some(running), .. } => {
                if late {
                    context.stop(running.probe);
                }
                false
            }
            Phase::Reads { next, check, kind, since } => {
                let (next, check, kind, since) = (*next, *check, *kind, *since);
                let Some(verdict) = passive::advance(kind, since, late, context) else { return false };
                self.conclude_at(next, check, verdict, context.now.mono_ms.saturating_sub(since));
                true
            }
            Phase::Drill { .. } => self.advance_drill(late, context),
            Phase::Checks { .. } | Phase::Ready { .. } if late => {
                self.end_rest(reason::DEADLINE_EXCEEDED, "the work order's deadline passed first", context.now.wall());
                true
            }
            Phase::Checks { next, probe: None } => {
                let next = *next;
                self.begin_next(next, context);
                !matches!(self.phase, Phase::Checks { probe: Some(_), .. })
            }
            Phase::Ready { check } => {
                let check = *check;
                self.begin_slots(check, context)
            }
            Phase::Slots { slots, .. } => {
                if late {
                    slots.give_up(context);
                }
                if slots.advance(&mut self.report.edges, context) {
                    self.end_slots(context);
                    return true;
                }
                false
            }
            Phase::Done => false,
        }
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

    /// Records the result of a check; the next check then begins.
    fn conclude_at(&mut self, next: usize, check: usize, verdict: Verdict, duration_ms: u64) {
        if let Some(spec) = self.assignment.checks.get(check).cloned() {
            self.push(&spec, verdict, duration_ms);
        }
        self.phase = Phase::Checks { next: next + 1, probe: None };
    }

    /// Ends the group check; if there is a second one, `begin` refuses it.
    fn end_slots(&mut self, context: &Context<'_>) {
        let Phase::Slots { check, slots, since } = &self.phase else {
            return;
        };
        let (check, since, verdict) = (*check, *since, slots.verdict(&self.report.edges));
        let next = self.plan().iter().position(|index| *index == check).map_or(MAX_RESULTS, |at| at + 1);
        if let Some(spec) = self.assignment.checks.get(check).cloned() {
            self.push(&spec, verdict, context.now.mono_ms.saturating_sub(since));
        }
        self.phase = Phase::Checks { next, probe: None };
    }

    /// Gives this result to every check without one.
    fn end_rest(&mut self, reason: &str, message: &str, now: Time) {
        for spec in self.assignment.checks.clone() {
            if self.report.results.iter().all(|result| result.name != spec.name) {
                self.push(&spec, Verdict::unknown(reason, message.to_owned()), 0);
            }
        }
        self.end(now);
    }

    fn end(&mut self, now: Time) {
        self.report.state = RunState::Done;
        self.report.finished_at = Some(now);
        self.phase = Phase::Done;
    }
}
