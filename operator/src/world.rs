//! The world as the operator sees it: small projections of the objects, nothing else.
//!
//! A [`World`] is a value. The shell builds one from its stores and the overlay of its own unseen writes; property tests
//! generate them. All maps are ordered, so that the same world always gives the same plan.

use crds::{Condition, HardwareProfile, HealthCheckPolicy, HealthCheckRun, NodeHealth, Time, names};
use std::{collections::BTreeMap, sync::Arc};

/// After how many seconds without a change of its Lease an agent counts as silent.
pub const SILENT_AFTER_SECONDS: i64 = 150;

/// Everything that a decision may look at.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct World {
    /// Nodes by name.
    pub nodes: BTreeMap<String, Arc<Node>>,
    /// NodeHealths by name, managed fields left out.
    pub node_healths: BTreeMap<String, Arc<NodeHealth>>,
    /// HealthCheckRuns by name.
    pub runs: BTreeMap<String, Arc<HealthCheckRun>>,
    /// HealthCheckPolicies by name.
    pub policies: BTreeMap<String, Arc<HealthCheckPolicy>>,
    /// HardwareProfiles by name.
    pub profiles: BTreeMap<String, Arc<HardwareProfile>>,
    /// When the Lease of the agent of a node was last seen to change, by the operator's clock.
    pub lease_changes: BTreeMap<String, Time>,
    /// When this operator started to watch Leases: silence is counted anew from there.
    pub started_at: Time,
    /// One switch that holds everything: no new mark, none lifted, no run admitted.
    pub hold_everything: bool,
}

/// What a decision needs to know of a Node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
    /// The version that was read; a taint patch carries it.
    pub resource_version: String,
    /// All its labels.
    pub labels: BTreeMap<String, String>,
    /// Our annotation [`crds::names::ANNOTATION_SUMMARY`].
    pub summary: Option<String>,
    /// All its taints, in order.
    pub taints: Vec<Taint>,
    /// Whether somebody cordoned it.
    pub unschedulable: bool,
    /// Whether its condition Ready is True.
    pub ready: bool,
    /// Our condition [`crds::names::NODE_CONDITION`].
    pub condition: Option<Condition>,
    /// The accelerators that it offers ([`crds::names::ACCELERATOR_RESOURCES`] in allocatable).
    pub accelerators: BTreeMap<String, i64>,
    /// Its addresses of the types InternalIP and ExternalIP.
    pub addresses: Vec<String>,
    /// The boot id that its kubelet reported.
    pub boot_id: String,
}

/// A taint, as it stands on a Node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taint {
    /// The key.
    pub key: String,
    /// The value; empty if absent.
    pub value: String,
    /// NoSchedule, PreferNoSchedule or NoExecute.
    pub effect: String,
    /// When it was added (NoExecute only), as it was read.
    pub time_added: Option<String>,
}

impl Node {
    /// Whether the Node offers an accelerator, or a label of the hardware tells of one.
    pub fn shows_accelerator(&self) -> bool {
        self.accelerators.values().any(|count| *count > 0)
            || crds::names::ACCELERATOR_PCI_LABELS.iter().any(|l| self.labels.get(*l).is_some_and(|v| v == "true"))
    }

    /// The instance type, without the prefix `ml.`; empty if unknown.
    pub fn instance_type(&self) -> &str {
        self.labels.get(crds::names::LABEL_INSTANCE_TYPE).map_or("", |v| crds::hardware_profile::instance_type(v))
    }

    /// Why the Node is under maintenance, if it is: the value of our own label, or the name of the label that tells of it.
    pub fn maintenance(&self) -> Option<&str> {
        if let Some(value) = self.labels.get(names::LABEL_MAINTENANCE) {
            return Some(if value.is_empty() { "maintenance" } else { value });
        }
        let says = |label: &'static str, tells: fn(&str) -> bool| {
            self.labels.get(label).is_some_and(|value| tells(value)).then_some(label)
        };
        says(names::LABEL_DRIVER_UPGRADE, |v| !names::DRIVER_UPGRADE_AT_REST.contains(&v))
            .or_else(|| says(names::LABEL_MIG_STATE, |v| names::MIG_UNDER_WAY.contains(&v)))
            .or_else(|| {
                let deployed = self.labels.range(names::LABEL_DEPLOY_PREFIX.to_owned()..);
                deployed
                    .take_while(|(label, _)| label.starts_with(names::LABEL_DEPLOY_PREFIX))
                    .find(|(_, value)| *value == names::PAUSED_FOR_DRIVER_UPGRADE)
                    .map(|(label, _)| label.as_str())
            })
    }

    /// Our taint of this key, if the Node bears it.
    pub fn taint(&self, key: &str) -> Option<&Taint> {
        self.taints.iter().find(|t| t.key == key)
    }
}

impl World {
    /// Whether the agent of this node renews its Lease, by the operator's clock. Counted anew after the operator's start.
    pub fn agent_is_silent(&self, node: &str, now: Time) -> bool {
        now.since(self.agent_last_heard(node)) > SILENT_AFTER_SECONDS
    }

    /// When the agent of this node was last heard, but not before the operator's start.
    pub fn agent_last_heard(&self, node: &str) -> Time {
        self.lease_changes.get(node).copied().unwrap_or(self.started_at).max(self.started_at)
    }
}
