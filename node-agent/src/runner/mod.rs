//! The runner: the process that starts probes as children, so that nothing that hangs or crashes in them can take the
//! reporter down.
//!
//! ```text
//!  reporter ── client::Runner ──[ unix socket, protocol ]── serve ── execute ── gpu-health-agent probe <check>
//! ```
//!
//! Two setups, one protocol. As a child (plain processes, demo, tests) the reporter starts the runner with a socket as its
//! stdin. In a pod the runner is a container of its own and listens at `--socket`.
//!
//! What may be run, from where and as whom is decided by the runner's own flags; over the socket come names of probes and
//! what to measure (`door` says from whom).
//!
//! What must stay true:
//! - every probe has a deadline, a process group and a bound on its output (one that talks: on each line, and it waits
//!   while the reporter does not read);
//! - every `Start` gets exactly one `Finished` or `Refused` while the connection stands;
//! - no probe outlives its connection or the runner, however either ends; a probe that `kill -9` cannot end is reported
//!   and remembered, and no other of its kind is started;
//! - all probes are started on the thread that lives as long as the runner, because the kernel ties the parent-death
//!   signal to a thread.

pub mod client;
mod door;
mod execute;
mod frames;
pub mod protocol;
mod relay;
pub mod runnable;
mod serve;

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use tokio::net::UnixStream;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use crate::complain::complain;
use crate::process::{strays, sys};
use door::{Door, Peer, bind, turn_away};
use runnable::Runnable;
use serve::{Runner, Settings};

/// `gpu-health-agent runner`: runs probes for the reporter.
#[derive(Debug, Clone, clap::Args)]
pub struct RunnerArgs {
    /// Listen at this unix socket. Without it, stdin must be a connected unix socket.
    #[arg(long)]
    socket: Option<PathBuf>,
    /// Numeric uid that may connect to the socket, besides root and the runner's own; repeat for several.
    #[arg(long, requires = "socket", value_parser = door::client_uid)]
    client_uid: Vec<u32>,
    /// The program that is started as `PROGRAM probe …`; this program itself if not given.
    #[arg(long)]
    agent_binary: Option<PathBuf>,
    /// Milliseconds between SIGTERM and SIGKILL for a probe that is stopped or late.
    #[arg(long, default_value_t = 2_000)]
    kill_grace_ms: u64,
    /// Milliseconds after SIGKILL after which a probe counts as unkillable.
    #[arg(long, default_value_t = 5_000)]
    unkillable_after_ms: u64,
}

