//! The actor that owns the connection to the runner.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::process::Child;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, timeout};

use super::super::frames::{Line, Lines};
use super::super::protocol::{
    FrameError, MAX_REPLY_BYTES, ProbeSpec, Reply, Request, Start, decode_reply, encode_request,
};
use super::exchange::{Command, ProbeOutcome, ProbeRequest, RunnerCommand, RunnerState};

/// First and longest pause before the runner is restarted or reconnected to.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));
/// After a runner was up this long, backoff starts over.
const STOOD: Duration = Duration::from_secs(60);
/// A runner kills its probes when we hang up, which takes it up to grace plus 5 s per probe, all at once.
const FAREWELL: Duration = Duration::from_secs(10);

/// How to reach a runner.
pub(super) enum Way {
    Child(RunnerCommand),
    Socket(PathBuf),
}

struct Connection {
    lines: Lines<OwnedReadHalf>,
    write: OwnedWriteHalf,
    child: Option<Child>,
}

impl Way {
    async fn open(&self) -> Result<Connection, String> {
        let (stream, child) = match self {
            Self::Socket(path) => {
                let connected = UnixStream::connect(path).await;
                (
                    connected
                        .map_err(|error| format!("cannot connect to the runner at {}: {error}", path.display()))?,
                    None,
                )
            }
            Self::Child(command) => {
                let (stream, child) = spawn(command)
                    .map_err(|error| format!("cannot start the runner {}: {error}", command.binary.display()))?;
                (stream, Some(child))
            }
        };
        let (read, write) = stream.into_split();
        Ok(Connection { lines: Lines::new(read, MAX_REPLY_BYTES), write, child })
    }
}

/// The runner's stdin is one end of a socket pair. The kernel closes our end when we die, which ends the runner.
fn spawn(command: &RunnerCommand) -> std::io::Result<(UnixStream, Child)> {
    let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
    ours.set_nonblocking(true)?;
    let child = tokio::process::Command::new(&command.binary)
        .arg("runner")
        .args(&command.arguments)
        .envs(command.environment.iter().cloned())
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(Stdio::null())
        // Ctrl-C in a terminal is for the reporter, which then hangs up.
        .process_group(0)
        .spawn()?;
    Ok((UnixStream::from_std(ours)?, child))
}

/// Keeps a runner connected until the last handle is dropped.
pub(super) async fn keep_connected(
    way: Way,
    mut commands: mpsc::UnboundedReceiver<Command>,
    tell: watch::Sender<RunnerState>,
) {
    let mut pause = BACK_OFF.0;
    loop {
        let since = Instant::now();
        let reason = match way.open().await {
            Ok(mut connection) => {
                let pid = connection.child.as_ref().and_then(Child::id);
                tell.send_replace(RunnerState::Ready { pid });
                let end = converse(&mut connection, &mut commands, &tell).await;
                let exit = farewell(connection).await;
                match end {
                    Over::NobodyAsks => return,
                    Over::Gone(reason) => format!("{reason}{exit}"),
                }
            }
            Err(reason) => reason,
        };
        tracing::warn!(%reason, "no runner");
        tell.send_replace(RunnerState::Down { reason: reason.clone() });
        if since.elapsed() >= STOOD {
            pause = BACK_OFF.0;
        }
        if decline_for(pause, &mut commands, &reason).await == Asked::Never {
            return;
        }
        pause = (pause * 2).min(BACK_OFF.1);
    }
}

enum Over {
    /// All handles were dropped.
    NobodyAsks,
    /// The runner went away.
    Gone(String),
}

/// Relays requests and replies until either side is gone. Every running probe is answered.
async fn converse(
    connection: &mut Connection,
    commands: &mut mpsc::UnboundedReceiver<Command>,
    tell: &watch::Sender<RunnerState>,
) -> Over {
    let mut waiting = Waiting::new();
    let mut unread: Option<(mpsc::Sender<String>, String)> = None;
    let reason = loop {
        tokio::select! {
            // A listener is slow: nothing more is read meanwhile, so that nothing piles up here.
            room = room_for(unread.as_ref()) => if let (Some(room), Some((_, line))) = (room, unread.take()) {
                room.send(line);
            },
            line = connection.lines.next(), if unread.is_none() => match line {
                Ok(Some(line)) => match hear(line, &mut waiting) {
                    Heard::Line(to, line) => unread = Some((to, line)),
                    Heard::Nothing => {}
                    Heard::TurnedAway(reason) => break format!("the runner turns us away: {reason}"),
                },
                Ok(None) => break "the runner hung up".to_owned(),
                Err(error) => break format!("cannot read from the runner: {error}"),
            },
            command = commands.recv() => {
                let Some(command) = command else { return Over::NobodyAsks };
                if let Err(error) = pass_on(command, connection, &mut waiting).await {
                    break format!("cannot write to the runner: {error}");
                }
            }
        }
    };
    // Told before the probes are answered, so that nobody who was answered still sees `Ready`.
    tell.send_replace(RunnerState::Down { reason: reason.clone() });
    for (_, Asker { outcome, lines }) in waiting {
        drop(lines);
        let _ = outcome.send(ProbeOutcome::RunnerGone(reason.clone()));
    }
    Over::Gone(reason)
}

