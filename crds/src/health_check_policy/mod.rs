//! `HealthCheckPolicy`: standing orders.

mod rules;
mod status;

pub use rules::*;
pub use status::*;

use crate::{CheckSpec, Selector, Time};
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The longest list of claims of one policy.
pub const MAX_CLAIMS: usize = 1_000;
/// `bootGraceSeconds` where a policy does not say.
pub const DEFAULT_BOOT_GRACE_SECONDS: i64 = 600;
/// `budget.maxUnavailablePercent` where a policy sets neither number nor percentage.
pub const DEFAULT_MAX_UNAVAILABLE_PERCENT: i64 = 10;
/// `budget.minimum` where a policy does not say.
pub const DEFAULT_BUDGET_MINIMUM: i64 = 1;

/// Standing orders for some nodes.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "gpuhealth.dev",
    version = "v1alpha1",
    kind = "HealthCheckPolicy",
    plural = "healthcheckpolicies",
    singular = "healthcheckpolicy",
    shortname = "hcp",
    category = "gpuhealth",
    status = "HealthCheckPolicyStatus",
    derive = "PartialEq",
    doc = "HealthCheckPolicy holds the standing orders for some nodes: what is monitored, what a finding leads to, and how many nodes may be out of use at once. The default mode is Observe: nothing is marked.",
    printcolumn(name = "Mode", type_ = "string", json_path = ".spec.mode", description = "Observe, Hold or Enforce."),
    printcolumn(
        name = "Matched",
        type_ = "integer",
        json_path = ".status.matched",
        description = "How many nodes it governs."
    ),
    printcolumn(
        name = "Healthy",
        type_ = "integer",
        json_path = ".status.healthy",
        description = "How many of them are healthy."
    ),
    printcolumn(
        name = "Quarantined",
        type_ = "integer",
        json_path = ".status.quarantined",
        description = "How many of them are quarantined."
    ),
    printcolumn(
        name = "Waiting",
        type_ = "integer",
        json_path = ".status.waiting",
        description = "How many of them wait for budget."
    ),
    printcolumn(
        name = "Used",
        type_ = "integer",
        json_path = ".status.budget.used",
        description = "How many nodes are out of use."
    ),
    printcolumn(
        name = "Limit",
        type_ = "integer",
        json_path = ".status.budget.limit",
        description = "How many nodes may be out of use."
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp",
        description = "When it was created."
    )
)]
#[serde(rename_all = "camelCase")]
pub struct HealthCheckPolicySpec {
    /// Selects the nodes by their labels; an empty selector selects every accelerator node.
    #[serde(default)]
    pub node_selector: Selector,
    /// Among the policies that select a node the one with the highest priority number wins, then the oldest.
    #[serde(default)]
    #[schemars(range(min = -1_000_000, max = 1_000_000))]
    pub priority: i64,
    /// Whether marks are set.
    #[serde(default)]
    pub mode: Mode,
    /// Which monitors run; one that is not listed runs with its defaults.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 24), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub monitors: Vec<PolicyMonitor>,
    /// Tests that are made again and again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub schedules: Vec<Schedule>,
    /// What findings lead to; the first rule that matches counts. Without rules, Fail at Reset or above quarantines at once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub rules: Vec<Rule>,
    /// The start-up gate for new and rebooted nodes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<Gate>,
    /// How many nodes may be out of use at once; default 10 percent, at least one node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<Budget>,
    /// When the same reason on many nodes is taken for a storm, which suspends new quarantines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storm: Option<StormRule>,
    /// Levels that certify a node, and for how long.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 4), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["level"]))]
    pub certify: Vec<Certify>,
    /// Whether drills are allowed on these nodes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drills: Option<Drills>,
    /// How long after a boot the checks driver, inventory and fabric say nothing, in seconds; default 600.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 86400))]
    pub boot_grace_seconds: Option<i64>,
    /// Which marks are set; default nodeCondition, labels, taints and annotation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outputs: Option<Outputs>,
    /// Lifts every mark of these nodes that a former policy left; the text is the reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub release_all: Option<String>,
}

/// Whether a policy sets marks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Mode {
    /// Judge and report; mark nothing.
    #[default]
    Observe,
    /// Freeze: no new mark, none lifted.
    Hold,
    /// Set and lift marks.
    Enforce,
}

/// How a policy sets one monitor.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PolicyMonitor {
    /// The name of the check.
    #[schemars(length(min = 1, max = 32))]
    pub name: String,
    /// Whether it runs; default true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// How often it looks, in seconds; default 60.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 86400))]
    pub interval_seconds: Option<i64>,
    /// Thresholds by name, as numbers in the unit that the name gives; the page of the check lists them.
    #[serde(default, skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 16), with = "std::collections::BTreeMap<String, Threshold>")]
    pub thresholds: std::collections::BTreeMap<String, i64>,
}

