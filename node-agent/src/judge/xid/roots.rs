//! Roots and echoes: a fault that makes other hardware print errors, and the errors that it explains.
//!
//! A GPU that leaves the bus takes its NVLinks down: the switches print fatal SXids, and the peers print Xids. These are
//! echoes. While their root stands they name it in `causedBy` and are warnings; they condemn nothing, whichever of the two
//! was printed first.
//!
//! What must stay true:
//! - Only the codes of [`ECHOES`] are echoes, only near in time to a root that stands, and only a root that condemns counts:
//!   a line that a program may have written is none. Faults of memory are never echoes.
//! - An echo is no root.
//! - An echo ends with its root, and with it what it had to say. A later sighting is judged by itself.
//! - A finding that has also seen a fault which stands by itself is no echo ([`stands_alone`]).

use super::remarks::{SAME_FAULT_SECONDS, remarked, unremarked};
use crate::judge::core::Findings;
use crate::xid::catalogue::FALLEN_OFF_THE_BUS;
use crate::xid::{NVLINK_PEER_FAULT, NVLINK_REMAP, XidEvent};
use crds::check::Check;
use crds::names::TARGET_NODE;
use crds::node_health::{CausedBy, Finding};
use crds::{Outcome, Severity, Time, reason};

/// What a root takes with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A GPU is lost.
    Lost,
    /// An NVLink went down.
    LinkDown,
}

impl Kind {
    /// How far an echo may be from its root, in seconds.
    pub const fn seconds(self) -> i64 {
        match self {
            // gpud's SXid page: the switches print 12 s after the Xid 79.
            Self::Lost => SAME_FAULT_SECONDS,
            // NVIDIA's bucket CHECK_NVLINK_FAILURE_FLOW: "within the last 30 seconds".
            Self::LinkDown => 30,
        }
    }

    const fn says(self) -> &'static str {
        match self {
            Self::Lost => "follows the loss of GPU",
            Self::LinkDown => "follows a link down of GPU",
        }
    }
}

/// A finding that explains others.
#[derive(Debug)]
pub struct Root {
    /// The check.
    pub check: Check,
    /// Its reason.
    pub reason: &'static str,
    /// What it takes with it.
    pub kind: Kind,
    /// How many seconds after the fault itself it may be found at the latest.
    pub late: i64,
    /// Why, or where it says so.
    pub source: &'static str,
}

/// A reading may be an interval old, and a call that hangs is ended late.
const READ_LATE: i64 = 120;

/// Every root. A check that finds a GPU lost needs one row here, with its target as the finding's.
#[rustfmt::skip]
pub static ROOTS: &[Root] = &[
    Root { check: Check::Xid, reason: FALLEN_OFF_THE_BUS, kind: Kind::Lost, late: 0, source: "gpud's SXid page: Xid 79, then fatal SXids of three switches" },
    Root { check: Check::Driver, reason: reason::GPU_LOST, kind: Kind::Lost, late: READ_LATE, source: "NVML_ERROR_GPU_IS_LOST: fallen off the bus or otherwise inaccessible" },
    Root { check: Check::Inventory, reason: reason::GPU_LOST, kind: Kind::Lost, late: READ_LATE, source: "as above" },
    Root { check: Check::KernelLog, reason: reason::PCIE_LOSS, kind: Kind::Lost, late: 0, source: "returnn 1500: a GPU lost without an Xid; open-gpu-kernel-modules 1229: an Xid 31 follows" },
    Root { check: Check::KernelLog, reason: reason::DEVICE_INACCESSIBLE, kind: Kind::Lost, late: 0, source: "firmware-open 259: D3cold, then Xid 79" },
    Root { check: Check::Xid, reason: NVLINK_PEER_FAULT, kind: Kind::LinkDown, late: 0, source: "NVIDIA's sheet \"Xid 144-150 Decode\": link fatal" },
    Root { check: Check::Xid, reason: "NvLinkNetir", kind: Kind::LinkDown, late: 0, source: "as above" },
];

