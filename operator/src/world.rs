//! The world as the operator sees it: small projections of the objects.
//!
//! A [`World`] is a plain value. The shell builds it from its stores and the overlay of its own writes that it has not
//! read back yet; property tests generate it. All maps are ordered, so that the same world always gives the same plan.

pub mod labels;
pub mod runs;
pub mod table;

use crate::key::{Identified, Key};
use crds::{Condition, NodeHardwareProfile, NodeHealth, NodeHealthPolicy, Shared, names};
use labels::Labels;
use std::collections::{BTreeMap, BTreeSet};
use table::Table;

/// An agent counts as silent once its Lease has not changed for this many seconds in which the operator could see Leases.
pub const SILENT_AFTER_SECONDS: u64 = 150;

/// Everything that a decision depends on, except the time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct World {
    /// Nodes by name.
    pub nodes: Table<Node>,
    /// NodeHealths by name, managed fields left out.
    pub node_healths: Table<NodeHealth>,
    /// HealthCheckRuns by name. Those that have ended are kept thin ([`runs::thinned`]).
    pub runs: runs::Runs,
    /// NodeHealthPolicies by name.
    pub policies: Table<NodeHealthPolicy>,
    /// NodeHardwareProfiles by name.
    pub profiles: Table<NodeHardwareProfile>,
    /// The nodes whose agent is silent: its Lease has not changed for [`SILENT_AFTER_SECONDS`] in which the operator could
    /// see Leases, or it was silent before this operator started and has not been heard since. Whatever the operator could
    /// not see neither adds a node nor removes one, and no clock that is set does.
    pub silent: BTreeSet<String>,
    /// The objects whose last full status the API server refused as invalid, and would refuse again: their statuses are
    /// written without the texts of agents.
    pub refused_texts: BTreeSet<Key>,
    /// The Nodes whose taints and the policies whose claims the API server refused when they were last written, and would
    /// refuse again: what is known of a node is told without waiting for its mark.
    pub refused_marks: BTreeSet<Key>,
    /// The objects that do not parse. Nothing is written to them; the node of such a NodeHealth counts as out of service.
    pub malformed: BTreeSet<Key>,
    /// The switch `--hold-everything`: no mark is set or lifted, and no run is admitted.
    pub hold_everything: bool,
}

/// What a decision needs to know about a Node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
    /// The resourceVersion that was read; a taint patch carries it.
    pub resource_version: String,
    /// All its labels.
    pub labels: Labels,
    /// Our annotation [`crds::names::ANNOTATION_SUMMARY`].
    pub summary: Option<String>,
    /// All its taints, in order.
    pub taints: Vec<Taint>,
    /// Whether it is cordoned.
    pub unschedulable: bool,
    /// Whether its condition Ready is True.
    pub ready: bool,
    /// Our condition [`crds::names::NODE_CONDITION`].
    pub condition: Option<Condition>,
    /// Its allocatable accelerators ([`crds::names::ACCELERATOR_RESOURCES`]).
    pub accelerators: Shared<BTreeMap<String, i64>>,
    /// Its addresses of the types InternalIP and ExternalIP.
    pub addresses: Vec<String>,
    /// The boot id reported by its kubelet.
    pub boot_id: String,
}

/// A taint on a Node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taint {
    /// The key.
    pub key: String,
    /// The value; empty if absent.
    pub value: String,
    /// NoSchedule, PreferNoSchedule or NoExecute.
    pub effect: String,
    /// When it was added (NoExecute only), as read.
    pub time_added: Option<String>,
}

impl Node {
    /// Whether the Node has an allocatable accelerator, or a hardware label for one.
    pub fn shows_accelerator(&self) -> bool {
        self.accelerators.values().any(|count| *count > 0)
            || crds::names::ACCELERATOR_PCI_LABELS.iter().any(|l| self.labels.get(l).is_some_and(|v| v == "true"))
    }

    /// The instance type, without the prefix `ml.`; empty if unknown.
    pub fn instance_type(&self) -> &str {
        self.labels.get(crds::names::LABEL_INSTANCE_TYPE).map_or("", crds::node_hardware_profile::instance_type)
    }

    /// Why the Node is under maintenance, if it is: the value of our own label, or the name of the foreign label that
    /// says so.
    pub fn maintenance(&self) -> Option<&str> {
        if let Some(value) = self.labels.get(names::LABEL_MAINTENANCE) {
            return Some(if value.is_empty() { "maintenance" } else { value });
        }
        let says =
            |label: &'static str, tells: fn(&str) -> bool| self.labels.get(label).is_some_and(tells).then_some(label);
        says(names::LABEL_DRIVER_UPGRADE, |v| !names::DRIVER_UPGRADE_AT_REST.contains(&v))
            .or_else(|| says(names::LABEL_MIG_STATE, |v| names::MIG_UNDER_WAY.contains(&v)))
            .or_else(|| {
                let mut deployed = self.labels.beginning_with(names::LABEL_DEPLOY_PREFIX);
                deployed.find(|(_, value)| *value == names::PAUSED_FOR_DRIVER_UPGRADE).map(|(label, _)| label)
            })
    }

    /// The taint with this key, if the Node has it.
    pub fn taint(&self, key: &str) -> Option<&Taint> {
        self.taints.iter().find(|t| t.key == key)
    }
}

impl Identified for Node {
    fn name(&self) -> &str {
        &self.name
    }

    fn uid(&self) -> &str {
        &self.uid
    }

    fn resource_version(&self) -> &str {
        &self.resource_version
    }
}

impl World {
    /// Whether the agent of this node has stopped renewing its Lease.
    pub fn agent_is_silent(&self, node: &str) -> bool {
        self.silent.contains(node)
    }
}
