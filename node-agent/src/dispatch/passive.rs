//! A passive check of a run: takes readings after the run began, and judges them as its monitor does.

use super::checks::Fresh;
use super::context::Context;
use super::reading::{self, READING_MS};
use super::verdict::{self, Verdict};
use crate::judge::registry::{self, Monitor, Tree};
use crate::judge::{self, Judged, interval_of};
use crate::readings::Section;
use crds::check::Check;
use crds::{Outcome, reason};

/// How many intervals a reading may take. A run requests its own readings, so they need not be judged overdue.
const PATIENCE: i64 = 10;

/// Why the check cannot run now.
pub(super) fn pause(check: Check, context: &Context<'_>) -> Option<&'static str> {
    let pause = context.expected.pause(context.now)?;
    // During the boot grace, each judge decides for itself whether to skip.
    let by_driver = !sections_of(check).is_empty();
    (pause == reason::MAINTENANCE && by_driver).then_some(pause)
}

/// The pause before a reading that confirms the one before: a finding must have stood for a second.
const PAUSE_MS: u64 = 1_000;

/// The readings that a check takes.
#[derive(Clone, Debug)]
pub(super) struct Reads {
    check: Check,
    taken: u32,
    /// When the next one may begin, if it is not the first.
    again: Option<u64>,
}

impl Reads {
    pub(super) const fn new(check: Check) -> Self {
        Self { check, taken: 0, again: None }
    }

    /// Asks for missing readings. Returns the verdict once all were taken, or can no longer be taken. A fault that counts only
    /// when another reading confirms it has more readings taken, as many as its monitor needs.
    pub(super) fn advance(&mut self, began: u64, is_late: bool, context: &mut Context<'_>) -> Option<Verdict> {
        let check = self.check;
        if let Some(pause) = pause(check, context) {
            return Some(Verdict::skipped(pause));
        }
        let since = self.again.unwrap_or(began);
        if context.now.mono_ms < since && !is_late {
            context.wake_at(since);
            return None;
        }
        let wanted = Fresh { driver: sections_of(check), tree: reads_tree(check) };
        if reading::is_read(wanted, since, context) {
            self.taken += 1;
            return self.judged(is_late, context);
        }
        // While a probe has the driver for itself, nothing is read.
        let until = since.saturating_add(READING_MS);
        let is_over = context.now.mono_ms >= until && !context.senses.readings.is_lent;
        if is_late || is_over {
            return Some(nothing_read(check, is_late, context));
        }
        context.wake_at(until);
        None
    }

    fn judged(&mut self, is_late: bool, context: &mut Context<'_>) -> Option<Verdict> {
        let check = self.check;
        let Some(monitor) = registry::of(check) else { return Some(verdict::not_implemented(check)) };
        let now = context.now;
        let measured = context.senses.measured(context.log);
        let interval = interval_of(&registry::wanted(&context.expected), check).saturating_mul(PATIENCE);
        let judged = judge::judge_one(monitor, interval, &context.expected, &measured, context.findings, now);
        let boards = &context.senses.inventory.gpus;
        if self.taken < monitor.readings && !is_late && has_suspicion(monitor, &judged) {
            context.findings.settle(check.name(), &judged, boards, now.wall());
            let again = now.mono_ms.saturating_add(PAUSE_MS);
            self.again = Some(again);
            context.wake_at(again);
            return None;
        }
        Some(verdict::of_judged(check, judged, context.findings, boards, now))
    }
}

/// Whether one of the warnings would be a failure if another reading confirmed it. One that must stand for minutes is not
/// waited for.
fn has_suspicion(monitor: &Monitor, judged: &Judged) -> bool {
    let matures = |reason: &str| monitor.matures.is_some_and(|(slow, _)| slow == reason);
    let may_fail = |reason: &str| {
        monitor.page.rules.iter().any(|rule| rule.reason == reason && rule.outcome == Outcome::Fail) && !matures(reason)
    };
    judged.found.iter().any(|found| found.outcome == Outcome::Warn && may_fail(&found.reason))
}

fn nothing_read(check: Check, is_late: bool, context: &Context<'_>) -> Verdict {
    let readings = &context.senses.readings;
    if let Some(trouble) = readings.trouble.as_ref().filter(|_| !sections_of(check).is_empty()) {
        return Verdict::unknown(&trouble.reason, trouble.message.clone());
    }
    if let Some((reason, message)) = readings.tree_failed.as_ref().filter(|_| reads_tree(check)) {
        return Verdict::unknown(reason, message.clone());
    }
    if is_late {
        let why = "the work order's deadline passed before a reading was taken";
        return Verdict::unknown(reason::DEADLINE_EXCEEDED, why.to_owned());
    }
    Verdict::unknown(reason::OVERDUE, format!("no reading was taken within {} s", READING_MS / 1000))
}

fn sections_of(check: Check) -> &'static [Section] {
    registry::of(check).map_or(&[], |monitor| monitor.reads.driver)
}

/// Whether the check needs its own reading of the device tree.
fn reads_tree(check: Check) -> bool {
    registry::of(check).is_some_and(|monitor| monitor.reads.tree == Tree::Read)
}
