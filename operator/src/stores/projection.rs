//! What the operator keeps of an object that the API server sends: its [`Projection`].

use super::wire::{AddressWire, ConditionWire, Custom, LeaseWire, NodeWire, TaintWire};
use crate::{
    key::{Identified, Kind},
    world::{Node, Taint},
};
use crds::{
    Condition, HealthCheckRun, NodeHardwareProfile, NodeHealth, NodeHealthPolicy, Outcome,
    health_check_run::{HealthCheckRunSpec, HealthCheckRunStatus},
    names,
    node_hardware_profile::NodeHardwareProfileSpec,
    node_health::{Finding, NodeHealthSpec, NodeHealthStatus},
    node_health_policy::{NodeHealthPolicySpec, NodeHealthPolicyStatus},
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::de::{DeserializeOwned, IgnoredAny};
use std::collections::BTreeMap;

/// What is kept of an object.
pub trait Projection: Identified + Clone + Send + Sync + 'static {
    /// What is read of the object as the API server sends it.
    type Wire: DeserializeOwned + Send + 'static;
    /// Its kind.
    const KIND: Kind;
    /// Keeps what a decision needs.
    fn project(wire: Self::Wire) -> Self;
    /// Whether the two differ in nothing but the version: no decision could tell them apart.
    fn says_the_same(&self, other: &Self) -> bool;
    /// Whether the change from `before` to this one needs a decision at once.
    fn is_urgent_after(&self, _before: Option<&Self>) -> bool {
        false
    }
}

/// Whether version `a` is `b` or later. Versions of one kind are growing numbers (official since Kubernetes 1.35); any
/// other versions are compared for equality only.
pub fn at_least(a: &str, b: &str) -> bool {
    match (a.parse::<u64>(), b.parse::<u64>()) {
        (Ok(a), Ok(b)) => a >= b,
        _ => a == b,
    }
}

/// Whether nothing but the version differs. Compares in place: this runs for every event of every watch.
fn metadata_says_the_same(one: &ObjectMeta, other: &ObjectMeta) -> bool {
    let ObjectMeta {
        annotations,
        creation_timestamp,
        deletion_grace_period_seconds,
        deletion_timestamp,
        finalizers,
        generate_name,
        generation,
        labels,
        managed_fields,
        name,
        namespace,
        owner_references,
        resource_version: _,
        self_link,
        uid,
    } = one;
    *annotations == other.annotations
        && *creation_timestamp == other.creation_timestamp
        && *deletion_grace_period_seconds == other.deletion_grace_period_seconds
        && *deletion_timestamp == other.deletion_timestamp
        && *finalizers == other.finalizers
        && *generate_name == other.generate_name
        && *generation == other.generation
        && *labels == other.labels
        && *managed_fields == other.managed_fields
        && *name == other.name
        && *namespace == other.namespace
        && *owner_references == other.owner_references
        && *self_link == other.self_link
        && *uid == other.uid
}

macro_rules! custom_resource {
    ($type:ident, $kind:ident, Custom<$spec:ty, $status:ty>, $keep_status:expr, [$($member:ident),+] $(, $urgent:item)?) => {
        impl Projection for $type {
            type Wire = Custom<$spec, $status>;
            const KIND: Kind = Kind::$kind;
            fn project(wire: Self::Wire) -> Self {
                let mut object = Self::new("", wire.spec);
                object.metadata = wire.metadata.into();
                let keep_status: fn(&mut Self, Option<$status>) = $keep_status;
                keep_status(&mut object, wire.status);
                object
            }
            fn says_the_same(&self, other: &Self) -> bool {
                $(self.$member == other.$member &&)+
                    metadata_says_the_same(&self.metadata, &other.metadata)
            }
            $($urgent)?
        }
    };
}

custom_resource!(
    HealthCheckRun,
    Run,
    Custom<HealthCheckRunSpec, HealthCheckRunStatus>,
    |run, status| run.status = status,
    [spec, status]
);
custom_resource!(
    NodeHealthPolicy,
    Policy,
    Custom<NodeHealthPolicySpec, NodeHealthPolicyStatus>,
    |policy, status| policy.status = status,
    [spec, status]
);
custom_resource!(
    NodeHardwareProfile,
    Profile,
    Custom<NodeHardwareProfileSpec, IgnoredAny>,
    |_, _| {},
    [spec]
);
custom_resource!(
    NodeHealth,
    NodeHealth,
    Custom<NodeHealthSpec, NodeHealthStatus>,
    |health, status| health.status = status.map(what_is_read),
    [spec, status],
    fn is_urgent_after(&self, before: Option<&Self>) -> bool {
        let known = before.and_then(|b| b.status.as_ref());
        self.status.as_ref().is_some_and(|status| has_new_failure(status, known))
    }
);

