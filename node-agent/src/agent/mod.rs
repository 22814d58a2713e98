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
mod drill;
mod event;
mod group;
mod log;
mod looking;
mod passive;
mod results;
mod sampler;
#[cfg(test)]
mod tests;
mod tree;
mod work;
mod writer;

pub use event::{Effect, Event, LogEntry, Measured, Order, Probe, Refusal};
pub use group::SLOT_MISSED;
pub use passive::READING_MS;
pub use sampler::{ANSWER_MS, PAUSE_MS as SAMPLER_PAUSE_MS, PROMPT_MS, SAMPLER_DEADLINE_MS, SECTION_MS};
pub use tree::TREE_DEADLINE_MS;
pub use writer::{BURST, COUNT_PAUSE_MS, PAUSE_MS};

use crate::judge::xid as judge_xid;
use crate::judge::{
    self, Expectation, Hardware, KernelLog, Measurements, Memory, Readings, Standing, interval_seconds, registry,
    same_verdict,
};
use crate::kernel_log::Cursor;
use crate::time::Now;
use crate::xid::{DedupeKey, Merge, Owners};
use crds::Time;
use crds::node_health::{CheckRow, Finding, Inventory};
use sampler::Sampler;
use std::collections::{BTreeMap, VecDeque};
use tree::Tree;
use work::{Ground, Senses, Work};
use writer::{Writer, Writing};

/// The first report waits so long for the first inventory and the kernel log, in milliseconds.
const FIRST_REPORT_MS: u64 = 5_000;
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
    sampler: Sampler,
    tree: Tree,
    readings: Readings,
    memory: Memory,
    /// The last readings of both, side by side.
    hardware: Hardware,
    inventory: Inventory,
    /// The driver was let go for a maintenance at the last look.
    was_released: bool,
    /// The node was coming up at the last look.
    was_in_boot_grace: bool,
    /// When the node booted, by the wall clock as it goes now: it moves along where that is set.
    booted_at: Option<Time>,
    /// The wall clock at zero of the monotonic clock when the agent started, in milliseconds.
    clock_began: i64,
    log: KernelLog,
    merge: Merge,
    /// Board or job: whose Xids were seen on which board.
    owners: Owners,
    cursor: Option<Cursor>,
    /// Up to here the report of a former process tells of the log.
    told: Option<Cursor>,
    waiting: VecDeque<LogEntry>,
    recent_faults: VecDeque<(DedupeKey, u64)>,
    /// When the first fault that no report tells yet was read, by the monotonic clock in milliseconds.
    fault_read_at: Option<u64>,
    /// When the first sample arrived that changed findings which no report tells yet; while one is being taken in, when it
    /// arrived.
    sample_read_at: Option<u64>,
    standing: Standing,
    works: Vec<Work>,
    probes: Probes,
    writer: Writer,
}

/// The probes under way.
#[derive(Clone, Debug, Default)]
struct Probes {
    last: u64,
    running: BTreeMap<u64, Running>,
}

#[derive(Clone, Copy, Debug)]
struct Running {
    may_hold_driver: bool,
    /// It was asked to stop.
    asked: bool,
}

impl Probes {
    fn start(&mut self, probe: Probe, deadline_ms: u64, effects: &mut Vec<Effect>) -> u64 {
        self.last += 1;
        self.running.insert(self.last, Running { may_hold_driver: probe.may_hold_driver(), asked: false });
        effects.push(Effect::StartProbe { id: self.last, probe, deadline_ms });
        self.last
    }

    /// Asks once.
    fn stop(&mut self, id: u64, effects: &mut Vec<Effect>) {
        if let Some(running) = self.running.get_mut(&id).filter(|running| !running.asked) {
            running.asked = true;
            effects.push(Effect::StopProbe { id });
        }
    }

    fn stop_all_that_may_hold_the_driver(&mut self, effects: &mut Vec<Effect>) {
        let holders: Vec<u64> =
            self.running.iter().filter(|(_, running)| running.may_hold_driver).map(|(id, _)| *id).collect();
        for id in holders {
            self.stop(id, effects);
        }
    }

    fn may_hold_driver(&self) -> bool {
        self.running.values().any(|running| running.may_hold_driver)
    }

    fn is_running(&self, id: u64) -> bool {
        self.running.contains_key(&id)
    }
}

/// What one step has at hand beside the state.
struct Turn<'a> {
    probes: &'a mut Probes,
    now: Now,
    effects: &'a mut Vec<Effect>,
    /// The next moment of interest, by the monotonic clock in milliseconds.
    wake: &'a mut u64,
}

