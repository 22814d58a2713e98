//! `NodeHealthPolicy`: what to monitor on a set of nodes, and what findings lead to.

mod rules;
mod status;

pub use rules::*;
pub use status::*;

use crate::{CheckSpec, Selector, Time};
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Maximum number of claims of one policy.
pub const MAX_CLAIMS: usize = 1_000;
/// Default of `bootGraceSeconds`.
pub const DEFAULT_BOOT_GRACE_SECONDS: i64 = 600;
/// Default of `budget.maxUnavailablePercent` in a policy that also does not set `budget.maxUnavailable`.
pub const DEFAULT_MAX_UNAVAILABLE_PERCENT: i64 = 10;
/// Default of `budget.minimum`.
pub const DEFAULT_BUDGET_MINIMUM: i64 = 1;

/// What to monitor on a set of nodes, what findings lead to, and how many nodes may be unavailable at once.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "gpuhealth.dev",
    version = "v1alpha1",
    kind = "NodeHealthPolicy",
    plural = "nodehealthpolicies",
    singular = "nodehealthpolicy",
    shortname = "nhp",
    category = "gpuhealth",
    status = "NodeHealthPolicyStatus",
    derive = "PartialEq",
    doc = "NodeHealthPolicy sets, for the nodes it selects, what is monitored, what findings lead to, and how many nodes may be unavailable at once. The default mode, Observe, marks no node.",
    printcolumn(name = "Mode", type_ = "string", json_path = ".spec.mode", description = "Observe, Hold or Enforce."),
    printcolumn(
        name = "Matched",
        type_ = "integer",
        json_path = ".status.matched",
        description = "Number of nodes that the policy governs."
    ),
    printcolumn(
        name = "Healthy",
        type_ = "integer",
        json_path = ".status.healthy",
        description = "Number of healthy nodes."
    ),
    printcolumn(
        name = "Unhealthy",
        type_ = "integer",
        json_path = ".status.unhealthy",
        description = "Number of unhealthy nodes."
    ),
    printcolumn(
        name = "Waiting",
        type_ = "integer",
        json_path = ".status.waiting",
        description = "Number of nodes waiting for budget."
    ),
    printcolumn(
        name = "Used",
        type_ = "integer",
        json_path = ".status.budget.used",
        description = "Number of unavailable nodes."
    ),
    printcolumn(
        name = "Limit",
        type_ = "integer",
        json_path = ".status.budget.limit",
        description = "Maximum number of unavailable nodes."
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp",
        description = "Time since creation."
    )
)]
#[serde(rename_all = "camelCase")]
pub struct NodeHealthPolicySpec {
    /// Selects nodes by label. An empty selector selects every accelerator node.
    #[serde(default)]
    pub node_selector: Selector,
    /// If several policies select a node, the one with the highest priority number wins, then the oldest.
    #[serde(default)]
    #[schemars(range(min = -1_000_000, max = 1_000_000))]
    pub priority: i64,
    /// Whether nodes are marked: Observe, Hold or Enforce.
    #[serde(default)]
    pub mode: Mode,
    /// Settings of monitors. A monitor that is not listed runs with its defaults.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 24), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub monitors: Vec<PolicyMonitor>,
    /// Recurring tests.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub schedules: Vec<Schedule>,
    /// What findings lead to. The first matching rule applies. Without rules, a Fail of severity Reset or above quarantines the node at once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub rules: Vec<Rule>,
    /// Start-up gate for new and rebooted nodes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<Gate>,
    /// How many nodes may be unavailable at once. Default: 10 percent, but at least one node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<Budget>,
    /// When the same reason on many nodes counts as a storm. A storm suspends new quarantines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storm: Option<StormRule>,
    /// Levels that certify a node, and how long each certification is valid.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 4), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["level"]))]
    pub certify: Vec<Certify>,
    /// Whether drills are allowed on these nodes, and on how many at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drills: Option<Drills>,
    /// How long after a boot the checks driver, inventory and fabric are skipped, in seconds. Default: 600.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 86400))]
    pub boot_grace_seconds: Option<i64>,
    /// Whether faults that a kernel log shows from before the agent first ran on that boot condemn at once. Default: false; then the present state of the GPU decides (recovery action, NVML, PCI), and what it cannot tell is a warning with the age of the fault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub condemn_old_log: Option<bool>,
    /// Which marks are set. Default: nodeCondition, labels, taints and annotation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outputs: Option<Outputs>,
    /// Works only in mode Observe: removes all marks that an earlier policy or mode left on these nodes, even while their causes are open. Has no effect in mode Enforce or Hold, or while the operator runs with `--hold-everything`. The text tells people why; the operator only checks that it is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub release_all: Option<String>,
}

/// Whether a policy marks nodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Mode {
    /// Judge and report, but do not mark nodes.
    #[default]
    Observe,
    /// Freeze all marks: none is added, none is removed.
    Hold,
    /// Add and remove marks.
    Enforce,
}

