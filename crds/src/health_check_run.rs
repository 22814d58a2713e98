//! `HealthCheckRun`: one test of a set of nodes.

mod network;

pub use network::{MAX_EDGES, Network, NetworkEdge, NetworkSummary, Suspect, SuspectKind};

use crate::{CheckSpec, Condition, Outcome, Scale, Selector, Severity, Time, string_enum::string_enum};
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Maximum number of targets of one run. A larger run ends as Rejected/TooMany.
pub const MAX_TARGETS: usize = 1_000;
/// Maximum number of findings in a run's status.
pub const MAX_WORST: usize = 50;
/// Default of `deadlineSeconds`.
pub const DEFAULT_DEADLINE_SECONDS: i64 = 7_200;

/// One test of a set of nodes: which nodes, which checks, how many nodes at a time.
#[derive(CustomResource, Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "gpuhealth.dev",
    version = "v1alpha1",
    kind = "HealthCheckRun",
    plural = "healthcheckruns",
    singular = "healthcheckrun",
    shortname = "hcr",
    category = "gpuhealth",
    status = "HealthCheckRunStatus",
    derive = "PartialEq",
    doc = "HealthCheckRun tests a set of nodes once. Wait for the end with `kubectl wait --for=condition=Complete hcr/NAME`: Complete becomes True however the run ends, even if it is Rejected.",
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase", description = "Phase of the run."),
    printcolumn(
        name = "Nodes",
        type_ = "integer",
        json_path = ".status.counts.total",
        description = "Number of nodes to test."
    ),
    printcolumn(
        name = "Passed",
        type_ = "integer",
        json_path = ".status.counts.passed",
        description = "Number of nodes that passed."
    ),
    printcolumn(
        name = "Warned",
        type_ = "integer",
        json_path = ".status.counts.warned",
        description = "Number of nodes that passed with a warning."
    ),
    printcolumn(
        name = "Failed",
        type_ = "integer",
        json_path = ".status.counts.failed",
        description = "Number of nodes that failed."
    ),
    printcolumn(
        name = "Inconclusive",
        type_ = "integer",
        json_path = ".status.counts.inconclusive",
        description = "Number of nodes that could not be judged."
    ),
    printcolumn(
        name = "Skipped",
        type_ = "integer",
        json_path = ".status.counts.skipped",
        description = "Number of nodes that were not tested."
    ),
    printcolumn(
        name = "Waiting",
        type_ = "integer",
        json_path = ".status.counts.waiting",
        description = "Number of nodes that are busy or not reporting."
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp",
        description = "Time since creation."
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.summary.reason",
        description = "Reason for the phase.",
        priority = 1
    ),
    printcolumn(
        name = "Deadline",
        type_ = "string",
        json_path = ".status.summary.deadline",
        description = "When the run ends at the latest.",
        priority = 1
    )
)]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "self.targets == oldSelf.targets", "fieldPath": ".targets", "reason": "FieldValueForbidden",
     "message": "targets is immutable: create a new HealthCheckRun"},
    {"rule": "has(self.checks) != has(self.level)",
     "message": "exactly one of checks and level is needed, for example level: basic"},
    {"rule": "has(self.checks) == has(oldSelf.checks) && (!has(self.checks) || self.checks == oldSelf.checks)", "fieldPath": ".checks", "reason": "FieldValueForbidden",
     "message": "checks is immutable: create a new HealthCheckRun"},
    {"rule": "has(self.level) == has(oldSelf.level) && (!has(self.level) || self.level == oldSelf.level)", "fieldPath": ".level", "reason": "FieldValueForbidden",
     "message": "level is immutable: create a new HealthCheckRun"},
    {"rule": "self.whenBusy == oldSelf.whenBusy", "fieldPath": ".whenBusy", "reason": "FieldValueForbidden",
     "message": "whenBusy is immutable: create a new HealthCheckRun"},
    {"rule": "self.deadlineSeconds == oldSelf.deadlineSeconds", "fieldPath": ".deadlineSeconds", "reason": "FieldValueForbidden",
     "message": "deadlineSeconds is immutable: create a new HealthCheckRun"},
    {"rule": "has(self.limit) == has(oldSelf.limit) && (!has(self.limit) || self.limit == oldSelf.limit)", "fieldPath": ".limit", "reason": "FieldValueForbidden",
     "message": "limit is immutable: create a new HealthCheckRun"},
    {"rule": "has(self.exclude) == has(oldSelf.exclude) && (!has(self.exclude) || self.exclude == oldSelf.exclude)", "fieldPath": ".exclude", "reason": "FieldValueForbidden",
     "message": "exclude is immutable: create a new HealthCheckRun"},
    {"rule": "has(self.failFast) == has(oldSelf.failFast) && (!has(self.failFast) || self.failFast == oldSelf.failFast)", "fieldPath": ".failFast", "reason": "FieldValueForbidden",
     "message": "failFast is immutable: create a new HealthCheckRun"},
    {"rule": "self.reportOnly == oldSelf.reportOnly", "fieldPath": ".reportOnly", "reason": "FieldValueForbidden",
     "message": "reportOnly is immutable: create a new HealthCheckRun"},
    {"rule": "self.cancel == oldSelf.cancel || self.cancel", "fieldPath": ".cancel", "reason": "FieldValueForbidden",
     "message": "cancel cannot be undone: create a new HealthCheckRun"}
]))]
#[serde(rename_all = "camelCase")]
pub struct HealthCheckRunSpec {
    /// The nodes to test. The list is frozen when the run starts.
    pub targets: Targets,
    /// Checks to run on each node, in this order; neighbours that only read state run together. Exactly one of `checks` and `level` is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"], "x-kubernetes-validations" = crate::check::total_rules()))]
    pub checks: Option<Vec<CheckSpec>>,
    /// A named list of checks. This version has one: `basic`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z][a-z0-9-]*$"))]
    pub level: Option<String>,
    /// Names of nodes that are not tested although `targets` matches them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256), inner(length(min = 1, max = 63)), extend("x-kubernetes-list-type" = "set"))]
    pub exclude: Option<Vec<String>>,
    /// The number of nodes to test: of all that match, those whose last test by a run is longest ago. Default: all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub limit: Option<i64>,
    /// How many nodes to test at once, as a number of nodes or a percentage of the targets. May be changed. Nodes of a check between nodes start together, whatever it says.
    #[serde(default = "default_max_concurrent")]
    pub max_concurrent: Scale,
    /// The number of failed nodes after which no other node is admitted: those not yet admitted are Skipped. Default: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub fail_fast: Option<i64>,
    /// Whether to wait for a busy node or to skip it.
    #[serde(default)]
    pub when_busy: WhenBusy,
    /// Set to true to start nothing more; what runs goes on to its end. May be changed. The deadline goes on from the start of the run.
    #[serde(default)]
    pub suspend: bool,
    /// Set to true to only report the results: they neither quarantine a node nor lift anything.
    #[serde(default)]
    pub report_only: bool,
    /// How long the whole run may take, in seconds. Nodes not finished by then are Inconclusive.
    #[serde(default = "default_deadline")]
    #[schemars(range(min = 1, max = 604_800))]
    pub deadline_seconds: i64,
    /// How long to keep the object after the run ended, in seconds. Default: forever. May be changed. Do not set it on a run managed by GitOps, which would create the run again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 31_536_000))]
    pub ttl_seconds_after_finished: Option<i64>,
    /// Set to true to end the run early. Cannot be undone.
    #[serde(default)]
    pub cancel: bool,
}