impl Turn<'_> {
    fn wake_at(&mut self, mono_ms: u64) {
        *self.wake = (*self.wake).min(mono_ms);
    }
}

impl State {
    /// An agent that has just started and knows nothing of the world yet.
    pub fn new(facts: Facts, now: Now) -> Self {
        let booted_at = facts.booted_at;
        Self {
            facts,
            order: None,
            carried: false,
            first_report_by: now.mono_ms.saturating_add(FIRST_REPORT_MS),
            sampler: Sampler::default(),
            tree: Tree::default(),
            readings: Readings::default(),
            memory: Memory::default(),
            hardware: Hardware::NotYet,
            inventory: Inventory::default(),
            was_released: false,
            was_in_boot_grace: false,
            booted_at,
            clock_began: clock_began(now),
            log: KernelLog::default(),
            merge: Merge::default(),
            owners: Owners::default(),
            cursor: None,
            told: None,
            waiting: VecDeque::new(),
            recent_faults: VecDeque::new(),
            fault_read_at: None,
            sample_read_at: None,
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

    /// What the driver's library and sysfs said last.
    pub const fn readings(&self) -> &Readings {
        &self.readings
    }

    fn expectation(&self) -> Expectation<'_> {
        Expectation { spec: self.order.as_ref().map(|order| &order.spec), booted_at: self.booted_at }
    }

    fn in_maintenance(&self) -> bool {
        self.order.as_ref().is_some_and(|order| order.spec.maintenance.is_some())
    }

    /// Whether a process of ours has the driver open, or may open it.
    fn holds_driver(&self) -> bool {
        !self.in_maintenance() || self.sampler.may_hold_driver() || self.probes.may_hold_driver()
    }
}

/// Takes one event in and says what is to be done.
pub fn step(state: &mut State, event: Event, now: Now) -> Vec<Effect> {
    let mut effects = Vec::new();
    let mut wake = now.mono_ms.saturating_add(IDLE_MS);
    let mut probes = std::mem::take(&mut state.probes);
    let mut turn = Turn { probes: &mut probes, now, effects: &mut effects, wake: &mut wake };
    let told = state.sample_read_at.take();
    let set_by = (clock_began(now) - state.clock_began).div_euclid(1000);
    state.booted_at = state.facts.booted_at.map(|booted| booted.plus(set_by));
    absorb(state, event, &mut turn);
    looking::look(state, &mut turn);
    judge_all(state, told, &mut turn);
    if work(state, &mut turn) {
        looking::look(state, &mut turn);
    }
    std::mem::swap(&mut state.probes, turn.probes);
    write(state, &mut turn);
    effects.push(Effect::Wake { at: wake.max(now.mono_ms + 1) });
    effects
}

/// The wall clock at zero of the monotonic one: moves only where the wall clock is set.
fn clock_began(now: Now) -> i64 {
    now.unix_ms.saturating_sub(i64::try_from(now.mono_ms).unwrap_or(i64::MAX))
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
            // Work under way goes on: an object that was deleted by hand is made again, with the same orders.
        }
        Event::KernelLog { entries, cursor } => log::take(state, entries, cursor, now),
        Event::KernelLogOpened { source } => {
            state.log.source = Some(source);
            state.log.unreadable = None;
        }
        Event::KernelLogUnreadable { message } => state.log.unreadable = Some(message),
        Event::ProbeFinished { id, measured, duration_ms } => {
            turn.probes.running.remove(&id);
            looking::take_measurement(state, id, measured, duration_ms, turn);
        }
        Event::SamplerSaid { id, said } => looking::hear(state, id, said, turn),
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

/// `told`: when the sample arrived that changed what no report tells yet.
fn judge_all(state: &mut State, told: Option<u64>, turn: &mut Turn<'_>) {
    let now = turn.now;
    log::fold_due(state, turn);
    let mut before = std::mem::take(&mut state.standing);
    // Since when a row says what it says is told by what was published: what came and went unpublished was not.
    if let Some(published) = state.writer.published_rows() {
        before.rows = published.to_vec();
    }
    let known = state.sample_read_at.is_some().then(|| before.findings.clone());
    let measured = Measurements {
        hardware: &state.hardware,
        kernel_log: &state.log,
        readings: &state.readings,
        memory: &state.memory,
        gpus: &state.inventory.gpus,
    };
    let expected = state.expectation();
    let ends = expected.boot_grace_ends().filter(|end| now.wall() < *end);
    let log_intervals: Vec<i64> = registry::wanted(&expected)
        .iter()
        .filter(|monitor| registry::named(&monitor.name).is_some_and(|row| row.reads.kernel_log))
        .map(interval_seconds)
        .collect();
    let standing = judge::judge(&expected, &measured, before, now);
    for time in ends.into_iter().chain(judge_xid::next_expiry(&standing.findings)) {
        turn.wake_at(now.mono_of_time(time));
    }
    if let Some(at) = state.log.overrun_at {
        let ends = log_intervals.into_iter().map(|interval| judge_xid::overrun_ends(at, interval));
        ends.filter(|ends| *ends > now.mono_ms).for_each(|ends| turn.wake_at(ends));
    }
    let changed = known.is_some_and(|known| {
        let was = |finding: &Finding| {
            known.get(&finding.check, &finding.target).is_some_and(|known| same_verdict(known, finding))
        };
        standing.findings.iter().count() != known.iter().count() || !standing.findings.iter().all(was)
    });
    state.sample_read_at = told.or_else(|| state.sample_read_at.filter(|_| changed));
    state.standing = standing;
}

/// Goes on with the work orders. Whether one of them wants something to be read.
fn work(state: &mut State, turn: &mut Turn<'_>) -> bool {
    let wants = with_ground(state, turn, |works, ground| {
        for work in works.iter_mut() {
            work.advance(ground);
        }
        // A drill whose order is gone, or over, is over.
        ground
            .findings
            .retain(|finding| !drill::is_drill(finding) || works.iter().any(|work| work.drills_at(&finding.target)));
    });
    let ordered: Vec<String> =
        state.order.iter().flat_map(|order| &order.spec.assignments).map(|assignment| assignment.id.clone()).collect();
    state.works.retain_mut(|work| {
        let given_again = work.is_over(turn.probes) && ordered.iter().any(|id| id == work.id());
        if given_again {
            work.end_as_interrupted(turn.now.wall());
        }
        given_again || !work.is_over(turn.probes)
    });
    wants
}

/// Whether something is wanted to be read.
fn with_ground(state: &mut State, turn: &mut Turn<'_>, act: impl FnOnce(&mut Vec<Work>, &mut Ground<'_>)) -> bool {
    let mut wanted = false;
    let booted_at = state.booted_at;
    let State { order, facts, standing, works, sampler, tree, readings, memory, hardware, inventory, log, .. } = state;
    let mut ground = Ground {
        expected: Expectation { spec: order.as_ref().map(|order| &order.spec), booted_at },
        findings: &mut standing.findings,
        senses: Senses { sampler, tree, wanted: &mut wanted, hardware, readings, memory, log, inventory },
        has_address: !facts.addresses.is_empty(),
        probes: turn.probes,
        now: turn.now,
        effects: turn.effects,
        wake: turn.wake,
    };
    act(works, &mut ground);
    wanted
}

