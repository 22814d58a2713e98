//! What can go wrong between the kernel's log and us.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// One way to the kernel's log that was tried in vain.
#[derive(Debug)]
pub struct Attempt {
    /// The way: `/dev/kmsg` or `syslog(2)`.
    pub way: String,
    /// How it failed.
    pub error: io::Error,
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.way, self.error)
    }
}

/// Why the kernel's log, or the boot that it belongs to, cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum KernelLogError {
    /// No way was open to us.
    #[error(
        "the kernel log cannot be read ({}); run as uid 0 with CAP_SYSLOG for syslog(2), or privileged for /dev/kmsg, or name a file that holds its records",
        tried.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    )]
    Unreadable {
        /// Every way that was tried, in order.
        tried: Vec<Attempt>,
    },
    /// The path that was given cannot be opened.
    #[error("the kernel log {} cannot be opened: {source}; name a device, file or FIFO that the agent may read", path.display())]
    Open {
        /// The path.
        path: PathBuf,
        /// How it failed.
        source: io::Error,
    },
    /// The path names something that holds no records.
    #[error("{} is {kind}, no kernel log; name /dev/kmsg, or a file or FIFO with records of its form (prio,seq,usec,flags;text)", path.display())]
    NotALog {
        /// The path.
        path: PathBuf,
        /// What it is.
        kind: &'static str,
    },
    /// A source that was open failed.
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

impl KernelLogError {
    /// A bounded label for metrics.
    pub const fn category(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => "unreadable",
            Self::Open { .. } => "open",
            Self::NotALog { .. } => "not_a_log",
            Self::Read { .. } => "read",
            Self::Boot { .. } => "boot",
        }
    }
}
