//! The agent's core: everything that an agent decides, as one pure function.
//!
//! ```text
//!  Event ──▶ step(&mut State, Event, now) ──▶ Vec<Effect>
//!            absorb ─▶ look (monitors) ─▶ judge ─▶ settle doubts ─▶ work (assignments) ─▶ write (report) ─▶ wake
//! ```
//!
//! No clock, no client, no environment. State that must survive a restart is in the report ([`carry`]). What must stay
//! true:
//! - No report is written before the agent's own last one was read, and none that exceeds a limit of the API.
//! - An assignment is started at most once, whenever the agent dies.
//! - While nothing changes, nothing is written.
//! - The end of every started probe is awaited.

pub mod carry;
mod compose;
mod doubts;
mod event;
mod faults;
mod held;
mod messages;
mod positions;
mod state;
#[cfg(test)]
mod tests;
mod texts;
mod writer;

pub use event::{Effect, Event, LogEntry, Order, Refusal};
pub use state::{Facts, State};
pub use writer::{BURST, COUNT_PAUSE_MS, PAUSE_MS};

use crate::dispatch::{Context, Heard, Measured, Turn, Work, drill};
use crate::judge::core::events::next_expiry;
use crate::judge::{self, Expectation, interval_seconds, registry, same_verdict};
use crate::time::Now;
use crds::node_health::Finding;
use writer::Writing;

/// With nothing to wait for, the core is called again after this many milliseconds.
const IDLE_MS: u64 = 60_000;

/// Processes one event and returns the actions to take.
pub fn step(state: &mut State, event: Event, now: Now) -> Vec<Effect> {
    let mut commands = Vec::new();
    let mut wake = now.mono_ms.saturating_add(IDLE_MS);
    let mut probes = std::mem::take(&mut state.probes);
    let mut turn = Turn { probes: &mut probes, now, commands: &mut commands, wake: &mut wake };
    let pending = state.sample_read_at.take();
    state.follow_the_clock(now);
    absorb(state, event, &mut turn);
    look(state, &mut turn);
    judge_all(state, pending, &mut turn);
    let (faults, messages) = (state.settle_doubts(&mut turn), state.settle_messages(&mut turn));
    if faults || messages {
        judge_all(state, pending, &mut turn);
    }
    if work(state, &mut turn) {
        look(state, &mut turn);
    }
    std::mem::swap(&mut state.probes, turn.probes);
    let report = write(state, &mut turn);
    let mut effects: Vec<Effect> = commands.into_iter().map(Effect::from).collect();
    effects.extend(report);
    effects.push(Effect::Wake { at: wake.max(now.mono_ms + 1) });
    effects
}

fn absorb(state: &mut State, event: Event, turn: &mut Turn<'_>) {
    let now = turn.now;
    match event {
        Event::SpecChanged(order) => take_order(state, *order, now),
        Event::SpecGone => {
            let was_there = state.order.take().is_some();
            if was_there {
                state.writer.forget();
            }
            if !state.carried {
                state.carried = true;
                carry::take_over(state, &Order::default(), now);
            }
            // Work in progress continues: an object that was deleted by hand is created again, with the same orders.
        }
        Event::KernelLog { entries, cursor } => faults::take(state, entries, cursor, now),
        Event::KernelLogOpened { source } => {
            state.log.source = Some(source);
            state.log.unreadable = None;
        }
        Event::KernelLogUnreadable { message } => state.log.unreadable = Some(message),
        Event::ProbeFinished { id, measured, duration_ms } => {
            turn.probes.ended(id);
            let (released, carried) = (state.in_maintenance(), state.carried);
            if let Some(measured) = state.senses.ended(id, measured, released, carried, now) {
                give_to_works(state, id, measured, duration_ms, turn);
            }
        }
        // Counters are recorded only once the agent's own last report was read: it has the values from which they
        // continue.
        Event::SamplerSaid { id, said } => match state.senses.hear(id, said, state.carried, turn) {
            Heard::Nothing => {}
            Heard::Sample(_) => {
                state.sample_read_at.get_or_insert(now.mono_ms);
            }
            Heard::Event(event) => faults::take_event(state, &event, now),
        },
        Event::ReportApplied(outcome) => {
            let written: Vec<String> = state
                .writer
                .applied(outcome, now)
                .map(|report| report.runs.iter().map(|run| run.id.clone()).collect())
                .unwrap_or_default();
            for work in state.works.iter_mut().filter(|work| written.iter().any(|id| id == work.id())) {
                work.written();
            }
        }
        Event::ReadAgain => state.senses.read_again(),
        Event::Tick => {}
    }
}

fn look(state: &mut State, turn: &mut Turn<'_>) {
    let expected = Expectation { spec: state.order.as_ref().map(|order| &order.spec), booted_at: state.booted_at };
    let lends = state.works.iter().any(Work::needs_driver_released);
    state.senses.look(&expected, lends, turn);
}

fn give_to_works(state: &mut State, id: u64, measured: Measured, duration_ms: u64, turn: &mut Turn<'_>) {
    with_context(state, turn, |works, context| {
        let mut measured = Some(measured);
        for work in works {
            let Some(still) = measured.take() else { break };
            measured = work.probe_finished(id, still, duration_ms, context);
        }
    });
}

fn take_order(state: &mut State, mut order: Order, now: Now) {
    if !state.carried {
        state.carried = true;
        carry::take_over(state, &order, now);
    } else if state.order.as_ref().is_none_or(|known| known.uid != order.uid) {
        // The object was created again: the content of the old one is gone.
        state.writer.forget();
        state.writer.try_again();
    }
    order.report = None;
    for work in state.works.iter_mut().filter(|work| !work.is_cancelled()) {
        match order.spec.assignments.iter().find(|assignment| assignment.id == work.id()) {
            Some(assignment) => work.update(assignment),
            None => work.cancel(),
        }
    }
    for assignment in &order.spec.assignments {
        if state.works.iter().all(|work| work.id() != assignment.id) {
            state.works.push(Work::new(assignment));
        }
    }
    state.order = Some(order);
}

