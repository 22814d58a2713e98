//! One pass over this machine without a cluster: the same core and probes, until every monitor has judged.

use super::clock::Clock;
use super::probes::Probes;
use crate::agent::{Effect, Event, Facts, LogEntry, Order, State, step};
use crate::dispatch::Places;
use crate::error::AgentError;
use crate::kernel_log::boot_id;
use crate::metrics::Metrics;
use crds::node_health::NodeHealthSpec;
use crds::reason;
use std::collections::VecDeque;
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::mpsc;

/// Time beyond the deadline of one call: starting processes, other calls, and ending a child that hangs.
const PATIENCE: Duration = Duration::from_secs(40);
/// Events that may wait for the core.
const INBOX: usize = 256;

/// What to look at.
#[derive(Debug, Clone)]
pub(crate) struct Look {
    /// The monitors, and what is expected.
    pub(crate) spec: NodeHealthSpec,
    /// Where /proc is mounted.
    pub(crate) proc_root: PathBuf,
    /// Trees and libraries.
    pub(crate) places: Places,
    /// What the kernel log tells, and its source; or why it cannot be read.
    pub(crate) kernel_log: Result<(String, Vec<LogEntry>), String>,
}

/// Runs until every monitor has judged, or until it takes too long; returns the core's state.
pub(crate) async fn once(look: Look) -> Result<State, AgentError> {
    let clock = Clock::start();
    let metrics = Metrics::new().map_err(|error| AgentError::SetUp(std::io::Error::other(error)))?;
    let (events, mut inbox) = mpsc::channel(INBOX);
    // A call that does not return is made again by a second process.
    let attempt = look.places.init_deadline_ms.saturating_add(look.places.call_deadline_ms);
    let patience = Duration::from_millis(attempt.saturating_mul(2)) + PATIENCE;
    let mut probes = Probes::start(None, look.places, events, metrics)?;
    let facts = Facts {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        // Files copied from another machine may have none, and nothing here survives a boot.
        boot_id: boot_id(&look.proc_root).unwrap_or_default(),
        booted_at: None,
        started_at: clock.now().wall(),
        addresses: Vec::new(),
    };
    let mut state = State::new(facts, clock.now());
    let mut pending: VecDeque<Event> = first_events(look.spec, look.kernel_log);
    let late = tokio::time::Instant::now() + patience;
    let mut wake_at = clock.now().mono_ms;
    loop {
        let event = match pending.pop_front() {
            Some(event) => event,
            None if is_done(&state) => break,
            None => tokio::select! {
                event = inbox.recv() => event.unwrap_or(Event::Tick),
                () = tokio::time::sleep(clock.until(wake_at)) => Event::Tick,
                () = tokio::time::sleep_until(late) => break,
            },
        };
        for effect in step(&mut state, event, clock.now()) {
            match effect {
                Effect::StartProbe { id, probe, deadline_ms } => probes.begin(id, probe, deadline_ms),
                Effect::StopProbe { id } => probes.stop(id),
                Effect::Ask { id, ask } => probes.ask(id, ask),
                // There is no API server to write to.
                Effect::Report { .. } => pending.push_back(Event::ReportApplied(Ok(()))),
                Effect::Wake { at } => wake_at = at,
            }
        }
    }
    probes.stop_all().await;
    Ok(state)
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

fn is_done(state: &State) -> bool {
    // A call that has not returned once is made again.
    let is_open =
        |why: Option<&str>| why.is_some_and(|why| [reason::NEVER_JUDGED, reason::CALL_UNANSWERED].contains(&why));
    let rows = state.rows();
    !rows.is_empty() && rows.iter().all(|row| !is_open(row.reason.as_deref()))
}