/// The agent's baselines are its own memory, up to 12 KiB a node. Lists end with the room for twice their length that
/// parsing leaves them.
fn what_is_read(mut status: NodeHealthStatus) -> NodeHealthStatus {
    let Some(report) = &mut status.report else { return status };
    report.baselines = Vec::new();
    report.checks.iter_mut().for_each(|row| row.covered.shrink_to_fit());
    report.checks.shrink_to_fit();
    report.inventory.gpus.shrink_to_fit();
    report.inventory.nics.shrink_to_fit();
    status
}

fn findings(status: &NodeHealthStatus) -> impl Iterator<Item = &Finding> {
    let report = status.report.iter().flat_map(|r| &r.findings);
    report.chain(status.exclusive.iter().flat_map(|e| &e.findings))
}

/// Whether a target fails a check that it passed before, or fails it with a higher severity.
fn has_new_failure(status: &NodeHealthStatus, before: Option<&NodeHealthStatus>) -> bool {
    let failed = |f: &&Finding| f.outcome == Outcome::Fail;
    let known: BTreeMap<(&str, &str), u8> = before
        .into_iter()
        .flat_map(findings)
        .filter(failed)
        .map(|f| ((f.check.as_str(), f.target.as_str()), f.severity.rank()))
        .collect();
    findings(status)
        .filter(failed)
        .any(|f| known.get(&(f.check.as_str(), f.target.as_str())).is_none_or(|severity| f.severity.rank() > *severity))
}

impl Projection for Node {
    type Wire = NodeWire;
    const KIND: Kind = Kind::Node;

    fn project(wire: NodeWire) -> Self {
        let NodeWire { metadata, spec, status } = wire;
        let conditions = status.conditions.unwrap_or_default();
        let address = |a: AddressWire| matches!(a.type_.as_str(), "InternalIP" | "ExternalIP").then_some(a.address);
        Self {
            name: metadata.name,
            uid: metadata.uid,
            resource_version: metadata.resource_version,
            labels: metadata.labels.unwrap_or_default(),
            summary: metadata.annotations.and_then(|annotations| annotations.summary),
            taints: spec.taints.unwrap_or_default().into_iter().map(taint).collect(),
            unschedulable: spec.unschedulable.unwrap_or(false),
            ready: conditions.iter().any(|c| c.type_ == "Ready" && c.status == "True"),
            condition: conditions.into_iter().find(|c| c.type_ == names::NODE_CONDITION).map(condition),
            accelerators: status
                .allocatable
                .unwrap_or_default()
                .into_iter()
                .filter(|(name, _)| names::ACCELERATOR_RESOURCES.contains(&name.as_str()))
                .filter_map(|(name, quantity)| Some((name, quantity.parse().ok()?)))
                .collect(),
            addresses: status.addresses.unwrap_or_default().into_iter().filter_map(address).collect(),
            boot_id: status.node_info.map(|i| i.boot_id).unwrap_or_default(),
        }
    }

    fn says_the_same(&self, other: &Self) -> bool {
        let Self {
            name,
            uid,
            resource_version: _,
            labels,
            summary,
            taints,
            unschedulable,
            ready,
            condition,
            accelerators,
            addresses,
            boot_id,
        } = self;
        *name == other.name
            && *uid == other.uid
            && *labels == other.labels
            && *summary == other.summary
            && *taints == other.taints
            && *unschedulable == other.unschedulable
            && *ready == other.ready
            && *condition == other.condition
            && *accelerators == other.accelerators
            && *addresses == other.addresses
            && *boot_id == other.boot_id
    }
}

fn taint(taint: TaintWire) -> Taint {
    let TaintWire { key, value, effect, time_added } = taint;
    Taint { key, value: value.unwrap_or_default(), effect, time_added }
}

fn condition(condition: ConditionWire) -> Condition {
    let since = condition.last_transition_time;
    Condition {
        type_: condition.type_,
        status: condition.status,
        reason: condition.reason.unwrap_or_default(),
        message: condition.message.unwrap_or_default(),
        last_transition_time: since.unwrap_or_default(),
        observed_generation: None,
    }
}

/// One renewal of an agent's Lease.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Renewal {
    /// The name of the Lease, which is the name of the node.
    pub node: String,
    /// The time that the agent wrote, by its own clock. Only used to see whether it changed.
    pub stamp: String,
    /// The resourceVersion of the Lease.
    pub version: String,
}

impl From<LeaseWire> for Renewal {
    fn from(lease: LeaseWire) -> Self {
        Self {
            node: lease.metadata.name,
            stamp: lease.spec.and_then(|spec| spec.renew_time).unwrap_or_default(),
            version: lease.metadata.resource_version,
        }
    }
}
