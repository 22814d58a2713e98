//! `HealthCheckPolicy.status`: how the nodes of a policy stand, and what is spent of its budget.

use crate::{Condition, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the operator knows about a policy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HealthCheckPolicyStatus {
    /// The generation of the spec that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 9_007_199_254_740_991_i64))]
    pub observed_generation: Option<i64>,
    /// How many nodes it governs, as a number of nodes.
    #[serde(default)]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub matched: i64,
    /// How many of them are healthy, as a number of nodes.
    #[serde(default)]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub healthy: i64,
    /// How many of them are suspect, as a number of nodes.
    #[serde(default)]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub suspect: i64,
    /// How many of them are quarantined, as a number of nodes; in Observe, those that Enforce would quarantine.
    #[serde(default)]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub quarantined: i64,
    /// How many of them wait for budget, as a number of nodes; in Observe, those that Enforce would make wait.
    #[serde(default)]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub waiting: i64,
    /// What is spent of the budget.
    #[serde(default)]
    pub budget: BudgetStatus,
    /// The storm that is going on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storm: Option<StormStatus>,
    /// Where the schedules stand.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub schedules: Vec<ScheduleStatus>,
    /// Accepted, BudgetExhausted, Storm, Ready.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

/// What is spent of a budget.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BudgetStatus {
    /// How many nodes may be out of use, as a number of nodes.
    #[serde(default)]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub limit: i64,
    /// How many are: claims, and nodes that others cordoned or that are NotReady, as a number of nodes.
    #[serde(default)]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub used: i64,
    /// The slots that are spent by us; written before the mark.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1000))]
    pub claims: Vec<Claim>,
}

/// One spent slot.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Claim {
    /// The name of the node.
    #[schemars(length(min = 1, max = 253))]
    pub node: String,
    /// The uid of the Node.
    #[schemars(length(max = 64))]
    pub uid: String,
    /// What it was spent for.
    #[serde(rename = "for")]
    pub for_: ClaimFor,
}

/// What a slot was spent for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClaimFor {
    /// The name of the check.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 80))]
    pub check: Option<String>,
    /// The PCI address, link, port or `node`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub target: Option<String>,
    /// Why, as one word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub reason: Option<String>,
    /// The run that needs the node for itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub run: Option<String>,
}

/// A storm that is going on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StormStatus {
    /// Since when.
    pub since: Time,
    /// The reason, or the driver version, that the nodes share.
    #[schemars(length(max = 128))]
    pub key: String,
    /// How many nodes, as a number of nodes.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub nodes: i64,
}

/// Where a schedule stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScheduleStatus {
    /// The name of the schedule.
    #[schemars(length(min = 1, max = 40))]
    pub name: String,
    /// When it last made a run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_time: Option<Time>,
    /// The name of that run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub last_run: Option<String>,
    /// When it makes the next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_time: Option<Time>,
}