/// Waits for a probe's outcome and receives its lines.
struct Asker {
    outcome: oneshot::Sender<ProbeOutcome>,
    lines: Option<mpsc::Sender<String>>,
}

type Waiting = HashMap<u64, Asker>;

/// `None` when nobody listens any more. Pends for ever when there is no line.
async fn room_for(unread: Option<&(mpsc::Sender<String>, String)>) -> Option<mpsc::OwnedPermit<String>> {
    match unread {
        Some((to, _)) => to.clone().reserve_owned().await.ok(),
        None => std::future::pending().await,
    }
}

async fn pass_on(command: Command, connection: &mut Connection, waiting: &mut Waiting) -> std::io::Result<()> {
    let request = match command {
        Command::Stop { id } | Command::Say { id, .. } if !waiting.contains_key(&id) => return Ok(()),
        Command::Stop { id } => Request::Stop { id },
        Command::Say { id, line } => Request::Say { id, line },
        Command::Start { id, request, outcome, lines } => {
            waiting.insert(id, Asker { outcome, lines });
            let ProbeRequest { probe: ProbeSpec { probe, parameters }, deadline, output_cap_bytes } = request;
            let deadline_ms = u64::try_from(deadline.as_millis()).unwrap_or(u64::MAX);
            Request::Start(Start { id, probe, parameters, deadline_ms, output_cap_bytes })
        }
    };
    match (encode_request(&request), &request) {
        (Ok(line), _) => connection.write.write_all(&line).await,
        (Err(error), Request::Start(Start { id, .. })) => {
            answer(waiting, *id, ProbeOutcome::Refused(error.to_string()));
            Ok(())
        }
        (Err(error), Request::Say { id, .. }) => {
            tracing::error!(id, %error, "cannot say this to a probe");
            Ok(())
        }
        (Err(error), Request::Stop { .. }) => Err(std::io::Error::other(error)),
    }
}

/// What a reply leaves to do.
enum Heard {
    Nothing,
    /// A probe's line, and where it belongs.
    Line(mpsc::Sender<String>, String),
    TurnedAway(String),
}

fn hear(line: Line, waiting: &mut Waiting) -> Heard {
    let reply = match line {
        Line::TooLong => Err(FrameError::TooLong { limit: MAX_REPLY_BYTES }),
        Line::Whole(line) => decode_reply(&line),
    };
    match reply {
        Ok(Reply::Line { id, line }) => {
            let to = waiting.get(&id).and_then(|asker| asker.lines.clone());
            return to.map_or(Heard::Nothing, |to| Heard::Line(to, line));
        }
        Ok(Reply::Started { id, pid }) => tracing::debug!(id, pid, "probe started"),
        Ok(Reply::Finished(finished)) => {
            answer(waiting, finished.id, ProbeOutcome::Finished(finished));
        }
        Ok(Reply::Refused { id, reason }) => answer(waiting, id, ProbeOutcome::Refused(reason)),
        Ok(Reply::TurnedAway { reason }) => return Heard::TurnedAway(reason),
        // Both sides are the same binary: `encode_request` refuses whatever the runner would.
        Ok(Reply::BadFrame { reason }) => {
            tracing::error!(reason, "the runner did not understand a request");
        }
        Err(error) => tracing::error!(%error, "the runner sent a line that is no reply"),
    }
    Heard::Nothing
}

fn answer(waiting: &mut Waiting, id: u64, outcome: ProbeOutcome) {
    if let Some(Asker { outcome: to, lines }) = waiting.remove(&id) {
        drop(lines);
        // The caller may have stopped waiting.
        let _ = to.send(outcome);
    }
}

/// Waits for a child runner to end, and kills it if it does not. How it ended, to be appended to a sentence.
async fn farewell(connection: Connection) -> String {
    let Connection { lines, write, child } = connection;
    drop((lines, write));
    let Some(mut child) = child else {
        return String::new();
    };
    match timeout(FAREWELL, child.wait()).await {
        Ok(Ok(status)) => format!(" ({status})"),
        Ok(Err(error)) => format!(" ({error})"),
        Err(_) => {
            // Its probes get the parent-death signal.
            let _ = child.kill().await;
            " (it had to be killed)".to_owned()
        }
    }
}

#[derive(PartialEq, Eq)]
enum Asked {
    Never,
    Later,
}

/// Answers what comes during a pause.
async fn decline_for(pause: Duration, commands: &mut mpsc::UnboundedReceiver<Command>, reason: &str) -> Asked {
    let end = tokio::time::sleep(pause);
    tokio::pin!(end);
    loop {
        tokio::select! {
            () = &mut end => return Asked::Later,
            command = commands.recv() => match command {
                None => return Asked::Never,
                Some(Command::Start { outcome, .. }) => {
                    let _ = outcome.send(ProbeOutcome::RunnerGone(reason.to_owned()));
                }
                Some(Command::Stop { .. } | Command::Say { .. }) => {}
            },
        }
    }
}
