//! Observations folded into findings: one per target, the gravest.

use super::remarks::{MESSAGE_MAX, SAME_FAULT_SECONDS, remarked};
use super::roots::{as_echo, attribute, event_of, is_consequence, root_of, stands_alone};
use crate::judge::core::{Findings, Found, bounded};
use crate::xid::{XidEvent, XidObservation, XidVerdict};
use crds::check::Check;
use crds::node_health::Finding;
use crds::{Outcome, Severity, Time};

/// Monitor is a warning: most of these faults come from applications.
fn outcome(severity: &Severity) -> Outcome {
    if severity.condemns() { Outcome::Fail } else { Outcome::Warn }
}

/// Folds one observation into the findings. `at` is when the kernel wrote it, if known.
pub fn observe(findings: &mut Findings, observed: &XidObservation, verdict: &XidVerdict, at: Time) {
    let target = observed.pci.to_string();
    if verdict.clears {
        findings.retain(|finding| !is_cured(finding, &target));
        return;
    }
    let means = (outcome(&verdict.severity), verdict.severity.clone(), verdict.reason);
    tell(findings, observed, means, &verdict.message, at);
}

/// The number of the fault, where it has one. Those of GPUs and of switches do not overlap.
fn code(event: XidEvent) -> Option<String> {
    match event {
        XidEvent::Xid(number) | XidEvent::SXid(number) => Some(number.to_string()),
        XidEvent::FallenOffTheBus => None,
    }
}

/// Adds one observation as a finding, or counts it on the standing one.
pub(super) fn tell(
    findings: &mut Findings,
    observed: &XidObservation,
    (outcome, severity, reason): (Outcome, Severity, &str),
    message: &str,
    at: Time,
) {
    let check = Check::Xid.name();
    let fresh = Found {
        target: observed.pci.to_string(),
        outcome,
        severity,
        reason: reason.to_owned(),
        message: bounded(message, MESSAGE_MAX),
        evidence: Some(evidence(observed)),
    }
    .as_finding(check, at);
    let fresh = Finding { code: code(observed.event), ..fresh };
    let fresh = match root_of(findings, &fresh.target, (observed.event, reason), (at, at)) {
        Some(cause) => {
            // What was printed before the root is its echo, too, and counts on.
            attribute(findings);
            as_echo(fresh, cause)
        }
        None => fresh,
    };
    let folded = match findings.get(check, &fresh.target) {
        Some(known) if rank(known) == rank(&fresh) => counted(known, fresh, observed.event),
        Some(known) if rank(known) > rank(&fresh) => return,
        _ => fresh,
    };
    let target = folded.target.clone();
    findings.put(folded);
    name_the_switch(findings, observed, &target, at);
}

/// Two faults of equal rank as one finding. The first of a burst names the cause, unless the later one is its root, or stands
/// by itself where a root may explain the first.
fn counted(known: &Finding, fresh: Finding, event: XidEvent) -> Finding {
    let at = fresh.last_seen;
    let both = Finding {
        count: known.count.saturating_add(1).min(1_000_000_000),
        last_seen: known.last_seen.max(at),
        ..known.clone()
    };
    let Some(of_known) = event_of(known) else { return both };
    let is_near = (known.last_seen.unix() - at.unix()).abs() <= SAME_FAULT_SECONDS;
    let is_its_root = is_near && is_consequence(event, of_known);
    let outweighs =
        fresh.severity.condemns() && stands_alone(event, &fresh.reason) && !stands_alone(of_known, &known.reason);
    if outweighs && event == RECOVERY_ACTION_CHANGED {
        // The driver asks for a recovery because of the first, which stays the better name.
        Finding { evidence: fresh.evidence, ..both }
    } else if is_its_root || outweighs {
        Finding { since: both.since, last_seen: both.last_seen, count: both.count, ..fresh }
    } else {
        both
    }
}

