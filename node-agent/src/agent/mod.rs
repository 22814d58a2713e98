//! The agent's core: everything that an agent decides, as one pure function.
//!
//! ```text
//!  Event ──▶ step(&mut State, Event, now) ──▶ Vec<Effect>
//!            absorb ─▶ look (monitors) ─▶ judge ─▶ work (assignments) ─▶ write (report) ─▶ wake
//! ```
//!
//! No clock, no client, no environment. What must outlive a restart lies in the report ([`carry`]). What must stay true:
//! - no report is written before the agent's own last one was read, and none that breaks a bound of the API;
//! - an assignment is started at most once, whenever the agent dies;
//! - while nothing changes, nothing is written;
//! - every probe that is started is waited for.

pub mod carry;
mod compose;
mod event;
mod group;
mod log;
mod results;
#[cfg(test)]
mod tests;
mod work;
mod writer;

pub use event::{Effect, Event, LogEntry, Measured, Order, Probe, Refusal};
pub use group::SLOT_MISSED;
pub use writer::{BURST, COUNT_PAUSE_MS, PAUSE_MS};

use crate::judge::inventory::{self, Hardware};
use crate::judge::xid::{self as judge_xid, KernelLog};
use crate::judge::{self, Expectation, Measurements, Memory, Readings, Standing, interval_of};
use crate::kernel_log::Cursor;
use crate::time::Now;
use crate::xid::DedupeKey;
use crds::Time;
use crds::check::Check;
use crds::node_health::{CheckRow, Finding, Inventory};
use std::collections::{BTreeMap, VecDeque};
use work::{Ground, Work};
use writer::{Writer, Writing};

/// The longest that an inventory may take, in milliseconds. NVML answers in well under a second; 30 s is a driver that hangs.
pub const INVENTORY_DEADLINE_MS: u64 = 30_000;
/// The first report waits so long for the first inventory and the kernel log, in milliseconds.
const FIRST_REPORT_MS: u64 = 5_000;
/// After an inventory that did not come to an end the next one begins so much later at most, in milliseconds.
const RETRY_MS: u64 = 10_000;
/// Without anything to wait for, the core is called again after this many milliseconds.
const IDLE_MS: u64 = 60_000;

/// What does not change while the agent runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The version of the agent.
    pub version: String,
    /// The boot id of the node's kernel.
    pub boot_id: String,
    /// When the node booted, by its own clock.
    pub booted_at: Option<Time>,
    /// When the agent started, by the node's clock.
    pub started_at: Time,
    /// Addresses at which peers may reach this node.
    pub addresses: Vec<String>,
}

/// All that the agent knows.
#[derive(Clone, Debug)]
pub struct State {
    facts: Facts,
    order: Option<Order>,
    /// The agent's own last report was read, or there is none.
    carried: bool,
    first_report_by: u64,
    hardware: Hardware,
    inventory: Inventory,
    inventory_due: u64,
    inventory_probe: Option<u64>,
    readings: Readings,
    memory: Memory,
    log: KernelLog,
    cursor: Option<Cursor>,
    /// Up to here the report of a former process tells of the log.
    told: Option<Cursor>,
    waiting: VecDeque<LogEntry>,
    recent_faults: VecDeque<(DedupeKey, u64)>,
    /// When the first fault that no report tells yet was read, by the monotonic clock in milliseconds.
    fault_read_at: Option<u64>,
    standing: Standing,
    works: Vec<Work>,
    probes: Probes,
    writer: Writer,
}

/// The probes under way.
#[derive(Clone, Debug, Default)]
struct Probes {
    last: u64,
    /// Id, and whether it was asked to stop.
    running: BTreeMap<u64, bool>,
}

impl Probes {
    fn start(&mut self, probe: Probe, deadline_ms: u64, effects: &mut Vec<Effect>) -> u64 {
        self.last += 1;
        self.running.insert(self.last, false);
        effects.push(Effect::StartProbe { id: self.last, probe, deadline_ms });
        self.last
    }

    /// Asks once.
    fn stop(&mut self, id: u64, effects: &mut Vec<Effect>) {
        if let Some(asked) = self.running.get_mut(&id).filter(|asked| !**asked) {
            *asked = true;
            effects.push(Effect::StopProbe { id });
        }
    }

    fn is_running(&self, id: u64) -> bool {
        self.running.contains_key(&id)
    }
}

