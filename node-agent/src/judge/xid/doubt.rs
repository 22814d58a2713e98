//! Faults that the kernel log alone does not prove, and what the present says about them.
//!
//! Two kinds: a line that a program may have written ([`crate::kernel_log::Told`]), and a line that is older than the
//! agent on this boot. A first installation finds months of history, most of it cured long ago by resets that left no
//! line. So the present state of the hardware is the second witness: it confirms the fault, or refutes it, or cannot
//! tell. Until it confirms, the fault is a warning.

use super::fold::{is_curable, is_cured, tell};
use crate::judge::core::events::expires;
use crate::judge::core::hardware::addresses;
use crate::judge::core::{Findings, Hardware, Readings};
use crate::readings::sample::Section;
use crate::xid::{XidDetail, XidEvent, XidObservation, XidVerdict, recovery};
use crds::check::Check;
use crds::node_health::Finding;
use crds::{Outcome, Severity, Time, reason};

/// Why a line is in doubt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// A program may have written it.
    NotProven,
    /// It was written before the agent first ran on this boot.
    BeforeUs,
}

/// What the present says about a fault in doubt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Present {
    /// The fault is still there.
    Confirms,
    /// The driver needs no recovery of this GPU: whatever happened is over.
    Refutes,
    /// The driver cannot tell, because it is too old for a recovery action (before R565) or does not answer.
    CannotTell,
    /// The witness has not been asked yet.
    NotYet,
}

/// Checks whose condemning finding on the same target confirms a fault, up to the severity of that finding: each asks the
/// hardware, not the log.
const WITNESSES: [Check; 3] = [Check::RecoveryAction, Check::Driver, Check::Inventory];

/// Asks the present about a fault of this severity that has been in doubt since `since_ms` (monotonic clock, in
/// milliseconds).
pub fn ask(
    (observed, severity): (&XidObservation, &Severity),
    doubt: Doubt,
    since_ms: u64,
    (findings, readings, hardware): (&Findings, &Readings, &Hardware),
) -> Present {
    let target = observed.pci.to_string();
    // A GPU that has to be reset does not confirm that it has to be replaced.
    let confirms = |check: Check| {
        findings.get(check.name(), &target).is_some_and(|finding| {
            let is_as_grave = finding.severity.rank() >= severity.rank();
            finding.outcome == Outcome::Fail && finding.severity.condemns() && is_as_grave
        })
    };
    if WITNESSES.into_iter().any(confirms) {
        return Present::Confirms;
    }
    if let Hardware::Seen(report) = hardware
        && !addresses(report).contains(&target)
    {
        // Only the driver may name a GPU that nobody sees: a program would name any address.
        let left = matches!(observed.event, XidEvent::Xid(79) | XidEvent::FallenOffTheBus);
        return if left && doubt == Doubt::BeforeUs { Present::Confirms } else { Present::CannotTell };
    }
    if matches!(observed.detail, XidDetail::Repair(_)) && !is_curable(severity) {
        return ask_row_remap(&target, since_ms, readings);
    }
    let is_fresh = readings.taken.get(&Section::RecoveryAction).is_some_and(|taken| *taken >= since_ms);
    if !is_fresh {
        return Present::NotYet;
    }
    let action = readings.gpus.get(&target).and_then(|gpu| gpu.recovery_action.as_ref()?.action);
    let is_over = action == Some(recovery::NONE) && is_curable(severity);
    if is_over { Present::Refutes } else { Present::CannotTell }
}

/// A repair that failed for good leaves the flag that the check rowRemap reads.
fn ask_row_remap(target: &str, since_ms: u64, readings: &Readings) -> Present {
    if readings.taken.get(&Section::RowRemap).is_none_or(|taken| *taken < since_ms) {
        return Present::NotYet;
    }
    match readings.gpus.get(target).and_then(|gpu| gpu.row_remap.as_ref()?.failure) {
        Some(true) => Present::Confirms,
        Some(false) => Present::Refutes,
        None => Present::CannotTell,
    }
}

/// Adds a fault in doubt as a warning, unless its target has a graver finding. `at` is when it was printed; an old one
/// says so with its age.
pub fn warn(
    findings: &mut Findings,
    observed: &XidObservation,
    verdict: &XidVerdict,
    doubt: Doubt,
    at: Time,
    now: Time,
) {
    let (severity, reason, remark) = match doubt {
        Doubt::NotProven => (
            Severity::Monitor,
            reason::XID_NOT_PROVEN,
            "a program may have written this line, and the hardware does not confirm it".to_owned(),
        ),
        Doubt::BeforeUs => (
            verdict.severity.clone(),
            verdict.reason,
            format!(
                "printed {} before the agent first ran, and the driver cannot tell whether it was cured",
                age(at, now)
            ),
        ),
    };
    tell(findings, observed, (Outcome::Warn, severity, reason), &format!("{}: {remark}", verdict.message), at);
}

/// `3 days`, `5 hours`, `10 minutes`, `20 seconds`: the largest unit that is not zero.
fn age(at: Time, now: Time) -> String {
    let seconds = (now.unix() - at.unix()).max(0);
    let (count, unit) = match seconds {
        86_400.. => (seconds / 86_400, "day"),
        3_600.. => (seconds / 3_600, "hour"),
        60.. => (seconds / 60, "minute"),
        _ => (seconds, "second"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

/// Removes the warning about a fault that the present refutes.
pub fn refute(findings: &mut Findings, target: &str) {
    let is_refuted = |finding: &Finding| {
        is_cured(finding, target)
            || (finding.check == Check::Xid.name()
                && finding.target == target
                && finding.reason == reason::XID_NOT_PROVEN)
    };
    findings.retain(|finding| !(finding.outcome == Outcome::Warn && is_refuted(finding)));
}

/// Whether the finding is only a warning about something that a reset or a reboot cures.
pub(super) fn is_in_doubt(finding: &Finding) -> bool {
    finding.check == Check::Xid.name() && finding.outcome == Outcome::Warn && !expires(finding)
}
