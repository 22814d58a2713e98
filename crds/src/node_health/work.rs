//! `NodeHealth.spec`: the operator's instructions to the agent.

use crate::{CheckSpec, Shared, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Maximum number of assignments of one node.
pub const MAX_ASSIGNMENTS: usize = 2;
/// Maximum number of checks over all assignments of one node.
pub const MAX_ASSIGNED_CHECKS: usize = 16;
/// Maximum number of slots of one member of a group.
pub const MAX_SLOTS: usize = 64;

/// Limits across all assignments of a node. They keep work orders small, which cannot be trimmed as reports can.
pub(super) fn assignments_rules() -> serde_json::Value {
    serde_json::json!([
        {"rule": "self.map(a, size(a.checks)).sum() <= 16",
         "message": "the assignments of a node may have at most 16 checks in total"},
        {"rule": "self.filter(a, has(a.group)).size() <= 1",
         "message": "at most one assignment of a node may have a group"},
    ])
}

/// Facts that the operator copies from the Node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodeFacts {
    /// UID of the Node that this object describes.
    #[serde(default)]
    #[schemars(length(max = 64))]
    pub uid: String,
    /// Allocatable accelerators of the Node, by resource name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 8), with = "BTreeMap<String, DeviceCount>")]
    pub allocatable: Shared<BTreeMap<String, i64>>,
}

/// A number of devices.
#[derive(JsonSchema)]
#[schemars(inline)]
#[allow(dead_code)]
struct DeviceCount(#[schemars(range(min = 0, max = 4096))] i64);

/// Expected hardware: a resolved copy of the NodeHardwareProfile.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Expected {
    /// The generation of the profile from which this was copied. A later one that changes nothing here leaves it as it is.
    #[serde(default)]
    #[schemars(range(min = 0, max = 9_007_199_254_740_991_i64))]
    pub generation: i64,
    /// Expected accelerators.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpus: Option<crate::node_hardware_profile::ExpectedGpus>,
    /// Expected network devices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<crate::node_hardware_profile::ExpectedNetwork>,
    /// Minimum rates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub floors: Option<crate::node_hardware_profile::Floors>,
}

/// A monitor that the agent runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Monitor {
    /// Name of the check.
    #[schemars(length(min = 1, max = 32))]
    pub name: String,
    /// Interval between readings, in seconds. Default: 60. Events are reported at once, whatever the interval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 86400))]
    pub interval_seconds: Option<i64>,
}

/// A policy and the generation in use.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PolicyRef {
    /// Name of the NodeHealthPolicy.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// The generation of the NodeHealthPolicy that the spec follows. A later one that changes nothing here leaves it as it is.
    #[schemars(range(min = 0, max = 9_007_199_254_740_991_i64))]
    pub generation: i64,
}

/// A maintenance in progress.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Maintenance {
    /// Reason: the value of the label gpuhealth.dev/maintenance, or the name of another label that announced the maintenance.
    #[schemars(length(min = 1, max = 128))]
    pub reason: String,
    /// When the maintenance began.
    pub since: Time,
    /// When the maintenance is expected to end. After this time it counts as overrun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Time>,
}

/// One work order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Assignment {
    /// `<run uid>/<attempt>`. The results have the same id.
    #[schemars(length(min = 1, max = 80))]
    pub id: String,
    /// Name of the HealthCheckRun.
    #[schemars(length(min = 1, max = 253))]
    pub run: String,
    /// Checks to run, in this order.
    #[schemars(length(min = 1, max = 16), extend("x-kubernetes-validations" = crate::check::total_rules()))]
    pub checks: Vec<CheckSpec>,
    /// When to stop. Checks not finished by then are Inconclusive.
    pub deadline: Time,
    /// Whether the results are only reported: no finding follows from them, and none is lifted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub report_only: bool,
    /// Set for checks between nodes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<Group>,
}

/// A node's part in a check between nodes. Until `startAt` is set, the agent only prepares and reports `Ready`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Group {
    /// When slot 0 begins. Absent until every member has reported `Ready`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_at: Option<Time>,
    /// Duration of each slot, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 3600))]
    pub slot_seconds: Option<i64>,
    /// Slots of this node in ascending order. The node is idle in slots that are not listed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub slots: Vec<Slot>,
    /// The index number of this node in the group, counted from 0. Set for checks in which all members take part at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 4095))]
    pub rank: Option<i64>,
    /// The number of members of the group. Set for checks in which all members take part at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 4096))]
    pub world_size: Option<i64>,
    /// What the members find each other by, such as the unique id of an NCCL communicator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub unique_id: Option<String>,
}

/// What a node does in one slot.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Slot {
    /// The number of the slot, counted from 0. The slot begins at `startAt + slot * slotSeconds`.
    #[schemars(range(min = 0, max = 4095))]
    pub slot: i64,
    /// Server or Client.
    pub role: Role,
    /// Name of the other node. At most 63 characters: a kubelet does not register a node with a longer hostname label.
    #[schemars(length(min = 1, max = 63))]
    pub peer: String,
    /// Address on which the server listens: this node's address for a server, the peer's for a client.
    #[schemars(length(min = 1, max = 45))]
    pub address: String,
    /// TCP port number on which the server listens.
    #[schemars(range(min = 1, max = 65535))]
    pub port: i64,
}

/// Role of a node in a slot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Role {
    /// The node listens.
    #[default]
    Server,
    /// The node connects and sends.
    Client,
}
