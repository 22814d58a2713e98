//! The writes for one node, in order: taints, then texts (labels, annotation, conditions, status), then work orders. Texts
//! do not wait for a taint that the API server refuses: people must learn of a fault all the same.

use super::{spec, texts};
use crate::{
    decide::{
        case::Case,
        govern::{authority::Authority, selection::Standing},
        judge::verdict::Judgement,
        marks::{
            columns,
            decision::{self, Marking},
            gpu_verdicts, health_conditions,
            metadata::{self, Shown},
            node_condition::node_condition,
            taints::{self, TaintToBe},
        },
        orders::Orders,
        tell::{news, sentences},
    },
    plan::{NodeHealthStatusWrite, Plan, Write},
};
use crds::{NodeHealth, State, Time, node_health::Certification};

/// What pays for the mark of a node.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slot {
    /// Whether a claim pays for it, or will.
    pub(crate) is_granted: bool,
    /// The step that writes the claim.
    pub(crate) claim_step: Option<usize>,
}

/// What the API server refused when it was last written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Refusals {
    /// The status of the NodeHealth with the texts of the agent.
    pub(crate) texts: bool,
    /// The taints of the Node, or the claim that this plan makes for it.
    pub(crate) mark: bool,
}

/// Plans every write for one node.
pub(crate) fn plan_node(case: &Case<'_>, slot: Slot, refusals: Refusals, orders: &Orders, now: Time, plan: &mut Plan) {
    let Slot { is_granted: has_slot, claim_step } = slot;
    let standing = case.subject.health.current();
    if let (Some(health), Some(judgement)) = (standing, &case.judgement) {
        let taint_step = plan_taints(case, judgement, has_slot, claim_step, plan);
        // A node is not told to be healthy while its taint stands: that would look like a taint that somebody else set.
        let waits_in_vain = refusals.mark && judgement.state == State::Unhealthy;
        let is_refused = waits_in_vain && taint_step.is_some();
        let to_be = if is_refused { TaintToBe::Keep } else { case.taint_to_be(has_slot) };
        let after: Vec<usize> = taint_step.or(claim_step).into_iter().filter(|_| !waits_in_vain).collect();
        let marking = Marking {
            authority: case.authority,
            taint: to_be,
            removes_capacity: case.removes_capacity(to_be),
            waits: waits(case, judgement, has_slot),
            is_refused,
        };
        let mut write = status(case, health, judgement, marking, orders, now);
        if refusals.texts {
            texts::leave_out(&mut write);
        }
        plan_words(case, health, judgement, write, marking, &after, now, plan);
    } else if !matches!(case.subject.health, Standing::Missing) {
        plan_marks(case, None, &[], plan);
    }
    // A node whose NodeHealth is about to be made gets its marks with the decision that follows, in one write: its agent
    // could not report before.
    spec::plan_spec(&case.subject, orders, now, plan);
}

/// Whether the node is waiting for budget: it needs a mark that removes capacity, has no claim for one, and is not
/// marked.
fn waits(case: &Case<'_>, judgement: &Judgement, has_slot: bool) -> bool {
    let enforces = match case.authority {
        Authority::Enforce(_) => true,
        Authority::Frozen | Authority::Observe { .. } => false,
    };
    enforces
        && judgement.state == State::Unhealthy
        && case.needs_claim()
        && !case.is_behind
        && !has_slot
        && !case.is_marked
}

fn plan_taints(
    case: &Case<'_>,
    judgement: &Judgement,
    has_slot: bool,
    claim_step: Option<usize>,
    plan: &mut Plan,
) -> Option<usize> {
    let node = case.node();
    let taints = taints::list(node, &case.own_taints(judgement, has_slot))?;
    Some(plan.push(
        Write::NodeTaints {
            node: node.name.clone(),
            uid: node.uid.clone(),
            resource_version: node.resource_version.clone(),
            taints,
        },
        claim_step.into_iter().collect(),
    ))
}

/// The desired values of the operator's fields in the status.
fn status(
    case: &Case<'_>,
    health: &NodeHealth,
    judgement: &Judgement,
    marking: Marking<'_>,
    orders: &Orders,
    now: Time,
) -> NodeHealthStatusWrite {
    let subject = &case.subject;
    let activity =
        decision::activity(subject.node.maintenance().is_some(), !orders.assignments(&subject.node.name).is_empty());
    let certifications = fresh(health, now);
    let gpus = gpu_verdicts::gpus(health, judgement);
    let gpu_count = columns::gpu_count(subject, health, &gpus);
    let message = sentences::message(subject, health, judgement, marking);
    let decision = decision::decision(subject, health, judgement, marking, activity, &case.drift, &message);
    NodeHealthStatusWrite {
        name: subject.node.name.clone(),
        uid: health.metadata.uid.clone().unwrap_or_default(),
        resource_version: health.metadata.resource_version.clone().unwrap_or_default(),
        gpu_count,
        summary: columns::summary(health, judgement, gpu_count, &certifications),
        conditions: health_conditions::conditions(subject, health, judgement, &decision.message, now),
        decision,
        gpus,
        certifications,
    }
}

/// The certifications that have not expired.
fn fresh(health: &NodeHealth, now: Time) -> Vec<Certification> {
    health.status.iter().flat_map(|s| &s.certifications).filter(|c| c.expires_at > now).cloned().collect()
}

/// Whether the status already has the desired values.
fn is_current(health: &NodeHealth, write: &NodeHealthStatusWrite) -> bool {
    health.status.as_ref().is_some_and(|status| {
        status.decision.as_ref() == Some(&write.decision)
            && status.gpus == write.gpus
            && status.certifications == write.certifications
            && status.gpu_count == write.gpu_count
            && status.summary.as_ref() == Some(&write.summary)
            && status.conditions == write.conditions
    })
}

#[allow(clippy::too_many_arguments)]
fn plan_words(
    case: &Case<'_>,
    health: &NodeHealth,
    judgement: &Judgement,
    write: NodeHealthStatusWrite,
    marking: Marking<'_>,
    after: &[usize],
    now: Time,
    plan: &mut Plan,
) {
    let node = case.node();
    let judgement = judgement.on_node();
    let message = sentences::message(&case.subject, health, judgement, marking);
    let shown = Shown { judgement, message: &message, certifications: &write.certifications };
    if let Some(condition) = node_condition(node, case.authority, shown, now) {
        plan.push(
            Write::NodeCondition {
                node: node.name.clone(),
                uid: node.uid.clone(),
                resource_version: node.resource_version.clone(),
                condition,
            },
            after.to_vec(),
        );
    }
    plan_marks(case, Some(shown), after, plan);
    if !is_current(health, &write) {
        let decision = write.decision.clone();
        let step = plan.push(Write::NodeHealthStatus(Box::new(write)), after.to_vec());
        news::tell(&case.subject, health, &decision, marking.waits, step, plan);
    }
}

fn plan_marks(case: &Case<'_>, shown: Option<Shown<'_>>, after: &[usize], plan: &mut Plan) {
    let node = case.node();
    if let Some(marks) = metadata::marks(node, case.authority, shown) {
        plan.push(
            Write::NodeMarks {
                node: node.name.clone(),
                uid: node.uid.clone(),
                resource_version: node.resource_version.clone(),
                labels: marks.labels,
                summary: marks.summary,
                drop_labels: marks.drop_labels,
            },
            after.to_vec(),
        );
    }
}
