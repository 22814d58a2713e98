//! The decision about a node, in the status of its NodeHealth.

use super::taints::TaintToBe;
use crate::decide::{
    govern::{authority::Authority, fleet::Drift, selection::Subject},
    judge::verdict::Judgement,
};
use crds::{
    Activity, NodeHealth, State,
    condition::truncate,
    names,
    node_health::{Decision, fit_decision},
};

/// The longest message of a decision, in bytes.
pub(crate) const MAX_MESSAGE: usize = 512;

/// What happens to the marks of a node, for its message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Marking<'w> {
    /// What may be done.
    pub(crate) authority: Authority<'w>,
    /// What becomes of our taint.
    pub(crate) taint: TaintToBe,
    /// Whether our taint keeps pods away afterwards.
    pub(crate) removes_capacity: bool,
    /// Whether the node waits for budget.
    pub(crate) waits: bool,
}

/// What the decision says of the work on the node.
pub(crate) fn activity(in_maintenance: bool, has_orders: bool) -> Activity {
    if in_maintenance {
        Activity::Maintenance
    } else if has_orders {
        Activity::Checking
    } else {
        Activity::None
    }
}

/// The decision as it shall stand. `message`: why, as a sentence.
pub(crate) fn decision(
    subject: &Subject<'_>,
    health: &NodeHealth,
    judgement: &Judgement,
    marking: Marking<'_>,
    activity: Activity,
    drift: &Drift,
    message: &str,
) -> Decision {
    let before = health.status.as_ref().and_then(|s| s.decision.as_ref());
    let quarantined = judgement.state == State::Quarantined;
    let taint_stays = match marking.taint {
        TaintToBe::Keep => subject.node.taint(names::TAINT_UNHEALTHY).is_some(),
        TaintToBe::Set(_) => true,
        TaintToBe::Remove => false,
    };
    let label_stays = match marking.authority {
        Authority::Enforce(policy) => policy.spec.outputs.as_ref().and_then(|o| o.labels).unwrap_or(true),
        Authority::Observe { release: true } => false,
        Authority::Frozen | Authority::Observe { release: false } => {
            subject.node.labels.contains_key(names::LABEL_HEALTH)
        }
    };
    let marks = [(taint_stays, "taint"), (label_stays, "label")]
        .into_iter()
        .filter(|(stays, _)| *stays && quarantined)
        .map(|(_, mark)| mark.to_owned())
        .collect();
    let mut decision = Decision {
        state: judgement.state.clone(),
        activity,
        enforced: quarantined && marking.removes_capacity,
        severity: judgement.severity.clone(),
        action: judgement.action(),
        since: judgement.since,
        reason: judgement.reason.clone(),
        message: truncate(&format!("{message}{}", drift.note), MAX_MESSAGE),
        held: marks,
        causes: judgement.causes.clone(),
        history: judgement.history.clone(),
        fleet_findings: drift.findings.clone(),
        flaps: before.and_then(|b| b.flaps.clone()),
        retest: before.and_then(|b| b.retest.clone()),
    };
    fit_decision(&mut decision);
    decision
}