const fn default_deadline() -> i64 {
    DEFAULT_DEADLINE_SECONDS
}

/// All at once.
const fn default_max_concurrent() -> Scale {
    Scale::Percent(100)
}

impl Default for HealthCheckRunSpec {
    fn default() -> Self {
        Self {
            targets: Targets::default(),
            checks: None,
            level: None,
            exclude: None,
            limit: None,
            max_concurrent: default_max_concurrent(),
            fail_fast: None,
            when_busy: WhenBusy::default(),
            suspend: false,
            report_only: false,
            deadline_seconds: DEFAULT_DEADLINE_SECONDS,
            ttl_seconds_after_finished: None,
            cancel: false,
        }
    }
}

impl HealthCheckRunSpec {
    /// The checks to run, with `level` resolved. `None` if there are none, if both are set, or if the level is unknown.
    pub fn resolved_checks(&self) -> Option<Vec<CheckSpec>> {
        match (&self.checks, &self.level) {
            (Some(checks), None) if !checks.is_empty() => Some(checks.clone()),
            (None, Some(level)) => crate::level::checks_of(level),
            _ => None,
        }
    }

    /// Whether any check involves several nodes at once.
    pub fn has_group_check(&self) -> bool {
        self.resolved_checks()
            .unwrap_or_default()
            .iter()
            .any(|c| c.kind().is_some_and(|k| k.class() == crate::check::Class::Group))
    }
}

/// The nodes of a run, by selector or by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "has(self.nodeSelector) != has(self.nodeNames)",
    "message": "exactly one of targets.nodeSelector and targets.nodeNames is needed; use nodeSelector: {} to select every accelerator node"
}]))]
#[serde(rename_all = "camelCase")]
pub struct Targets {
    /// Selects nodes by label. An empty selector selects every accelerator node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_selector: Option<Selector>,
    /// Names of the nodes. At most 63 characters each: a kubelet does not register a node with a longer hostname label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1000), inner(length(min = 1, max = 63)), extend("x-kubernetes-list-type" = "set"))]
    pub node_names: Option<Vec<String>>,
}

/// What a run does with a busy node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum WhenBusy {
    /// Wait until the node is idle, at most until the deadline.
    #[default]
    Wait,
    /// Skip the node.
    Skip,
}

string_enum! {
    /// Phase of a run.
    Phase {
        /// Not started yet.
        Pending,
        /// Started, but all remaining nodes are busy or not reporting.
        WaitingForIdle,
        /// At least one node is being tested.
        Running,
        /// Every target ended as Pass, Warn or Skipped, and at least one was judged.
        Passed,
        /// At least one target failed.
        Failed,
        /// No target failed, but some could not be judged.
        Inconclusive,
        /// Cancelled.
        Cancelled,
        /// Rejected with a reason; nothing was tested.
        Rejected,
    } default Pending
}

