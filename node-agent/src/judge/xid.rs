//! `xid`: what the kernel log says, folded into latched findings.
//!
//! A finding at Reset or above stays until the agent sees a new boot id, or until the driver says by Xid 154, or by its
//! recovery action (field 230), that no recovery is needed any more. That word ends what a reset or a reboot cures; a board
//! to be replaced it does not mend. A finding at Monitor stays for [`MONITOR_SECONDS`] after the last sighting.
//!
//! One fault tells of itself by several codes (48, 63, 94, 154): there is one finding per GPU, the gravest, and it is acted on
//! once. Of equals the first stays and the others are counted, because the first names the cause.

mod page;
pub use page::PAGE;

use super::core::hardware::addresses;
use super::core::{Findings, Found, Ground, Hardware, Judged, MAX_COVERED, Readings, bounded};
use crate::time::Now;
use crate::xid::{self, XidEvent, XidObservation, XidVerdict, recovery};
use crds::check::Check;
use crds::names::TARGET_NODE;
use crds::node_health::Finding;
use crds::{Outcome, Severity, Time, reason};

/// How long a finding at Monitor stays after the last sighting, in seconds (table of checks, `xid`).
pub const MONITOR_SECONDS: i64 = 3_600;

/// An SXid and an Xid 74 so close to each other are one fault, in seconds; its root is the switch (AWS, facts of Xid 74).
const SAME_FAULT_SECONDS: i64 = 60;
/// Between a finding's message and what the evidence adds to it.
const REMARK: &str = " | ";

/// The verdict of our catalogue in the words of the API. Monitor is a warning: most of these are faults of programs.
fn rating(severity: xid::Severity) -> (Outcome, Severity) {
    match severity {
        xid::Severity::Monitor => (Outcome::Warn, Severity::Monitor),
        xid::Severity::Reset => (Outcome::Fail, Severity::Reset),
        xid::Severity::Reboot => (Outcome::Fail, Severity::Reboot),
        xid::Severity::Isolate => (Outcome::Fail, Severity::Isolate),
    }
}

/// Folds one observation into the findings. `at` is when the kernel wrote it, as far as that is known.
pub fn observe(findings: &mut Findings, observed: &XidObservation, verdict: &XidVerdict, at: Time) {
    let check = Check::Xid.name();
    let target = observed.pci.to_string();
    if verdict.clears {
        findings.retain(|finding| !is_cured(finding, &target));
        return;
    }
    let (outcome, severity) = rating(verdict.severity);
    let fresh = Found {
        target,
        outcome,
        severity,
        reason: verdict.reason.to_owned(),
        message: verdict.message.clone(),
        evidence: Some(evidence(observed)),
    }
    .as_finding(check, at);
    let rank = |finding: &Finding| finding.severity.rank();
    let folded = match findings.get(check, &fresh.target) {
        // The first of a burst names the cause; the others are counted.
        Some(known) if rank(known) == rank(&fresh) => Finding {
            count: known.count.saturating_add(1).min(1_000_000_000),
            last_seen: known.last_seen.max(at),
            ..known.clone()
        },
        Some(known) if rank(known) > rank(&fresh) => return,
        _ => fresh,
    };
    let target = folded.target.clone();
    findings.put(folded);
    name_the_switch(findings, observed, &target, at);
}

/// Whether a fault is graver than what stands of its target.
pub fn raises(findings: &Findings, observed: &XidObservation, verdict: &XidVerdict) -> bool {
    let (_, severity) = rating(verdict.severity);
    let known = findings.get(Check::Xid.name(), &observed.pci.to_string());
    !verdict.clears && known.is_none_or(|known| known.severity.rank() < severity.rank())
}

/// Adds to the finding of a GPU what the evidence says beyond the code, in the place of what it said before.
pub fn remark(findings: &mut Findings, target: &str, remark: &str) {
    let Some(known) = findings.get(Check::Xid.name(), target) else { return };
    let said = known.message.split(REMARK).next().unwrap_or_default();
    let room = MESSAGE_MAX.saturating_sub(REMARK.len() + remark.len());
    let message = bounded(&format!("{}{REMARK}{remark}", bounded(said, room)), MESSAGE_MAX);
    findings.put(Finding { message, ..known.clone() });
}

