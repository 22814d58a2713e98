//! The spec of a NodeHealth: expectations, monitors, maintenance and work orders. Written only when it changes.

use crate::{
    decide::{
        govern::{
            maintenance, monitors,
            selection::{Standing, Subject},
        },
        orders::Orders,
    },
    plan::{NodeHealthSpecWrite, Plan, Write},
};
use crds::{
    NodeHardwareProfile, NodeHealthPolicy, Time,
    node_health::{Assignment, Expected, Monitor, NodeFacts, NodeHealthSpec, PolicyRef},
};

/// Plans the spec of one node's NodeHealth, and deletes a NodeHealth left over from a former Node of the same name.
pub(crate) fn plan_spec(subject: &Subject<'_>, orders: &Orders, now: Time, plan: &mut Plan) {
    let node = subject.node;
    let standing = match subject.health {
        Standing::Current(health) => Some(health),
        Standing::Missing => None,
        Standing::LeftAlone => return,
        Standing::OfFormerNode(health) => {
            plan.push(
                Write::DeleteNodeHealth {
                    name: node.name.clone(),
                    uid: health.metadata.uid.clone().unwrap_or_default(),
                },
                Vec::new(),
            );
            return;
        }
    };
    let assignments = orders.assignments(&node.name);
    if let Some(health) = standing
        && is_current(&health.spec, subject, assignments)
    {
        return;
    }
    let before = standing.map(|health| &health.spec);
    let spec = NodeHealthSpec {
        profile: subject.profile.and_then(|p| p.metadata.name.clone()),
        node: NodeFacts { uid: node.uid.clone(), allocatable: node.accelerators.clone() },
        expected: subject.profile.map(|profile| expected(profile).into()),
        monitors: ordered_monitors(subject.policy).into(),
        policy: subject.policy.map(policy_ref),
        boot_grace_seconds: subject.policy.map(|p| p.spec.boot_grace_seconds),
        condemn_old_log: subject.policy.map(|p| p.spec.condemn_old_log),
        maintenance: maintenance::wanted(node, before, now),
        assignments: assignments.to_vec(),
    };
    let orders_are_unchanged = before.is_some_and(|b| b.assignments == spec.assignments);
    let after = if orders_are_unchanged { Vec::new() } else { orders.waits_for(&node.name) };
    plan.push(
        Write::NodeHealthSpec(Box::new(NodeHealthSpecWrite {
            name: node.name.clone(),
            read: standing.map(|health| {
                let text = |text: &Option<String>| text.clone().unwrap_or_default();
                (text(&health.metadata.uid), text(&health.metadata.resource_version))
            }),
            node_uid: node.uid.clone(),
            spec,
        })),
        after,
    );
}

/// Whether the spec already has the desired values; compares without building a copy.
fn is_current(spec: &NodeHealthSpec, subject: &Subject<'_>, assignments: &[Assignment]) -> bool {
    let NodeHealthSpec {
        profile,
        node,
        expected,
        monitors: standing_monitors,
        policy,
        boot_grace_seconds,
        condemn_old_log,
        maintenance,
        assignments: standing_assignments,
    } = spec;
    *profile == subject.profile.and_then(|p| p.metadata.name.clone())
        && node.uid == subject.node.uid
        && node.allocatable == subject.node.accelerators
        && expected_is_current(expected.as_deref(), subject.profile)
        && monitors_are_current(standing_monitors, subject.policy)
        // Not the generation: an edit of the policy that changes nothing for its nodes would write every one of them.
        && policy.as_ref().map(|p| p.name.as_str())
            == subject.policy.map(|p| p.metadata.name.as_deref().unwrap_or_default())
        && *boot_grace_seconds == subject.policy.map(|p| p.spec.boot_grace_seconds)
        && *condemn_old_log == subject.policy.map(|p| p.spec.condemn_old_log)
        && maintenance::is_current(maintenance.as_ref(), subject.node)
        && standing_assignments.as_slice() == assignments
}

fn monitors_are_current(standing: &[Monitor], policy: Option<&NodeHealthPolicy>) -> bool {
    let mut wanted = monitors::wanted(policy);
    standing.iter().all(|m| wanted.next() == Some((m.name.as_str(), m.interval_seconds))) && wanted.next().is_none()
}

fn expected_is_current(standing: Option<&Expected>, profile: Option<&NodeHardwareProfile>) -> bool {
    match (standing, profile) {
        (None, None) => true,
        (None, Some(_)) | (Some(_), None) => false,
        (Some(e), Some(p)) => e.gpus == p.spec.gpus && e.network == p.spec.network && e.floors == p.spec.floors,
    }
}

fn expected(profile: &NodeHardwareProfile) -> Expected {
    Expected {
        generation: profile.metadata.generation.unwrap_or(0),
        gpus: profile.spec.gpus.clone(),
        network: profile.spec.network.clone(),
        floors: profile.spec.floors.clone(),
    }
}

fn policy_ref(policy: &NodeHealthPolicy) -> PolicyRef {
    PolicyRef {
        name: policy.metadata.name.clone().unwrap_or_default(),
        generation: policy.metadata.generation.unwrap_or(0),
    }
}

fn ordered_monitors(policy: Option<&NodeHealthPolicy>) -> Vec<Monitor> {
    monitors::wanted(policy)
        .map(|(name, interval_seconds)| Monitor { name: name.to_owned(), interval_seconds })
        .collect()
}
