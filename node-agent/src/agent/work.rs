//! One assignment, from the order to its results.
//!
//! ```text
//!  Accepted ──(written)──▶ Checks ──▶ [Ready ──(startAt)──▶ Slots] ──▶ Done
//! ```
//!
//! At most once: no probe starts before the report that says `Accepted` is written, and an assignment that the report of
//! a former process names is never started again. Nothing is `Done` while a probe of it runs.

mod drilling;
mod ground;

pub(super) use ground::{Ground, Senses};

use super::event::{Measured, Probe};
use super::group::Slots;
use super::passive;
use super::results::{self, Verdict};
use crate::judge::Findings;
use crate::time::Now;
use crds::check::Check;
use crds::node_health::{Assignment, RunReport, RunState};
use crds::{CheckSpec, Outcome, Time, reason};

/// The bound of `report.runs[].results`.
const MAX_RESULTS: usize = 16;
/// How long a user's program may take where the check does not say, in seconds.
const CUSTOM_SECONDS: i64 = 300;
/// What the probe gets beyond the program's own time, in milliseconds: it reports the program's silence by itself.
const CUSTOM_MARGIN_MS: u64 = crate::probe::programs::MARGIN_MS;

/// One assignment under way.
#[derive(Clone, Debug)]
pub(super) struct Work {
    assignment: Assignment,
    report: RunReport,
    phase: Phase,
    /// The id left the spec: stop, then drop it.
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
    /// Waits for readings that begin now.
    Reads {
        next: usize,
        check: usize,
        kind: Check,
        since: u64,
    },
    /// A drill stands. After a restart of the agent nothing else of the order is begun.
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

/// A check whose probe runs.
#[derive(Clone, Copy, Debug)]
struct Running {
    probe: u64,
    check: usize,
}

impl Work {
    /// An order that was never seen before.
    pub(super) fn new(assignment: &Assignment) -> Self {
        let report = RunReport { id: assignment.id.clone(), state: RunState::Accepted, ..RunReport::default() };
        Self { assignment: assignment.clone(), report, phase: Phase::Accepted { written: false }, cancelled: false }
    }

    /// An order that a former process of this agent took on: done is done, a drill whose finding stands goes on to its
    /// end, and everything else was interrupted.
    pub(super) fn taken_over(assignment: &Assignment, report: RunReport, findings: &Findings, now: Now) -> Self {
        let mut work = Self { assignment: assignment.clone(), report, phase: Phase::Done, cancelled: false };
        if work.report.state == RunState::Done {
            return work;
        }
        if let Some(phase) = work.drill_under_way(findings, now) {
            work.phase = phase;
        } else {
            let now = now.wall();
            let why = "the agent or the node restarted in the middle of this work order; it is not started again";
            work.end_rest(reason::INTERRUPTED, why, now);
        }
        work
    }

    pub(super) fn id(&self) -> &str {
        &self.assignment.id
    }

    pub(super) const fn report(&self) -> &RunReport {
        &self.report
    }

    pub(super) const fn is_cancelled(&self) -> bool {
        self.cancelled
    }

    /// The same order as it reads now: a group gets its start, a deadline may move.
    pub(super) fn update(&mut self, assignment: &Assignment) {
        self.assignment = assignment.clone();
    }

    /// The order was taken back.
    pub(super) const fn cancel(&mut self) {
        self.cancelled = true;
    }

    /// The order was taken back and given again under the same id: it was begun once, and is not begun again.
    pub(super) fn end_as_interrupted(&mut self, now: Time) {
        self.cancelled = false;
        self.end_rest(reason::INTERRUPTED, "the work order was taken back and given again", now);
    }

    /// The report that names this assignment is on the server.
    pub(super) const fn written(&mut self) {
        if let Phase::Accepted { written } = &mut self.phase {
            *written = true;
        }
    }

    /// Whether nothing is left to do for an order that was taken back.
    pub(super) fn is_over(&self, probes: &super::Probes) -> bool {
        self.cancelled && self.probe_ids().iter().all(|id| !probes.is_running(*id))
    }

    fn probe_ids(&self) -> Vec<u64> {
        match &self.phase {
            Phase::Checks { probe: Some(running), .. } => vec![running.probe],
            Phase::Slots { slots, .. } => slots.probe_ids(),
            _ => Vec::new(),
        }
    }

    /// Takes what a probe of this assignment brought home; gives it back if it is none of ours.
    pub(super) fn probe_finished(
        &mut self,
        id: u64,
        measured: Measured,
        duration_ms: u64,
        ground: &mut Ground<'_>,
    ) -> Option<Measured> {
        match &mut self.phase {
            Phase::Checks { next, probe } if probe.is_some_and(|running| running.probe == id) => {
                let Some(running) = probe.take() else {
                    return Some(measured);
                };
                *next += 1;
                self.conclude(running, &measured, duration_ms, ground);
                None
            }
            Phase::Slots { slots, .. } => slots.probe_finished(id, measured, &mut self.report.edges),
            _ => Some(measured),
        }
    }

