//! `NodeHealth`: one per accelerator node, named as the node and owned by it.

mod decision;
mod fit;
mod report;
mod work;

pub use decision::*;
pub use fit::*;
pub use report::*;
pub use work::*;

use crate::Condition;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the operator orders: which monitors, which expectations, which assignments. Written by the operator alone.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "gpuhealth.dev",
    version = "v1alpha1",
    kind = "NodeHealth",
    plural = "nodehealths",
    singular = "nodehealth",
    shortname = "nh",
    category = "gpuhealth",
    status = "NodeHealthStatus",
    derive = "PartialEq",
    doc = "NodeHealth says how one accelerator node is, since when, why, and what to do. It is named as its Node. The operator writes the spec and status.decision, the agent of that node writes status.report.",
    printcolumn(
        name = "Health",
        type_ = "string",
        json_path = ".status.decision.state",
        description = "The judgement: Healthy, Suspect, Quarantined, Unknown or NotApplicable."
    ),
    printcolumn(
        name = "Severity",
        type_ = "string",
        json_path = ".status.decision.severity",
        description = "What cures it: Monitor, Reset, Reboot or Isolate."
    ),
    printcolumn(
        name = "GPUs",
        type_ = "string",
        json_path = ".status.summary.gpus",
        description = "Well and expected GPUs."
    ),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.decision.reason", description = "Why."),
    printcolumn(name = "Target", type_ = "string", json_path = ".status.summary.target", description = "Which part."),
    printcolumn(name = "Action", type_ = "string", json_path = ".status.decision.action", description = "What to do."),
    printcolumn(name = "Since", type_ = "date", json_path = ".status.decision.since", description = "Since when."),
    printcolumn(
        name = "Certified",
        type_ = "string",
        json_path = ".status.summary.certified",
        description = "The highest level that the node passed and that has not expired."
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp",
        description = "When the object was created."
    ),
    printcolumn(
        name = "Profile",
        type_ = "string",
        json_path = ".spec.profile",
        description = "The HardwareProfile that matched.",
        priority = 1
    ),
    printcolumn(
        name = "Driver",
        type_ = "string",
        json_path = ".status.report.inventory.driver",
        description = "The version of the driver.",
        priority = 1
    ),
    printcolumn(
        name = "Agent",
        type_ = "string",
        json_path = ".status.report.agent.version",
        description = "The version of the agent.",
        priority = 1
    ),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = ".status.decision.message",
        description = "Why, as a sentence.",
        priority = 1
    )
)]
#[serde(rename_all = "camelCase")]
pub struct NodeHealthSpec {
    /// The name of the HardwareProfile that matched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub profile: Option<String>,
    /// What the agent needs to know of its Node, which it cannot read.
    #[serde(default)]
    pub node: NodeFacts,
    /// What the node must be, resolved from the profile; absent where no profile matched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-map-type" = "atomic"))]
    pub expected: Option<Expected>,
    /// The complete list of monitors to run; one that is not listed is off.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 24))]
    pub monitors: Vec<Monitor>,
    /// The policy that wins on this node, whose monitors these are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<PolicyRef>,
    /// How long after a boot the checks driver, inventory and fabric say nothing, in seconds; default 600.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 86400))]
    pub boot_grace_seconds: Option<i64>,
    /// Present while the node is under maintenance: the agent holds no driver handle then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maintenance: Option<Maintenance>,
    /// The work orders.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 2), extend("x-kubernetes-validations" = assignments_rules()))]
    pub assignments: Vec<Assignment>,
}

/// What was measured and what was decided. Each member has one writer, who replaces it whole.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodeHealthStatus {
    /// What the agent of this node reports, and nobody else writes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-map-type" = "atomic"))]
    pub report: Option<Report>,
    /// What the reservation pod of this node reports, one at a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-map-type" = "atomic"))]
    pub exclusive: Option<Exclusive>,
    /// The operator's judgement.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-map-type" = "atomic"))]
    pub decision: Option<Decision>,
    /// The operator's verdict on each GPU.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub gpus: Vec<GpuVerdict>,
    /// The levels that the node has passed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 4))]
    pub certifications: Vec<Certification>,
    /// Texts for the columns of kubectl.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<NodeSummary>,
    /// Healthy, AgentReporting, ProfileResolved.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 3), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}
