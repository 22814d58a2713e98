//! Programs that a probe runs: bounded in time and output, dead when the probe is.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::Signal;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::runner::{Streams, strays, sys};

/// How long a pipe may stay open after the program ended: something that it started can hold it.
const DRAIN: Duration = Duration::from_millis(500);

/// A stray may leave children of its own, which become visible when it is dead: one second in all.
const LOOKS_FOR_STRAYS: u32 = 100;
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// How a program ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ToolEnd {
    /// By itself, with this status.
    Exited(i32),
    /// By a signal that we did not send.
    Signaled(i32),
    /// We killed it, as its time was over.
    Silent,
    /// We killed it, as it printed more than allowed.
    TooLong,
}

/// What a program did.
#[derive(Debug, Clone)]
pub(super) struct ToolRun {
    pub(super) end: ToolEnd,
    pub(super) stdout: String,
    pub(super) stderr_tail: String,
}

/// Runs a program until it ends, until `deadline`, or until it printed more than `cap` bytes. It stays in the probe's
/// process group, so that the runner's kill reaches it.
pub(super) async fn run_tool(mut command: Command, deadline: Instant, cap: usize) -> io::Result<ToolRun> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    sys::die_with_parent(&mut command, Signal::KILL);
    let mut child = tokio::process::Command::from(command).spawn()?;
    let mut streams = Streams::of(&mut child, cap);
    let end = tokio::select! {
        biased;
        () = streams.until_too_long() => ToolEnd::TooLong,
        status = child.wait() => end_of(status?),
        () = sleep_until(deadline) => ToolEnd::Silent,
    };
    if matches!(end, ToolEnd::TooLong | ToolEnd::Silent) {
        child.kill().await?;
    }
    let _ = timeout(DRAIN, streams.until_closed()).await;
    let end = if streams.overflowed() && end != ToolEnd::Silent { ToolEnd::TooLong } else { end };
    let (stdout, stderr_tail) = streams.into_text();
    Ok(ToolRun { end, stdout, stderr_tail })
}

fn end_of(status: ExitStatus) -> ToolEnd {
    match status.signal() {
        Some(signal) => ToolEnd::Signaled(signal),
        None => ToolEnd::Exited(status.code().unwrap_or(-1)),
    }
}

/// Runs a probe that runs programs, and ends what they left behind.
///
/// On this thread, which lives as long as the probe: the kernel ties the parent-death signal of what a probe starts to
/// the thread that started it.
pub(super) fn block_on<T>(probe: impl Future<Output = T>) -> io::Result<T> {
    strays::adopt_orphans()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(async {
        let report = probe.await;
        for _ in 0..LOOKS_FOR_STRAYS {
            if !strays::end_strays(&[]) {
                break;
            }
            sleep(LOOK_AGAIN).await;
        }
        report
    }))
}