    fn conclude(&mut self, running: Running, measured: &Measured, duration_ms: u64, ground: &mut Ground<'_>) {
        let Some(spec) = self.assignment.checks.get(running.check).cloned() else {
            return;
        };
        let late = self.is_late(ground.now);
        let mut verdict = match measured {
            Measured::Custom(report) => results::of_custom(&spec, report, ground.findings, ground.now.wall()),
            Measured::Tree(_) | Measured::Iperf(_) => {
                Verdict::unknown(reason::UNKNOWN_OUTPUT, "the probe answered with another report".to_owned())
            }
            Measured::Unknown { reason, .. } if reason == reason::INTERRUPTED && ground.in_maintenance() => {
                Verdict::skipped(reason::MAINTENANCE)
            }
            Measured::Unknown { reason, message } => Verdict::unknown(reason, message.clone()),
        };
        if late && verdict.outcome == Outcome::Inconclusive {
            verdict = Verdict::unknown(
                reason::DEADLINE_EXCEEDED,
                "the deadline of the work order passed before the check ended".to_owned(),
            );
        }
        self.push(&spec, verdict, duration_ms);
    }

    fn push(&mut self, spec: &CheckSpec, verdict: Verdict, duration_ms: u64) {
        if self.report.results.len() < MAX_RESULTS {
            self.report.results.push(verdict.into_result(spec, duration_ms));
        }
    }

    fn is_late(&self, now: Now) -> bool {
        now.wall() >= self.assignment.deadline
    }

    /// Goes on as far as it can without waiting.
    pub(super) fn advance(&mut self, ground: &mut Ground<'_>) {
        if self.cancelled {
            for id in self.probe_ids() {
                ground.stop(id);
            }
            return;
        }
        while self.advance_once(ground) {}
        // What a passed deadline has stopped is waited for by itself.
        if !matches!(self.phase, Phase::Done) && !self.is_late(ground.now) {
            ground.wake_at(ground.now.mono_of_time(self.assignment.deadline));
        }
    }

    /// One move; whether another may follow at once.
    fn advance_once(&mut self, ground: &mut Ground<'_>) -> bool {
        let late = self.is_late(ground.now);
        match &mut self.phase {
            Phase::Accepted { written: false } if !late => false,
            Phase::Accepted { .. } => {
                self.report.state = RunState::Running;
                self.report.started_at = Some(ground.now.wall());
                self.phase = Phase::Checks { next: 0, probe: None };
                true
            }
            Phase::Checks { probe: Some(running), .. } => {
                if late {
                    ground.stop(running.probe);
                }
                false
            }
            Phase::Reads { next, check, kind, since } => {
                let (next, check, kind, since) = (*next, *check, *kind, *since);
                let Some(verdict) = passive::advance(kind, since, late, ground) else { return false };
                self.conclude_at(next, check, verdict, ground.now.mono_ms.saturating_sub(since));
                true
            }
            Phase::Drill { .. } => self.advance_drill(late, ground),
            Phase::Checks { .. } | Phase::Ready { .. } if late => {
                self.end_rest(
                    reason::DEADLINE_EXCEEDED,
                    "the deadline of the work order passed first",
                    ground.now.wall(),
                );
                true
            }
            Phase::Checks { next, probe: None } => {
                let next = *next;
                self.begin_next(next, ground);
                !matches!(self.phase, Phase::Checks { probe: Some(_), .. })
            }
            Phase::Ready { check } => {
                let check = *check;
                self.begin_slots(check, ground)
            }
            Phase::Slots { slots, .. } => {
                if late {
                    slots.give_up(ground);
                }
                if slots.advance(&mut self.report.edges, ground) {
                    self.end_slots(ground);
                    return true;
                }
                false
            }
            Phase::Done => false,
        }
    }

    /// Checks of one node first, in the order of the spec; then the one between nodes.
    fn plan(&self) -> Vec<usize> {
        let is_group = |index: &usize| {
            self.assignment.checks.get(*index).and_then(CheckSpec::kind) == Some(Check::NetworkBandwidth)
        };
        let (group, alone): (Vec<usize>, Vec<usize>) =
            (0..self.assignment.checks.len().min(MAX_RESULTS)).partition(is_group);
        alone.into_iter().chain(group).collect()
    }

