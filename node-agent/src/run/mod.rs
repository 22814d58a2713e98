//! The one place where the agent touches the world: it turns what happens into events, and effects into actions.
//!
//! One thread. Each source of events is a task of its own that never ends by itself; the Lease is one more, which needs
//! nothing but that the core turns. What must stay true:
//! - an error of the API server is logged, counted and tried again with back-off; it never ends the agent;
//! - nothing here decides: what to do and when comes from [`crate::agent::step`].

mod addresses;
mod api;
mod args;
mod back_off;
mod clock;
mod http;
mod kernel_log;
mod lease;
pub(crate) mod looking;
mod probes;
mod reporter;
mod stderr_log;
mod watch;

use crate::agent::{Effect, Event, Facts, Order, State, step};
use crate::complain::complain;
use crate::error::AgentError;
use crate::kernel_log::{boot_id, booted_at};
use crate::metrics::Metrics;
use crate::process::sys::forget_the_start;
pub use args::{Access, RunArgs, Settings};
pub use probes::RunnerAt;
pub(crate) use stderr_log::log_to_stderr;

use clock::Clock;
use crds::Time;
use crds::node_health::{CheckRow, Finding, Monitor};
use http::Told;
use probes::Probes;
use reporter::Reporter;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, oneshot, watch as channel};

/// Events that may wait for the core; the sources are slowed down beyond it.
const INBOX: usize = 256;

impl RunArgs {
    /// `gpu-health-agent run`: exits with 0 after SIGTERM, and with 1 if the agent could not start.
    pub fn run(self) -> ExitCode {
        match self.start() {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                complain(&error);
                ExitCode::FAILURE
            }
        }
    }

    fn start(self) -> Result<(), AgentError> {
        let settings = self.resolve()?;
        log_to_stderr(settings.log_level);
        // One thread: the node's CPUs belong to its workloads.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(AgentError::SetUp)?;
        runtime.block_on(run(settings))
    }
}

/// Runs the agent until SIGTERM or SIGINT; all its probes have ended by then.
async fn run(settings: Settings) -> Result<(), AgentError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(AgentError::SetUp)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(AgentError::SetUp)?;
    let mut agent = Agent::start(settings).await?;
    tokio::select! {
        () = agent.turn() => {}
        _ = terminate.recv() => tracing::info!("SIGTERM: stopping"),
        _ = interrupt.recv() => tracing::info!("SIGINT: stopping"),
    }
    agent.stop().await;
    Ok(())
}

struct Agent {
    state: State,
    clock: Clock,
    inbox: mpsc::Receiver<Event>,
    /// The Lease asks whether the core turns.
    pulse: mpsc::Receiver<oneshot::Sender<()>>,
    probes: Probes,
    reporter: Reporter,
    metrics: Metrics,
    ready: Arc<AtomicBool>,
    monitors: Vec<Monitor>,
    shown: Option<(Vec<Finding>, Vec<CheckRow>)>,
    /// A report was written: what follows repeats itself.
    has_settled: bool,
    wake_at: u64,
}

impl Agent {
    async fn start(settings: Settings) -> Result<Self, AgentError> {
        let clock = Clock::start();
        let facts = facts(&settings, &clock)?;
        tracing::info!(node = settings.node_name, boot = facts.boot_id, version = facts.version, addresses = ?facts.addresses, "starting");
        let client = api::client(&settings.access).await?;
        let metrics = Metrics::new().map_err(|error| AgentError::SetUp(std::io::Error::other(error)))?;
        let ready = Arc::new(AtomicBool::new(false));
        if let Some(address) = settings.http {
            http::serve(address, Told { metrics: metrics.clone(), ready: ready.clone() }).await?;
        }
        let (events, inbox) = mpsc::channel(INBOX);
        let (tell_uid, uid) = channel::channel(None);
        let node = settings.node_name.clone();
        let (core, pulse) = mpsc::channel(1);
        tokio::spawn(lease::keep(client.clone(), node.clone(), settings.lease_period, uid, core, metrics.clone()));
        tokio::spawn(watch::follow(client.clone(), node.clone(), events.clone(), tell_uid, metrics.clone()));
        let log = kernel_log::Place {
            choice: settings.kernel_log.clone(),
            boot_id: facts.boot_id.clone(),
            booted_at: facts.booted_at,
            proc_root: settings.proc_root.clone(),
        };
        tokio::spawn(kernel_log::follow(log, events.clone(), metrics.clone()));
        let probes = Probes::start(settings.runner, events.clone(), metrics.clone())?;
        let reporter = Reporter::new(client, node, events, metrics.clone());
        let state = State::new(facts, clock.now());
        let wake_at = clock.now().mono_ms;
        Ok(Self {
            state,
            clock,
            inbox,
            pulse,
            probes,
            reporter,
            metrics,
            ready,
            monitors: Vec::new(),
            shown: None,
            has_settled: false,
            wake_at,
        })
    }

