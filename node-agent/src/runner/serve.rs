//! The runner's side of the protocol: reads requests, starts probes, writes replies.
//!
//! A connection owns its probes: when it ends, they are killed. Children that cannot be killed belong to the runner, so
//! that a reporter that reconnects does not start more of them.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio::net::unix::OwnedWriteHalf;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinSet;

use super::execute::{Limits, execute};
use super::frames::{Line, Lines};
use super::protocol::{
    End, Finished, FrameError, MAX_REQUEST_BYTES, Reply, Request, Start, decode_request, encode_reply,
};
use super::relay::{Talk, UNREAD_LINES};
use super::runnable::{Prepared, Runnable, prepare};
use crate::process::process_group::Leftover;
use crate::process::strays;

/// Probes that one connection may run at once: a reporter runs one per check at most, and few checks run together. All
/// connections together are bounded by their number.
const MAX_OF_ONE_CONNECTION: usize = 16;

/// Queued replies. Few, because a line of a talking probe is long: the queue and the pipes are all that the runner holds
/// for a reporter that does not read.
const UNREAD_REPLIES: usize = 8;

/// The settings of a runner.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// The program that is started as `PROGRAM probe …`.
    pub(crate) agent_binary: PathBuf,
    /// What it can start. Nothing else can be started over the protocol.
    pub(crate) probes: Vec<Runnable>,
    /// Between SIGTERM and SIGKILL.
    pub(crate) grace: Duration,
    /// Between SIGKILL and the report that a child cannot be killed.
    pub(crate) unkillable_after: Duration,
}

/// The runner, shared by all its connections.
#[derive(Clone)]
pub(crate) struct Runner {
    settings: Arc<Settings>,
    children: Arc<Mutex<Children>>,
    outdated: Arc<Notify>,
}

#[derive(Default)]
struct Children {
    running: usize,
    /// Process groups of probes that talk. They start no programs, so no stray is theirs.
    talking: HashSet<u32>,
    /// Kind of probe, and the process that cannot be killed.
    unkillable: HashMap<String, u32>,
}

/// A connection's handle on one probe; dropping it stops the probe.
struct Reins {
    _stop: oneshot::Sender<()>,
    say: Option<mpsc::Sender<String>>,
}

type Stops = HashMap<u64, Reins>;

impl Runner {
    pub(crate) fn new(settings: Settings) -> Self {
        Self { settings: Arc::new(settings), children: Arc::default(), outdated: Arc::default() }
    }

    /// Resolves once a probe has found that what is mounted into this container is out of date.
    pub(crate) async fn is_outdated(&self) {
        self.outdated.notified().await;
    }

    /// Serves one reporter until it hangs up, or until `quit` resolves. All its probes are dead, or known to be
    /// unkillable, when this returns.
    pub(crate) async fn serve(&self, stream: UnixStream, quit: impl Future<Output = ()>) {
        let (read, write) = stream.into_split();
        let (replies, to_write) = mpsc::channel(UNREAD_REPLIES);
        let writer = tokio::spawn(write_replies(write, to_write));
        let mut lines = Lines::new(read, MAX_REQUEST_BYTES);
        let mut stops = Stops::new();
        let mut probes: JoinSet<u64> = JoinSet::new();
        tokio::pin!(quit);
        loop {
            tokio::select! {
                line = lines.next() => match line {
                    Ok(Some(line)) => self.obey(line, &mut stops, &mut probes, &replies).await,
                    Ok(None) => break,
                    Err(error) => {
                        tracing::warn!(%error, "cannot read from the reporter");
                        break;
                    }
                },
                Some(ended) = probes.join_next() => if let Ok(id) = ended {
                    stops.remove(&id);
                },
                () = &mut quit => break,
            }
        }
        drop(stops);
        // The reporter reads no more: nothing may wait for it to accept a reply.
        writer.abort();
        while probes.join_next().await.is_some() {}
    }

    async fn obey(&self, line: Line, stops: &mut Stops, probes: &mut JoinSet<u64>, replies: &mpsc::Sender<Reply>) {
        let request = match line {
            Line::TooLong => Err(FrameError::TooLong { limit: MAX_REQUEST_BYTES }),
            Line::Whole(line) => decode_request(&line),
        };
        let no = match request {
            Ok(Request::Stop { id }) => return drop(stops.remove(&id)),
            Ok(Request::Say { id, line }) => return tell(stops, id, line),
            Ok(Request::Ping) => Reply::Pong,
            Ok(Request::Start(start)) => match self.admit(&start, stops, probes.len()) {
                Ok(probe) => {
                    let (stop, stopped) = oneshot::channel();
                    let (say, to_say) = mpsc::channel(UNREAD_LINES);
                    let talk = probe.talks.then(|| Talk::new(start.id, to_say, replies.clone()));
                    stops.insert(start.id, Reins { _stop: stop, say: talk.is_some().then_some(say) });
                    probes.spawn(self.clone().run(start, probe, stopped, talk, replies.clone()));
                    return;
                }
                Err(reason) => {
                    tracing::warn!(id = start.id, reason, "refused to start a probe");
                    Reply::Refused { id: start.id, reason }
                }
            },
            Err(error) => Reply::BadFrame { reason: error.to_string() },
        };
        say(replies, no).await;
    }