    fn begin_next(&mut self, next: usize, ground: &mut Ground<'_>) {
        let Some((check, spec)) =
            self.plan().get(next).and_then(|check| Some((*check, self.assignment.checks.get(*check)?.clone())))
        else {
            self.end(ground.now.wall());
            return;
        };
        let since = ground.now.mono_ms;
        match self.begin(&spec, ground) {
            Begun::Probe(probe) => {
                self.phase = Phase::Checks { next, probe: Some(Running { probe, check }) };
            }
            Begun::Reads(kind) => self.phase = Phase::Reads { next, check, kind, since },
            Begun::Drill { target, until } => {
                self.phase = Phase::Drill { next, check, target, until, since, is_last: false };
            }
            Begun::Group => {
                self.phase = Phase::Ready { check };
                self.report.state = RunState::Ready;
            }
            Begun::Judged(verdict) => self.conclude_at(next, check, verdict, 0),
        }
    }

    /// The result of a check, after which the next one begins.
    fn conclude_at(&mut self, next: usize, check: usize, verdict: Verdict, duration_ms: u64) {
        if let Some(spec) = self.assignment.checks.get(check).cloned() {
            self.push(&spec, verdict, duration_ms);
        }
        self.phase = Phase::Checks { next: next + 1, probe: None };
    }

    fn begin(&self, spec: &CheckSpec, ground: &mut Ground<'_>) -> Begun {
        let left_ms = ground.now.mono_of_time(self.assignment.deadline).saturating_sub(ground.now.mono_ms);
        match spec.kind() {
            None => Begun::Judged(results::invalid(spec)),
            Some(check) if check.is_monitor() && check.is_built() => match passive::pause(check, ground) {
                Some(pause) => Begun::Judged(Verdict::skipped(pause)),
                None => Begun::Reads(check),
            },
            Some(Check::Drill) => self.begin_drill(&spec.drill.clone().unwrap_or_default(), ground),
            Some(Check::Custom) if ground.in_maintenance() => Begun::Judged(Verdict::skipped(reason::MAINTENANCE)),
            Some(Check::Custom) => {
                let custom = spec.custom.clone().unwrap_or_default();
                let seconds = custom.timeout_seconds.unwrap_or(CUSTOM_SECONDS).clamp(1, 86_400);
                let own_ms = u64::try_from(seconds).unwrap_or(0).saturating_mul(1000) + CUSTOM_MARGIN_MS;
                Begun::Probe(ground.start(Probe::Custom(custom), left_ms.min(own_ms)))
            }
            Some(Check::NetworkBandwidth) => self.begin_group(spec, ground),
            Some(other) => Begun::Judged(results::not_implemented(other)),
        }
    }

    fn begin_group(&self, spec: &CheckSpec, ground: &Ground<'_>) -> Begun {
        let is_first = self
            .assignment
            .checks
            .iter()
            .find(|check| check.kind() == Some(Check::NetworkBandwidth))
            .is_some_and(|first| first.name == spec.name);
        if self.assignment.group.is_none() {
            let why = "the work order has no group, although the check is between nodes";
            Begun::Judged(Verdict::unknown(reason::INVALID_SPEC, why.to_owned()))
        } else if !is_first {
            let why = "a work order has slots for one check between nodes; put the second into a run of its own";
            Begun::Judged(Verdict::unknown(reason::INVALID_SPEC, why.to_owned()))
        } else if !ground.has_address {
            let why = "the node has no address that peers could reach; name one with --address";
            Begun::Judged(Verdict::unknown(reason::NO_ADDRESS, why.to_owned()))
        } else {
            Begun::Group
        }
    }

    fn begin_slots(&mut self, check: usize, ground: &Ground<'_>) -> bool {
        let parameters = self.assignment.checks.get(check).and_then(|spec| spec.network_bandwidth.clone());
        let floor = ground
            .expected
            .spec
            .and_then(|spec| spec.expected.as_ref()?.floors.as_ref()?.network_bandwidth_megabits_per_second);
        let slots =
            self.assignment.group.as_ref().and_then(|group| Slots::new(group, &parameters.unwrap_or_default(), floor));
        let Some(slots) = slots else { return false };
        self.report.state = RunState::Running;
        self.phase = Phase::Slots { check, slots, since: ground.now.mono_ms };
        true
    }

    /// The group check is over; a second one, if there is one, is refused by `begin`.
    fn end_slots(&mut self, ground: &Ground<'_>) {
        let Phase::Slots { check, slots, since } = &self.phase else {
            return;
        };
        let (check, since, verdict) = (*check, *since, slots.verdict(&self.report.edges));
        let next = self.plan().iter().position(|index| *index == check).map_or(MAX_RESULTS, |at| at + 1);
        if let Some(spec) = self.assignment.checks.get(check).cloned() {
            self.push(&spec, verdict, ground.now.mono_ms.saturating_sub(since));
        }
        self.phase = Phase::Checks { next, probe: None };
    }

    /// Every check without a result gets this one.
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

/// How a check begins.
enum Begun {
    Probe(u64),
    Reads(Check),
    Drill { target: String, until: Time },
    Group,
    Judged(Verdict),
}
