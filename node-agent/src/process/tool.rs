//! Programs that a probe runs: bounded in time and output, and killed with the probe.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus, Stdio};

use rustix::process::Signal;
use tokio::time::{Instant, sleep_until, timeout};

use super::capture::{DRAIN, Streams};
use super::{strays, sys};

/// How a program ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ToolEnd {
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
pub(crate) struct ToolRun {
    pub(crate) end: ToolEnd,
    pub(crate) stdout: String,
    pub(crate) stderr_tail: String,
}

/// Runs a program until it ends, until `deadline`, or until it printed more than `cap` bytes. It stays in the probe's
/// process group, so that the runner's kill reaches it.
pub(crate) async fn run_tool(mut command: Command, deadline: Instant, cap: usize) -> io::Result<ToolRun> {
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
pub(crate) fn block_on<T>(probe: impl Future<Output = T>) -> io::Result<T> {
    strays::adopt_orphans()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(async {
        let report = probe.await;
        strays::sweep(|| strays::end_strays(&[])).await;
        report
    }))
}
