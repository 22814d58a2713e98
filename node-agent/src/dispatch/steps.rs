//! One check of a work order that a probe answers, from its first reading to its verdict.
//!
//! ```text
//!  Before ──▶ Releasing ──▶ Measuring ──▶ Restoring ──▶ After ──▶ verdict
//! ```
//!
//! A step that the row of the check does not ask for is left out. What must stay true:
//! - Once the probe was started, what it may have changed is restored before the check ends, however the probe ended.
//! - The probe of a row that releases the driver starts only when no child of ours may have the driver's library loaded.

use super::checks::{Evidence, Fresh, ProbeCheck};
use super::context::Context;
use super::lending::{HELD, Lending};
use super::probe::{Measured, Probe};
use super::reading::{self, READING_MS};
use super::restore::Restore;
use super::verdict::Verdict;
use crate::judge::Readings;
use crds::{CheckSpec, reason};

/// The state of one check.
#[derive(Clone, Debug)]
pub(super) struct Steps {
    row: &'static ProbeCheck,
    spec: CheckSpec,
    /// Whether findings follow from the verdict.
    report_only: bool,
    step: Step,
    before: Option<Box<Readings>>,
    /// How long the probe ran, in milliseconds.
    ran_ms: u64,
}

#[derive(Clone, Debug)]
enum Step {
    Before { since: u64 },
    Releasing { since: u64 },
    Measuring { probe: u64 },
    Restoring { restore: Restore, measured: Measured },
    After { since: u64, measured: Measured, unrestored: Option<String> },
}

/// A verdict, and how long the probe ran, in milliseconds.
pub(super) type Concluded = (Verdict, u64);

impl Steps {
    pub(super) const fn new(row: &'static ProbeCheck, spec: CheckSpec, report_only: bool, now_ms: u64) -> Self {
        Self { row, spec, report_only, step: Step::Before { since: now_ms }, before: None, ran_ms: 0 }
    }

