//! Child processes that die with their owner.
//!
//! A [`Child`] runs in a process group of its own with its output in a log file. It ends in one of four ways: by itself,
//! by [`Child::terminate`] or [`Child::kill9`], when the [`Child`] is dropped, or when its owner dies, however that
//! happens (the kernel's parent-death signal). The last one reaches the child itself, not its own children: a program that
//! starts some has to do the same for them.
//!
//! Waiting blocks the calling thread, except in [`Child::exited`].

mod bound;
pub mod cgroup;
mod others;

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

pub use bound::{spawn_bound, spawn_detached};
pub use others::{Stopped, family, make_character_device, member, members, open_below, unread};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
pub use rustix::process::Signal;
use rustix::process::{Pid, PidfdFlags, kill_process_group, pidfd_open};

/// How long a dropped child may take to end after SIGTERM before it gets SIGKILL.
pub const DROP_GRACE: Duration = Duration::from_secs(5);

/// Lines of its log that an error about a child quotes.
const LOG_TAIL_LINES: usize = 15;

/// What can go wrong with a child process.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The log file of a child could not be opened.
    #[error("open the log {}: {source}", path.display())]
    OpenLog {
        /// The log file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The program could not be started.
    #[error("start {name} ({}): {source}", program.display())]
    Spawn {
        /// Name of the child.
        name: String,
        /// Its program.
        program: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The child could not be watched, signalled or reaped.
    #[error("{act} {name}: {source}")]
    Observe {
        /// What was tried.
        act: &'static str,
        /// Name of the child.
        name: String,
        /// Why.
        source: io::Error,
    },
    /// The child was still running at the timeout.
    #[error("{name} still runs after {within:?}; its log {} ends with:\n{tail}", log.display())]
    StillRunning {
        /// Name of the child.
        name: String,
        /// The timeout.
        within: Duration,
        /// Its log file.
        log: PathBuf,
        /// The log's last lines.
        tail: String,
    },
}

/// What to start.
#[derive(Debug, Clone)]
pub struct Spec {
    /// Name in messages, and of the log file (`<name>.log`).
    pub name: String,
    /// The program: a path, or a name to be found in PATH.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Variables that are set besides the owner's environment.
    pub env: Vec<(OsString, OsString)>,
    /// Existing folder of the log file. The log is appended to, so that a second start under one name keeps the first's.
    pub log_dir: PathBuf,
}

impl Spec {
    /// A program without arguments.
    pub fn new(name: impl Into<String>, program: impl Into<PathBuf>, log_dir: impl Into<PathBuf>) -> Self {
        Self { name: name.into(), program: program.into(), args: Vec::new(), env: Vec::new(), log_dir: log_dir.into() }
    }

    /// Adds arguments.
    #[must_use]
    pub fn args(mut self, args: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Sets one variable.
    #[must_use]
    pub fn env(mut self, key: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.env.push((key.into(), value.into()));
        self
    }
}

/// A running (or ended) child process.
#[derive(Debug)]
pub struct Child {
    name: String,
    log: PathBuf,
    pid: Pid,
    pidfd: OwnedFd,
    reaping: Mutex<Reaping>,
}

#[derive(Debug)]
struct Reaping {
    process: std::process::Child,
    status: Option<ExitStatus>,
}

impl Child {
    /// Starts a program, bound to this process.
    pub fn spawn(spec: Spec) -> Result<Self, Error> {
        let Spec { name, program, args, env, log_dir } = spec;
        let log = log_dir.join(format!("{name}.log"));
        let open = || {
            let file = OpenOptions::new().create(true).append(true).open(&log)?;
            Ok((file.try_clone()?, file))
        };
        let (stdout, stderr) = open().map_err(|source| Error::OpenLog { path: log.clone(), source })?;
        let mut command = Command::new(&program);
        command.args(args).envs(env).stdin(Stdio::null()).stdout(stdout).stderr(stderr);
        let failed = |source| Error::Spawn { name: name.clone(), program: program.clone(), source };
        let process = spawn_bound(command).map_err(failed)?;
        let pid = Pid::from_child(&process);
        let pidfd = pidfd_open(pid, PidfdFlags::empty()).map_err(|errno| failed(errno.into()))?;
        Ok(Self { name, log, pid, pidfd, reaping: Mutex::new(Reaping { process, status: None }) })
    }

    /// The name it was started under.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its process id, which is its process group's as well.
    pub fn pid(&self) -> u32 {
        self.pid.as_raw_nonzero().get().unsigned_abs()
    }

    /// The file that holds its stdout and stderr.
    pub fn log_path(&self) -> &Path {
        &self.log
    }

    /// The last `lines` lines of its log; empty when it cannot be read.
    pub fn log_tail(&self, lines: usize) -> String {
        let text = std::fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let all: Vec<&str> = text.lines().collect();
        all[all.len().saturating_sub(lines)..].join("\n")
    }

    /// Whether it has not ended yet.
    pub fn is_alive(&self) -> bool {
        matches!(has_ended(&self.pidfd, Duration::ZERO), Ok(false))
    }

    /// Sends a signal to its whole process group; nothing happens when it has been reaped.
    pub fn signal(&self, signal: Signal) -> Result<(), Error> {
        let reaping = self.reaping.lock().unwrap_or_else(PoisonError::into_inner);
        // Until the child is reaped, no other process can get this group id.
        if reaping.status.is_some() {
            return Ok(());
        }
        match kill_process_group(self.pid, signal) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
            Err(errno) => Err(self.failed("signal", errno.into())),
        }
    }

    /// Kills its process group with SIGKILL and reaps it.
    pub fn kill9(&self) -> Result<ExitStatus, Error> {
        self.signal(Signal::KILL)?;
        self.reap()
    }

    /// Asks its process group to end (SIGTERM), kills it when `grace` is over, and reaps it.
    pub fn terminate(&self, grace: Duration) -> Result<ExitStatus, Error> {
        self.signal(Signal::TERM)?;
        match self.wait_exit(grace) {
            Err(Error::StillRunning { .. }) => self.kill9(),
            other => other,
        }
    }

    /// Waits at most `within` for it to end by itself. What is left of its process group is then killed.
    pub fn wait_exit(&self, within: Duration) -> Result<ExitStatus, Error> {
        let ended = has_ended(&self.pidfd, within).map_err(|source| self.failed("watch", source))?;
        self.reap_if(ended, within)
    }

    /// As [`Child::wait_exit`], without blocking the caller's thread.
    pub async fn exited(&self, within: Duration) -> Result<ExitStatus, Error> {
        let pidfd = self.pidfd.try_clone().map_err(|source| self.failed("watch", source))?;
        let ended = tokio::task::spawn_blocking(move || has_ended(&pidfd, within)).await;
        let ended = ended.map_err(io::Error::other).and_then(|ended| ended);
        self.reap_if(ended.map_err(|source| self.failed("watch", source))?, within)
    }

    fn reap_if(&self, ended: bool, within: Duration) -> Result<ExitStatus, Error> {
        if ended {
            return self.kill9();
        }
        let (name, log, tail) = (self.name.clone(), self.log.clone(), self.log_tail(LOG_TAIL_LINES));
        Err(Error::StillRunning { name, within, log, tail })
    }

    fn reap(&self) -> Result<ExitStatus, Error> {
        let mut reaping = self.reaping.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(status) = reaping.status {
            return Ok(status);
        }
        let status = reaping.process.wait().map_err(|source| self.failed("reap", source))?;
        reaping.status = Some(status);
        Ok(status)
    }

    fn failed(&self, act: &'static str, source: io::Error) -> Error {
        Error::Observe { act, name: self.name.clone(), source }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if let Err(error) = self.terminate(DROP_GRACE) {
            eprintln!("warning: {error}");
        }
    }
}

/// Waits at most `within` until the process of a pidfd has ended (it may not have been reaped yet).
fn has_ended(pidfd: impl AsFd, within: Duration) -> io::Result<bool> {
    let deadline = Instant::now() + within;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = Timespec::try_from(left).map_err(io::Error::other)?;
        match poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&timeout)) {
            Ok(ready) => return Ok(ready > 0),
            Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// Identity of a running process: pids are reused, pairs of pid and start time are not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Identity {
    /// The process id.
    pub pid: u32,
    /// Start time in clock ticks since boot (field 22 of `/proc/<pid>/stat`, proc(5)).
    pub started: u64,
}

impl Identity {
    /// The identity of the process that has this pid now; `None` when there is none, or only an unreaped one.
    pub fn of(pid: u32) -> Option<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The second field is the program's name in parentheses and may hold spaces and parentheses itself.
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let (state, started) = (fields.first()?, fields.get(19)?.parse().ok()?);
        (!matches!(*state, "Z" | "X")).then_some(Self { pid, started })
    }

    /// The identity of this process.
    pub fn own() -> Option<Self> {
        Self::of(std::process::id())
    }

    /// Whether this very process still runs.
    pub fn is_alive(self) -> bool {
        Self::of(self.pid) == Some(self)
    }
}

#[cfg(test)]
mod tests;
