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
use tokio::time::{Instant, sleep_until, timeout};

use super::super::frames::{Line, Lines};
use super::super::protocol::{
    FrameError, MAX_REPLY_BYTES, ProbeSpec, Reply, Request, Start, decode_reply, encode_request,
};
use super::exchange::{Command, ProbeOutcome, ProbeRequest, RunnerCommand, RunnerState};
use super::pulse::{Beat, Pulse, SILENT_AFTER};

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
        let loss = match way.open().await {
            Ok(mut connection) => {
                let end = match greet(&mut connection).await {
                    Ok(()) => {
                        let pid = connection.child.as_ref().and_then(Child::id);
                        tell.send_replace(RunnerState::Ready { pid });
                        converse(&mut connection, &mut commands, &tell).await
                    }
                    Err(loss) => Over::Lost(loss),
                };
                let is_silent = matches!(end, Over::Lost(Loss { is_silent: true, .. }));
                let exit = farewell(connection, is_silent).await;
                match end {
                    Over::NobodyAsks => return,
                    Over::Lost(Loss { reason, is_silent }) => Loss { reason: format!("{reason}{exit}"), is_silent },
                }
            }
            Err(reason) => Loss::gone(reason),
        };
        tracing::warn!(reason = loss.reason, "no runner");
        tell.send_replace(RunnerState::Down { reason: loss.reason.clone() });
        if since.elapsed() >= STOOD {
            pause = BACK_OFF.0;
        }
        if decline_for(pause, &mut commands, &loss).await == Asked::Never {
            return;
        }
        pause = (pause * 2).min(BACK_OFF.1);
    }
}

enum Over {
    /// All handles were dropped.
    NobodyAsks,
    /// There is no runner any more.
    Lost(Loss),
}

/// Why there is no runner.
struct Loss {
    /// A sentence.
    reason: String,
    /// It is there and does not answer.
    is_silent: bool,
}

impl Loss {
    fn gone(reason: String) -> Self {
        Self { reason, is_silent: false }
    }

    fn silent() -> Self {
        let reason = format!(
            "the runner has not answered for {} s: it is stopped, frozen or gets no CPU",
            SILENT_AFTER.as_secs()
        );
        Self { reason, is_silent: true }
    }

    fn outcome(&self) -> ProbeOutcome {
        let reason = self.reason.clone();
        if self.is_silent { ProbeOutcome::RunnerSilent(reason) } else { ProbeOutcome::RunnerGone(reason) }
    }
}

/// Waits until the runner answers: a socket that accepts says nothing about the process behind it.
async fn greet(connection: &mut Connection) -> Result<(), Loss> {
    let answered = timeout(SILENT_AFTER, async {
        ask(connection).await?;
        match connection.lines.next().await {
            Ok(Some(Line::Whole(line))) => Ok(decode_reply(&line)),
            Ok(Some(Line::TooLong)) => Ok(Err(FrameError::TooLong { limit: MAX_REPLY_BYTES })),
            Ok(None) => Err(Loss::gone("the runner hung up".to_owned())),
            Err(error) => Err(Loss::gone(format!("cannot read from the runner: {error}"))),
        }
    });
    match answered.await {
        Err(_) => Err(Loss::silent()),
        Ok(Err(loss)) => Err(loss),
        Ok(Ok(Ok(Reply::TurnedAway { reason }))) => Err(Loss::gone(format!("the runner turns us away: {reason}"))),
        Ok(Ok(Ok(_))) => Ok(()),
        Ok(Ok(Err(error))) => Err(Loss::gone(format!("the runner speaks another protocol: {error}"))),
    }
}

async fn ask(connection: &mut Connection) -> Result<(), Loss> {
    let written = match encode_request(&Request::Ping) {
        Ok(line) => connection.write.write_all(&line).await,
        Err(error) => Err(std::io::Error::other(error)),
    };
    written.map_err(|error| cannot_write(&error))
}

fn cannot_write(error: &std::io::Error) -> Loss {
    Loss::gone(format!("cannot write to the runner: {error}"))
}

/// Relays requests and replies until either side is gone. Every running probe is answered.
async fn converse(
    connection: &mut Connection,
    commands: &mut mpsc::UnboundedReceiver<Command>,
    tell: &watch::Sender<RunnerState>,
) -> Over {
    let mut waiting = Waiting::new();
    let mut unread: Option<(mpsc::Sender<String>, String)> = None;
    let mut pulse = Pulse::heard(Instant::now());
    let loss = loop {
        tokio::select! {
            // A listener is slow: nothing more is read meanwhile, so that nothing piles up here.
            room = room_for(unread.as_ref()) => if let (Some(room), Some((_, line))) = (room, unread.take()) {
                room.send(line);
                pulse.read_again(Instant::now());
            } else {
                unread = None;
                pulse.read_again(Instant::now());
            },
            line = connection.lines.next(), if unread.is_none() => {
                pulse = Pulse::heard(Instant::now());
                match line {
                    Ok(Some(line)) => match hear(line, &mut waiting) {
                        Heard::Line(to, line) => unread = Some((to, line)),
                        Heard::Nothing => {}
                        Heard::TurnedAway(reason) => break Loss::gone(format!("the runner turns us away: {reason}")),
                    },
                    Ok(None) => break Loss::gone("the runner hung up".to_owned()),
                    Err(error) => break Loss::gone(format!("cannot read from the runner: {error}")),
                }
            }
            command = commands.recv() => {
                let Some(command) = command else { return Over::NobodyAsks };
                // A runner that stands still does not read either, and its socket fills up.
                match timeout(SILENT_AFTER, pass_on(command, connection, &mut waiting)).await {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => break cannot_write(&error),
                    Err(_) => break Loss::silent(),
                }
            }
            () = sleep_until(pulse.due()), if unread.is_none() => match pulse.beat(Instant::now()) {
                Beat::Wait => {}
                Beat::Silent => break Loss::silent(),
                Beat::Ask => match timeout(SILENT_AFTER, ask(connection)).await {
                    Ok(Ok(())) => {}
                    Ok(Err(loss)) => break loss,
                    Err(_) => break Loss::silent(),
                },
            },
        }
    };
    // Told before the probes are answered, so that nobody who was answered still sees `Ready`.
    tell.send_replace(RunnerState::Down { reason: loss.reason.clone() });
    for (_, Asker { outcome, lines }) in waiting {
        drop(lines);
        let _ = outcome.send(loss.outcome());
    }
    Over::Lost(loss)
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
        (Err(error), Request::Stop { .. } | Request::Ping) => Err(std::io::Error::other(error)),
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
        Ok(Reply::Pong) => {}
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

/// Waits for a child runner to end, and kills it if it does not, or at once if it stands still. How it ended, to be appended
/// to a sentence.
async fn farewell(connection: Connection, is_silent: bool) -> String {
    let Connection { lines, write, child } = connection;
    drop((lines, write));
    let Some(mut child) = child else {
        return String::new();
    };
    match timeout(if is_silent { Duration::ZERO } else { FAREWELL }, child.wait()).await {
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
async fn decline_for(pause: Duration, commands: &mut mpsc::UnboundedReceiver<Command>, loss: &Loss) -> Asked {
    let end = tokio::time::sleep(pause);
    tokio::pin!(end);
    loop {
        tokio::select! {
            () = &mut end => return Asked::Later,
            command = commands.recv() => match command {
                None => return Asked::Never,
                Some(Command::Start { outcome, .. }) => {
                    let _ = outcome.send(loss.outcome());
                }
                Some(Command::Stop { .. } | Command::Say { .. }) => {}
            },
        }
    }
}