/// Settings of one monitor.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PolicyMonitor {
    /// Name of the check.
    #[schemars(length(min = 1, max = 32))]
    pub name: String,
    /// Whether the monitor runs. Default: true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Interval between readings, in seconds. Default: 60.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 86400))]
    pub interval_seconds: Option<i64>,
    /// Thresholds by name, in the unit that the name gives. The check's documentation page lists them.
    #[serde(default, skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 16), with = "std::collections::BTreeMap<String, Threshold>")]
    pub thresholds: std::collections::BTreeMap<String, i64>,
}

/// A threshold.
#[derive(JsonSchema)]
#[schemars(inline)]
#[allow(dead_code)]
struct Threshold(#[schemars(range(min = 0, max = 9_007_199_254_740_991_i64))] i64);

/// A recurring test.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "has(self.checks) != has(self.level)",
    "message": "exactly one of checks and level is needed in each schedule, for example level: basic"
}]))]
#[serde(rename_all = "camelCase")]
pub struct Schedule {
    /// Name of the schedule, used as the prefix of the names of its runs.
    #[schemars(length(min = 1, max = 40), regex(pattern = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"))]
    pub name: String,
    /// Cron expression with five fields.
    #[schemars(length(min = 9, max = 128))]
    pub cron: String,
    /// Time zone of `cron`, for example `Europe/Berlin`. Default: UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub time_zone: Option<String>,
    /// Checks of the runs. Exactly one of `checks` and `level` is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"], "x-kubernetes-validations" = crate::check::total_rules()))]
    pub checks: Option<Vec<CheckSpec>>,
    /// Level of the runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub level: Option<String>,
    /// Whether only idle nodes are tested. Default: true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub only_idle: Option<bool>,
    /// Maximum number of nodes per run. Nodes tested longest ago come first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub max_nodes: Option<i64>,
}

/// Start-up gate.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Gate {
    /// Level that must pass before the taint gpuhealth.dev/uncertified is removed.
    #[schemars(length(min = 1, max = 63))]
    pub level: String,
    /// How long the gate waits for a pass, in seconds. Default: 1800.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 86400))]
    pub timeout_seconds: Option<i64>,
    /// What happens after the timeout. Default: Open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_timeout: Option<OnTimeout>,
}

/// What the gate does after its timeout. Default: Open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OnTimeout {
    /// The taint is removed.
    #[default]
    Open,
    /// The taint stays.
    Closed,
}

/// How many nodes may be unavailable at once. If a number and a percentage are set, the lower limit applies.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Budget {
    /// Maximum number of nodes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100_000))]
    pub max_unavailable: Option<i64>,
    /// Maximum share of the nodes, in percent, rounded down. Default: 10, if maxUnavailable is not set either.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100))]
    pub max_unavailable_percent: Option<i64>,
    /// Lower bound of the limit, as a number of nodes. Default: 1. May be 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1000))]
    pub minimum: Option<i64>,
    /// Label key of a failure domain, for example a rack. The limit also applies to the nodes of each value of this label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 316))]
    pub topology_key: Option<String>,
}

/// When the same reason on many nodes counts as a storm.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StormRule {
    /// Minimum number of nodes. Default: 5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 2, max = 100_000))]
    pub nodes: Option<i64>,
    /// Time window, in seconds. Default: 300.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 86400))]
    pub within_seconds: Option<i64>,
    /// How long no further node may fail before the storm is over, in seconds. Default: 1800.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 604_800))]
    pub quiet_seconds: Option<i64>,
    /// Acknowledges every storm that began before this time: quarantines resume.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acknowledge: Option<Time>,
}

/// A level that certifies a node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Certify {
    /// Name of the level.
    #[schemars(length(min = 1, max = 63))]
    pub level: String,
    /// How long the certification is valid, in seconds.
    #[schemars(range(min = 60, max = 31_536_000))]
    pub valid_seconds: i64,
}

/// Whether drills are allowed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Drills {
    /// Whether drills are allowed. Default: false.
    #[serde(default)]
    pub allow: bool,
    /// Maximum number of nodes with a drill at once. Default: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub max_nodes: Option<i64>,
}

/// Which marks are set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Outputs {
    /// Node condition GPUHealthy. Default: true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_condition: Option<bool>,
    /// Labels gpuhealth.dev/health and gpuhealth.dev/severity. Default: true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<bool>,
    /// Taint gpuhealth.dev/unhealthy. Default: true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taints: Option<bool>,
    /// Annotation gpuhealth.dev/summary. Default: true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotation: Option<bool>,
    /// Labels, taints and annotations of IBM Autopilot. Default: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub autopilot: Option<bool>,
    /// Labels, taints and annotations of the AWS GPU cluster health check suite. Default: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aws: Option<bool>,
    /// Label of AMD's health service. Default: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amd: Option<bool>,
    /// Node condition AcceleratedHardwareReady, as read by Karpenter and EKS. Default: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accelerated_hardware_ready: Option<bool>,
    /// DRA device taints. Default: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_taints: Option<bool>,
    /// A condition on pods that request GPUs. Default: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_condition: Option<bool>,
}
