//! What to measure, the result, and the commands to the runner.

use crate::probe::Probe as _;
use crate::probe::driver::SamplerParameters;
use crate::probe::registry::ProbeRow;
use crate::probe::tools::iperf::{IperfClientParameters, IperfServerParameters};
use crate::probe::tree::TreeParameters;
use crate::readings::Ask;
use crate::readings::TreeReport;
use crate::readings::bandwidth::IperfReport;
use crds::CheckSpec;
use crds::check::Check;
use serde_json::Value;
use std::net::IpAddr;

/// What to measure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probe {
    /// The child that has the driver's library loaded and answers until it is stopped.
    Sampler,
    /// A reading of sysfs and procfs, without the driver's library.
    Tree,
    /// The probe of a check of a run.
    Check {
        /// The name of the probe.
        probe: &'static str,
        /// The check, with its parameters.
        spec: Box<CheckSpec>,
    },
    /// Restores what the probe of a check may have changed.
    Restore {
        /// The name of the probe.
        probe: &'static str,
        /// The check.
        check: Check,
    },
    /// The server of a bandwidth test.
    Serve {
        /// Where to listen.
        address: IpAddr,
        /// The TCP port.
        port: u16,
        /// What the partner of the slot sends along.
        password: String,
        /// Addresses of the partner, as far as they are known.
        partners: Vec<IpAddr>,
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
        /// What proves to the server that it is its partner.
        password: String,
        /// When the measurement must have ended, in milliseconds since 1970.
        until_unix_ms: u64,
    },
}

impl Probe {
    /// Its name: the subcommand that runs it, also for metrics and logs.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Sampler => SamplerParameters::NAME,
            Self::Tree => TreeParameters::NAME,
            Self::Check { probe, .. } | Self::Restore { probe, .. } => probe,
            Self::Serve { .. } => IperfServerParameters::NAME,
            Self::Send { .. } => IperfClientParameters::NAME,
        }
    }

    /// Whether the probe has the driver open, or may have.
    pub(super) fn may_hold_driver(&self) -> bool {
        ProbeRow::named(self.name()).is_none_or(|row| row.may_hold_driver)
    }
}

/// The result of a probe.
#[derive(Clone, Debug, PartialEq)]
pub enum Measured {
    /// A reading of sysfs.
    Tree(Box<TreeReport>),
    /// One side of a bandwidth test.
    Iperf(Box<IperfReport>),
    /// What the probe of a check reported.
    Report(Value),
    /// Nothing: the measurement failed.
    Unknown {
        /// The reason: one word.
        reason: String,
        /// The message: one sentence.
        message: String,
    },
}

impl Measured {
    pub(super) fn unknown(reason: &str, message: String) -> Self {
        Self::Unknown { reason: reason.to_owned(), message }
    }
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