    /// `running` counts the probes of this connection, also those that were stopped and are not dead yet.
    fn admit(&self, start: &Start, stops: &Stops, running: usize) -> Result<Prepared, String> {
        let probe = prepare(&self.settings.probes, start)?;
        let mut children = self.children();
        let kind = &probe.kind;
        if let Some(pid) = children.unkillable.get(kind) {
            return Err(format!("an earlier {kind} probe, process {pid}, cannot be killed; it is not piled upon"));
        }
        if stops.contains_key(&start.id) {
            return Err(format!("a probe with the id {} is still running", start.id));
        }
        if running >= MAX_OF_ONE_CONNECTION {
            return Err(format!("{MAX_OF_ONE_CONNECTION} probes of this connection are running already"));
        }
        children.running += 1;
        Ok(probe)
    }

    async fn run(
        self,
        start: Start,
        probe: Prepared,
        stop: oneshot::Receiver<()>,
        talk: Option<Talk>,
        replies: mpsc::Sender<Reply>,
    ) -> u64 {
        let Start { id, deadline_ms, output_cap_bytes, probe: _, parameters: _ } = start;
        let mut command = Command::new(&self.settings.agent_binary);
        command.args(&probe.arguments);
        let limits = Limits {
            deadline: Duration::from_millis(deadline_ms),
            output_cap: usize::try_from(output_cap_bytes).unwrap_or(usize::MAX),
            grace: self.settings.grace,
            unkillable_after: self.settings.unkillable_after,
        };
        let talks = talk.is_some();
        let mut group = None;
        let ended = execute(command, limits, stop, talk, async |pid| {
            // Before the first await, so that no sweep can come in between.
            if talks {
                self.children().talking.insert(pid);
                group = Some(pid);
            }
            say(&replies, Reply::Started { id, pid }).await;
        })
        .await;
        if let (End::Unkillable { pid }, Some(leftover)) = (&ended.end, ended.leftover) {
            self.keep(probe.kind, *pid, leftover);
        }
        self.one_less_running(group);
        self.sweep().await;
        let finished = Finished {
            id,
            end: ended.end,
            stdout: ended.stdout,
            stderr_tail: ended.stderr_tail,
            duration_ms: u64::try_from(ended.duration.as_millis()).unwrap_or(u64::MAX),
        };
        let is_outdated = probe.outdated.is_some_and(|code| finished.end == End::Exited { code });
        say(&replies, Reply::Finished(finished)).await;
        if is_outdated {
            self.outdated.notify_one();
        }
        id
    }

    fn keep(&self, kind: String, pid: u32, leftover: Leftover) {
        tracing::error!(pid, kind, "a probe cannot be killed");
        self.children().unkillable.insert(kind.clone(), pid);
        let children = Arc::clone(&self.children);
        tokio::spawn(async move {
            leftover.gone().await;
            tracing::info!(pid, kind, "the probe that could not be killed is gone");
            lock(&children).unkillable.remove(&kind);
        });
    }

    fn one_less_running(&self, talking: Option<u32>) {
        let mut children = self.children();
        if let Some(group) = talking {
            children.talking.remove(&group);
        }
        children.running = children.running.saturating_sub(1);
    }

    /// Kills processes that left their probe's group, once no running probe could own them.
    async fn sweep(&self) {
        strays::sweep(|| {
            // All probes are started on this thread, and nothing awaits within this closure.
            let children = self.children();
            let spared: Vec<u32> = children.unkillable.values().chain(&children.talking).copied().collect();
            let found = children.running == children.talking.len() && strays::end_strays(&spared);
            if found {
                tracing::warn!("killed a process that had left its probe's process group");
            }
            found
        })
        .await;
    }

    fn children(&self) -> MutexGuard<'_, Children> {
        lock(&self.children)
    }
}

fn lock(children: &Mutex<Children>) -> MutexGuard<'_, Children> {
    children.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A probe that does not read must not block the connection: lines that do not fit its queue are dropped.
fn tell(stops: &Stops, id: u64, line: String) {
    let say = stops.get(&id).and_then(|reins| reins.say.as_ref());
    if let Some(Err(mpsc::error::TrySendError::Full(_))) = say.map(|say| say.try_send(line)) {
        tracing::warn!(id, "a probe does not read what is said to it");
    }
}

/// A reporter that has disconnected needs no reply.
async fn say(replies: &mpsc::Sender<Reply>, reply: Reply) {
    let _ = replies.send(reply).await;
}

async fn write_replies(mut write: OwnedWriteHalf, mut replies: mpsc::Receiver<Reply>) {
    while let Some(reply) = replies.recv().await {
        let written = match encode_reply(&reply) {
            Ok(line) => write.write_all(&line).await,
            Err(error) => Err(std::io::Error::other(error)),
        };
        if let Err(error) = written {
            tracing::warn!(%error, "cannot write to the reporter");
            return;
        }
    }
}
