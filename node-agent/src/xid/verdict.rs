//! Judges a parsed line by the tables alone.

use super::catalogue::{self, Concern, FALLEN_OFF_THE_BUS, XidRow};
use super::link_down::Look;
use super::nvlink_registers::{self, LinkSign};
use super::nvlink5::{self, Action, Decoded};
use super::observation::{NvLink5, NvLinkFault, SwitchFault, XidDetail, XidEvent, XidObservation};
use super::recovery;
use super::sxid::{self, Scope};
use crate::text::printable;
use crds::Severity;

/// The verdict on a fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct XidVerdict {
    /// What cures it.
    pub severity: Severity,
    /// The reason, PascalCase, from a table.
    pub reason: &'static str,
    /// The text for people: code, meaning, place, NVIDIA's action and the driver's own words; at most 256 bytes.
    pub message: String,
    /// The application is at fault, as far as the code shows.
    pub application: bool,
    /// The driver reports that no recovery is needed (any more): lifts earlier findings on this GPU.
    pub clears: bool,
}

/// The reason of a link that went down at its other end: this GPU needs a reset, and its board is not at fault.
pub const NVLINK_PEER_FAULT: &str = "NvLinkPeerFault";
/// The reason of an access to a link's address map that a link which has just gone down explains (RLW_REMAP).
pub const NVLINK_REMAP: &str = "NvLinkRemap";

/// Severity, reason and text.
struct Finding {
    severity: Severity,
    reason: &'static str,
    says: String,
}

/// The verdict on one fault. The driver's major version (such as 570) selects the layout of Xid 144 to 150.
pub fn judge(observed: &XidObservation, driver_major: Option<u32>) -> XidVerdict {
    let (row, finding) = match observed.event {
        XidEvent::FallenOffTheBus => (None, fallen_off()),
        XidEvent::SXid(code) => (None, switch(code, &observed.detail)),
        XidEvent::Xid(code) => {
            let row = catalogue::row(code).unwrap_or(&catalogue::UNKNOWN);
            let detailed = detailed(code, row, &observed.detail, driver_major);
            (Some(row), detailed.or_else(|| named_root(code, row, observed)).unwrap_or_else(|| by_row(code, row)))
        }
    };
    let Finding { severity, reason, says } = finding;
    let message = if observed.message.is_empty() { says } else { format!("{says}: {}", observed.message) };
    XidVerdict {
        severity,
        reason,
        message: printable(&message, 256),
        application: row.is_some_and(|row| row.concern == Concern::Application),
        clears: matches!(observed.detail, XidDetail::Recovery { from: _, to: recovery::NONE }),
    }
}

fn by_row(code: u32, row: &XidRow) -> Finding {
    let action = if row.immediate.is_empty() { String::new() } else { format!(" (NVIDIA: {})", row.immediate) };
    Finding { severity: row.severity.clone(), reason: row.reason, says: format!("Xid {code}, {}{action}", row.meaning) }
}

/// An Xid 45 that names its root, which its own line or its row decides.
fn named_root(code: u32, row: &XidRow, observed: &XidObservation) -> Option<Finding> {
    let root = observed.caused_by?;
    Some(Finding {
        says: format!("Xid {code}, {} because of Xid {root}, which decides", row.meaning),
        ..by_row(code, row)
    })
}

/// The finding from the line's own fields; None if the row decides.
fn detailed(code: u32, row: &XidRow, detail: &XidDetail, driver_major: Option<u32>) -> Option<Finding> {
    match detail {
        XidDetail::NvLink(fault) => registers(code, fault),
        XidDetail::Repair(text) => Some(Finding {
            severity: text.severity.clone(),
            reason: text.reason,
            says: format!("Xid {code}, {}: {}", row.meaning, text.means),
        }),
        XidDetail::NvLink5(fault) => Some(nvlink5(code, row, fault, driver_major)),
        XidDetail::Recovery { from: _, to } => Some(recovery_action(code, *to)),
        // The driver itself asks for the reset, which the row of 94 would leave to a convenient time.
        XidDetail::Containment(needed) if needed.reset || needed.drain_and_reset => {
            let finding = by_row(code, row);
            Some(Finding { severity: finding.severity.max(Severity::Reset), ..finding })
        }
        XidDetail::Plain | XidDetail::Switch(_) | XidDetail::Containment(_) => None,
    }
}

