//! `NodeHealth.spec`: what the operator orders.

use crate::{CheckSpec, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The longest list of assignments of one node.
pub const MAX_ASSIGNMENTS: usize = 2;
/// The highest number of checks in all assignments of one node together.
pub const MAX_ASSIGNED_CHECKS: usize = 16;
/// The highest number of slots of one member of a group.
pub const MAX_SLOTS: usize = 64;

/// What must hold for all assignments of a node together, so that orders stay small: they cannot be cut as reports can.
pub(super) fn assignments_rules() -> serde_json::Value {
    serde_json::json!([
        {"rule": "self.map(a, size(a.checks)).sum() <= 16",
         "message": "the assignments of a node may hold 16 checks together"},
        {"rule": "self.filter(a, has(a.group)).size() <= 1",
         "message": "at most one assignment of a node may have a group"},
    ])
}

/// What the operator copies from the Node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodeFacts {
    /// The uid of the Node that this object is about.
    #[serde(default)]
    #[schemars(length(max = 64))]
    pub uid: String,
    /// The accelerators that the Node offers: resource name to count of devices.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 8), with = "BTreeMap<String, DeviceCount>")]
    pub allocatable: BTreeMap<String, i64>,
}

/// A number of devices.
#[derive(JsonSchema)]
#[schemars(inline)]
#[allow(dead_code)]
struct DeviceCount(#[schemars(range(min = 0, max = 4096))] i64);

/// What the node must be: a resolved copy of its HardwareProfile.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Expected {
    /// The generation of the profile that was copied.
    #[serde(default)]
    #[schemars(range(min = 0, max = 9_007_199_254_740_991_i64))]
    pub generation: i64,
    /// The accelerators.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpus: Option<crate::hardware_profile::ExpectedGpus>,
    /// The network devices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<crate::hardware_profile::ExpectedNetwork>,
    /// The minimum rates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub floors: Option<crate::hardware_profile::Floors>,
}

/// A monitor that the agent runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Monitor {
    /// The name of the check.
    #[schemars(length(min = 1, max = 32))]
    pub name: String,
    /// How often it looks, in seconds; default 60. Event sources report at once in any case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 86400))]
    pub interval_seconds: Option<i64>,
}

/// A policy and the generation that was read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PolicyRef {
    /// The name of the HealthCheckPolicy.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Its generation.
    #[schemars(range(min = 0, max = 9_007_199_254_740_991_i64))]
    pub generation: i64,
}

/// A maintenance that is going on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Maintenance {
    /// Why: the value of the maintenance label, or the name of the label that told it.
    #[schemars(length(min = 1, max = 128))]
    pub reason: String,
    /// Since when.
    pub since: Time,
    /// Until when it is expected to end; afterwards it overruns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Time>,
}

/// One work order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Assignment {
    /// `<run uid>/<attempt>`; a result carries the same id.
    #[schemars(length(min = 1, max = 80))]
    pub id: String,
    /// The name of the HealthCheckRun.
    #[schemars(length(min = 1, max = 253))]
    pub run: String,
    /// The checks to run, in this order.
    #[schemars(length(min = 1, max = 16), extend("x-kubernetes-validations" = crate::check::total_rules()))]
    pub checks: Vec<CheckSpec>,
    /// When to give up; what is left then is Inconclusive.
    pub deadline: Time,
    /// Present for checks between nodes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<Group>,
}

/// A node's part in a check between nodes. Without `startAt` the agent gets ready and reports `Ready`; with it, it acts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Group {
    /// When slot 0 begins; absent until every member has reported `Ready`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_at: Option<Time>,
    /// How long each slot lasts, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 3600))]
    pub slot_seconds: Option<i64>,
    /// The slots of this node, ascending; in each it is a server, a client, or idle (not listed).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub slots: Vec<Slot>,
}

/// What a node does in one slot.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Slot {
    /// The number of the slot, counted from 0; it begins at `startAt + slot * slotSeconds`.
    #[schemars(range(min = 0, max = 4095))]
    pub slot: i64,
    /// Server or Client.
    pub role: Role,
    /// The name of the other node; 63 characters, because a kubelet registers no node whose hostname label is longer.
    #[schemars(length(min = 1, max = 63))]
    pub peer: String,
    /// The address on which the server listens: an address of this node for a server, of the peer for a client.
    #[schemars(length(min = 1, max = 45))]
    pub address: String,
    /// The TCP port number on which the server listens.
    #[schemars(range(min = 1, max = 65535))]
    pub port: i64,
}

/// What a node is in a slot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Role {
    /// It listens.
    #[default]
    Server,
    /// It connects and sends.
    Client,
}
