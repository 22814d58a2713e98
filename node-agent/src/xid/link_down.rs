//! The reasons for which an NVLink5 link goes down (Xid 149 NETIR_LINK_DOWN, `intrInfo[25:20]`).
//!
//! Source: NVIDIA's Xid catalogue, sheet "Xid 144-150 Decode": both actions; the names of the reasons at the other end are
//! those of its bucket INVESTIGATE_PEER_DEVICE, in its order.

use super::action::Action::{self, Ignore, ResetGpu};

/// Where NVIDIA's investigatory action says to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// SYMPATHETIC_REPORT_SOLO.
    OtherFaults,
    /// REPORT_ISSUE (if seen >1 per day).
    ReportIfDaily,
    /// INVESTIGATE_LINK_SI.
    Signal,
    /// INVESTIGATE_SW_USER.
    Software,
    /// INVESTIGATE_SW_USER_LINK_SI.
    SoftwareAndSignal,
    /// INVESTIGATE_PEER_DEVICE.
    Peer,
    /// INVESTIGATE_HOST.
    Host,
    /// INVESTIGATE_LINK_SI_AND_CABLES.
    SignalAndCables,
}

impl Look {
    /// Where to look, for people.
    pub const fn says(self) -> &'static str {
        match self {
            Self::OtherFaults => "usually secondary: look at other faults first",
            Self::ReportIfDaily => "report to NVIDIA if more than one a day",
            Self::Signal => "look at the link's signal integrity",
            Self::Software => "taken down by software or a user",
            Self::SoftwareAndSignal => "taken down by software or a user, else the link's signal integrity",
            Self::Peer => "the other end went down: look there, this board is not at fault",
            Self::Host => "look at the host",
            Self::SignalAndCables => "look at signal integrity, cables, seating and temperature of the link",
        }
    }
}

/// One reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DownReason {
    /// The value.
    pub value: u32,
    /// NVIDIA's immediate action. The local GPU needs it also where the other end is the source.
    pub action: Action,
    /// Where to look.
    pub look: Look,
    /// NVIDIA's name, where it gives one.
    pub name: &'static str,
}

const fn down(value: u32, action: Action, look: Look, name: &'static str) -> DownReason {
    DownReason { value, action, look, name }
}

/// Every reason that the sheet lists.
#[rustfmt::skip]
pub static REASONS: &[DownReason] = &[
    down(0, ResetGpu, Look::OtherFaults, ""),
    down(1, ResetGpu, Look::ReportIfDaily, ""),
    down(2, ResetGpu, Look::Signal, ""),
    down(4, ResetGpu, Look::Signal, ""),
    down(10, ResetGpu, Look::Signal, ""),
    down(15, ResetGpu, Look::Software, ""),
    down(16, ResetGpu, Look::SoftwareAndSignal, ""),
    down(17, ResetGpu, Look::Software, ""),
    down(18, ResetGpu, Look::SoftwareAndSignal, ""),
    down(21, ResetGpu, Look::Peer, "received TS1"),
    down(22, ResetGpu, Look::Software, ""),
    down(32, ResetGpu, Look::Peer, "peer side down to sleep state"),
    down(33, ResetGpu, Look::Peer, "peer side down to disable state"),
    down(34, ResetGpu, Look::Peer, "peer side down to disable and port lock"),
    down(35, ResetGpu, Look::Peer, "peer side down due to thermal event"),
    down(36, ResetGpu, Look::Peer, "peer side down due to force event"),
    down(37, ResetGpu, Look::Peer, "peer side down due to reset event"),
    down(38, Ignore, Look::Software, ""),
    down(40, Ignore, Look::Host, ""),
    down(42, ResetGpu, Look::SignalAndCables, ""),
    down(43, ResetGpu, Look::SignalAndCables, ""),
];

/// The row of a reason; None for values that the sheet does not list.
pub fn by_value(value: u32) -> Option<&'static DownReason> {
    REASONS.iter().find(|reason| reason.value == value)
}
