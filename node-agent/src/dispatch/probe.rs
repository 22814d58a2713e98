//! What to measure, the result, and the commands to the runner.

use crate::readings::Ask;
use crate::readings::TreeReport;
use crate::readings::bandwidth::IperfReport;
use crate::readings::program::CustomReport;
use crds::check::Custom;
use std::net::IpAddr;

/// What to measure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probe {
    /// The child that has the driver's library loaded and answers until it is stopped.
    Sampler,
    /// A reading of sysfs and procfs, without the driver's library.
    Tree,
    /// A user's program.
    Custom(Custom),
    /// The server of a bandwidth test.
    Serve {
        /// Where to listen.
        address: IpAddr,
        /// The TCP port.
        port: u16,
        /// The end of the slot, in milliseconds since 1970.
        until_unix_ms: u64,
    },
    /// The client of a bandwidth test.
    Send {
        /// The address of the peer.
        address: IpAddr,
        /// The TCP port of the peer.
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
    /// Whether the probe has the driver open, or may have: what a user's program does is unknown.
    pub const fn may_hold_driver(&self) -> bool {
        match self {
            Self::Sampler | Self::Custom(_) => true,
            Self::Tree | Self::Serve { .. } | Self::Send { .. } => false,
        }
    }
}

/// The result of a probe.
#[derive(Clone, Debug, PartialEq)]
pub enum Measured {
    /// A reading of sysfs.
    Tree(Box<TreeReport>),
    /// The verdict of a user's program.
    Custom(Box<CustomReport>),
    /// One side of a bandwidth test.
    Iperf(Box<IperfReport>),
    /// Nothing: the measurement failed.
    Unknown {
        /// The reason: one word.
        reason: String,
        /// The message: one sentence.
        message: String,
    },
}

/// A command to the runner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Start a probe.
    Start {
        /// The id that the report of its end will have.
        id: u64,
        /// What to measure.
        probe: Probe,
        /// The deadline after which it is killed, in milliseconds.
        deadline_ms: u64,
    },
    /// Stop a probe early; its end is still reported.
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