/// `pending`: when the sample arrived that changed findings not yet in a report.
fn judge_all(state: &mut State, pending: Option<u64>, turn: &mut Turn<'_>) {
    let now = turn.now;
    faults::fold_due(state, turn);
    let mut before = std::mem::take(&mut state.standing);
    // A row's `since` is compared with the published rows: a change that came and went unpublished does not count.
    if let Some(published) = state.writer.published_rows() {
        let known = std::mem::replace(&mut before.rows, published.to_vec());
        for row in &mut before.rows {
            let ran = known.iter().find(|known| known.check == row.check).and_then(|known| known.last_run);
            row.last_run = row.last_run.max(ran);
        }
    }
    let known = state.sample_read_at.is_some().then(|| before.findings.clone());
    let measured = state.senses.measured(&state.log);
    let expected = state.expectation();
    let ends = expected.boot_grace_ends().filter(|end| now.wall() < *end);
    let log_intervals: Vec<i64> = registry::wanted(&expected)
        .iter()
        .filter(|monitor| registry::named(&monitor.name).is_some_and(|row| row.reads.kernel_log))
        .map(interval_seconds)
        .collect();
    let standing = judge::judge(&expected, &measured, before, now);
    for time in ends.into_iter().chain(next_expiry(&standing.findings)) {
        turn.wake_at(now.mono_of_time(time));
    }
    let ends = log_intervals.into_iter().filter_map(|interval| state.log.overrun_ends(interval));
    ends.filter(|ends| *ends > now.mono_ms).for_each(|ends| turn.wake_at(ends));
    let changed = known.is_some_and(|known| {
        let was = |finding: &Finding| {
            known.get(&finding.check, &finding.target).is_some_and(|known| same_verdict(known, finding))
        };
        standing.findings.iter().count() != known.iter().count() || !standing.findings.iter().all(was)
    });
    state.sample_read_at = pending.or_else(|| state.sample_read_at.filter(|_| changed));
    state.standing = standing;
}

/// Advances the work orders. Returns whether the senses have something to do for one of them.
fn work(state: &mut State, turn: &mut Turn<'_>) -> bool {
    let wants = with_context(state, turn, |works, context| {
        // What has ended in one order may be what an earlier one waits for.
        while advance_each(works, context) {}
        // A drill ends if its order is gone or done.
        context
            .findings
            .retain(|finding| !drill::is_drill(finding) || works.iter().any(|work| work.drills_at(&finding.target)));
    });
    let State { order, works, .. } = state;
    let ordered = order.as_ref().map_or(&[][..], |order| order.spec.assignments.as_slice());
    works.retain_mut(|work| {
        let given_again = ordered.iter().find(|assignment| work.is_over() && assignment.id == work.id());
        if let Some(assignment) = given_again {
            work.end_as_interrupted(assignment, turn.now.wall());
        }
        given_again.is_some() || !work.is_over()
    });
    wants
}

/// Advances each order once. Returns whether a check of one of them has ended.
fn advance_each(works: &mut [Work], context: &mut Context<'_>) -> bool {
    let mut has_ended = false;
    for at in 0..works.len() {
        let others = works.iter().enumerate().filter(|(other, _)| *other != at);
        context.others = others.flat_map(|(_, work)| work.classes()).collect();
        if let Some(work) = works.get_mut(at) {
            has_ended |= work.advance(context);
        }
    }
    has_ended
}

/// Gives the work orders what they need to make progress. Returns whether the senses have something to do for one of them.
fn with_context(state: &mut State, turn: &mut Turn<'_>, act: impl FnOnce(&mut Vec<Work>, &mut Context<'_>)) -> bool {
    let booted_at = state.booted_at;
    let State { order, facts, standing, works, senses, log, checks, .. } = state;
    let mut context = Context {
        expected: Expectation { spec: order.as_ref().map(|order| &order.spec), booted_at },
        findings: &mut standing.findings,
        senses,
        log,
        looks_again: false,
        checks,
        others: Vec::new(),
        has_address: !facts.addresses.is_empty(),
        probes: turn.probes,
        now: turn.now,
        commands: turn.commands,
        wake: turn.wake,
    };
    act(works, &mut context);
    context.looks_again
}

/// The report, if it is time to write one.
fn write(state: &mut State, turn: &mut Turn<'_>) -> Option<Effect> {
    if !state.carried || state.order.is_none() {
        return None;
    }
    let now = turn.now;
    let (report, moves_at) = compose::compose(state, now);
    let report = state.writer.as_accepted(report, now.mono_ms);
    let is_urgent = state.writer.is_urgent(&report);
    let waits = !state.is_ready() && now.mono_ms < state.first_report_by;
    if waits && !is_urgent {
        turn.wake_at(state.first_report_by);
        return None;
    }
    if !is_urgent {
        // Everything read so far is already published, or changes only counts.
        state.fault_read_at = None;
    }
    for at in moves_at.into_iter().chain(state.writer.full_again_at(now.mono_ms)) {
        turn.wake_at(at);
    }
    match state.writer.consider(&report, now.mono_ms) {
        Writing::Nothing => None,
        Writing::Later(at) => {
            turn.wake_at(at);
            None
        }
        Writing::Now => {
            state.writer.sent(report.clone(), now.mono_ms);
            let (fault_read_at, sample_read_at) = (state.fault_read_at.take(), state.sample_read_at.take());
            Some(Effect::Report { report: Box::new(report), fault_read_at, sample_read_at })
        }
    }
}
