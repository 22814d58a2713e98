//! `NodeHealthOverride`: a person's word.

use crate::{Time, string_enum::string_enum};
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A person's word about a node, with an end and a reason.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "gpuhealth.dev",
    version = "v1alpha1",
    kind = "NodeHealthOverride",
    plural = "nodehealthoverrides",
    singular = "nodehealthoverride",
    shortname = "nho",
    category = "gpuhealth",
    status = "NodeHealthOverrideStatus",
    derive = "PartialEq",
    doc = "NodeHealthOverride is a person's word about a node, with an end and a reason. It is a kind of its own, because who may grant it need not be able to write work orders.",
    printcolumn(name = "Node", type_ = "string", json_path = ".spec.nodeName", description = "The node."),
    printcolumn(name = "Action", type_ = "string", json_path = ".spec.action", description = "What is ordered."),
    printcolumn(
        name = "Check",
        type_ = "string",
        json_path = ".spec.check",
        description = "Which check; empty for all."
    ),
    printcolumn(name = "Until", type_ = "string", json_path = ".spec.until", description = "When it ends."),
    printcolumn(name = "Reason", type_ = "string", json_path = ".spec.reason", description = "Why.")
)]
#[serde(rename_all = "camelCase")]
pub struct NodeHealthOverrideSpec {
    /// The name of the node.
    #[schemars(length(min = 1, max = 253))]
    pub node_name: String,
    /// The check that is meant; absent for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 80))]
    pub check: Option<String>,
    /// The PCI address, link, port or `node` that is meant; absent for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub target: Option<String>,
    /// What is ordered.
    pub action: OverrideAction,
    /// When it ends.
    pub until: Time,
    /// Why, as a sentence.
    #[schemars(length(min = 1, max = 256))]
    pub reason: String,
    /// Who says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub author: Option<String>,
}

/// What an override orders.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OverrideAction {
    /// Findings of the check and target count for nothing.
    #[default]
    Ignore,
    /// The node is healthy, whatever is found.
    ForceHealthy,
    /// The node is quarantined, whatever is found.
    ForceQuarantined,
    /// Findings older than the override are lifted.
    Acknowledge,
}

string_enum! {
    /// Whether an override is in force.
    OverrideState {
        /// It is in force.
        Active,
        /// Its time is over.
        Expired,
    } default Active
}

/// What the operator knows about an override.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodeHealthOverrideStatus {
    /// The generation of the spec that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 9_007_199_254_740_991_i64))]
    pub observed_generation: Option<i64>,
    /// Whether it is in force.
    #[serde(default)]
    pub state: OverrideState,
}
