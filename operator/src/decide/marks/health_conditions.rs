//! The conditions of a NodeHealth.

use super::node_condition::status_of;
use crate::decide::{
    govern::selection::Subject,
    judge::{coverage::gaps, stray, verdict::Judgement},
};
use crds::{
    Condition, NodeHealth, Time,
    condition::{Status, Wanted, merge},
    node_health::Report,
    reason,
};

/// The conditions Healthy, AgentReporting, ProfileResolved and Covered.
pub(crate) fn conditions(
    subject: &Subject<'_>,
    health: &NodeHealth,
    judgement: &Judgement,
    message: &str,
    now: Time,
) -> Vec<Condition> {
    let status = health.status.as_ref();
    let report = status.and_then(|s| s.report.as_ref());
    let reported = report.is_some();
    let refused = report.is_some_and(|r| r.agent.refused.is_some());
    let healthy = Wanted::new("Healthy", status_of(&judgement.state), &judgement.reason, message);
    let agent = match (reported, judgement.silent) {
        (false, _) => Wanted::new("AgentReporting", false, reason::NEVER_REPORTED, "No agent has reported yet."),
        (true, true) => {
            Wanted::new("AgentReporting", false, reason::AGENT_SILENT, "The agent has not renewed its Lease for 150 s.")
        }
        (true, false) if refused => Wanted::new(
            "AgentReporting",
            true,
            reason::REPORT_REFUSED,
            "The API server refuses the agent's full report; it is sent without texts. The agent's log names the field.",
        ),
        (true, false) => match report.and_then(|report| stray_text(report, health)) {
            Some(text) => Wanted::new("AgentReporting", true, reason::AGENT_ERROR, text),
            None => Wanted::new("AgentReporting", true, reason::REPORTING, "The agent is reporting."),
        },
    };
    let profile = match subject.profile.and_then(|p| p.metadata.name.as_deref()) {
        Some(name) => Wanted::new(
            "ProfileResolved",
            true,
            reason::PROFILE_MATCHED,
            format!("NodeHardwareProfile {name} defines the expected hardware."),
        ),
        None => Wanted::new(
            "ProfileResolved",
            false,
            reason::NO_PROFILE,
            "No NodeHardwareProfile matches the node; no check fails over a value that no profile declares.",
        ),
    };
    let before = status.map_or(&[][..], |s| s.conditions.as_slice());
    // No observedGeneration: the operator writes the spec itself, and each such write would change it.
    merge(before, vec![healthy, agent, profile, covered(subject, health, judgement)], None, now)
}

/// What the agent reports in error.
fn stray_text(report: &Report, health: &NodeHealth) -> Option<String> {
    let gpus = health.status.as_ref().map_or(&[][..], |status| status.gpus.as_slice());
    let errors: Vec<String> = report.findings.iter().filter_map(|f| stray::error(f, report, gpus)).collect();
    (!errors.is_empty()).then(|| {
        format!(
            "The agent reports what cannot be: {}. This makes no cause; restart the agent's pod and look at its log.",
            errors.join("; ")
        )
    })
}

/// Whether every enabled monitor judged all that it is for.
fn covered(subject: &Subject<'_>, health: &NodeHealth, judgement: &Judgement) -> Wanted {
    let report = health.status.as_ref().and_then(|s| s.report.as_ref());
    match report {
        None => Wanted::new("Covered", Status::Unknown, reason::NEVER_REPORTED, "No agent has reported yet."),
        Some(_) if judgement.silent => Wanted::new(
            "Covered",
            Status::Unknown,
            reason::AGENT_SILENT,
            "The agent has not renewed its Lease for 150 s.",
        ),
        Some(report) => {
            let gaps = gaps(subject, report);
            if gaps.is_none() {
                Wanted::new("Covered", true, reason::COVERED, "Every enabled check judged all that it is for.")
            } else {
                Wanted::new("Covered", false, gaps.reason(), format!("Not judged: {}.", gaps.text()))
            }
        }
    }
}
