//! `xid`: the kernel log, folded into latched findings.
//!
//! A finding at Reset or above stays until the agent sees a new boot id, or until the driver reports by Xid 154 or by
//! its recovery action (field 230) that no recovery is needed any more. That report lifts findings that a reset or a
//! reboot cures, but not a board that needs replacement. A finding at Monitor stays for [`MONITOR_SECONDS`] after the
//! last sighting.
//!
//! One fault reports several codes (48, 63, 94, 154). There is one finding per GPU, the most severe, and it is acted on
//! once. Of equally severe codes the first stays, because it names the cause, and the others are counted.

mod page;
pub use page::PAGE;

use super::core::hardware::addresses;
use super::core::{Findings, Found, Ground, Hardware, Judged, MAX_COVERED, Readings, bounded};
use crate::time::Now;
use crate::xid::{XidEvent, XidObservation, XidVerdict, recovery};
use crds::check::Check;
use crds::names::TARGET_NODE;
use crds::node_health::Finding;
use crds::{Outcome, Severity, Time, reason};

/// How long a finding at Monitor stays after the last sighting, in seconds (table of checks, `xid`).
pub const MONITOR_SECONDS: i64 = 3_600;

/// An SXid and an Xid 74 this close together are one fault, in seconds; its root is the switch (AWS, facts of Xid 74).
const SAME_FAULT_SECONDS: i64 = 60;
/// Separates a finding's message from the remark that the evidence adds.
const REMARK: &str = " | ";

/// Monitor is a warning: most of these faults come from applications.
fn outcome(severity: &Severity) -> Outcome {
    if severity.condemns() { Outcome::Fail } else { Outcome::Warn }
}

/// Folds one observation into the findings. `at` is when the kernel wrote it, if known.
pub fn observe(findings: &mut Findings, observed: &XidObservation, verdict: &XidVerdict, at: Time) {
    let check = Check::Xid.name();
    let target = observed.pci.to_string();
    if verdict.clears {
        findings.retain(|finding| !is_cured(finding, &target));
        return;
    }
    let fresh = Found {
        target,
        outcome: outcome(&verdict.severity),
        severity: verdict.severity.clone(),
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

/// Whether a fault is more severe than the standing finding on its target.
pub fn raises(findings: &Findings, observed: &XidObservation, verdict: &XidVerdict) -> bool {
    let known = findings.get(Check::Xid.name(), &observed.pci.to_string());
    !verdict.clears && known.is_none_or(|known| known.severity.rank() < verdict.severity.rank())
}

/// Adds to a GPU's finding what the evidence shows beyond the code, replacing the previous remark.
pub fn remark(findings: &mut Findings, target: &str, remark: &str) {
    let Some(known) = findings.get(Check::Xid.name(), target) else { return };
    let said = known.message.split(REMARK).next().unwrap_or_default();
    let room = MESSAGE_MAX.saturating_sub(REMARK.len() + remark.len());
    let message = bounded(&format!("{}{REMARK}{remark}", bounded(said, room)), MESSAGE_MAX);
    findings.put(Finding { message, ..known.clone() });
}

/// If NVLinks of GPUs (Xid 74) and a switch (SXid) fail together, the switch is the root, in whichever order they log.
fn name_the_switch(findings: &mut Findings, observed: &XidObservation, target: &str, at: Time) {
    let near = |finding: &Finding| (finding.last_seen.unix() - at.unix()).abs() <= SAME_FAULT_SECONDS;
    let begins =
        |finding: &Finding, what: &str| finding.evidence.as_deref().is_some_and(|evidence| evidence.starts_with(what));
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

/// Whether the driver's report that this GPU needs no action lifts the finding.
fn is_cured(finding: &Finding, target: &str) -> bool {
    finding.check == Check::Xid.name()
        && finding.target == target
        && matches!(finding.severity, Severity::Reset | Severity::Reboot)
}

/// Lifts the findings that a reset or a reboot cures once the driver's recovery action has returned to None: a finding
/// of another action still stands, and the last reading is None. Call before that check is judged.
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

/// How the evidence of an NVLink error begins, and below it that of a switch error.
const LINK_ERROR: &str = "Xid 74 ";
const SWITCH_ERROR: &str = "SXid ";
/// The limit of a finding's message, in bytes.
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

/// Drops Monitor findings that have expired.
pub fn expire(findings: &mut Findings, now: Now) {
    findings.retain(|finding| !expires(finding) || now.wall() < finding.last_seen.plus(MONITOR_SECONDS));
}

/// When the next Monitor finding expires, by the node's clock.
pub fn next_expiry(findings: &Findings) -> Option<Time> {
    findings.iter().filter(|f| expires(f)).map(|f| f.last_seen.plus(MONITOR_SECONDS)).min()
}

fn expires(finding: &Finding) -> bool {
    finding.check == Check::Xid.name() && !finding.severity.condemns()
}

/// Drops the latched findings, which a boot ends.
pub fn end_with_boot(findings: &mut Findings) {
    findings.retain(|finding| finding.check != Check::Xid.name() || expires(finding));
}

/// The row: whether the log was read without a gap. The findings were already added by [`observe`].
///
/// Lost records may have hidden a fault, so the check is inconclusive for one interval after an overrun. After that the
/// log counts as complete again: a lost fault shows up in other checks or is logged again.
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

/// When an overrun is over, by the monotonic clock in milliseconds.
pub fn overrun_ends(at: u64, interval_seconds: i64) -> u64 {
    at.saturating_add(u64::try_from(interval_seconds).unwrap_or(0).saturating_mul(1000))
}

/// Every known GPU, the switches that the log has named, and the node.
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