/// Why a runner cannot run.
#[derive(Debug, thiserror::Error)]
pub enum RunnerError {
    /// The asynchronous runtime, signals, or the place as reaper of orphans.
    #[error("cannot set up the runner process")]
    SetUp(#[source] std::io::Error),
    /// The own binary cannot be found.
    #[error("cannot find the program that runs the probes; name it with --agent-binary")]
    AgentBinary(#[source] std::io::Error),
    /// Stdin is something else.
    #[error("stdin is no connected unix socket; use --socket PATH to listen at one")]
    Stdin(#[source] std::io::Error),
    /// The path is taken by something that is no socket, or the folder cannot be written.
    #[error("cannot listen at {path}; name a path in a writable folder with --socket")]
    Listen {
        /// What `--socket` said.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The driver was upgraded: the container has to be made anew. Whoever does that waits longer each time.
    #[error("the driver's library in this container is older than the kernel module; the container has to start anew")]
    Outdated,
}

impl RunnerArgs {
    /// Runs until the reporter hangs up (stdin) or until SIGTERM or SIGINT (socket). `probes` is what it can start. All
    /// probes are dead when it returns.
    pub fn run(self, probes: Vec<Runnable>) -> ExitCode {
        match self.serve(probes) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                complain(&error);
                ExitCode::FAILURE
            }
        }
    }

    fn serve(self, probes: Vec<Runnable>) -> Result<(), RunnerError> {
        let agent_binary = match self.agent_binary {
            Some(binary) => binary,
            None => std::env::current_exe().map_err(RunnerError::AgentBinary)?,
        };
        let runner = Runner::new(Settings {
            agent_binary,
            probes,
            grace: Duration::from_millis(self.kill_grace_ms),
            unkillable_after: Duration::from_millis(self.unkillable_after_ms),
        });
        strays::adopt_orphans().map_err(RunnerError::SetUp)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(RunnerError::SetUp)?;
        tracing::info!(version = env!("CARGO_PKG_VERSION"), socket = ?self.socket, "runner started");
        runtime.block_on(async {
            let quit = quit_on_signal().map_err(RunnerError::SetUp)?;
            sys::forget_the_start();
            if let Some(path) = self.socket {
                return listen(&runner, &path, Door::new(&self.client_uid), quit).await;
            }
            let stream = stdin_socket().map_err(RunnerError::Stdin)?;
            runner.serve(stream, asked_to(quit)).await;
            Ok(())
        })
    }
}

/// Peers that are being told that they are not let in; more are hung up on without a word.
const MAX_TURNED_AWAY: usize = 16;

/// Accepts reporters until asked to quit. A reporter that restarts connects anew.
async fn listen(runner: &Runner, path: &Path, mut door: Door, quit: watch::Receiver<bool>) -> Result<(), RunnerError> {
    let listener = bind(path).map_err(|source| RunnerError::Listen { path: path.to_owned(), source })?;
    let mut connections = tokio::task::JoinSet::new();
    let mut turned_away = tokio::task::JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => match door.admit(&stream) {
                    Ok(peer) => {
                        let (runner, quit) = (runner.clone(), quit.clone());
                        connections.spawn(async move {
                            runner.serve(stream, asked_to(quit)).await;
                            peer
                        });
                    }
                    Err(_) if turned_away.len() >= MAX_TURNED_AWAY => {}
                    Err(reason) => drop(turned_away.spawn(turn_away(stream, reason))),
                },
                // The kernel is short of something (descriptors, memory): the next reporter waits in the backlog.
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a reporter");
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
            },
            Some(Ok(peer)) = connections.join_next() => door.left(peer),
            Some(_) = turned_away.join_next() => {}
            () = asked_to(quit.clone()) => break,
            () = runner.is_outdated() => return outdated(connections, path).await,
        }
    }
    while connections.join_next().await.is_some() {}
    // Left behind, it is replaced by the next runner.
    let _ = std::fs::remove_file(path);
    Ok(())
}

/// The reporters are told of the end of the probe before they lose the runner.
async fn outdated(mut connections: tokio::task::JoinSet<Peer>, path: &Path) -> Result<(), RunnerError> {
    let _ = tokio::time::timeout(FAREWELL, async { while connections.join_next().await.is_some() {} }).await;
    connections.shutdown().await;
    let _ = std::fs::remove_file(path);
    Err(RunnerError::Outdated)
}

/// How long a reply may take to reach the reporters.
const FAREWELL: Duration = Duration::from_millis(500);

fn stdin_socket() -> std::io::Result<UnixStream> {
    let stdin: OwnedFd = std::io::stdin().as_fd().try_clone_to_owned()?;
    let stream = std::os::unix::net::UnixStream::from(stdin);
    // Fails on anything that is no connected socket.
    stream.peer_addr()?;
    stream.set_nonblocking(true)?;
    UnixStream::from_std(stream)
}

fn quit_on_signal() -> std::io::Result<watch::Receiver<bool>> {
    let (ask, asked) = watch::channel(false);
    let mut terminate: Signal = signal(SignalKind::terminate())?;
    let mut interrupt: Signal = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        ask.send_replace(true);
        // Kept alive, so that a receiver can tell "not asked" from "never will be".
        ask.closed().await;
    });
    Ok(asked)
}

async fn asked_to(mut quit: watch::Receiver<bool>) {
    if quit.wait_for(|asked| *asked).await.is_err() {
        std::future::pending::<()>().await;
    }
}
