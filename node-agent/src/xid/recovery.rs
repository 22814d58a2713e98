//! Xid 154 and the recovery action (NVML field 230): a state kept by the driver that names the required recovery.
//!
//! Source: open-gpu-kernel-modules 595.45.04 `gpu.c`; values 6 and 7: NVML's newest headers. The line is logged on each
//! change, including a change back to None, so only the value after the change counts.

use crds::Severity;

/// One value of the recovery action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecoveryAction {
    /// The number, the same in Xid 154 and NVML field 230.
    pub value: u32,
    /// The driver's name for it.
    pub name: &'static str,
    /// Our severity.
    pub severity: Severity,
    /// Our reason.
    pub reason: &'static str,
    /// The reason for this severity.
    pub note: &'static str,
}

const fn action(
    value: u32,
    name: &'static str,
    severity: Severity,
    reason: &'static str,
    note: &'static str,
) -> RecoveryAction {
    RecoveryAction { value, name, severity, reason, note }
}

/// Every value.
#[rustfmt::skip]
pub static ACTIONS: &[RecoveryAction] = &[
    action(0, "None", Severity::Monitor, "RecoveryNotNeeded", "clears what the values below raised"),
    action(1, "GPU Reset Required", Severity::Reset, "RecoveryGpuReset", ""),
    action(2, "Node Reboot Required", Severity::Reboot, "RecoveryNodeReboot", ""),
    action(3, "Drain P2P", Severity::Reset, "RecoveryDrainPeers", "no new work may start until peer traffic has drained, and Reset is the mildest severity that keeps new work away; the driver then changes to None or to a reset by itself"),
    action(4, "Drain and Reset", Severity::Reset, "RecoveryDrainAndReset", ""),
    action(5, "Recover IMEX Domain", Severity::Monitor, "RecoveryImexDomain", "the IMEX daemons of the domain must be recovered: no reset, reboot or replacement of this node does that"),
    action(6, "Bus Reset", Severity::Reset, "RecoveryBusReset", "NVML only"),
    action(7, "System Reboot", Severity::Reboot, "RecoverySystemReboot", "NVML only"),
];

/// The value that means no recovery is needed.
pub const NONE: u32 = 0;

/// The row of a value; None for values that no source lists.
pub fn by_value(value: u32) -> Option<&'static RecoveryAction> {
    ACTIONS.iter().find(|action| action.value == value)
}