    pub(super) const fn row(&self) -> &'static ProbeCheck {
        self.row
    }

    pub(super) const fn spec(&self) -> &CheckSpec {
        &self.spec
    }

    pub(super) const fn probe_id(&self) -> Option<u64> {
        match &self.step {
            Step::Measuring { probe } => Some(*probe),
            Step::Restoring { restore, .. } => restore.probe_id(),
            Step::Before { .. } | Step::Releasing { .. } | Step::After { .. } => None,
        }
    }

    /// Whether no other child of ours may have the driver's library loaded now.
    pub(super) const fn needs_driver_released(&self) -> bool {
        self.row.releases_driver
            && matches!(self.step, Step::Releasing { .. } | Step::Measuring { .. } | Step::Restoring { .. })
    }

    /// Whether the probe may have changed something that is not restored yet.
    pub(super) const fn must_restore(&self) -> bool {
        self.row.restores && matches!(self.step, Step::Measuring { .. } | Step::Restoring { .. })
    }

    /// The order was withdrawn. Returns whether nothing is left to do.
    pub(super) fn withdraw(&mut self, context: &mut Context<'_>) -> bool {
        match &mut self.step {
            Step::Before { .. } | Step::Releasing { .. } | Step::After { .. } => true,
            Step::Measuring { probe } => {
                context.stop(*probe);
                false
            }
            Step::Restoring { restore, .. } => restore.advance(context).is_some(),
        }
    }

    /// The probe, or the one that restores, has ended.
    pub(super) fn probe_finished(&mut self, measured: Measured, duration_ms: u64, context: &Context<'_>) {
        let now_ms = context.now.mono_ms;
        match &mut self.step {
            Step::Measuring { .. } => {
                self.ran_ms = duration_ms;
                self.step = if self.row.restores {
                    Step::Restoring { restore: Restore::of(self.row, now_ms), measured }
                } else {
                    Step::After { since: now_ms, measured, unrestored: None }
                };
            }
            Step::Restoring { restore, .. } => restore.ended(&measured, now_ms),
            Step::Before { .. } | Step::Releasing { .. } | Step::After { .. } => {}
        }
    }

    /// Makes as much progress as it can without waiting. `left_ms` is the time until the deadline of the order, 0 if it has
    /// passed.
    pub(super) fn advance(&mut self, left_ms: u64, context: &mut Context<'_>) -> Option<Concluded> {
        let is_late = left_ms == 0;
        let now_ms = context.now.mono_ms;
        loop {
            match &mut self.step {
                Step::Before { .. } | Step::Releasing { .. } if context.in_maintenance() => {
                    return Some((Verdict::skipped(reason::MAINTENANCE), 0));
                }
                Step::Before { .. } | Step::Releasing { .. } if is_late => return Some((late(), 0)),
                Step::Before { since } => {
                    let since = *since;
                    if !self.is_read(since, context) {
                        return None;
                    }
                    self.before = self.readings(since, context);
                    self.step = Step::Releasing { since: now_ms };
                }
                Step::Releasing { since } => {
                    match Lending::of(self.row, *since, context) {
                        Lending::Free => {}
                        Lending::Soon => return None,
                        Lending::Held => return Some((Verdict::unknown(reason::NODE_BUSY, HELD.to_owned()), 0)),
                    }
                    let probe = Probe::Check { probe: self.row.probe, spec: Box::new(self.spec.clone()) };
                    let deadline_ms = (self.row.deadline_ms)(&self.spec).min(left_ms);
                    self.step = Step::Measuring { probe: context.start(probe, deadline_ms) };
                }
                Step::Measuring { probe } => {
                    if is_late {
                        context.stop(*probe);
                    }
                    return None;
                }
                Step::Restoring { restore, measured } => {
                    let unrestored = restore.advance(context)?.err();
                    self.step = Step::After { since: now_ms, measured: measured.clone(), unrestored };
                }
                Step::After { since, measured, unrestored } => {
                    let (since, measured, unrestored) = (*since, measured.clone(), unrestored.clone());
                    if !is_late && !self.is_read(since, context) {
                        return None;
                    }
                    let mut verdict = self.judge(measured, since, is_late, context);
                    if let Some(why) = unrestored {
                        verdict = verdict.unrestored(&why);
                    }
                    return Some((verdict, self.ran_ms));
                }
            }
        }
    }

    /// Whether the counters were read since then, or cannot be read.
    fn is_read(&self, since: u64, context: &mut Context<'_>) -> bool {
        let until = since.saturating_add(READING_MS);
        let fails = context.senses.readings.trouble.is_some() && !self.row.before_and_after.driver.is_empty();
        let is_read = reading::is_read(self.row.before_and_after, since, context);
        if !is_read {
            context.wake_at(until);
        }
        is_read || fails || context.now.mono_ms >= until
    }

    fn readings(&self, since: u64, context: &mut Context<'_>) -> Option<Box<Readings>> {
        let wanted = self.row.before_and_after;
        let is_read = wanted != Fresh::NOTHING && reading::is_read(wanted, since, context);
        is_read.then(|| Box::new(context.senses.readings.clone()))
    }

    fn judge(&self, measured: Measured, since: u64, is_late: bool, context: &mut Context<'_>) -> Verdict {
        let after = self.readings(since, context);
        let verdict = match measured {
            Measured::Report(report) => {
                let (before, after, now) = (self.before.as_deref(), after.as_deref(), context.now);
                let evidence = Evidence { spec: &self.spec, before, after, now };
                if self.report_only {
                    self.row.judge(report, &evidence, &mut context.findings.clone())
                } else {
                    self.row.judge(report, &evidence, context.findings)
                }
            }
            Measured::Tree(_) | Measured::Iperf(_) => {
                Verdict::unknown(reason::UNKNOWN_OUTPUT, "the probe returned the report of another probe".to_owned())
            }
            Measured::Unknown { reason, .. } if reason == reason::INTERRUPTED && context.in_maintenance() => {
                Verdict::skipped(reason::MAINTENANCE)
            }
            Measured::Unknown { reason, message } => Verdict::unknown(&reason, message),
        };
        if is_late && verdict.outcome == crds::Outcome::Inconclusive { late() } else { verdict }
    }
}

fn late() -> Verdict {
    let why = "the work order's deadline passed before the check finished";
    Verdict::unknown(reason::DEADLINE_EXCEEDED, why.to_owned())
}
