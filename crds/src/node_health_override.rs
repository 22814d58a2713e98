//! `NodeHealthOverride`: a person overrides the operator's decision on nodes.

use crate::{Condition, Time, check::CheckName, health_check_run::Targets};
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Overrides the operator's decision on nodes, with a reason and an end.
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
    doc = "NodeHealthOverride lets a person override the operator's decision on nodes, with a reason and an end. Not implemented yet: the operator does not act on it. It is a kind of its own so that RBAC can grant it without access to NodeHealth.",
    printcolumn(
        name = "Action",
        type_ = "string",
        json_path = ".spec.action",
        description = "What the override does."
    ),
    printcolumn(
        name = "Nodes",
        type_ = "integer",
        json_path = ".status.matched",
        description = "Number of nodes that the override selects."
    ),
    printcolumn(name = "Until", type_ = "string", json_path = ".spec.until", description = "When the override ends."),
    printcolumn(
        name = "Author",
        type_ = "string",
        json_path = ".spec.author",
        description = "Person or system that requested the override."
    ),
    printcolumn(
        name = "Effective",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Effective')].status",
        description = "Whether the override is in force."
    )
)]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "(self.action == 'Acknowledge') == has(self.before)",
    "message": "before is required with the action Acknowledge, and must be left out with every other action"
}]))]
#[serde(rename_all = "camelCase")]
pub struct NodeHealthOverrideSpec {
    /// The nodes, by name or by label.
    pub targets: Targets,
    /// Check that the override applies to: its name, or `custom/<program>`. Default: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<CheckName>")]
    pub check: Option<String>,
    /// PCI address, link, port or `node` that the override applies to. Default: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub target: Option<String>,
    /// What the override does: Ignore, ForceHealthy, ForceUnhealthy or Acknowledge.
    pub action: OverrideAction,
    /// Findings first seen before this time are lifted. Required with the action Acknowledge, so that an object that is restored or applied again acknowledges nothing new.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Time>,
    /// When the override ends. It must lie in the future when the override is created.
    pub until: Time,
    /// Reason for the override, as a sentence.
    #[schemars(length(min = 1, max = 256))]
    pub reason: String,
    /// Person or system that requested the override, as free text. The API server's audit log is the proof.
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
    ForceUnhealthy,
    /// Findings that were first seen before `before` are lifted.
    Acknowledge,
}

/// Observed state of an override.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodeHealthOverrideStatus {
    /// The generation of the spec that this status describes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 9_007_199_254_740_991_i64))]
    pub observed_generation: Option<i64>,
    /// The number of nodes that the override selects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub matched: Option<i64>,
    /// What the override changed, the latest last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    pub changes: Vec<OverrideChange>,
    /// Conditions: Accepted and Effective.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 4), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

/// One finding that an override changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OverrideChange {
    /// Name of the node.
    #[schemars(length(min = 1, max = 253))]
    pub node: String,
    /// Name of the check.
    #[schemars(length(max = 80))]
    pub check: String,
    /// PCI address, link, port or `node`.
    #[schemars(length(max = 64))]
    pub target: String,
    /// Machine-readable reason of the finding, one word.
    #[schemars(length(max = 63))]
    pub reason: String,
    /// When the override changed it.
    pub at: Time,
}
