//! `status.decision` of a NodeHealth.

use super::taints::TaintToBe;
use crate::decide::{
    govern::{authority::Authority, fleet::Drift, selection::Subject},
    judge::verdict::Judgement,
};
use crds::{
    Activity, NodeHealth, Quarantine, State,
    condition::truncate,
    names,
    node_health::{Decision, fit_decision},
};

/// The longest message of a decision, in bytes.
pub(crate) const MAX_MESSAGE: usize = 512;

/// What happens to the marks of a node; its message depends on this.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Marking<'w> {
    /// Whether marks may be set and lifted.
    pub(crate) authority: Authority<'w>,
    /// What happens to our taint.
    pub(crate) taint: TaintToBe,
    /// Whether our taint will keep pods away.
    pub(crate) removes_capacity: bool,
    /// Whether the node is waiting for budget.
    pub(crate) waits: bool,
    /// Whether the API server refuses the taint, or the claim that it waits for.
    pub(crate) is_refused: bool,
}

/// What is done about the node. `taint_stays`: whether the Node will have our taint, with any effect.
fn quarantine(subject: &Subject<'_>, judgement: &Judgement, marking: Marking<'_>, taint_stays: bool) -> Quarantine {
    let is_unhealthy = judgement.state == State::Unhealthy;
    match marking.authority {
        Authority::Frozen if is_unhealthy || marking.removes_capacity => Quarantine::Held,
        Authority::Observe { .. } if is_unhealthy && taint_stays => Quarantine::Held,
        Authority::Observe { .. } if is_unhealthy && subject.policy.is_some() => Quarantine::DryRun,
        Authority::Enforce(_) if marking.removes_capacity => Quarantine::Active,
        Authority::Enforce(_) if marking.waits => Quarantine::Waiting,
        Authority::Enforce(_) if marking.is_refused => Quarantine::Refused,
        Authority::Frozen | Authority::Observe { .. } | Authority::Enforce(_) => Quarantine::None,
    }
}

/// The work orders that the decision lists.
pub(crate) fn activity(in_maintenance: bool, has_orders: bool) -> Activity {
    if in_maintenance {
        Activity::Maintenance
    } else if has_orders {
        Activity::Checking
    } else {
        Activity::None
    }
}

/// The desired decision. `message` is the sentence that explains it.
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
    let is_unhealthy = judgement.state == State::Unhealthy;
    let taint_stays = match marking.taint {
        TaintToBe::Keep => subject.node.taint(names::TAINT_UNHEALTHY).is_some(),
        TaintToBe::Set(_) => true,
        TaintToBe::Remove => false,
    };
    let label_stays = match marking.authority {
        Authority::Enforce(policy) => policy.spec.outputs.labels.enabled,
        Authority::Observe { release: true } => false,
        Authority::Frozen | Authority::Observe { release: false } => {
            subject.node.labels.contains_key(names::LABEL_HEALTH)
        }
    };
    let marks = [(taint_stays, "taint"), (label_stays, "label")]
        .into_iter()
        .filter(|(stays, _)| *stays && is_unhealthy)
        .map(|(_, mark)| mark.to_owned())
        .collect();
    let mut decision = Decision {
        state: judgement.state.clone(),
        quarantine: quarantine(subject, judgement, marking, taint_stays),
        activity,
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
