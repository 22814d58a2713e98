//! The events that the core receives, and the effects that it requests.

use crate::dispatch::{Command, Measured, Probe};
use crate::kernel_log::{Cursor, KernelRecord};
use crate::kernel_messages::Message;
use crate::readings::{Ask, Said};
use crate::xid::{LogFact, XidObservation};
use crds::Time;
use crds::node_health::{NodeHealthSpec, Report};

/// Something happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The NodeHealth of this node was seen for the first time, or again.
    SpecChanged(Box<Order>),
    /// This node has no NodeHealth.
    SpecGone,
    /// Records of the kernel log were read.
    KernelLog {
        /// The meaningful records, parsed; all others are left out.
        entries: Vec<LogEntry>,
        /// The position after them.
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
    /// The sampler sent a message.
    SamplerSaid {
        /// The id of its start.
        id: u64,
        /// The message.
        said: Said,
    },
    /// The last [`Effect::Report`] was written or refused.
    ReportApplied(Result<(), Refusal>),
    /// Somebody waits for new readings: everything that was read is read again now.
    ReadAgain,
    /// The time set by [`Effect::Wake`] has come.
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
    /// The report in the object. Only the first one seen is used: it is what this agent wrote before its start.
    pub report: Option<Box<Report>>,
}

/// One event from the kernel log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogEntry {
    /// A fault.
    Fault {
        /// The content of the line.
        observed: Box<XidObservation>,
        /// When the kernel wrote it, if its timestamp is reliable; otherwise the current time is used.
        at: Option<Time>,
        /// The record's sequence number, if the source has one.
        seq: Option<u64>,
        /// The record's time, in microseconds since boot; 0 where unknown.
        usec: u64,
    },
    /// What the kernel or the driver says besides Xids.
    Message {
        /// What it says.
        message: Box<Message>,
        /// When the kernel wrote it, if its timestamp is reliable; otherwise the current time is used.
        at: Option<Time>,
    },
    /// The driver's kernel module was loaded.
    DriverLoaded {
        /// When the kernel wrote it. A source without reliable times reports none: after a restart of the agent it would
        /// show the same line as new.
        at: Time,
    },
    /// Records were overwritten before they could be read.
    Overrun,
    /// The file was replaced; its numbers start over.
    Rotated,
}

impl LogEntry {
    /// What a fact of the log is to the core; `None` if it is nothing. `at`: when the kernel wrote the record, if known.
    pub fn of(fact: LogFact, record: &KernelRecord, at: Option<Time>) -> Option<Self> {
        match fact {
            LogFact::Fault(observed) => {
                Some(Self::Fault { observed: Box::new(observed), at, seq: record.seq, usec: record.usec })
            }
            LogFact::Message(message) => Some(Self::Message { message: Box::new(message), at }),
            LogFact::DriverLoaded => at.map(|at| Self::DriverLoaded { at }),
            LogFact::Board(_) => None,
        }
    }
}

/// Why a report was not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// 404: the object is gone; the watch will report it.
    NotFound,
    /// 401 or 403: this agent has no permission.
    Forbidden,
    /// 422, or 500 `field not declared in schema`: the API server does not know a field that we write. Permanent.
    Schema,
    /// 409, overload, no connection, no answer: retry.
    Transient,
}

/// An action for the shell.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Start a probe.
    StartProbe {
        /// The id that the report of its end will have.
        id: u64,
        /// What to measure.
        probe: Probe,
        /// The deadline after which it is killed, in milliseconds.
        deadline_ms: u64,
    },
    /// Stop a probe early; its end is still reported.
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
    /// Write the report. At most one write is in flight: the next follows after [`Event::ReportApplied`].
    Report {
        /// The complete report.
        report: Box<Report>,
        /// When the first fault that is new in this report was read from the log, by the monotonic clock in ms.
        fault_read_at: Option<u64>,
        /// When the first sample arrived that changed the findings of this report, by the monotonic clock in ms.
        sample_read_at: Option<u64>,
    },
    /// Call again at this moment of the monotonic clock (ms); replaces the previous moment.
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
