//! Errors of reading the kernel log.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// One failed attempt to open the kernel log.
#[derive(Debug)]
pub struct Attempt {
    /// What was tried: `/dev/kmsg` or `syslog(2)`.
    pub way: String,
    /// How it failed.
    pub error: io::Error,
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.way, self.error)
    }
}

/// Why the kernel log, or the identity of the boot, cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum KernelLogError {
    /// Neither source is available to this process.
    #[error(
        "the kernel log cannot be read ({}); run as uid 0 with CAP_SYSLOG for syslog(2), or privileged for /dev/kmsg, or name a file that holds its records",
        tried.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    )]
    Unreadable {
        /// Every attempt, in order.
        tried: Vec<Attempt>,
    },
    /// The given path cannot be opened.
    #[error("the kernel log {} cannot be opened: {source}; name a device, file or FIFO that the agent may read", path.display())]
    Open {
        /// The path.
        path: PathBuf,
        /// How it failed.
        source: io::Error,
    },
    /// The path is something that cannot hold records.
    #[error("{} is {kind}, no kernel log; name /dev/kmsg, or a file or FIFO with records of its form (prio,seq,usec,flags;text)", path.display())]
    NotALog {
        /// The path.
        path: PathBuf,
        /// What it is.
        kind: &'static str,
    },
    /// An open source failed.
    #[error("reading the kernel log from {name}: {source}")]
    Read {
        /// [`super::Source::name`].
        name: String,
        /// How it failed.
        source: io::Error,
    },
    /// The boot id or the time of boot cannot be read.
    #[error("{} cannot be read: {reason}; the proc root must be a mounted procfs", path.display())]
    Boot {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

impl From<KernelLogError> for crate::error::AgentError {
    fn from(error: KernelLogError) -> Self {
        Self::Boot(Box::new(error))
    }
}
