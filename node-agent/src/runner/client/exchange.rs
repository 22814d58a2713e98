//! What the handle and the actor that owns the connection say to each other.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use crate::runner::protocol::{Finished, MAX_OUTPUT_CAP_BYTES, ProbeSpec};

/// What to run, and its limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeRequest {
    /// The probe.
    pub probe: ProbeSpec,
    /// After this the probe and all its children are killed. Whole milliseconds, at least one. For a probe that talks the
    /// time runs anew with each line that is said to it.
    pub deadline: Duration,
    /// Bytes of output, at most [`MAX_OUTPUT_CAP_BYTES`].
    pub output_cap_bytes: u32,
}

impl ProbeRequest {
    /// A probe with the largest output that is allowed.
    pub fn new(probe: ProbeSpec, deadline: Duration) -> Self {
        Self { probe, deadline, output_cap_bytes: MAX_OUTPUT_CAP_BYTES }
    }
}

/// The outcome of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProbeOutcome {
    /// It ran, or could not be started; how, says [`Finished::end`].
    Finished(Finished),
    /// The runner refused to start it: a sentence.
    Refused(String),
    /// There is no runner, or it died or disconnected meanwhile: a sentence.
    RunnerGone(String),
    /// The runner is there and stands still, so that nothing is known about the probe: a sentence.
    RunnerSilent(String),
}

/// The state of the runner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunnerState {
    /// The first attempt to connect is under way.
    Starting,
    /// Connected.
    Ready {
        /// The runner's process, if it is our child.
        pid: Option<u32>,
    },
    /// Not connected; the next attempt follows by itself.
    Down {
        /// A sentence.
        reason: String,
    },
}

/// How to start a runner as a child.
#[derive(Debug, Clone)]
pub struct RunnerCommand {
    /// `gpu-health-agent`.
    pub binary: PathBuf,
    /// What follows `runner` on the command line.
    pub arguments: Vec<OsString>,
    /// Added to our own environment.
    pub environment: Vec<(OsString, OsString)>,
}

/// From the handle to the actor.
#[derive(Debug)]
pub(super) enum Command {
    Start {
        id: u64,
        request: ProbeRequest,
        outcome: oneshot::Sender<ProbeOutcome>,
        lines: Option<mpsc::Sender<String>>,
    },
    Stop {
        id: u64,
    },
    Say {
        id: u64,
        line: String,
    },
}
