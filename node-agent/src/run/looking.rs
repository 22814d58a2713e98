//! Looks at this machine without a cluster: the same core and probes, reading by reading.

use super::clock::Clock;
use super::probes::{Probes, RunnerAt};
use crate::agent::{Effect, Event, Facts, LogEntry, Order, State, step};
use crate::error::AgentError;
use crate::kernel_log::boot_id;
use crate::metrics::Metrics;
use crate::probe::places::{Machine, Places, Tools};
use crds::Outcome;
use crds::check::Check;
use crds::node_health::NodeHealthSpec;
use std::collections::VecDeque;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// Time for one reading beyond the deadline of one call: starting processes, other calls, and ending a child that hangs.
const PATIENCE: Duration = Duration::from_secs(40);
/// Time for a driver that does not answer to show it a second time, beyond the deadline of one call: the child is killed,
/// and another one is started after a second.
const SECOND_TRY: Duration = Duration::from_secs(8);
/// How long the driver is heard out: five times as long as one fault waits for its line in the kernel log.
const HEARING: Duration = Duration::from_secs(10);
/// Longer than the core itself waits for a witness.
const WITNESSES: Duration = Duration::from_secs(11);
/// Events that may wait for the core.
const INBOX: usize = 256;

/// What to look at.
#[derive(Debug, Clone)]
pub(crate) struct Look {
    /// The monitors, and what is expected.
    pub(crate) spec: NodeHealthSpec,
    /// Trees and libraries.
    pub(crate) machine: Machine,
    /// How much the runner logs.
    pub(crate) log_level: tracing::Level,
    /// What the kernel log tells, and its source; or why it cannot be read.
    pub(crate) kernel_log: Result<(String, Vec<LogEntry>), String>,
}

/// The core with its probes. It keeps what it has seen from one reading to the next.
pub(crate) struct Looking {
    state: State,
    clock: Clock,
    probes: Probes,
    inbox: mpsc::Receiver<Event>,
    pending: VecDeque<Event>,
    wake_at: u64,
    call_deadline: Duration,
    has_read: bool,
}

impl Looking {
    /// Starts the core and a runner. Nothing is read yet.
    pub(crate) fn start(look: Look) -> Result<Self, AgentError> {
        let clock = Clock::start();
        let metrics = Metrics::new().map_err(|error| AgentError::SetUp(std::io::Error::other(error)))?;
        let (events, inbox) = mpsc::channel(INBOX);
        let facts = Facts {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            // Files copied from another machine may have none, and nothing here survives a boot.
            boot_id: boot_id(&look.machine.proc_root).unwrap_or_default(),
            booted_at: None,
            started_at: clock.now().wall(),
            addresses: Vec::new(),
        };
        let calls = look.machine.init_deadline_ms.saturating_add(look.machine.call_deadline_ms);
        let call_deadline = Duration::from_millis(calls);
        let places = Box::new(Places { machine: look.machine, tools: Tools::default() });
        Ok(Self {
            state: State::new(facts, clock.now()),
            probes: Probes::start(RunnerAt::Child { places, log_level: look.log_level }, events, metrics)?,
            inbox,
            pending: first_events(look.spec, look.kernel_log),
            wake_at: clock.now().mono_ms,
            clock,
            call_deadline,
            has_read: false,
        })
    }

    /// What is known so far.
    pub(crate) const fn state(&self) -> &State {
        &self.state
    }

    /// Tells the core something; it is processed with the next reading.
    pub(crate) fn tell(&mut self, event: Event) {
        self.pending.push_back(event);
    }

    /// Replaces what is expected.
    pub(crate) fn expect(&mut self, spec: NodeHealthSpec) {
        self.tell(Event::SpecChanged(Box::new(Order { spec, ..Order::default() })));
    }

    /// Reads everything once, or until it takes too long. A driver that does not answer gets a second try.
    pub(crate) async fn read(&mut self) {
        let since = self.clock.now().mono_ms;
        if std::mem::replace(&mut self.has_read, true) {
            self.tell(Event::ReadAgain);
        }
        let late = Instant::now() + self.call_deadline + PATIENCE;
        self.until(late, |state| state.is_read_since(since)).await;
        let second_try = Instant::now() + self.call_deadline + SECOND_TRY;
        self.until(second_try, |state| state.readings().trouble.is_none() || is_condemned(state)).await;
        // A second try that succeeds has read what it was asked first.
        self.until(late, |state| state.is_read_since(since)).await;
    }

    /// Processes what comes during this time.
    pub(crate) async fn go_on_for(&mut self, time: Duration) {
        self.until(Instant::now() + time, |_| false).await;
    }

    /// Waits until every fault that the driver has announced is judged: first its line in the kernel log is awaited. A driver
    /// that announces without end is heard for a while.
    pub(crate) async fn hear_out(&mut self) {
        self.until(Instant::now() + HEARING, |state| state.next_announced().is_none()).await;
    }

    /// Waits until the witnesses of old or unproven lines of the kernel log have answered.
    pub(crate) async fn settle_doubts(&mut self) {
        self.until(Instant::now() + WITNESSES, |state| !state.has_open_doubts()).await;
    }

    /// Ends the probes and the runner.
    pub(crate) async fn stop(self) {
        self.probes.stop_all().await;
    }

    /// Runs the core until `is_done`, at most until `late`.
    async fn until(&mut self, late: Instant, is_done: impl Fn(&State) -> bool) {
        loop {
            let event = match self.pending.pop_front() {
                Some(event) => event,
                None if is_done(&self.state) => return,
                None => tokio::select! {
                    event = self.inbox.recv() => event.unwrap_or(Event::Tick),
                    () = tokio::time::sleep(self.clock.until(self.wake_at)) => Event::Tick,
                    () = tokio::time::sleep_until(late) => return,
                },
            };
            for effect in step(&mut self.state, event, self.clock.now()) {
                self.act(effect);
            }
        }
    }

    fn act(&mut self, effect: Effect) {
        match effect {
            Effect::StartProbe { id, probe, deadline_ms } => self.probes.begin(id, probe, deadline_ms),
            Effect::StopProbe { id } => self.probes.stop(id),
            Effect::Ask { id, ask } => self.probes.ask(id, ask),
            // There is no API server to write to.
            Effect::Report { .. } => self.pending.push_back(Event::ReportApplied(Ok(()))),
            Effect::Wake { at } => self.wake_at = at,
        }
    }
}

/// Whether the trouble with the driver is judged already.
fn is_condemned(state: &State) -> bool {
    let fails = |check: &str| check == Check::Driver.name() || check == Check::Inventory.name();
    state.findings().any(|finding| finding.outcome == Outcome::Fail && fails(&finding.check))
}

fn first_events(spec: NodeHealthSpec, log: Result<(String, Vec<LogEntry>), String>) -> VecDeque<Event> {
    let order = Order { spec, ..Order::default() };
    let mut events = VecDeque::from([Event::SpecChanged(Box::new(order))]);
    match log {
        Ok((source, entries)) => {
            events.push_back(Event::KernelLogOpened { source });
            if !entries.is_empty() {
                events.push_back(Event::KernelLog { entries, cursor: None });
            }
        }
        Err(message) => events.push_back(Event::KernelLogUnreadable { message }),
    }
    events
}