impl Phase {
    /// Whether the run has ended.
    pub fn is_final(&self) -> bool {
        match self {
            Self::Pending | Self::WaitingForIdle | Self::Running | Self::Unrecognized(_) => false,
            Self::Passed | Self::Failed | Self::Inconclusive | Self::Cancelled | Self::Rejected => true,
        }
    }
}

string_enum! {
    /// State of one target of a run.
    TargetState {
        /// Not admitted yet.
        Pending,
        /// Waiting for the node: busy, not reporting, or under maintenance.
        Waiting,
        /// The work order is in the NodeHealth.
        Assigned,
        /// The agent is running the checks.
        Running,
        /// Finished.
        Done,
    } default Pending
}

/// Observed state of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HealthCheckRunStatus {
    /// The generation of the spec that this status describes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 9_007_199_254_740_991_i64))]
    pub observed_generation: Option<i64>,
    /// Phase of the run: Pending, WaitingForIdle, Running, Passed, Failed, Inconclusive, Cancelled or Rejected.
    #[serde(default)]
    pub phase: Phase,
    /// When the targets were frozen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_time: Option<Time>,
    /// When the run ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completion_time: Option<Time>,
    /// Node counts by state and outcome.
    #[serde(default)]
    pub counts: Counts,
    /// The frozen targets. After the start only their states change, never the list.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1000))]
    pub targets: Vec<Target>,
    /// The worst findings, worst first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    pub worst: Vec<WorstFinding>,
    /// Results of checks between nodes, one entry per check.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 2), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["check"]))]
    pub network: Vec<Network>,
    /// Texts for kubectl columns.
    #[serde(default)]
    pub summary: RunSummary,
    /// Conditions: Accepted, Complete, Passed, Ready, Reconciling and Stalled.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

/// Node counts of a run by state and outcome.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    /// The number of targets.
    #[schemars(range(min = 0, max = 1000))]
    pub total: i64,
    /// The number of nodes not admitted yet.
    #[schemars(range(min = 0, max = 1000))]
    pub pending: i64,
    /// The number of nodes that are busy or not reporting.
    #[schemars(range(min = 0, max = 1000))]
    pub waiting: i64,
    /// The number of nodes being tested.
    #[schemars(range(min = 0, max = 1000))]
    pub running: i64,
    /// The number of nodes that passed.
    #[schemars(range(min = 0, max = 1000))]
    pub passed: i64,
    /// The number of nodes that passed with a warning.
    #[schemars(range(min = 0, max = 1000))]
    pub warned: i64,
    /// The number of nodes that failed.
    #[schemars(range(min = 0, max = 1000))]
    pub failed: i64,
    /// The number of nodes that could not be judged.
    #[schemars(range(min = 0, max = 1000))]
    pub inconclusive: i64,
    /// The number of nodes that were skipped.
    #[schemars(range(min = 0, max = 1000))]
    pub skipped: i64,
}

/// One frozen target of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Target {
    /// Name of the node.
    #[schemars(length(min = 1, max = 253))]
    pub node: String,
    /// UID of the Node when the targets were frozen. Empty if the Node did not exist.
    #[serde(default)]
    #[schemars(length(max = 64))]
    pub uid: String,
    /// State of the target: Pending, Waiting, Assigned, Running or Done.
    #[serde(default)]
    pub state: TargetState,
    /// Worst outcome of the checks: Pass, Skipped, Inconclusive, Warn or Fail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// Machine-readable reason, one word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub reason: Option<String>,
    /// The number of the attempt, counted from 1. The work order's id is `<run uid>/<attempt>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 16))]
    pub attempt: Option<i64>,
    /// When the target entered this state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,
}

/// One of the worst findings of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorstFinding {
    /// Name of the node.
    #[schemars(length(min = 1, max = 253))]
    pub node: String,
    /// Name of the check.
    #[schemars(length(max = 80))]
    pub check: String,
    /// PCI address, link, port or `node`.
    #[schemars(length(max = 64))]
    pub target: String,
    /// Outcome: Pass, Skipped, Inconclusive, Warn or Fail.
    pub outcome: Outcome,
    /// What it takes to fix the fault: Monitor, Reset, Reboot or Isolate.
    #[serde(default)]
    pub severity: Severity,
    /// Machine-readable reason, one word.
    #[schemars(length(max = 63))]
    pub reason: String,
    /// Code of the fault, such as the number of an Xid or of a DCGM error, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub code: Option<String>,
    /// Human-readable explanation.
    #[serde(default)]
    #[schemars(length(max = 256))]
    pub message: String,
}

/// Texts for kubectl columns.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunSummary {
    /// Reason for the phase, one word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub reason: Option<String>,
    /// Human-readable explanation of the phase, and what to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    pub message: Option<String>,
    /// When the run ends at the latest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Time>,
}