/// Findings of a target, from the least to the gravest: any that is proven outranks one in doubt.
fn rank(finding: &Finding) -> (bool, u8) {
    (finding.outcome == Outcome::Fail, finding.severity.rank())
}

/// Whether a fault is more severe than the standing finding on its target.
pub fn raises(findings: &Findings, observed: &XidObservation, verdict: &XidVerdict, at: Time) -> bool {
    let target = observed.pci.to_string();
    let known = findings.get(Check::Xid.name(), &target);
    let is_echo = root_of(findings, &target, (observed.event, verdict.reason), (at, at)).is_some();
    let severity = if is_echo { &Severity::Monitor } else { &verdict.severity };
    let fresh = (outcome(severity) == Outcome::Fail, severity.rank());
    !verdict.clears && known.is_none_or(|known| rank(known) < fresh)
}

/// Adds to a GPU's finding what the evidence shows beyond the code, replacing the previous remark.
pub fn remark(findings: &mut Findings, target: &str, remark: &str) {
    let Some(known) = findings.get(Check::Xid.name(), target) else { return };
    findings.put(Finding { message: remarked(&known.message, remark), ..known.clone() });
}

/// If NVLinks of GPUs (Xid 74) and a switch (SXid) fail together, the switch is the root, in whichever order they log.
fn name_the_switch(findings: &mut Findings, observed: &XidObservation, target: &str, at: Time) {
    let near = |finding: &Finding| (finding.last_seen.unix() - at.unix()).abs() <= SAME_FAULT_SECONDS;
    let is_link = |finding: &&Finding| finding.message.starts_with(LINK_ERROR) && finding.caused_by.is_none();
    let is_switch = |finding: &&Finding| matches!(event_of(finding), Some(XidEvent::SXid(_)));
    let all = || findings.of(Check::Xid.name()).filter(|finding| near(finding));
    let links: Vec<String> = match observed.event {
        XidEvent::SXid(_) => all().filter(is_link).map(|known| known.target.clone()).collect(),
        XidEvent::Xid(_) => {
            all().filter(|known| known.target == target && is_link(known)).map(|_| target.to_owned()).collect()
        }
        XidEvent::FallenOffTheBus => Vec::new(),
    };
    // A switch that only echoes a lost GPU is no root.
    let is_root = |known: &&Finding| is_switch(known) && known.caused_by.is_none();
    let Some(switch) = all().find(is_root).map(|known| known.target.clone()) else {
        return;
    };
    for link in links {
        remark(
            findings,
            &link,
            &format!("NVSwitch {switch} reported an SXid at the same time: the switch is the root cause"),
        );
    }
}

/// Whether the driver's report that this GPU needs no action lifts the finding.
pub(super) fn is_cured(finding: &Finding, target: &str) -> bool {
    finding.check == Check::Xid.name() && finding.target == target && is_curable(&finding.severity)
}

/// Whether a reset or a reboot cures it. A board that needs replacement stays one.
pub(super) const fn is_curable(severity: &Severity) -> bool {
    matches!(severity, Severity::Reset | Severity::Reboot)
}

/// How the message of an NVLink error begins.
const LINK_ERROR: &str = "Xid 74,";
/// The driver's request for a recovery.
const RECOVERY_ACTION_CHANGED: XidEvent = XidEvent::Xid(154);

fn evidence(observed: &XidObservation) -> String {
    let what = match observed.event {
        XidEvent::Xid(code) => format!("Xid {code}"),
        XidEvent::SXid(code) => format!("SXid {code}"),
        XidEvent::FallenOffTheBus => "no Xid".to_owned(),
    };
    let process = observed.process.as_deref().map(|name| format!(", process {name}")).unwrap_or_default();
    bounded(&format!("{what} at {}{process}: {}", observed.pci, observed.message), 256)
}

/// Whether the observation is about a switch, which no inventory lists.
pub fn is_switch(observed: &XidObservation) -> bool {
    matches!(observed.event, XidEvent::SXid(_))
}
