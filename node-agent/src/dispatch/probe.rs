//! What to measure, what came of it, and what is asked of the runner.

use crate::readings::Ask;
use crate::readings::TreeReport;
use crate::readings::bandwidth::IperfReport;
use crate::readings::program::CustomReport;
use crds::check::Custom;
use std::net::IpAddr;

/// What to measure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probe {
    /// The child that holds the driver's library and answers until it is stopped.
    Sampler,
    /// What sysfs and procfs tell, without the driver's library.
    Tree,
    /// A user's program.
    Custom(Custom),
    /// The listening half of a bandwidth test.
    Serve {
        /// Where to listen.
        address: IpAddr,
        /// The TCP port.
        port: u16,
        /// The end of the slot, in milliseconds since 1970.
        until_unix_ms: u64,
    },
    /// The sending half of a bandwidth test.
    Send {
        /// Where the peer listens.
        address: IpAddr,
        /// The peer's TCP port.
        port: u16,
        /// How many parallel streams.
        streams: u16,
        /// The length of the measurement, in seconds.
        seconds: u32,
        /// When the measurement must have ended, in milliseconds since 1970.
        until_unix_ms: u64,
    },
}

impl Probe {
    /// Whether the probe has the driver open, or may have: nobody knows what a user's program does.
    pub const fn may_hold_driver(&self) -> bool {
        match self {
            Self::Sampler | Self::Custom(_) => true,
            Self::Tree | Self::Serve { .. } | Self::Send { .. } => false,
        }
    }
}

/// What a probe brought back.
#[derive(Clone, Debug, PartialEq)]
pub enum Measured {
    /// What sysfs shows.
    Tree(Box<TreeReport>),
    /// The verdict of a user's program.
    Custom(Box<CustomReport>),
    /// One half of a bandwidth test.
    Iperf(Box<IperfReport>),
    /// Nothing: the measurement failed.
    Unknown {
        /// The reason: one word.
        reason: String,
        /// The message: one sentence.
        message: String,
    },
}

/// What the runner is asked to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Start a probe.
    Start {
        /// The id that its end will carry.
        id: u64,
        /// What to measure.
        probe: Probe,
        /// It is killed after this many milliseconds.
        deadline_ms: u64,
    },
    /// End a probe early; its end is still reported.
    Stop {
        /// The id of the start.
        id: u64,
    },
    /// Ask the sampler.
    Ask {
        /// The id of its start.
        id: u64,
        /// What to read.
        ask: Ask,
    },
}
