//! `NodeHealthPolicy.status`: node counts by state, and the use of the budget.

use crate::{Condition, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Maximum number of failure domains in a policy's status.
pub const MAX_DOMAINS: usize = 32;

/// Observed state of a policy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodeHealthPolicyStatus {
    /// The generation of the spec that this status describes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 9_007_199_254_740_991_i64))]
    pub observed_generation: Option<i64>,
    /// Nodes by state.
    #[serde(default)]
    pub counts: NodeCounts,
    /// Use of the budget.
    #[serde(default)]
    pub budget: BudgetStatus,
    /// Storms in progress.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub storms: Vec<StormStatus>,
    /// Status of each schedule.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub schedules: Vec<ScheduleStatus>,
    /// Conditions: Accepted, BudgetExhausted, Storm, Unreadable, Ready and Stalled.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

/// The nodes that a policy governs, by state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodeCounts {
    /// The number of nodes that the policy governs.
    #[serde(default)]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub matched: i64,
    /// The number of healthy nodes.
    #[serde(default)]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub healthy: i64,
    /// The number of suspect nodes.
    #[serde(default)]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub suspect: i64,
    /// The number of unhealthy nodes, whether or not they are quarantined.
    #[serde(default)]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub unhealthy: i64,
    /// The number of nodes whose state is unknown: never judged, or their agent does not report.
    #[serde(default)]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub unknown: i64,
    /// The number of nodes under maintenance, whatever their state.
    #[serde(default)]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub maintenance: i64,
    /// The number of nodes waiting for budget. In mode Observe: the nodes that would wait under Enforce.
    #[serde(default)]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub waiting: i64,
    /// The number of nodes on which every enabled monitor judges all that it is for.
    #[serde(default)]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub covered: i64,
}

/// Use of a budget.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BudgetStatus {
    /// The number of nodes that may be unavailable at once.
    #[serde(default)]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub limit: i64,
    /// The number of unavailable nodes: claims, plus nodes that bear the mark of another policy, are NotReady, were cordoned by others, or have an unreadable NodeHealth.
    #[serde(default)]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub used: i64,
    /// Use of the limit of each failure domain; the fullest 32, fullest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub per_domain: Vec<DomainStatus>,
    /// Budget slots in use by the operator. A claim is written before the mark it pays for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1000))]
    pub claims: Vec<Claim>,
}

/// Use of the limit of one failure domain.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DomainStatus {
    /// The failure domain: the value of the label. Empty for the nodes without it.
    #[schemars(length(max = 63))]
    pub domain: String,
    /// The number of nodes of the domain that may be unavailable at once.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub limit: i64,
    /// The number of unavailable nodes of the domain.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub used: i64,
}

/// One budget slot in use.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Claim {
    /// Name of the node.
    #[schemars(length(min = 1, max = 253))]
    pub node: String,
    /// UID of the Node.
    #[schemars(length(max = 64))]
    pub uid: String,
    /// The resourceVersion of the Node when the slot was taken. The slot is free again once a later version bears no mark.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 64))]
    pub node_version: String,
    /// When the slot was claimed.
    pub since: Time,
    /// What the slot is used for.
    #[serde(rename = "for")]
    pub for_: ClaimFor,
}

/// What a budget slot is used for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClaimFor {
    /// Name of the check.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 80))]
    pub check: Option<String>,
    /// PCI address, link, port or `node`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub target: Option<String>,
    /// Machine-readable reason, one word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub reason: Option<String>,
    /// The run that needs the node to itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub run: Option<String>,
}

/// A storm in progress.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StormStatus {
    /// When the storm began.
    pub since: Time,
    /// The reason or driver version that the nodes have in common.
    #[schemars(length(max = 128))]
    pub key: String,
    /// The number of affected nodes.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub nodes: i64,
}

/// Status of one schedule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScheduleStatus {
    /// Name of the schedule.
    #[schemars(length(min = 1, max = 40))]
    pub name: String,
    /// When the schedule last created a run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_time: Option<Time>,
    /// Name of the last run that the schedule created.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub last_run: Option<String>,
    /// When the schedule creates its next run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_time: Option<Time>,
    /// The number of runs that were not created, because the one before was still open or it was too late.
    #[serde(default)]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub missed: i64,
}
