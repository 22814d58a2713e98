//! `NodeHealthPolicy`: what to monitor on a set of nodes, and what findings lead to.
//!
//! A field that this version does not act on says so in its description ("Not implemented yet."), and the condition
//! Accepted names it where a policy sets it ([`unbuilt`]).

mod budget;
mod outputs;
mod rules;
mod standing;
mod status;
mod unbuilt;

pub use budget::*;
pub use outputs::*;
pub use rules::*;
pub use standing::*;
pub use status::*;
pub use unbuilt::unbuilt;

use crate::{Selector, check::MonitorName};
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Maximum number of claims of one policy.
pub const MAX_CLAIMS: usize = 1_000;
/// Default of `bootGraceSeconds`.
pub const DEFAULT_BOOT_GRACE_SECONDS: i64 = 600;
/// Default of `monitors[].intervalSeconds`.
pub const DEFAULT_INTERVAL_SECONDS: i64 = 60;

/// What to monitor on a set of nodes, what findings lead to, and how many nodes may be unavailable at once.
#[derive(CustomResource, Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
        json_path = ".status.counts.matched",
        description = "Number of nodes that the policy governs."
    ),
    printcolumn(
        name = "Healthy",
        type_ = "integer",
        json_path = ".status.counts.healthy",
        description = "Number of healthy nodes."
    ),
    printcolumn(
        name = "Unhealthy",
        type_ = "integer",
        json_path = ".status.counts.unhealthy",
        description = "Number of unhealthy nodes."
    ),
    printcolumn(
        name = "Waiting",
        type_ = "integer",
        json_path = ".status.counts.waiting",
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
    /// Selects nodes by label, among the nodes with an accelerator. An empty selector selects all of them.
    #[serde(default)]
    pub node_selector: Selector,
    /// Whether nodes without an accelerator are selected as well. Not implemented yet.
    #[serde(default)]
    pub include_non_accelerator: bool,
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
    /// Recurring tests. Not implemented yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub schedules: Vec<Schedule>,
    /// What findings lead to. The first matching rule applies. Without rules, a Fail of severity Reset or above quarantines the node at once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub rules: Vec<Rule>,
    /// Start-up gate for new and rebooted nodes. Not implemented yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<Gate>,
    /// How many nodes may be unavailable at once.
    #[serde(default)]
    pub budget: Budget,
    /// When the same reason on many nodes counts as a storm. A storm suspends new quarantines. Not implemented yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storm: Option<StormRule>,
    /// Levels that certify a node, and how long each certification is valid. Not implemented yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 4), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["level"]))]
    pub certify: Vec<Certify>,
    /// Named lists of checks of your own, beside the shipped levels. Not implemented yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub levels: Vec<PolicyLevel>,
    /// Which custom programs may mark nodes. Not implemented yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub custom_checks: Option<CustomChecks>,
    /// Whether drills are allowed on these nodes, and on how many at once. Default: not allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drills: Option<Drills>,
    /// How long after a boot the checks driver, inventory and fabric are skipped, in seconds.
    #[serde(default = "default_boot_grace")]
    #[schemars(range(min = 0, max = 86400))]
    pub boot_grace_seconds: i64,
    /// Whether faults that a kernel log shows from before the agent first ran on that boot condemn at once. If not, the present state of the GPU decides (recovery action, NVML, PCI), and what it cannot tell is a warning with the age of the fault.
    #[serde(default)]
    pub condemn_old_log: bool,
    /// Which marks are set.
    #[serde(default)]
    pub outputs: Outputs,
    /// Works only in mode Observe: removes the marks that an earlier policy or mode left on these nodes before a point in time, even while their causes are open. Has no effect in mode Enforce or Hold, or while the operator runs with `--hold-everything`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release_all: Option<ReleaseAll>,
}

const fn default_boot_grace() -> i64 {
    DEFAULT_BOOT_GRACE_SECONDS
}

const fn default_interval() -> i64 {
    DEFAULT_INTERVAL_SECONDS
}

const fn yes() -> bool {
    true
}

impl Default for NodeHealthPolicySpec {
    fn default() -> Self {
        Self {
            node_selector: Selector::default(),
            include_non_accelerator: false,
            priority: 0,
            mode: Mode::default(),
            monitors: Vec::new(),
            schedules: Vec::new(),
            rules: Vec::new(),
            gate: None,
            budget: Budget::default(),
            storm: None,
            certify: Vec::new(),
            levels: Vec::new(),
            custom_checks: None,
            drills: None,
            boot_grace_seconds: DEFAULT_BOOT_GRACE_SECONDS,
            condemn_old_log: false,
            outputs: Outputs::default(),
            release_all: None,
        }
    }
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PolicyMonitor {
    /// Name of the monitor.
    #[schemars(with = "MonitorName")]
    pub name: String,
    /// Whether the monitor runs.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// Interval between readings, in seconds.
    #[serde(default = "default_interval")]
    #[schemars(range(min = 1, max = 86400))]
    pub interval_seconds: i64,
    /// Thresholds by name, in the unit that the name gives. Not implemented yet.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 16), with = "BTreeMap<String, Threshold>")]
    pub thresholds: BTreeMap<String, i64>,
}

impl Default for PolicyMonitor {
    fn default() -> Self {
        Self {
            name: String::new(),
            enabled: true,
            interval_seconds: DEFAULT_INTERVAL_SECONDS,
            thresholds: BTreeMap::new(),
        }
    }
}

/// A threshold.
#[derive(JsonSchema)]
#[schemars(inline)]
#[allow(dead_code)]
struct Threshold(#[schemars(range(min = 0, max = 9_007_199_254_740_991_i64))] i64);

#[cfg(test)]
mod tests;