impl State {
    /// An agent that has just started and knows nothing of the world yet.
    pub fn new(facts: Facts, now: Now) -> Self {
        Self {
            facts,
            order: None,
            carried: false,
            first_report_by: now.mono_ms.saturating_add(FIRST_REPORT_MS),
            hardware: Hardware::NotYet,
            inventory: Inventory::default(),
            inventory_due: now.mono_ms,
            inventory_probe: None,
            readings: Readings::default(),
            memory: Memory::default(),
            log: KernelLog::default(),
            cursor: None,
            told: None,
            waiting: VecDeque::new(),
            recent_faults: VecDeque::new(),
            fault_read_at: None,
            standing: Standing::default(),
            works: Vec::new(),
            probes: Probes::default(),
            writer: Writer::default(),
        }
    }

    /// What is wrong at the moment, by check and target.
    pub fn findings(&self) -> impl Iterator<Item = &Finding> {
        self.standing.findings.iter()
    }

    /// The rows of the monitors at the moment.
    pub fn rows(&self) -> &[CheckRow] {
        &self.standing.rows
    }

    /// The accelerators and network devices that were seen last.
    pub fn inventory(&self) -> &Inventory {
        &self.inventory
    }

    fn expectation(&self) -> Expectation<'_> {
        Expectation { spec: self.order.as_ref().map(|order| &order.spec), booted_at: self.facts.booted_at }
    }

    fn in_maintenance(&self) -> bool {
        self.order.as_ref().is_some_and(|order| order.spec.maintenance.is_some())
    }

    /// Whether a process of ours has the driver open, or may open it.
    fn holds_driver(&self) -> bool {
        !self.in_maintenance() || self.inventory_probe.is_some()
    }
}

/// Takes one event in and says what is to be done.
pub fn step(state: &mut State, event: Event, now: Now) -> Vec<Effect> {
    let mut effects = Vec::new();
    let mut wake = now.mono_ms.saturating_add(IDLE_MS);
    absorb(state, event, now, &mut effects, &mut wake);
    look(state, now, &mut effects, &mut wake);
    judge_all(state, now, &mut wake);
    work(state, now, &mut effects, &mut wake);
    write(state, now, &mut effects, &mut wake);
    effects.push(Effect::Wake { at: wake.max(now.mono_ms + 1) });
    effects
}

fn absorb(state: &mut State, event: Event, now: Now, effects: &mut Vec<Effect>, wake: &mut u64) {
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
            // Work under way goes on: an object that was deleted by hand is made again, with the same orders.
        }
        Event::KernelLog { entries, cursor } => log::take(state, entries, cursor, now),
        Event::KernelLogOpened { source } => {
            state.log.source = Some(source);
            state.log.unreadable = None;
        }
        Event::KernelLogUnreadable { message } => state.log.unreadable = Some(message),
        Event::ProbeFinished { id, measured, duration_ms } => {
            state.probes.running.remove(&id);
            take_measurement(state, id, measured, duration_ms, now, effects, wake);
        }
        Event::ReportApplied(outcome) => {
            let written: Vec<String> = state
                .writer
                .applied(outcome, now.mono_ms)
                .map(|report| report.runs.iter().map(|run| run.id.clone()).collect())
                .unwrap_or_default();
            for work in state.works.iter_mut().filter(|work| written.iter().any(|id| id == work.id())) {
                work.written();
            }
        }
        Event::Tick => {}
    }
}