/// Severity, reason and meaning by the most severe sign in the registers of an Xid 74.
#[rustfmt::skip]
pub static LINK_SIGNS: &[(LinkSign, Severity, &str, &str)] = &[
    (LinkSign::Ignored, Severity::Monitor, "NvLinkNotice", "nothing to act on"),
    (LinkSign::Threshold, Severity::Monitor, "NvLinkThreshold", "a threshold was passed"),
    (LinkSign::Secondary, Severity::Monitor, "NvLinkSecondary", "the consequence of a fault at the other end"),
    (LinkSign::FabricReset, Severity::Reset, "NvLinkFabricReset", "the fabric needs a reset"),
    (LinkSign::EccOrParity, Severity::Reset, "NvLinkEccOrParity", "ECC or parity; more than twice on this link: report to NVIDIA"),
    (LinkSign::ReportIfRepeating, Severity::Reset, "NvLinkInternal", "report to NVIDIA if it repeats"),
    (LinkSign::DiagnoseIfRepeating, Severity::Reset, "NvLinkRepeatable", "field diagnostic if it repeats"),
    (LinkSign::MarginalSignal, Severity::Reset, "NvLinkMarginalSignal", "marginal signal: field diagnostic"),
    (LinkSign::PossibleHardware, Severity::Reset, "NvLinkHardware", "reseat and diagnose if a reset does not cure it"),
];

fn registers(code: u32, fault: &NvLinkFault) -> Option<Finding> {
    let sign = nvlink_registers::read(&fault.registers)?;
    let (_, severity, reason, means) = LINK_SIGNS.iter().find(|row| row.0 == sign)?;
    Some(Finding { severity: severity.clone(), reason, says: format!("Xid {code}, NVLink {}: {means}", fault.link) })
}

fn nvlink5(code: u32, row: &XidRow, fault: &NvLink5, driver_major: Option<u32>) -> Finding {
    let decoded = nvlink5::decode(code, fault.intr_info, fault.error_status, driver_major);
    let undecoded = || {
        let means = "no row of NVIDIA's decode table matches; an Xid 154 would decide".to_owned();
        (row.severity.clone(), row.reason, means)
    };
    let (severity, reason, means) = decoded.map_or_else(undecoded, |decoded| decided(row, &decoded));
    let place = fault.link.map_or_else(|| row.meaning.to_owned(), |link| format!("{} link {link}", row.meaning));
    let injected = if fault.injected { ", injected" } else { "" };
    Finding { severity, reason, says: format!("Xid {code}, {place}{injected} ({means})") }
}

/// Severity, reason and meaning of words that the decode table knows.
fn decided(row: &XidRow, decoded: &Decoded) -> (Severity, &'static str, String) {
    let Decoded { unit, action, down, secondary } = *decoded;
    let (severity, says) = match action {
        Action::ResetGpu => (Severity::Reset, "RESET_GPU"),
        Action::FollowRecoveryAction => (Severity::Monitor, "the Xid 154 decides"),
        Action::Ignore => (Severity::Monitor, "IGNORE"),
    };
    let means = format!("{}: {says}", unit.name);
    let Some(down) = down else {
        return (severity, if secondary { NVLINK_REMAP } else { row.reason }, means);
    };
    let name = if down.name.is_empty() { String::new() } else { format!(", {}", down.name) };
    let reason = if down.look == Look::Peer { NVLINK_PEER_FAULT } else { row.reason };
    (severity, reason, format!("{means}; reason {}{name}: {}", down.value, down.look.says()))
}

fn recovery_action(code: u32, to: u32) -> Finding {
    match recovery::by_value(to) {
        Some(action) => Finding {
            severity: action.severity.clone(),
            reason: action.reason,
            says: format!("Xid {code}, the driver's recovery action is now {}", action.name),
        },
        None => Finding {
            severity: Severity::Monitor,
            reason: "RecoveryActionUnknown",
            says: format!("Xid {code}, the driver's recovery action is now 0x{to:x}, which no source names"),
        },
    }
}

fn fallen_off() -> Finding {
    Finding { severity: Severity::Reboot, reason: FALLEN_OFF_THE_BUS, says: "GPU left the bus, no Xid".to_owned() }
}

/// A fatal SXid takes links, the switch, or the host down until they are reset.
fn switch(code: u32, detail: &XidDetail) -> Finding {
    let said = match detail {
        XidDetail::Switch(SwitchFault { switch: _, fatal, link: _ }) => *fatal,
        XidDetail::Plain
        | XidDetail::NvLink(_)
        | XidDetail::Containment(_)
        | XidDetail::Repair(_)
        | XidDetail::NvLink5(_)
        | XidDetail::Recovery { .. } => None,
    };
    let row = sxid::row(code);
    let scope = row.map_or(Scope::Link, |row| row.scope);
    let (severity, reason, word, act) = match said.or_else(|| row.map(sxid::SxidRow::is_fatal)) {
        Some(true) if scope == Scope::Host => (Severity::Reboot, "NvSwitchHostFatal", "fatal", scope.says()),
        Some(true) => (Severity::Reset, "NvSwitchFatal", "fatal", scope.says()),
        Some(false) if scope == Scope::Mechanics || scope == Scope::Machine => {
            (Severity::Monitor, "NvSwitchNonFatal", "not fatal", scope.says())
        }
        Some(false) => (Severity::Monitor, "NvSwitchNonFatal", "not fatal", ""),
        None => (Severity::Monitor, "NvSwitchUnknown", "unlisted", ""),
    };
    let act = if act.is_empty() { String::new() } else { format!(": {act}") };
    Finding { severity, reason, says: format!("SXid {code}, {word}{act}") }
}
