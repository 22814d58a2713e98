//! One check of a work order that has begun and has no result yet.

use crate::dispatch::context::Context;
use crate::dispatch::drill;
use crate::dispatch::passive::Reads;
use crate::dispatch::probe::Measured;
use crate::dispatch::restore::Restore;
use crate::dispatch::slots::Slots;
use crate::dispatch::steps::Steps;
use crate::dispatch::verdict::Verdict;
use crate::judge::registry;
use crds::check::Class;
use crds::node_health::{Assignment, RunReport, RunState};
use crds::{CheckSpec, Outcome, Time, reason};

/// A check that has begun.
#[derive(Clone, Debug)]
pub(super) struct Active {
    /// Its index in the assignment.
    pub(super) check: usize,
    /// When it began, by the monotonic clock in milliseconds; for slots, when the first of them could begin.
    pub(super) since: u64,
    pub(super) doing: Doing,
}

/// How a check gets its result.
#[derive(Clone, Debug)]
pub(super) enum Doing {
    /// Readings that began after the check.
    Reads(Reads),
    /// A probe, and what belongs around it.
    Probe(Box<Steps>),
    /// A simulated finding, until its time is over.
    Drill { target: String, until: Time },
    /// A check between nodes that waits for its start time.
    Ready,
    /// A check between nodes.
    Slots(Slots),
    /// What the probe of a previous process may have changed. Its check was interrupted.
    Restore(Restore),
}

/// A check that has ended.
pub(super) enum Ended {
    /// With a verdict, after so many milliseconds.
    Judged(Verdict, u64),
    /// Without one of its own.
    Interrupted,
}

impl Active {
    pub(super) fn class(&self) -> Class {
        match &self.doing {
            Doing::Reads(_) | Doing::Drill { .. } => Class::Passive,
            Doing::Probe(steps) => (steps.row().class)(steps.spec()),
            Doing::Ready | Doing::Slots(_) => Class::Group,
            Doing::Restore(_) => Class::Exclusive,
        }
    }

    /// Whether the next check of the order may begin while this one has no result. Only readings are taken together;
    /// everything else runs in the order of the spec.
    pub(super) fn may_overlap(&self, next: &CheckSpec) -> bool {
        let is_reading = next.kind().is_some_and(|check| registry::of(check).is_some());
        matches!(self.doing, Doing::Reads(_)) && is_reading
    }

    pub(super) const fn needs_driver_released(&self) -> bool {
        match &self.doing {
            Doing::Probe(steps) => steps.needs_driver_released(),
            Doing::Restore(restore) => restore.needs_driver_released(),
            Doing::Reads(_) | Doing::Drill { .. } | Doing::Ready | Doing::Slots(_) => false,
        }
    }

    /// Whether its probe may have changed something that is not restored yet.
    pub(super) const fn must_restore(&self) -> bool {
        match &self.doing {
            Doing::Probe(steps) => steps.must_restore(),
            Doing::Restore(_) => true,
            Doing::Reads(_) | Doing::Drill { .. } | Doing::Ready | Doing::Slots(_) => false,
        }
    }

    /// Makes as much progress as it can without waiting. `left_ms` is the time until the deadline, 0 if it has passed.
    pub(super) fn advance(
        &mut self,
        left_ms: u64,
        order: &Assignment,
        report: &mut RunReport,
        context: &mut Context<'_>,
    ) -> Option<Ended> {
        let is_late = left_ms == 0;
        let took = context.now.mono_ms.saturating_sub(self.since);
        match &mut self.doing {
            Doing::Reads(reads) => {
                let verdict = reads.advance(self.since, is_late, context)?;
                Some(Ended::Judged(verdict, took))
            }
            Doing::Probe(steps) => {
                let (verdict, ran_ms) = steps.advance(left_ms, context)?;
                Some(Ended::Judged(verdict, ran_ms))
            }
            Doing::Drill { target, until } => {
                let verdict = end_of_drill(target, *until, is_late, context)?;
                Some(Ended::Judged(verdict, took))
            }
            Doing::Ready => {
                if is_late {
                    return Some(Ended::Interrupted);
                }
                self.doing = Doing::Slots(slots(self.check, order, context)?);
                self.since = context.now.mono_ms;
                report.state = RunState::Running;
                self.advance(left_ms, order, report, context)
            }
            Doing::Slots(slots) => {
                if is_late {
                    slots.give_up(context);
                }
                let is_over = slots.advance(&mut report.edges, context);
                is_over.then(|| Ended::Judged(slots.verdict(&report.edges), took))
            }
            Doing::Restore(restore) => match restore.advance(context)? {
                Ok(()) => Some(Ended::Interrupted),
                Err(why) => Some(Ended::Judged(Verdict::unknown(reason::RESTORE_FAILED, why), 0)),
            },
        }
    }

    /// The order was withdrawn. Stops what runs; returns whether nothing is left to do.
    pub(super) fn withdraw(&mut self, context: &mut Context<'_>) -> bool {
        match &mut self.doing {
            Doing::Reads(_) | Doing::Drill { .. } | Doing::Ready => true,
            Doing::Probe(steps) => steps.withdraw(context),
            Doing::Slots(slots) => {
                slots.give_up(context);
                slots.probe_ids().is_empty()
            }
            Doing::Restore(restore) => restore.advance(context).is_some(),
        }
    }

    /// Processes the end of one of its probes; returns the measurement if the probe is not its own.
    pub(super) fn probe_finished(
        &mut self,
        id: u64,
        measured: Measured,
        duration_ms: u64,
        report: &mut RunReport,
        context: &Context<'_>,
    ) -> Option<Measured> {
        match &mut self.doing {
            Doing::Probe(steps) if steps.probe_id() == Some(id) => {
                steps.probe_finished(measured, duration_ms, context);
                None
            }
            Doing::Restore(restore) if restore.probe_id() == Some(id) => {
                restore.ended(&measured, context.now.mono_ms);
                None
            }
            Doing::Slots(slots) => slots.probe_finished(id, measured, &mut report.edges),
            Doing::Reads(_) | Doing::Probe(_) | Doing::Drill { .. } | Doing::Ready | Doing::Restore(_) => {
                Some(measured)
            }
        }
    }
}

/// The slots of a check between nodes, once its group has a start time.
fn slots(check: usize, order: &Assignment, context: &Context<'_>) -> Option<Slots> {
    let parameters = order.checks.get(check).and_then(|spec| spec.network_bandwidth.clone());
    let floor = context
        .expected
        .spec
        .and_then(|spec| spec.expected.as_ref()?.floors.as_ref()?.network_bandwidth_megabits_per_second);
    Slots::new(&order.id, order.group.as_ref()?, &parameters.unwrap_or_default(), floor)
}

/// Waits for the end of the drill, then removes its finding.
fn end_of_drill(target: &str, until: Time, is_late: bool, context: &mut Context<'_>) -> Option<Verdict> {
    if !is_late && context.now.wall() < until {
        context.wake_at(context.now.mono_of_time(until));
        return None;
    }
    context.findings.retain(|finding| !drill::is_drill(finding) || finding.target != target);
    let verdict = Verdict {
        outcome: Outcome::Pass,
        reason: Some(reason::DRILL.to_owned()),
        message: Some("the drill is over; there was no real fault".to_owned()),
        ..Verdict::default()
    };
    Some(verdict.of_each([target.to_owned()]))
}