fn write(state: &mut State, turn: &mut Turn<'_>) {
    if !state.carried || state.order.is_none() {
        return;
    }
    let now = turn.now;
    let (report, moves_at) = compose::compose(state, now);
    let is_urgent = state.writer.is_urgent(&report);
    let waits = !state.is_ready() && now.mono_ms < state.first_report_by;
    if waits && !is_urgent {
        turn.wake_at(state.first_report_by);
        return;
    }
    if !is_urgent {
        // What was read last is told already, or only counts.
        state.fault_read_at = None;
    }
    if let Some(at) = moves_at {
        turn.wake_at(at);
    }
    match state.writer.consider(&report, now.mono_ms) {
        Writing::Nothing => {}
        Writing::Later(at) => turn.wake_at(at),
        Writing::Now => {
            state.writer.sent(report.clone(), now.mono_ms);
            let (fault_read_at, sample_read_at) = (state.fault_read_at.take(), state.sample_read_at.take());
            turn.effects.push(Effect::Report { report: Box::new(report), fault_read_at, sample_read_at });
        }
    }
}

impl State {
    /// Whether a first report would say more than that nothing was measured yet.
    fn is_ready(&self) -> bool {
        let log = self.log.source.is_some() || self.log.unreadable.is_some();
        let wanted = sampler::plan(&registry::wanted(&self.expectation()));
        let driver = self.readings.trouble.is_some()
            || self.in_maintenance()
            || wanted.keys().all(|section| self.readings.taken.contains_key(section));
        log && driver && (self.readings.tree.is_some() || self.readings.tree_failed.is_some())
    }
}
