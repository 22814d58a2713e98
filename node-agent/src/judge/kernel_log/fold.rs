//! Messages folded into findings: one per target, the gravest.

use super::present::ask;
use super::rules::RULES;
use crate::judge::core::{Findings, Found, Readings, bounded, rule};
use crate::judge::xid::Present;
use crate::kernel_messages::Message;
use crate::readings::sample::Section;
use crate::time::Now;
use crds::check::Check;
use crds::node_health::Finding;
use crds::{Outcome, Severity, Time, reason};

/// What a message is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Worth {
    /// The verdict of its rule.
    Verdict,
    /// A warning: the driver reads the GPU since.
    Over,
    /// A warning: the line is older than the agent, and the driver cannot tell whether it is over.
    Old,
    /// A warning: a program may have written it.
    NotProven,
}

/// The severity of the rule for this reason.
pub fn severity(reason: &str) -> Severity {
    rule::verdict(RULES, reason).1
}

/// Adds a message as a finding, or counts it on the standing one. `at`: when it was printed.
pub fn observe(findings: &mut Findings, target: &str, reason: &'static str, message: &Message, worth: Worth, at: Time) {
    let check = Check::KernelLog.name();
    let (of_rule, severity) = rule::verdict(RULES, reason);
    let (outcome, severity, reason, remark) = match worth {
        Worth::Verdict => (of_rule, severity, reason, ""),
        Worth::Over => (Outcome::Warn, Severity::Monitor, reason, OVER),
        Worth::Old => (
            Outcome::Warn,
            severity,
            reason,
            ": printed before the agent first ran, and the driver cannot tell whether it was cured",
        ),
        Worth::NotProven => (
            Outcome::Warn,
            Severity::Monitor,
            reason::MESSAGE_NOT_PROVEN,
            ": a program may have written this line, and the hardware does not confirm it",
        ),
    };
    let fresh = Found {
        target: target.to_owned(),
        outcome,
        severity,
        reason: reason.to_owned(),
        message: bounded(&format!("{}{remark}", sentence(reason)), 256),
        evidence: Some(message.text.clone()),
    }
    .as_finding(check, at);
    let folded = match findings.get(check, &fresh.target) {
        // Heard before, by a process that has ended.
        Some(known) if rank(known) == rank(&fresh) && at <= known.last_seen => return,
        Some(known) if rank(known) == rank(&fresh) => Finding {
            count: known.count.saturating_add(1).min(1_000_000_000),
            last_seen: known.last_seen.max(at),
            ..known.clone()
        },
        Some(known) if rank(known) > rank(&fresh) => return,
        _ => fresh,
    };
    findings.put(folded);
}

const OVER: &str = "; the driver has read it since, so it is watched";

/// Findings of a target, from the least to the gravest: a verdict outranks a warning.
fn rank(finding: &Finding) -> (bool, u8) {
    (finding.outcome == Outcome::Fail, finding.severity.rank())
}

fn sentence(reason: &str) -> &'static str {
    match reason {
        reason::ADAPTER_INIT_FAILED => "the driver cannot initialise the GPU",
        reason::DEVICE_INACCESSIBLE => "the GPU did not come back from a state without power (D3cold)",
        reason::PCIE_LOSS => {
            "PCIe reported an uncorrected error on the GPU's path, and the kernel could not recover it"
        }
        reason::GSP_SILENT => "the GPU's firmware processor (GSP) does not answer the driver",
        reason::TASKS_STUCK => "a task hangs in NVIDIA's driver",
        reason::DRIVER_OOPS => "NVIDIA's driver crashed in the kernel",
        reason::DRIVER_UNSUITABLE => "the driver says why it cannot run this GPU: see the evidence",
        reason::NVLINK_DISCOVERY_FAILED => "a GPU could not learn the state of a peer's NVLinks",
        reason::HARDWARE_ERROR => "the machine reported an uncorrected error of memory, CPU or PCIe",
        reason::LOG_RATE_LIMITED => "the driver prints only a part of its messages: counts are lower bounds",
        _ => "a line looks like a fault",
    }
}

/// Removes what a recovery of the device cures.
pub fn recovered(findings: &mut Findings, target: &str) {
    findings.retain(|finding| {
        finding.check != Check::KernelLog.name() || finding.target != target || finding.reason != reason::PCIE_LOSS
    });
}

/// Lifts what the driver reads again, in a reading taken after the last such line.
pub fn lift(findings: &mut Findings, readings: &Readings, now: Now) {
    let Some(taken) = readings.taken.get(&Section::Driver) else { return };
    let ago = i64::try_from(now.mono_ms.saturating_sub(*taken)).unwrap_or(i64::MAX);
    let read_at = now.unix_ms.saturating_sub(ago).div_euclid(1000);
    let over = |finding: &&Finding| {
        finding.check == Check::KernelLog.name()
            && finding.severity.condemns()
            && finding.last_seen.unix() < read_at
            && ask(&finding.target, &finding.severity, true, findings, readings) == Present::Refutes
    };
    let over: Vec<String> = findings.iter().filter(over).map(|finding| finding.target.clone()).collect();
    findings.retain(|finding| finding.check != Check::KernelLog.name() || !over.contains(&finding.target));
}
