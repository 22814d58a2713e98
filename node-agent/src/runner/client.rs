//! The reporter's side: a handle that runs probes and survives the loss of the runner.
//!
//! An actor owns the connection. When the connection ends, every running probe is answered with
//! [`ProbeOutcome::RunnerGone`], or [`ProbeOutcome::RunnerSilent`] if it only stopped answering, and the runner is restarted (child) or reconnected to (socket), with backoff.

mod connection;
mod exchange;
mod pulse;

pub use exchange::{ProbeOutcome, ProbeRequest, RunnerCommand, RunnerState};

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;

use connection::{Way, keep_connected};
use exchange::Command;

/// How long a probe waits for a runner that is not ready yet.
const PATIENCE: Duration = Duration::from_secs(5);
/// Unread lines of a talking probe that are queued. While the queue is full, the connection is not read.
const UNREAD_LINES: usize = 8;

/// The handle. Clones share one runner; when the last one is dropped, all probes are killed and a child runner exits.
#[derive(Debug, Clone)]
pub struct Runner {
    commands: mpsc::UnboundedSender<Command>,
    state: watch::Receiver<RunnerState>,
    last_id: Arc<AtomicU64>,
}

impl Runner {
    /// Starts `binary runner` as a child of this process, again whenever it dies. Must be called within a tokio runtime.
    pub fn spawn_child(binary: PathBuf, environment: Vec<(OsString, OsString)>) -> Self {
        Self::spawn_child_with(RunnerCommand { binary, arguments: Vec::new(), environment })
    }

    /// As [`Runner::spawn_child`], with arguments.
    pub fn spawn_child_with(command: RunnerCommand) -> Self {
        Self::with(Way::Child(command))
    }

    /// Connects to the runner that listens at `socket`, again whenever the connection ends. Must be called within a
    /// tokio runtime.
    pub fn connect(socket: PathBuf) -> Self {
        Self::with(Way::Socket(socket))
    }

    fn with(way: Way) -> Self {
        let (commands, to_do) = mpsc::unbounded_channel();
        let (tell, state) = watch::channel(RunnerState::Starting);
        tokio::spawn(keep_connected(way, to_do, tell));
        Self { commands, state, last_id: Arc::default() }
    }

    /// The state of the runner; await `changed()` for changes.
    pub fn state(&self) -> watch::Receiver<RunnerState> {
        self.state.clone()
    }

    /// Runs a probe to its end. Dropping the future stops the probe. Waits up to 5 s for a runner that is not ready.
    pub async fn run(&self, request: ProbeRequest) -> ProbeOutcome {
        self.start(request).await.outcome().await
    }

    /// Starts a probe that can be stopped. Dropping the returned value stops it too.
    pub async fn start(&self, request: ProbeRequest) -> RunningProbe {
        self.begin(request, None).await
    }

    /// Starts a probe that talks ([`Runnable::talks`](super::runnable::Runnable::talks)) and hands over its lines as they come. The channel ends with the
    /// probe, before its outcome is told. Read it on, or drop it: lines that nobody takes hold up the other probes.
    pub async fn start_talking(&self, request: ProbeRequest) -> (RunningProbe, mpsc::Receiver<String>) {
        let (to, lines) = mpsc::channel(UNREAD_LINES);
        (self.begin(request, Some(to)).await, lines)
    }

    async fn begin(&self, request: ProbeRequest, lines: Option<mpsc::Sender<String>>) -> RunningProbe {
        let mut state = self.state.clone();
        // If it is not ready in time, the actor's answer says why.
        let _ = timeout(PATIENCE, state.wait_for(|state| matches!(state, RunnerState::Ready { .. }))).await;
        let id = self.last_id.fetch_add(1, Ordering::Relaxed) + 1;
        let (outcome_to, outcome) = oneshot::channel();
        // A closed channel drops the sender of the outcome, which answers the request.
        let _ = self.commands.send(Command::Start { id, request, outcome: outcome_to, lines });
        RunningProbe { id, outcome, commands: self.commands.clone() }
    }
}

/// A running probe.
#[derive(Debug)]
pub struct RunningProbe {
    id: u64,
    outcome: oneshot::Receiver<ProbeOutcome>,
    commands: mpsc::UnboundedSender<Command>,
}

impl RunningProbe {
    /// Asks the runner to kill it. Its outcome still follows: `Stopped`, with its output so far.
    pub fn stop(&self) {
        // No actor, no probe.
        let _ = self.commands.send(Command::Stop { id: self.id });
    }

    /// Sends a line, without its newline, to a probe that talks. Ignored if the probe has ended.
    pub fn say(&self, line: String) {
        // No actor, no probe.
        let _ = self.commands.send(Command::Say { id: self.id, line });
    }

    /// Its outcome, once. Cancel safe, so that a probe can be stopped while it is awaited.
    pub async fn ended(&mut self) -> ProbeOutcome {
        let outcome = (&mut self.outcome).await;
        outcome.unwrap_or_else(|_| ProbeOutcome::RunnerGone("the runner went away".to_owned()))
    }

    /// Its outcome.
    pub async fn outcome(mut self) -> ProbeOutcome {
        let outcome = (&mut self.outcome).await;
        outcome.unwrap_or_else(|_| ProbeOutcome::RunnerGone("the runner went away".to_owned()))
    }
}

/// A `Stop` for a probe that has ended is dropped by the actor.
impl Drop for RunningProbe {
    fn drop(&mut self) {
        self.stop();
    }
}