fn take_order(state: &mut State, mut order: Order, now: Now) {
    if !state.carried {
        state.carried = true;
        carry::take_over(state, &order, now);
    } else if state.order.as_ref().is_none_or(|known| known.uid != order.uid) {
        // Made anew: whatever the old one held is gone.
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

fn take_measurement(
    state: &mut State,
    id: u64,
    measured: Measured,
    duration_ms: u64,
    now: Now,
    effects: &mut Vec<Effect>,
    wake: &mut u64,
) {
    if let Measured::Inventory(report) = &measured {
        state.inventory = inventory::as_reported(report);
        state.hardware = Hardware::Seen(report.clone());
    }
    if state.inventory_probe == Some(id) {
        state.inventory_probe = None;
        if let Measured::Unknown { reason, message } = measured {
            if !state.in_maintenance() {
                state.hardware = Hardware::Unknown { reason, message };
            }
            state.inventory_due = state.inventory_due.min(now.mono_ms.saturating_add(RETRY_MS));
        }
        return;
    }
    let mut measured = Some(measured);
    with_ground(state, now, effects, wake, |works, ground| {
        for work in works {
            let Some(still) = measured.take() else { break };
            measured = work.probe_finished(id, still, duration_ms, ground);
        }
    });
}

/// Measures what is due. Under maintenance nothing of ours touches the driver.
fn look(state: &mut State, now: Now, effects: &mut Vec<Effect>, wake: &mut u64) {
    if state.in_maintenance() {
        if let Some(id) = state.inventory_probe {
            state.probes.stop(id, effects);
        }
        return;
    }
    if state.inventory_probe.is_none() && now.mono_ms >= state.inventory_due {
        state.inventory_probe = Some(state.probes.start(Probe::Inventory, INVENTORY_DEADLINE_MS, effects));
        let interval = interval_of(&state.expectation().monitors(), Check::Inventory);
        let pause = u64::try_from(interval).unwrap_or(1).saturating_mul(1000);
        state.inventory_due = now.mono_ms.saturating_add(pause);
    }
    // One that runs is waited for by itself.
    if state.inventory_probe.is_none() {
        *wake = (*wake).min(state.inventory_due);
    }
}

fn judge_all(state: &mut State, now: Now, wake: &mut u64) {
    let mut before = std::mem::take(&mut state.standing);
    // Since when a row says what it says is told by what was published: what came and went unpublished was not.
    if let Some(published) = state.writer.published_rows() {
        before.rows = published.to_vec();
    }
    let measured = Measurements {
        hardware: &state.hardware,
        kernel_log: &state.log,
        readings: &state.readings,
        memory: &state.memory,
        gpus: &state.inventory.gpus,
    };
    let expected = state.expectation();
    let ends = expected.boot_grace_ends().filter(|end| now.wall() < *end);
    let xid_interval = interval_of(&expected.monitors(), Check::Xid);
    let standing = judge::judge(&expected, &measured, before, now);
    for time in ends.into_iter().chain(judge_xid::next_expiry(&standing.findings)) {
        *wake = (*wake).min(now.mono_of_time(time));
    }
    let overrun_ends = state.log.overrun_at.map(|at| judge_xid::overrun_ends(at, xid_interval));
    if let Some(ends) = overrun_ends.filter(|ends| *ends > now.mono_ms) {
        *wake = (*wake).min(ends);
    }
    state.standing = standing;
}

fn work(state: &mut State, now: Now, effects: &mut Vec<Effect>, wake: &mut u64) {
    with_ground(state, now, effects, wake, |works, ground| {
        for work in works {
            work.advance(ground);
        }
    });
    let ordered: Vec<String> =
        state.order.iter().flat_map(|order| &order.spec.assignments).map(|assignment| assignment.id.clone()).collect();
    let probes = &state.probes;
    state.works.retain_mut(|work| {
        let given_again = work.is_over(probes) && ordered.iter().any(|id| id == work.id());
        if given_again {
            work.end_as_interrupted(now.wall());
        }
        given_again || !work.is_over(probes)
    });
}

fn with_ground(
    state: &mut State,
    now: Now,
    effects: &mut Vec<Effect>,
    wake: &mut u64,
    act: impl FnOnce(&mut Vec<Work>, &mut Ground<'_>),
) {
    let State { order, facts, standing, works, probes, .. } = state;
    let mut ground = Ground {
        expected: Expectation { spec: order.as_ref().map(|order| &order.spec), booted_at: facts.booted_at },
        findings: &mut standing.findings,
        has_address: !facts.addresses.is_empty(),
        probes,
        now,
        effects,
        wake,
    };
    act(works, &mut ground);
}

fn write(state: &mut State, now: Now, effects: &mut Vec<Effect>, wake: &mut u64) {
    if !state.carried || state.order.is_none() {
        return;
    }
    let (report, moves_at) = compose::compose(state, now);
    let is_urgent = state.writer.is_urgent(&report);
    let waits = !state.is_ready() && now.mono_ms < state.first_report_by;
    if waits && !is_urgent {
        *wake = (*wake).min(state.first_report_by);
        return;
    }
    if !is_urgent {
        // What was read last is told already, or only counts.
        state.fault_read_at = None;
    }
    if let Some(at) = moves_at {
        *wake = (*wake).min(at);
    }
    match state.writer.consider(&report, now.mono_ms) {
        Writing::Nothing => {}
        Writing::Later(at) => *wake = (*wake).min(at),
        Writing::Now => {
            state.writer.sent(report.clone(), now.mono_ms);
            let fault_read_at = state.fault_read_at.take();
            effects.push(Effect::Report { report: Box::new(report), fault_read_at });
        }
    }
}

impl State {
    /// Whether a first report would say more than that nothing was measured yet.
    fn is_ready(&self) -> bool {
        let log = self.log.source.is_some() || self.log.unreadable.is_some();
        let hardware = self.hardware != Hardware::NotYet || self.in_maintenance();
        log && hardware
    }
}
