//! One probe as a child process: started in its own process group, watched, and never left behind.
//!
//! However the leader ends, the rest of its group is killed too. A group that survives `kill -9` is returned as a
//! [`Leftover`], which the caller keeps until it is gone.

use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal};
use tokio::process::Child;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout};

use super::protocol::End;
use super::relay::{Silence, Talk};
use crate::process::capture::{DRAIN, Streams};
use crate::process::process_group::{Leftover, clear, signal};
use crate::process::sys;

/// The limits of one child.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// From its start.
    pub(crate) deadline: Duration,
    /// Bytes of stdout.
    pub(crate) output_cap: usize,
    /// Between SIGTERM and SIGKILL.
    pub(crate) grace: Duration,
    /// Between SIGKILL and giving up.
    pub(crate) unkillable_after: Duration,
}

/// How one child ended.
pub(crate) struct Ended {
    pub(crate) end: End,
    pub(crate) stdout: String,
    pub(crate) stderr_tail: String,
    pub(crate) duration: Duration,
    /// Present if and only if `end` is [`End::Unkillable`].
    pub(crate) leftover: Option<Leftover>,
}

enum Cause {
    Ended(ExitStatus),
    Deadline,
    Stopped,
    TooLong,
}

/// With 1 in this variable the driver's library shows MPS's view of the devices, where most functions are not supported and
/// several devices share a PCI address (nvml.h 13.5.37). Whoever set it for his programs did not mean ours.
const MPS_VIEW: &str = "NVML_MPS_DEVICE_ENUMERATION";

/// Runs `command` to its end. `stop` ends it early, also when its sender is dropped. `started` receives the process id.
/// With `talk`, lines are relayed while it runs.
pub(crate) async fn execute(
    mut command: std::process::Command,
    limits: Limits,
    stop: oneshot::Receiver<()>,
    mut talk: Option<Talk>,
    started: impl AsyncFnOnce(u32),
) -> Ended {
    command.stdin(if talk.is_some() { Stdio::piped() } else { Stdio::null() });
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).env_remove(MPS_VIEW);
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    sys::die_with_parent(&mut command, sys::RUNNER_DIED);
    let program = command.get_program().to_string_lossy().into_owned();
    let mut child = match tokio::process::Command::from(command).spawn() {
        Ok(child) => child,
        Err(error) => return not_started(format!("cannot start {program}: {error}")),
    };
    let Some((id, group)) = child.id().and_then(|id| Some((id, sys::pid_of(id)?))) else {
        return not_started(format!("{program} has no process id"));
    };
    if let Some(talk) = &mut talk {
        talk.take_pipes(&mut child);
    }
    // A reporter that is slow to read must not delay the deadline.
    let ((), ended) = tokio::join!(started(id), see_to_its_end(child, group, limits, stop, talk));
    ended
}

async fn see_to_its_end(
    mut child: Child,
    group: Pid,
    limits: Limits,
    stop: oneshot::Receiver<()>,
    mut talk: Option<Talk>,
) -> Ended {
    let begin = Instant::now();
    let mut streams = Streams::of(&mut child, limits.output_cap);
    let cause = watch(&mut child, &mut streams, limits.deadline, stop, &mut talk).await;
    let leader = match &cause {
        Cause::Ended(status) => Some(*status),
        Cause::Deadline | Cause::Stopped | Cause::TooLong => end_group(&mut child, &mut streams, group, limits).await,
    };
    let empty = leader.is_some() && clear(group, limits.unkillable_after).await;
    // A process outside the group may hold the pipe open; what was read until then counts.
    let _ = timeout(DRAIN, async {
        streams.until_closed().await;
        if let Some(talk) = &mut talk {
            talk.hear_the_rest().await;
        }
    })
    .await;
    let (end, leftover) = match (empty, &cause) {
        (false, _) => {
            let pid = group.as_raw_nonzero().get().unsigned_abs();
            let leader = child;
            (End::Unkillable { pid }, Some(Leftover::of(leader, group)))
        }
        (true, Cause::Ended(_)) if streams.overflowed() => (End::OutputTooLong, None),
        (true, cause) => (end_of(cause), None),
    };
    let (stdout, stderr_tail) = streams.into_text();
    Ended { end, stdout, stderr_tail, duration: begin.elapsed(), leftover }
}

fn not_started(reason: String) -> Ended {
    Ended {
        end: End::CouldNotStart { reason },
        stdout: String::new(),
        stderr_tail: String::new(),
        duration: Duration::ZERO,
        leftover: None,
    }
}

fn end_of(cause: &Cause) -> End {
    match cause {
        Cause::Ended(status) => match std::os::unix::process::ExitStatusExt::signal(status) {
            Some(signal) => End::Signaled { signal },
            None => End::Exited { code: status.code().unwrap_or(-1) },
        },
        Cause::Deadline => End::DeadlineExceeded,
        Cause::Stopped => End::Stopped,
        Cause::TooLong => End::OutputTooLong,
    }
}

async fn watch(
    child: &mut Child,
    streams: &mut Streams,
    deadline: Duration,
    stop: oneshot::Receiver<()>,
    talk: &mut Option<Talk>,
) -> Cause {
    let talking = async {
        if let Some(talk) = talk {
            return talk.until_too_long_or_silent(deadline).await;
        }
        sleep(deadline).await;
        Silence::Deadline
    };
    tokio::select! {
        biased;
        () = streams.until_too_long() => Cause::TooLong,
        status = child.wait() => match status {
            Ok(status) => Cause::Ended(status),
            Err(_) => Cause::Stopped,
        },
        _ = stop => Cause::Stopped,
        silence = talking => match silence {
            Silence::Deadline => Cause::Deadline,
            Silence::TooLong => Cause::TooLong,
        },
    }
}

/// SIGTERM, some grace, SIGKILL. The leader's status, or `None` when it outlived that.
async fn end_group(child: &mut Child, streams: &mut Streams, group: Pid, limits: Limits) -> Option<ExitStatus> {
    signal(group, Signal::TERM);
    if let Some(status) = exit_within(child, streams, limits.grace).await {
        return Some(status);
    }
    signal(group, Signal::KILL);
    exit_within(child, streams, limits.unkillable_after).await
}

/// Keeps reading meanwhile, so that a child that blocks on a full pipe can end.
async fn exit_within(child: &mut Child, streams: &mut Streams, time: Duration) -> Option<ExitStatus> {
    let read_on = async {
        streams.until_too_long().await;
        streams.until_too_long().await;
    };
    tokio::select! {
        status = child.wait() => status.ok(),
        () = sleep(time) => None,
        () = read_on => None,
    }
}