/// Where an echo may be printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// At any GPU, that of the root too.
    Anywhere,
    /// At another GPU or a switch.
    Elsewhere,
}

/// A code that a root explains.
#[derive(Debug)]
pub struct Echo {
    /// The code.
    pub event: XidEvent,
    /// Our reasons for it that are echoes; empty: all.
    pub reasons: &'static [&'static str],
    /// The kind of its root.
    pub kind: Kind,
    /// Where it is printed.
    pub place: Place,
    /// Why it is explained, or where it says so.
    pub why: &'static str,
}

const fn echo(event: XidEvent, reasons: &'static [&'static str], kind: Kind, place: Place, why: &'static str) -> Echo {
    Echo { event, reasons, kind, place, why }
}

/// Signs of an Xid 74 that a lost peer explains: the link went down. ECC, parity and a marginal signal are this end's own.
const LINK_WENT_DOWN: &[&str] =
    &["NvLinkError", "NvLinkSecondary", "NvLinkFabricReset", "NvLinkInternal", "NvLinkRepeatable", "NvLinkHardware"];

use Kind::{LinkDown, Lost};
use Place::{Anywhere, Elsewhere};
use XidEvent::{SXid, Xid};

/// Every echo. Not here on purpose: memory (48, 63, 64, 92, 94, 95, 140), the driver's own request (154), GSP (119, 120: a GSP
/// talks to its own GPU only), and the SXids that are faults of the switch itself (ECC, parity, overflow, Minion, host).
#[rustfmt::skip]
pub static ECHOES: &[Echo] = &[
    echo(Xid(74), LINK_WENT_DOWN, Lost, Elsewhere, "NVIDIA's catalogue, 74: if a GPU fails, another GPU connected to it over NVLink may report it simply because the link went down"),
    echo(Xid(149), &[NVLINK_PEER_FAULT], Lost, Elsewhere, "NVIDIA's decode sheet: the other end is the source of the lost link"),
    echo(Xid(13), &[], Lost, Anywhere, "programs that used the lost GPU end with exceptions"),
    echo(Xid(31), &[], Lost, Anywhere, "accesses to the lost GPU's memory fault (open-gpu-kernel-modules 1229: PCIe timeout, then 31)"),
    echo(Xid(43), &[], Lost, Anywhere, "channels of programs that used the lost GPU are reset"),
    echo(Xid(45), &[], Lost, Anywhere, "NVIDIA's catalogue, 45: clean-up due to previous errors"),
    echo(Xid(137), &[], Lost, Anywhere, "NVIDIA's catalogue, 137: an access over NVLink that the other side did not serve"),
    echo(SXid(20034), &[], Lost, Elsewhere, "LTSSM Fault Up: the link to the lost GPU went down (gpud's SXid page)"),
    echo(SXid(24007), &[], Lost, Elsewhere, "sourcetrack timeout: the lost GPU does not answer a request"),
    echo(SXid(14017), &[], Lost, Elsewhere, "TS ATO timeout: the lost GPU does not answer a request"),
    echo(Xid(145), &[NVLINK_REMAP], LinkDown, Elsewhere, "NVIDIA's bucket CHECK_NVLINK_FAILURE_FLOW: a by-product if a link of the partition went down in the last 30 s"),
];

/// Two codes of one GPU that are one incident: the first is its root, the second its consequence, and why.
pub static CONSEQUENCES: &[(u32, u32, &str)] = &[(
    62,
    109,
    "open-gpu-kernel-modules 1045: a halted PMU, and 9 s later a context switch that timed out because of it",
)];

/// Whether `later` on the same GPU is a consequence of `root`.
pub(super) fn is_consequence(root: XidEvent, later: XidEvent) -> bool {
    CONSEQUENCES.iter().any(|(of, code, _)| (root, later) == (Xid(*of), Xid(*code)))
}