/// A threshold.
#[derive(JsonSchema)]
#[schemars(inline)]
#[allow(dead_code)]
struct Threshold(#[schemars(range(min = 0, max = 9_007_199_254_740_991_i64))] i64);

/// A test that is made again and again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "has(self.checks) != has(self.level)",
    "message": "exactly one of checks and level is needed in each schedule, for example level: basic"
}]))]
#[serde(rename_all = "camelCase")]
pub struct Schedule {
    /// The name of the schedule; the runs it creates begin with it.
    #[schemars(length(min = 1, max = 40), regex(pattern = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"))]
    pub name: String,
    /// When, as five fields of cron.
    #[schemars(length(min = 9, max = 128))]
    pub cron: String,
    /// The time zone of `cron`, for example `Europe/Berlin`; default UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub time_zone: Option<String>,
    /// The checks of its runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"], "x-kubernetes-validations" = crate::check::total_rules()))]
    pub checks: Option<Vec<CheckSpec>>,
    /// The level of its runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub level: Option<String>,
    /// Whether only idle nodes are tested; default true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub only_idle: Option<bool>,
    /// How many nodes one run tests at most, as a number of nodes; those tested longest ago come first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub max_nodes: Option<i64>,
}

/// The start-up gate.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Gate {
    /// The level that must pass before the taint gpuhealth.dev/uncertified is removed.
    #[schemars(length(min = 1, max = 63))]
    pub level: String,
    /// How long the gate waits, in seconds; default 1800.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 86400))]
    pub timeout_seconds: Option<i64>,
    /// What happens then; default Open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_timeout: Option<OnTimeout>,
}

/// What a gate does when its time is over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OnTimeout {
    /// The node may work.
    #[default]
    Open,
    /// The node stays shut.
    Closed,
}

/// How many nodes may be out of use at once. The lower of number and percentage counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Budget {
    /// The highest number of nodes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100_000))]
    pub max_unavailable: Option<i64>,
    /// The highest share of the nodes, in percent, rounded down; default 10.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100))]
    pub max_unavailable_percent: Option<i64>,
    /// The limit is never below this number of nodes; default 1, may be 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1000))]
    pub minimum: Option<i64>,
    /// A label key; the same limit is computed again over the nodes of each of its values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 316))]
    pub topology_key: Option<String>,
}

/// When the same reason on many nodes is taken for a storm.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StormRule {
    /// How many nodes, as a number of nodes; default 5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 2, max = 100_000))]
    pub nodes: Option<i64>,
    /// Within how many seconds; default 300.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 86400))]
    pub within_seconds: Option<i64>,
    /// How long it must be quiet until the storm is over, in seconds; default 1800.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 604_800))]
    pub quiet_seconds: Option<i64>,
    /// A storm that began before this time is acknowledged: quarantines go on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acknowledge: Option<Time>,
}

/// A level that certifies a node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Certify {
    /// The name of the level.
    #[schemars(length(min = 1, max = 63))]
    pub level: String,
    /// How long it is worth something, in seconds.
    #[schemars(range(min = 60, max = 31_536_000))]
    pub valid_seconds: i64,
}

/// Whether drills are allowed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Drills {
    /// Whether drills are allowed; default false.
    #[serde(default)]
    pub allow: bool,
    /// On how many nodes at once, as a number of nodes; default 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub max_nodes: Option<i64>,
}

/// Which marks are set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Outputs {
    /// The Node condition GPUHealthy; default true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_condition: Option<bool>,
    /// The labels gpuhealth.dev/health and gpuhealth.dev/severity; default true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<bool>,
    /// The taint gpuhealth.dev/unhealthy; default true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taints: Option<bool>,
    /// The annotation gpuhealth.dev/summary; default true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotation: Option<bool>,
    /// Labels, taints and annotations of IBM Autopilot; default false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub autopilot: Option<bool>,
    /// Labels, taints and annotations of the AWS suite; default false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aws: Option<bool>,
    /// The label of AMD's health service; default false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amd: Option<bool>,
    /// The Node condition AcceleratedHardwareReady of Karpenter and EKS; default false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accelerated_hardware_ready: Option<bool>,
    /// Device taints of DRA; default false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_taints: Option<bool>,
    /// A condition on pods that request GPUs; default false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_condition: Option<bool>,
}
