//! `NodeHealth`: one object per accelerator node, with the node's name and owned by it.

mod admissible;
mod decision;
mod fit;
mod report;
mod work;

pub use decision::*;
pub use fit::*;
pub use report::*;
pub use work::*;

use crate::{Condition, Shared};
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The operator's instructions to the agent: monitors, expected hardware and assignments. Only the operator writes it.
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
    selectable = ".status.decision.state",
    selectable = ".status.decision.quarantine",
    doc = "NodeHealth describes the health of one accelerator node: its state, since when, why, and what to do. It has the name of its Node. The operator writes the spec and status.decision; the agent on the node writes status.report.",
    printcolumn(
        name = "Health",
        type_ = "string",
        json_path = ".status.decision.state",
        description = "Health state: Healthy, Suspect, Unhealthy, Unknown or NotApplicable."
    ),
    printcolumn(
        name = "Quarantine",
        type_ = "string",
        json_path = ".status.decision.quarantine",
        description = "What is done about it: None, Active, Waiting, DryRun, Held or Refused."
    ),
    printcolumn(
        name = "GPUs",
        type_ = "string",
        json_path = ".status.summary.gpus",
        description = "Healthy GPUs out of expected GPUs."
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.decision.reason",
        description = "Reason for the state."
    ),
    printcolumn(name = "Target", type_ = "string", json_path = ".status.summary.target", description = "Faulty part."),
    printcolumn(
        name = "Action",
        type_ = "string",
        json_path = ".status.decision.action",
        description = "Recommended action."
    ),
    printcolumn(
        name = "Since",
        type_ = "date",
        json_path = ".status.decision.since",
        description = "Time since the last change of state, severity or reason."
    ),
    printcolumn(
        name = "Certified",
        type_ = "string",
        json_path = ".status.summary.certified",
        description = "Highest level with a valid certification."
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp",
        description = "Time since creation."
    ),
    printcolumn(
        name = "Severity",
        type_ = "string",
        json_path = ".status.decision.severity",
        description = "What the fault requires: Monitor, Reset, Reboot or Isolate.",
        priority = 1
    ),
    printcolumn(
        name = "Profile",
        type_ = "string",
        json_path = ".spec.profile",
        description = "Matching NodeHardwareProfile.",
        priority = 1
    ),
    printcolumn(
        name = "Driver",
        type_ = "string",
        json_path = ".status.report.inventory.driver",
        description = "Driver version.",
        priority = 1
    ),
    printcolumn(
        name = "Agent",
        type_ = "string",
        json_path = ".status.report.agent.version",
        description = "Agent version.",
        priority = 1
    ),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = ".status.decision.message",
        description = "Explanation of the state.",
        priority = 1
    )
)]
#[serde(rename_all = "camelCase")]
pub struct NodeHealthSpec {
    /// Name of the NodeHardwareProfile that matched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub profile: Option<String>,
    /// Facts about the Node that the agent needs. Agents have no access to Nodes.
    #[serde(default)]
    pub node: NodeFacts,
    /// Expected hardware, resolved from the profile. Absent if no profile matched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-map-type" = "atomic"))]
    pub expected: Option<Shared<Expected>>,
    /// All monitors to run. A monitor that is not listed is off.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 24))]
    pub monitors: Shared<Vec<Monitor>>,
    /// The policy that governs this node and sets the monitors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<PolicyRef>,
    /// How long after a boot the checks driver, inventory and fabric are skipped, in seconds. Default: 600.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 86400))]
    pub boot_grace_seconds: Option<i64>,
    /// Whether faults that the kernel log shows from before the agent first ran on a boot condemn at once. Default: false; then they condemn only what the present state confirms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub condemn_old_log: Option<bool>,
    /// Set while the node is under maintenance. The agent then closes all driver handles.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maintenance: Option<Maintenance>,
    /// Work orders.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 2), extend("x-kubernetes-validations" = assignments_rules()))]
    pub assignments: Vec<Assignment>,
}

/// Measurements and decisions. Each member has one writer, which replaces it as a whole.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodeHealthStatus {
    /// Report of the agent on this node. Only that agent writes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-map-type" = "atomic"))]
    pub report: Option<Report>,
    /// Report of the reservation pod on this node. There is at most one such pod at a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-map-type" = "atomic"))]
    pub exclusive: Option<Exclusive>,
    /// The operator's decision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-map-type" = "atomic"))]
    pub decision: Option<Decision>,
    /// The operator's decision on each GPU.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub gpus: Vec<GpuVerdict>,
    /// Levels that the node has passed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 4))]
    pub certifications: Vec<Certification>,
    /// The number of GPUs. Absent until an agent has reported them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpu_count: Option<GpuCount>,
    /// Texts for kubectl columns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<NodeSummary>,
    /// Conditions: Healthy, AgentReporting, ProfileResolved and Covered.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 4), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}