/// The event of a finding, by the evidence that this check wrote itself. None if the evidence is missing: such a finding is
/// no echo.
pub(super) fn event_of(finding: &Finding) -> Option<XidEvent> {
    let evidence = finding.evidence.as_deref()?;
    if evidence.starts_with("no Xid at ") {
        return Some(XidEvent::FallenOffTheBus);
    }
    let code = |text: &str| text.split_once(" at ")?.0.parse().ok();
    match evidence.strip_prefix("SXid ") {
        Some(rest) => code(rest).map(SXid),
        None => code(evidence.strip_prefix("Xid ")?).map(Xid),
    }
}

/// The echoes that such a fault may be.
fn echoes(event: XidEvent, reason: &str) -> impl Iterator<Item = &'static Echo> {
    ECHOES.iter().filter(move |echo| echo.event == event && (echo.reasons.is_empty() || echo.reasons.contains(&reason)))
}

/// Whether no root explains such a fault.
pub(super) fn stands_alone(event: XidEvent, reason: &str) -> bool {
    echoes(event, reason).next().is_none()
}

/// A root, and how it is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cause {
    pub(super) by: CausedBy,
    pub(super) says: String,
}

/// The root that explains a fault seen from `first` to `last`, if one stands: the earliest.
pub(super) fn root_of(
    findings: &Findings,
    target: &str,
    (event, reason): (XidEvent, &str),
    (first, last): (Time, Time),
) -> Option<Cause> {
    let mut explains: Vec<(&Finding, Kind)> = Vec::new();
    for echo in echoes(event, reason) {
        let stand = findings.iter().filter(|finding| is_at_its_place(finding, echo.place, target));
        explains.extend(stand.filter_map(|finding| {
            let root = root(finding).filter(|root| root.kind == echo.kind)?;
            let is_near = |at: Time| is_near(finding, root, at);
            (is_near(first) && is_near(last)).then_some((finding, root.kind))
        }));
    }
    let (finding, kind) = explains.into_iter().min_by_key(|(finding, _)| finding.since)?;
    let by = CausedBy { check: finding.check.clone(), target: finding.target.clone() };
    Some(Cause { says: format!("{} {}, and is not judged by itself", kind.says(), finding.target), by })
}

/// Whether this is about when the root was first or last seen. A root that stands for a day does not explain all of it.
fn is_near(finding: &Finding, root: &Root, at: Time) -> bool {
    let seconds = root.kind.seconds();
    let after = |seen: Time| at.unix() - seen.unix();
    (-seconds - root.late..=seconds).contains(&after(finding.since)) || after(finding.last_seen).abs() <= seconds
}

fn is_at_its_place(root: &Finding, place: Place, target: &str) -> bool {
    // A check has one finding per target, which cannot cause itself.
    let is_same = root.check == Check::Xid.name() && root.target == target;
    let fits = match place {
        Place::Anywhere => true,
        Place::Elsewhere => root.target != target,
    };
    fits && !is_same && root.target != TARGET_NODE
}

/// The row of a finding that is a root: proven, condemning, and itself caused by nothing.
fn root(finding: &Finding) -> Option<&'static Root> {
    let stands = finding.outcome == Outcome::Fail && finding.severity.condemns() && finding.caused_by.is_none();
    ROOTS.iter().find(|root| stands && root.check.name() == finding.check && root.reason == finding.reason)
}

/// Names the root of each finding that has become an echo, ends the echoes whose root is gone, and names the fabric where
/// links of several GPUs went down together. Call when all checks have been judged: a root may be found by any of them.
pub fn attribute(findings: &mut Findings) {
    // A link that went down because of a lost GPU is an echo, and no root.
    name_roots(findings, Kind::Lost);
    release(findings);
    name_roots(findings, Kind::LinkDown);
    look_at_the_fabric(findings);
}

