//! Probes, run by the runner; one task waits for each.

use crate::agent::Event;
use crate::dispatch::request;
use crate::dispatch::{Measured, Probe};
use crate::error::AgentError;
use crate::metrics::Metrics;
use crate::probe::places::Places;
use crate::readings::{Ask, Said};
use crate::runner::client::{ProbeOutcome, ProbeRequest, Runner, RunnerCommand, RunnerState};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// How long the runner may take to end its probes and itself when the agent stops.
const FAREWELL: Duration = Duration::from_secs(12);

/// The runner that is used.
#[derive(Debug, Clone)]
pub enum RunnerAt {
    /// One that listens at this socket, with flags of its own.
    Socket(PathBuf),
    /// A child of this process.
    Child {
        /// What it may use.
        places: Box<Places>,
        /// How much it logs.
        log_level: tracing::Level,
    },
}

/// What is being measured.
pub(super) struct Probes {
    runner: Runner,
    events: mpsc::Sender<Event>,
    metrics: Metrics,
    tasks: JoinSet<u64>,
    reins: HashMap<u64, Reins>,
}

/// How a probe that runs is reached.
struct Reins {
    stop: Arc<Notify>,
    /// At most one question is under way, so that this stays short.
    asks: mpsc::UnboundedSender<Ask>,
}

impl Probes {
    /// Starts a runner as a child, or connects to one.
    pub(super) fn start(runner: RunnerAt, events: mpsc::Sender<Event>, metrics: Metrics) -> Result<Self, AgentError> {
        let runner = match runner {
            RunnerAt::Socket(socket) => Runner::connect(socket),
            RunnerAt::Child { places, log_level } => {
                let mut arguments = places.flags();
                arguments.push(format!("--log-level={log_level}").into());
                let binary = std::env::current_exe().map_err(AgentError::OwnBinary)?;
                Runner::spawn_child_with(RunnerCommand { binary, arguments, environment: Vec::new() })
            }
        };
        tokio::spawn(count_losses(runner.state(), metrics.clone()));
        Ok(Self { runner, events, metrics, tasks: JoinSet::new(), reins: HashMap::new() })
    }

    /// Starts a probe. The core is always told of its end.
    pub(super) fn begin(&mut self, id: u64, probe: Probe, deadline_ms: u64) {
        while let Some(ended) = self.tasks.try_join_next() {
            if let Ok(ended) = ended {
                self.reins.remove(&ended);
            }
        }
        let stop = Arc::new(Notify::new());
        let (asks, to_ask) = mpsc::unbounded_channel();
        self.reins.insert(id, Reins { stop: stop.clone(), asks });
        if probe == Probe::Sampler {
            self.metrics.sampler.starts.inc();
        }
        let (runner, events, metrics) = (self.runner.clone(), self.events.clone(), self.metrics.clone());
        self.tasks.spawn(async move {
            let (measured, duration_ms) = match request::request(&probe, deadline_ms) {
                Ok(request) => {
                    let outcome = if probe == Probe::Sampler {
                        converse(id, &runner, request, &stop, to_ask, &events).await
                    } else {
                        wait(&runner, request, &stop).await
                    };
                    request::read(&probe, outcome)
                }
                Err(measured) => (measured, 0),
            };
            note(&probe, &measured, duration_ms, &metrics);
            let _ = events.send(Event::ProbeFinished { id, measured, duration_ms }).await;
            id
        });
    }

    /// Asks a probe to end; the core is still told of its end.
    pub(super) fn stop(&self, id: u64) {
        if let Some(reins) = self.reins.get(&id) {
            reins.stop.notify_one();
        }
    }

    /// Sends a request to the sampler. If it has ended, the core is told of that anyway.
    pub(super) fn ask(&self, id: u64, ask: Ask) {
        if let Some(reins) = self.reins.get(&id) {
            let _ = reins.asks.send(ask);
        }
    }

    /// Ends every probe and the runner that we started.
    pub(super) async fn stop_all(mut self) {
        self.tasks.shutdown().await;
        let mut state = self.runner.state();
        drop(self.runner);
        let gone = async { while state.changed().await.is_ok() {} };
        if timeout(FAREWELL, gone).await.is_err() {
            tracing::warn!("the runner did not exit in time");
        }
    }
}

async fn wait(runner: &Runner, request: ProbeRequest, stop: &Notify) -> ProbeOutcome {
    let mut running = runner.start(request).await;
    tokio::select! {
        outcome = running.ended() => outcome,
        // A stop that was requested earlier has left a permit.
        () = stop.notified() => {
            running.stop();
            running.ended().await
        }
    }
}

/// Passes requests to the sampler and its answers to the core until the sampler ends.
async fn converse(
    id: u64,
    runner: &Runner,
    request: ProbeRequest,
    stop: &Notify,
    mut asks: mpsc::UnboundedReceiver<Ask>,
    events: &mpsc::Sender<Event>,
) -> ProbeOutcome {
    let (mut running, mut lines) = runner.start_talking(request).await;
    loop {
        tokio::select! {
            // Its last answer is passed on before its end.
            biased;
            Some(line) = lines.recv() => match serde_json::from_str::<Said>(&line) {
                Ok(said) => {
                    let _ = events.send(Event::SamplerSaid { id, said }).await;
                }
                // The core notices that its request stays unanswered.
                Err(error) => tracing::warn!(%error, "unreadable line from the sampler"),
            },
            Some(ask) = asks.recv() => match serde_json::to_string(&ask) {
                Ok(line) => running.say(line),
                Err(error) => tracing::error!(%error, "cannot encode a request to the sampler"),
            },
            () = stop.notified() => running.stop(),
            outcome = running.ended() => return outcome,
        }
    }
}

fn note(probe: &Probe, measured: &Measured, duration_ms: u64, metrics: &Metrics) {
    let name = probe.name();
    if *probe != Probe::Sampler {
        metrics.probe_seconds.with_label_values(&[name]).observe(Duration::from_millis(duration_ms).as_secs_f64());
    }
    if let Measured::Unknown { reason, message } = measured {
        metrics.probe_inconclusive.with_label_values(&[name, reason]).inc();
        tracing::warn!(probe = name, reason, message, "probe gave no result");
    }
}

async fn count_losses(mut state: watch::Receiver<RunnerState>, metrics: Metrics) {
    let mut was_ready = false;
    while state.changed().await.is_ok() {
        let is_ready = matches!(*state.borrow_and_update(), RunnerState::Ready { .. });
        if was_ready && !is_ready {
            metrics.runner_lost.inc();
        }
        was_ready = is_ready;
    }
}