/// Where NVLinks of GPUs (Xid 74) and a switch (SXid) fail together the switch is the root, whoever tells first.
fn name_the_switch(findings: &mut Findings, observed: &XidObservation, target: &str, at: Time) {
    let near = |finding: &Finding| (finding.last_seen.unix() - at.unix()).abs() <= SAME_FAULT_SECONDS;
    let begins = |finding: &Finding, what: &str| finding.evidence.as_deref().is_some_and(|told| told.starts_with(what));
    let all = || findings.of(Check::Xid.name()).filter(|finding| near(finding));
    let links: Vec<String> = match observed.event {
        XidEvent::SXid(_) => {
            all().filter(|known| begins(known, LINK_ERROR)).map(|known| known.target.clone()).collect()
        }
        XidEvent::Xid(_) => all()
            .filter(|known| known.target == target && begins(known, LINK_ERROR))
            .map(|_| target.to_owned())
            .collect(),
        XidEvent::FallenOffTheBus => Vec::new(),
    };
    let Some(switch) = all().find(|known| begins(known, SWITCH_ERROR)).map(|known| known.target.clone()) else {
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

/// Whether the driver's word that nothing needs to be done for this GPU ends the finding.
fn is_cured(finding: &Finding, target: &str) -> bool {
    finding.check == Check::Xid.name()
        && finding.target == target
        && matches!(finding.severity, Severity::Reset | Severity::Reboot)
}

/// Ends the findings that a reset or a reboot cures where the driver's recovery action has come back to None: there is still
/// a finding that it was another, and the last reading says that it is none. To be called before that check is judged.
pub fn lift_by_recovery_action(findings: &mut Findings, readings: &Readings) {
    let none = |target: &str| {
        let reading = readings.gpus.get(target).and_then(|gpu| gpu.recovery_action.as_ref());
        reading.is_some_and(|reading| reading.action == Some(recovery::NONE))
    };
    let was_another = findings.of(Check::RecoveryAction.name()).map(|finding| finding.target.clone());
    let cured: Vec<String> = was_another.filter(|target| none(target)).collect();
    for target in cured {
        findings.retain(|finding| !is_cured(finding, &target));
    }
}

/// How the evidence of an NVLink's error begins, and of a switch's.
const LINK_ERROR: &str = "Xid 74 ";
const SWITCH_ERROR: &str = "SXid ";
/// The bound of a finding's message, in bytes.
const MESSAGE_MAX: usize = 256;

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

/// Drops Monitor findings that are old enough.
pub fn expire(findings: &mut Findings, now: Now) {
    findings.retain(|finding| !expires(finding) || now.wall() < finding.last_seen.plus(MONITOR_SECONDS));
}

/// When the next Monitor finding goes, by the node's clock.
pub fn next_expiry(findings: &Findings) -> Option<Time> {
    findings.iter().filter(|f| expires(f)).map(|f| f.last_seen.plus(MONITOR_SECONDS)).min()
}

fn expires(finding: &Finding) -> bool {
    finding.check == Check::Xid.name() && !finding.severity.condemns()
}

/// Drops what a boot has ended: the latched findings.
pub fn end_with_boot(findings: &mut Findings) {
    findings.retain(|finding| finding.check != Check::Xid.name() || expires(finding));
}

/// The row: whether the log was read without a gap. Findings are there already.
///
/// Lost records may have hidden a fault, so that nothing is claimed for one interval after an overrun.
pub fn judge(ground: &Ground<'_>) -> Judged {
    if let Err(unread) = ground.log() {
        return *unread;
    }
    if ground.log_has_gap() {
        return Judged::unknown(
            reason::KERNEL_LOG_OVERRUN,
            "kernel log records were overwritten before they could be read".to_owned(),
        );
    }
    Judged {
        outcome: Outcome::Pass,
        reason: None,
        message: None,
        covered: covered(ground),
        found: Vec::new(),
        complete: false,
    }
}

/// Every GPU that is known to be there, the switches that were heard of, and the node.
fn covered(ground: &Ground<'_>) -> Vec<String> {
    let mut covered: Vec<String> = match ground.hardware {
        Hardware::Seen(report) => addresses(report).into_iter().collect(),
        Hardware::NotYet | Hardware::Unknown { .. } => ground.kernel_log.known_gpus.clone(),
    };
    covered.truncate(MAX_COVERED - 1);
    covered.push(TARGET_NODE.to_owned());
    for switch in &ground.kernel_log.switches {
        if covered.len() < MAX_COVERED && !covered.contains(switch) {
            covered.push(switch.clone());
        }
    }
    covered
}

#[cfg(test)]
mod tests;
