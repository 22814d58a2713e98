//! What reaches the core, and what it wants done.

use crate::dispatch::{Command, Measured, Probe};
use crate::kernel_log::Cursor;
use crate::readings::{Ask, Said};
use crate::xid::XidObservation;
use crds::Time;
use crds::node_health::{NodeHealthSpec, Report};

/// Something happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The NodeHealth of this node was seen, or seen anew.
    SpecChanged(Box<Order>),
    /// There is no NodeHealth of this node.
    SpecGone,
    /// Records of the kernel log were read.
    KernelLog {
        /// What they say; records that say nothing are left out.
        entries: Vec<LogEntry>,
        /// The place after them.
        cursor: Option<Cursor>,
    },
    /// A kernel log is being read.
    KernelLogOpened {
        /// The source, for example `kmsg:/dev/kmsg`.
        source: String,
    },
    /// No kernel log can be read.
    KernelLogUnreadable {
        /// Why, and what to do about it.
        message: String,
    },
    /// A probe has ended. Each [`Effect::StartProbe`] is answered by one of these.
    ProbeFinished {
        /// The id of the start.
        id: u64,
        /// What it measured.
        measured: Measured,
        /// How long it took, in milliseconds.
        duration_ms: u64,
    },
    /// The sampler said something.
    SamplerSaid {
        /// The id of its start.
        id: u64,
        /// What it said.
        said: Said,
    },
    /// The last [`Effect::Report`] was written, or was not.
    ReportApplied(Result<(), Refusal>),
    /// The moment that [`Effect::Wake`] named has come.
    Tick,
}

/// The NodeHealth of this node as it was seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Order {
    /// The uid of the object.
    pub uid: String,
    /// The generation of the spec.
    pub generation: i64,
    /// The spec.
    pub spec: NodeHealthSpec,
    /// The report that the object holds. Only that of the first sight is read: what this agent wrote before its start.
    pub report: Option<Box<Report>>,
}

/// One thing that the kernel log said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogEntry {
    /// A fault.
    Fault {
        /// What the line said.
        observed: Box<XidObservation>,
        /// When the kernel wrote it, where its stamp is worth something; else it counts as now.
        at: Option<Time>,
        /// The record's sequence number, where the source has such.
        seq: Option<u64>,
        /// The record's time, in microseconds since boot; 0 where unknown.
        usec: u64,
    },
    /// Records were overwritten before they could be read.
    Overrun,
    /// The file was replaced; its numbers begin anew.
    Rotated,
}

/// Why a report was not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// 404: the object is gone; the watch will tell.
    NotFound,
    /// 401 or 403: this agent may not.
    Forbidden,
    /// 422, or 500 `field not declared in schema`: the API server does not know what we write. Permanent.
    Schema,
    /// 409, overload, no connection, no answer: worth another attempt.
    Transient,
}

/// Something to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Start a probe.
    StartProbe {
        /// The id that its end will carry.
        id: u64,
        /// What to measure.
        probe: Probe,
        /// After so many milliseconds it is killed.
        deadline_ms: u64,
    },
    /// End a probe before its time; its end is still told.
    StopProbe {
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
    /// Write the report. At most one is under way: the next follows after [`Event::ReportApplied`].
    Report {
        /// The report, whole.
        report: Box<Report>,
        /// When the first fault that it tells for the first time was read from the log, by the monotonic clock in ms.
        fault_read_at: Option<u64>,
        /// When the first sample arrived that changed what this report says is wrong, by the monotonic clock in ms.
        sample_read_at: Option<u64>,
    },
    /// Call again at this moment of the monotonic clock (ms); replaces the moment named before.
    Wake {
        /// The moment.
        at: u64,
    },
}

impl From<Command> for Effect {
    fn from(command: Command) -> Self {
        match command {
            Command::Start { id, probe, deadline_ms } => Self::StartProbe { id, probe, deadline_ms },
            Command::Stop { id } => Self::StopProbe { id },
            Command::Ask { id, ask } => Self::Ask { id, ask },
        }
    }
}
