//! `NodeHealthOverride`: a person overrides the operator's decision on a node.

use crate::{Time, string_enum::string_enum};
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Overrides the operator's decision on a node, with a reason and an end.
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
    doc = "NodeHealthOverride lets a person override the operator's decision on a node, with a reason and an end. It is a kind of its own so that RBAC can grant it without access to NodeHealth.",
    printcolumn(name = "Node", type_ = "string", json_path = ".spec.nodeName", description = "Name of the node."),
    printcolumn(
        name = "Action",
        type_ = "string",
        json_path = ".spec.action",
        description = "What the override does."
    ),
    printcolumn(
        name = "Check",
        type_ = "string",
        json_path = ".spec.check",
        description = "Name of the check; empty for all."
    ),
    printcolumn(name = "Until", type_ = "string", json_path = ".spec.until", description = "When the override ends."),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".spec.reason",
        description = "Reason for the override."
    )
)]
#[serde(rename_all = "camelCase")]
pub struct NodeHealthOverrideSpec {
    /// Name of the node.
    #[schemars(length(min = 1, max = 253))]
    pub node_name: String,
    /// Check that the override applies to. Default: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 80))]
    pub check: Option<String>,
    /// PCI address, link, port or `node` that the override applies to. Default: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub target: Option<String>,
    /// What the override does.
    pub action: OverrideAction,
    /// When the override ends.
    pub until: Time,
    /// Reason for the override, as a sentence.
    #[schemars(length(min = 1, max = 256))]
    pub reason: String,
    /// Person or system that requested the override.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub author: Option<String>,
}

/// What an override does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OverrideAction {
    /// Findings of this check and target are ignored.
    #[default]
    Ignore,
    /// The node is Healthy, whatever the checks find.
    ForceHealthy,
    /// The node is Unhealthy, whatever the checks find.
    ForceQuarantined,
    /// Causes older than the override are lifted.
    Acknowledge,
}

string_enum! {
    /// Whether an override is in force.
    OverrideState {
        /// The override is in force.
        Active,
        /// The override has ended.
        Expired,
    } default Active
}

/// Observed state of an override.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodeHealthOverrideStatus {
    /// The generation of the spec that this status describes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 9_007_199_254_740_991_i64))]
    pub observed_generation: Option<i64>,
    /// Whether the override is in force: Active or Expired.
    #[serde(default)]
    pub state: OverrideState,
}
