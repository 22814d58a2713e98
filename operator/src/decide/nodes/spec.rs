//! What a NodeHealth orders: expectations, monitors, maintenance, work orders. Written only where it differs.

use super::selection::{Standing, Subject};
use crate::{
    decide::orders::Orders,
    plan::{NodeHealthSpecWrite, Plan, Write},
    world::Node,
};
use crds::{
    Check, HardwareProfile, HealthCheckPolicy, NodeHealth, Time,
    node_health::{Assignment, Expected, Maintenance, Monitor, NodeFacts, NodeHealthSpec, PolicyRef},
};

/// Plans the spec of one subject's NodeHealth, and deletes one that is about a former Node of the same name.
pub(super) fn plan_spec(subject: &Subject<'_>, orders: &Orders, now: Time, plan: &mut Plan) {
    let node = subject.node;
    let standing = match subject.health {
        Standing::Current(health) => Some(health),
        Standing::Missing => None,
        Standing::Terminating => return,
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
    let assignments = assignments(orders, &node.name);
    if let Some(health) = standing
        && stands(&health.spec, subject, assignments)
    {
        return;
    }
    let before = standing.map(|health| &health.spec);
    let spec = NodeHealthSpec {
        profile: subject.profile.and_then(|p| p.metadata.name.clone()),
        node: NodeFacts { uid: node.uid.clone(), allocatable: node.accelerators.clone() },
        expected: subject.profile.map(expected),
        monitors: monitors(subject.policy),
        policy: subject.policy.map(policy_ref),
        boot_grace_seconds: subject.policy.and_then(|p| p.spec.boot_grace_seconds),
        maintenance: maintenance(node, before, now),
        assignments: assignments.to_vec(),
    };
    let orders_stand = before.is_some_and(|b| b.assignments == spec.assignments);
    let after = if orders_stand { Vec::new() } else { waits_for(orders, &node.name) };
    plan.push(
        Write::NodeHealthSpec(Box::new(NodeHealthSpecWrite {
            name: node.name.clone(),
            uid: standing.and_then(|health| health.metadata.uid.clone()),
            node_uid: node.uid.clone(),
            spec,
        })),
        after,
    );
}

/// The work orders that the node shall have.
pub(super) fn assignments<'o>(orders: &'o Orders, node: &str) -> &'o [Assignment] {
    orders.by_node.get(node).map_or(&[], |orders| orders.assignments.as_slice())
}

/// How long a maintenance is expected to take, in seconds; afterwards it overruns. An upgrade of the driver by NVIDIA's
/// GPU operator takes minutes, and its own waits for pods to go end after 300 s each.
pub(super) const MAINTENANCE_SECONDS: i64 = 3_600;

/// The maintenance of a node that takes longer than expected.
pub(super) fn overrun<'h>(node: &Node, health: &'h NodeHealth, now: Time) -> Option<&'h Maintenance> {
    let standing = health.spec.maintenance.as_ref().filter(|m| m.until.is_some_and(|until| now >= until));
    node.maintenance().and(standing)
}

/// The steps that must succeed before the orders of this node change.
fn waits_for(orders: &Orders, node: &str) -> Vec<usize> {
    let given = orders.by_node.get(node).map(|o| &o.after);
    let mut after: Vec<usize> = given.into_iter().chain(orders.released_after.get(node)).flatten().copied().collect();
    after.sort_unstable();
    after.dedup();
    after
}

/// Whether the spec says already what it shall say; compares without building anything large.
fn stands(spec: &NodeHealthSpec, subject: &Subject<'_>, assignments: &[Assignment]) -> bool {
    let NodeHealthSpec {
        profile,
        node,
        expected,
        monitors: standing_monitors,
        policy,
        boot_grace_seconds,
        maintenance,
        assignments: standing_assignments,
    } = spec;
    *profile == subject.profile.and_then(|p| p.metadata.name.clone())
        && node.uid == subject.node.uid
        && node.allocatable == subject.node.accelerators
        && expected_stands(expected.as_ref(), subject.profile)
        && monitors_stand(standing_monitors, subject.policy)
        && policy.as_ref().map(|p| (p.name.as_str(), p.generation))
            == subject
                .policy
                .map(|p| (p.metadata.name.as_deref().unwrap_or_default(), p.metadata.generation.unwrap_or(0)))
        && *boot_grace_seconds == subject.policy.and_then(|p| p.spec.boot_grace_seconds)
        && maintenance_stands(maintenance.as_ref(), subject.node)
        && standing_assignments.as_slice() == assignments
}

fn maintenance_stands(standing: Option<&Maintenance>, node: &Node) -> bool {
    standing.map(|m| m.reason.as_str()) == node.maintenance() && standing.is_none_or(|m| m.until.is_some())
}

fn monitors_stand(standing: &[Monitor], policy: Option<&HealthCheckPolicy>) -> bool {
    let mut wanted = wanted_monitors(policy);
    standing.iter().all(|m| wanted.next() == Some((m.name.as_str(), m.interval_seconds))) && wanted.next().is_none()
}

fn expected_stands(standing: Option<&Expected>, profile: Option<&HardwareProfile>) -> bool {
    match (standing, profile) {
        (None, None) => true,
        (None, Some(_)) | (Some(_), None) => false,
        (Some(e), Some(p)) => {
            e.generation == p.metadata.generation.unwrap_or(0)
                && e.gpus == p.spec.gpus
                && e.network == p.spec.network
                && e.floors == p.spec.floors
        }
    }
}

fn expected(profile: &HardwareProfile) -> Expected {
    Expected {
        generation: profile.metadata.generation.unwrap_or(0),
        gpus: profile.spec.gpus.clone(),
        network: profile.spec.network.clone(),
        floors: profile.spec.floors.clone(),
    }
}

fn policy_ref(policy: &HealthCheckPolicy) -> PolicyRef {
    PolicyRef {
        name: policy.metadata.name.clone().unwrap_or_default(),
        generation: policy.metadata.generation.unwrap_or(0),
    }
}

/// Every monitor that this version has, unless the policy turns it off; with the policy's interval.
pub(super) fn wanted_monitors(
    policy: Option<&HealthCheckPolicy>,
) -> impl Iterator<Item = (&'static str, Option<i64>)> + '_ {
    Check::ALL.iter().filter(|check| check.is_built() && check.is_monitor()).filter_map(move |check| {
        let setting = policy.and_then(|p| p.spec.monitors.iter().find(|monitor| monitor.name == check.name()));
        setting
            .is_none_or(|s| s.enabled.unwrap_or(true))
            .then(|| (check.name(), setting.and_then(|s| s.interval_seconds)))
    })
}

fn monitors(policy: Option<&HealthCheckPolicy>) -> Vec<Monitor> {
    wanted_monitors(policy)
        .map(|(name, interval_seconds)| Monitor { name: name.to_owned(), interval_seconds })
        .collect()
}

/// The maintenance as it shall stand; `since` is kept while there is one.
fn maintenance(node: &Node, before: Option<&NodeHealthSpec>, now: Time) -> Option<Maintenance> {
    let reason = node.maintenance()?;
    let standing = before.and_then(|spec| spec.maintenance.as_ref());
    let since = standing.map_or(now, |m| m.since);
    Some(Maintenance {
        // The values of labels have 63 bytes, the names of these labels 74: nothing is ever cut.
        reason: crds::condition::truncate(reason, 128),
        since,
        until: Some(standing.and_then(|m| m.until).unwrap_or_else(|| since.plus(MAINTENANCE_SECONDS))),
    })
}