    /// Handles events one after the other, forever.
    async fn turn(&mut self) {
        loop {
            let mut asked = None;
            let event = tokio::select! {
                event = self.inbox.recv() => event.unwrap_or(Event::Tick),
                Some(answer) = self.pulse.recv() => {
                    asked = Some(answer);
                    Event::Tick
                }
                () = tokio::time::sleep(self.clock.until(self.wake_at)) => Event::Tick,
            };
            let is_settled = matches!(event, Event::ReportApplied(Ok(())));
            self.note(&event);
            let is_new = self.metrics.sampler.note(&event);
            let effects = step(&mut self.state, event, self.clock.now());
            if is_new {
                self.metrics.gpus.show(self.state.readings());
            }
            for effect in effects {
                self.act(effect);
            }
            self.show();
            if is_settled && !std::mem::replace(&mut self.has_settled, true) {
                forget_the_start();
            }
            if let Some(answer) = asked {
                // The Lease may have given up waiting.
                let _ = answer.send(());
            }
        }
    }

    fn note(&mut self, event: &Event) {
        match event {
            Event::SpecChanged(order) => {
                let Order { generation, spec, .. } = order.as_ref();
                tracing::info!(generation, assignments = spec.assignments.len(), "new spec of the NodeHealth");
                self.monitors.clone_from(&spec.monitors);
                self.shown = None;
                self.ready.store(true, Ordering::Relaxed);
            }
            Event::SpecGone => {
                tracing::info!("this node has no NodeHealth yet; waiting for one");
                self.ready.store(true, Ordering::Relaxed);
            }
            _ => {}
        }
    }

    fn act(&mut self, effect: Effect) {
        match effect {
            Effect::StartProbe { id, probe, deadline_ms } => self.probes.begin(id, probe, deadline_ms),
            Effect::StopProbe { id } => self.probes.stop(id),
            Effect::Ask { id, ask } => self.probes.ask(id, ask),
            Effect::Report { report, fault_read_at, sample_read_at } => {
                let now = self.clock.now().mono_ms;
                if let Some(read_at) = fault_read_at {
                    let waited = Duration::from_millis(now.saturating_sub(read_at));
                    self.metrics.kmsg_to_report_seconds.observe(waited.as_secs_f64());
                    tracing::debug!(
                        milliseconds = now.saturating_sub(read_at),
                        "a fault goes from the kernel log to the API server"
                    );
                }
                if let Some(read_at) = sample_read_at {
                    let waited = Duration::from_millis(now.saturating_sub(read_at));
                    self.metrics.counter_to_report_seconds.observe(waited.as_secs_f64());
                    tracing::debug!(
                        milliseconds = now.saturating_sub(read_at),
                        "a finding goes from a reading to the API server"
                    );
                }
                self.reporter.apply(*report);
            }
            Effect::Wake { at } => self.wake_at = at,
        }
    }

    /// Brings the metrics up to date where something changed.
    fn show(&mut self) {
        let unchanged = self.shown.as_ref().is_some_and(|(findings, rows)| {
            self.state.rows() == rows.as_slice() && self.state.findings().eq(findings.iter())
        });
        if unchanged {
            return;
        }
        self.metrics.show(self.state.findings(), self.state.rows(), &self.monitors, self.state.inventory());
        let before = self.shown.take();
        let findings: Vec<Finding> = self.state.findings().cloned().collect();
        log_changes(before.as_ref().map_or(&[], |(findings, _)| findings), &findings);
        self.shown = Some((findings, self.state.rows().to_vec()));
    }

    async fn stop(self) {
        self.probes.stop_all().await;
    }
}

fn log_changes(before: &[Finding], after: &[Finding]) {
    let same = |one: &Finding, other: &Finding| {
        one.check == other.check
            && one.target == other.target
            && one.reason == other.reason
            && one.severity == other.severity
    };
    for new in after.iter().filter(|new| !before.iter().any(|old| same(old, new))) {
        tracing::warn!(check = new.check, target = new.target, outcome = %new.outcome, severity = %new.severity, reason = new.reason, message = new.message, "new finding");
    }
    for gone in before.iter().filter(|old| !after.iter().any(|new| same(old, new))) {
        tracing::info!(check = gone.check, target = gone.target, reason = gone.reason, "finding resolved");
    }
}

fn facts(settings: &Settings, clock: &Clock) -> Result<Facts, AgentError> {
    let addresses = if settings.addresses.is_empty() {
        addresses::of_interfaces().map_err(AgentError::Addresses)?
    } else {
        settings.addresses.clone()
    };
    Ok(Facts {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        boot_id: boot_id(&settings.proc_root)?,
        // Without it there is only no boot grace.
        booted_at: booted_at(&settings.proc_root).ok().map(|time| Time::from_unix(time.as_second())),
        started_at: clock.now().wall(),
        addresses: addresses.iter().map(ToString::to_string).collect(),
    })
}