/// Ends the echoes whose root is gone. One whose root has turned out to be an echo stands by itself; such echoes are only
/// watched anyway, because only a link that went down can be both.
fn release(findings: &mut Findings) {
    let of_xid = findings.of(Check::Xid.name());
    let echoes: Vec<Finding> = of_xid.filter(|finding| finding.caused_by.is_some()).cloned().collect();
    for echo in echoes {
        let Some(by) = &echo.caused_by else { continue };
        let root = findings
            .get(&by.check, &by.target)
            .filter(|root| root.outcome == Outcome::Fail || root.caused_by.is_some());
        match root.map(|root| root.caused_by.is_some()) {
            Some(false) => {}
            Some(true) => findings.put(Finding { caused_by: None, message: unremarked(&echo.message), ..echo }),
            None => findings.retain(|finding| (&finding.check, &finding.target) != (&echo.check, &echo.target)),
        }
    }
}

fn name_roots(findings: &mut Findings, kind: Kind) {
    if findings.iter().all(|finding| root(finding).is_none_or(|root| root.kind != kind)) {
        return;
    }
    let open: Vec<Finding> = findings.of(Check::Xid.name()).filter(|finding| may_be_echo(finding)).cloned().collect();
    for finding in open {
        let Some(event) = event_of(&finding) else { continue };
        let seen = (finding.since, finding.last_seen);
        if echoes(event, &finding.reason).any(|echo| echo.kind == kind)
            && let Some(cause) = root_of(findings, &finding.target, (event, &finding.reason), seen)
        {
            findings.put(as_echo(finding, cause));
        }
    }
}

/// Findings in doubt keep their own warning.
fn may_be_echo(finding: &Finding) -> bool {
    finding.caused_by.is_none() && finding.reason != reason::XID_NOT_PROVEN
}

/// The finding as an echo of this root: only watched.
pub(super) fn as_echo(finding: Finding, cause: Cause) -> Finding {
    let alone = if finding.severity.condemns() { format!(" (alone: {})", finding.severity) } else { String::new() };
    let message = remarked(&finding.message, &format!("{}{alone}", cause.says));
    Finding { outcome: Outcome::Warn, severity: Severity::Monitor, message, caused_by: Some(cause.by), ..finding }
}

/// The reasons of links that went down, and of what the driver then asks for.
const LINKS_DOWN: [&str; 2] = [NVLINK_PEER_FAULT, "NvLinkNetir"];
const ASKED_FOR: [&str; 2] = ["RecoveryGpuReset", "RecoveryDrainAndReset"];

/// Links of several GPUs that go down together have the fabric in common, not the boards.
fn look_at_the_fabric(findings: &mut Findings) {
    let stands = |finding: &&Finding, reasons: &[&str]| {
        finding.outcome == Outcome::Fail && finding.caused_by.is_none() && reasons.contains(&finding.reason.as_str())
    };
    let of_xid = || findings.of(Check::Xid.name());
    let down: Vec<&Finding> = of_xid().filter(|finding| stands(finding, &LINKS_DOWN)).collect();
    if down.len() < 2 {
        return;
    }
    let near = |one: &Finding, other: &Finding| (one.since.unix() - other.since.unix()).abs() <= SAME_FAULT_SECONDS;
    let together = |finding: &Finding| down.iter().filter(|link| near(link, finding)).count();
    let all = down.iter().copied().chain(of_xid().filter(|finding| stands(finding, &ASKED_FOR)));
    let remarks: Vec<Finding> = all
        .map(|finding| (finding, together(finding)))
        .filter(|(_, count)| *count >= 2)
        .map(|(finding, count)| {
            let says = format!(
                "links of {count} GPUs went down together: look at the fabric first (switch tray, fabric manager)"
            );
            Finding { message: remarked(&finding.message, &says), ..finding.clone() }
        })
        .collect();
    for finding in remarks {
        findings.put(finding);
    }
}

#[cfg(test)]
mod tests;
