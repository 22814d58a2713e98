//! What one half of a bandwidth test between two nodes measured.

use serde::{Deserialize, Serialize};

/// What one half measured, or why it measured nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IperfReport {
    /// Rate at the receiver, in megabits (10^6 bits) per second, rounded. Absent if and only if there is a reason.
    pub mbps: Option<u64>,
    /// TCP retransmits of all streams; only the sending half knows them.
    pub retransmits: Option<u64>,
    /// Length of the measurement.
    pub seconds: Option<f64>,
    /// Why nothing was measured.
    pub reason: Option<IperfReason>,
    /// The command and the first lines of its output, at most 256 bytes.
    pub evidence: String,
    /// How many times iperf3 was run.
    pub attempts: u32,
}

/// Why nothing was measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum IperfReason {
    /// There is no such program.
    ToolMissing,
    /// No process listens on the peer's port.
    ConnectionRefused,
    /// The server is running another test.
    Busy,
    /// The peer does not answer, or took the connection and said nothing.
    PeerSilent,
    /// The test was cut short: the peer went away, or someone killed the program.
    Interrupted,
    /// The output is not what iperf3 prints.
    UnknownOutput,
    /// iperf3 reported another error; it is in the evidence.
    ToolError,
    /// Someone listens at the server's port already.
    PortTaken,
    /// Only others than the partner of the slot came.
    ForeignPeer,
    /// No client came before the slot ended.
    NobodyCame,
    /// The slot had ended, or was too short, before anything could be tried.
    SlotOver,
}
