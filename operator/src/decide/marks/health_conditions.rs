//! The conditions of a NodeHealth.

use super::node_condition::status_of;
use crate::decide::{govern::selection::Subject, judge::verdict::Judgement};
use crds::{
    Condition, NodeHealth, Time,
    condition::{Wanted, merge},
    reason,
};

/// The conditions Healthy, AgentReporting and ProfileResolved.
pub(crate) fn conditions(
    subject: &Subject<'_>,
    health: &NodeHealth,
    judgement: &Judgement,
    message: &str,
    now: Time,
) -> Vec<Condition> {
    let status = health.status.as_ref();
    let reported = status.is_some_and(|s| s.report.is_some());
    let healthy = Wanted::new("Healthy", status_of(&judgement.state), &judgement.reason, message);
    let agent = match (reported, judgement.silent) {
        (false, _) => Wanted::new("AgentReporting", false, reason::NEVER_REPORTED, "No agent has reported yet."),
        (true, true) => {
            Wanted::new("AgentReporting", false, reason::AGENT_SILENT, "The agent has not renewed its Lease for 150 s.")
        }
        (true, false) => Wanted::new("AgentReporting", true, reason::REPORTING, "The agent is reporting."),
    };
    let profile = match subject.profile.and_then(|p| p.metadata.name.as_deref()) {
        Some(name) => Wanted::new(
            "ProfileResolved",
            true,
            reason::PROFILE_MATCHED,
            format!("HardwareProfile {name} defines the expected hardware."),
        ),
        None => Wanted::new(
            "ProfileResolved",
            false,
            reason::NO_PROFILE,
            "No HardwareProfile matches the node; no check fails over a value that no profile declares.",
        ),
    };
    let before = status.map_or(&[][..], |s| s.conditions.as_slice());
    // No observedGeneration: the operator writes the spec itself, and each such write would change it.
    merge(before, vec![healthy, agent, profile], None, now)
}
