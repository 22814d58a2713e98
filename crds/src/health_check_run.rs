//! `HealthCheckRun`: a test, once.

use crate::{CheckSpec, Condition, Outcome, Scale, Selector, Severity, Time, string_enum::string_enum};
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The highest number of targets of one run; above it the run is Rejected/TooMany.
pub const MAX_TARGETS: usize = 1_000;
/// The longest list of worst findings in a run's status.
pub const MAX_WORST: usize = 50;
/// The longest list of worst edges in a run's status.
pub const MAX_EDGES: usize = 200;
/// `deadlineSeconds` where a run does not say.
pub const DEFAULT_DEADLINE_SECONDS: i64 = 7_200;

/// A test of some nodes, once: which nodes, which checks, how many at a time.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
    doc = "HealthCheckRun asks for a test of some nodes, once. Wait for it with `kubectl wait --for=condition=Complete hcr/NAME`: the condition becomes True in every end, also Rejected.",
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase", description = "Where the run stands."),
    printcolumn(
        name = "Nodes",
        type_ = "integer",
        json_path = ".status.counts.total",
        description = "How many nodes it tests."
    ),
    printcolumn(
        name = "Passed",
        type_ = "integer",
        json_path = ".status.counts.passed",
        description = "How many nodes passed."
    ),
    printcolumn(
        name = "Failed",
        type_ = "integer",
        json_path = ".status.counts.failed",
        description = "How many nodes failed."
    ),
    printcolumn(
        name = "Inconclusive",
        type_ = "integer",
        json_path = ".status.counts.inconclusive",
        description = "How many nodes could not be judged."
    ),
    printcolumn(
        name = "Waiting",
        type_ = "integer",
        json_path = ".status.counts.waiting",
        description = "How many nodes wait for their turn."
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp",
        description = "When it was created."
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.summary.reason",
        description = "Why it stands there.",
        priority = 1
    ),
    printcolumn(
        name = "Deadline",
        type_ = "string",
        json_path = ".status.summary.deadline",
        description = "When it ends at the latest.",
        priority = 1
    )
)]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "self.targets == oldSelf.targets", "fieldPath": ".targets", "reason": "FieldValueForbidden",
     "message": "targets cannot be changed: create another HealthCheckRun"},
    {"rule": "has(self.checks) != has(self.level)",
     "message": "exactly one of checks and level is needed, for example level: basic"},
    {"rule": "has(self.checks) == has(oldSelf.checks) && (!has(self.checks) || self.checks == oldSelf.checks)", "fieldPath": ".checks", "reason": "FieldValueForbidden",
     "message": "checks cannot be changed: create another HealthCheckRun"},
    {"rule": "has(self.level) == has(oldSelf.level) && (!has(self.level) || self.level == oldSelf.level)", "fieldPath": ".level", "reason": "FieldValueForbidden",
     "message": "level cannot be changed: create another HealthCheckRun"},
    {"rule": "has(self.maxConcurrent) == has(oldSelf.maxConcurrent) && (!has(self.maxConcurrent) || self.maxConcurrent == oldSelf.maxConcurrent)", "fieldPath": ".maxConcurrent", "reason": "FieldValueForbidden",
     "message": "maxConcurrent cannot be changed: create another HealthCheckRun"},
    {"rule": "self.whenBusy == oldSelf.whenBusy", "fieldPath": ".whenBusy", "reason": "FieldValueForbidden",
     "message": "whenBusy cannot be changed: create another HealthCheckRun"},
    {"rule": "self.deadlineSeconds == oldSelf.deadlineSeconds", "fieldPath": ".deadlineSeconds", "reason": "FieldValueForbidden",
     "message": "deadlineSeconds cannot be changed: create another HealthCheckRun"},
    {"rule": "has(self.ttlSecondsAfterFinished) == has(oldSelf.ttlSecondsAfterFinished) && (!has(self.ttlSecondsAfterFinished) || self.ttlSecondsAfterFinished == oldSelf.ttlSecondsAfterFinished)", "fieldPath": ".ttlSecondsAfterFinished", "reason": "FieldValueForbidden",
     "message": "ttlSecondsAfterFinished cannot be changed: create another HealthCheckRun"},
    {"rule": "self.cancel == oldSelf.cancel || self.cancel", "fieldPath": ".cancel", "reason": "FieldValueForbidden",
     "message": "cancel cannot be taken back: create another HealthCheckRun"}
]))]
#[serde(rename_all = "camelCase")]
pub struct HealthCheckRunSpec {
    /// The nodes to test; frozen when the run starts.
    pub targets: Targets,
    /// The checks to run on each node, in this order; exactly one of `checks` and `level` is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"], "x-kubernetes-validations" = crate::check::total_rules()))]
    pub checks: Option<Vec<CheckSpec>>,
    /// A named list of checks: `basic`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z][a-z0-9-]*$"))]
    pub level: Option<String>,
    /// How many nodes are tested at once, as a number of nodes or a percentage of the targets; default all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_concurrent: Option<Scale>,
    /// What to do with a node that is busy: wait for it, or skip it.
    #[serde(default)]
    pub when_busy: WhenBusy,
    /// How long the whole run may take, in seconds; what is left then is Inconclusive.
    #[serde(default = "default_deadline")]
    #[schemars(range(min = 1, max = 604_800))]
    pub deadline_seconds: i64,
    /// How long the object stays after its end, in seconds; without it the object stays. Leave it out where GitOps owns the object, which would create it again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 31_536_000))]
    pub ttl_seconds_after_finished: Option<i64>,
    /// Set to true to end the run early; cannot be taken back.
    #[serde(default)]
    pub cancel: bool,
}

const fn default_deadline() -> i64 {
    DEFAULT_DEADLINE_SECONDS
}

impl HealthCheckRunSpec {
    /// The checks that are asked for, a level resolved; `None` if there are none, both are given, or the level is unknown.
    pub fn resolved_checks(&self) -> Option<Vec<CheckSpec>> {
        match (&self.checks, &self.level) {
            (Some(checks), None) if !checks.is_empty() => Some(checks.clone()),
            (None, Some(level)) => crate::level::checks_of(level),
            _ => None,
        }
    }

    /// Whether any of the checks needs several nodes at once.
    pub fn has_group_check(&self) -> bool {
        self.resolved_checks()
            .unwrap_or_default()
            .iter()
            .any(|c| c.kind().is_some_and(|k| k.class() == crate::check::Class::Group))
    }
}

/// The nodes of a run: by selector, or by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "has(self.nodeSelector) != has(self.nodeNames)",
    "message": "exactly one of targets.nodeSelector and targets.nodeNames is needed; nodeSelector: {} selects every accelerator node"
}]))]
#[serde(rename_all = "camelCase")]
pub struct Targets {
    /// Selects nodes by their labels; an empty selector selects every accelerator node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_selector: Option<Selector>,
    /// The names of the nodes; 63 characters each, because a kubelet registers no node whose hostname label is longer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1000), inner(length(min = 1, max = 63)), extend("x-kubernetes-list-type" = "set"))]
    pub node_names: Option<Vec<String>>,
}

/// What a run does with a node that is busy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum WhenBusy {
    /// Wait until it is idle, at most until the deadline.
    #[default]
    Wait,
    /// Skip it.
    Skip,
}

string_enum! {
    /// Where a run stands.
    Phase {
        /// Not started.
        Pending,
        /// Started; every node that is left is busy or not reporting.
        WaitingForIdle,
        /// At work.
        Running,
        /// Every target passed, warned or was skipped, and at least one was judged.
        Passed,
        /// At least one target failed.
        Failed,
        /// No target failed, and some could not be judged.
        Inconclusive,
        /// Cancelled.
        Cancelled,
        /// Refused, with a reason; nothing was tested.
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
    /// Where one target of a run stands.
    TargetState {
        /// Not admitted yet.
        Pending,
        /// Waiting for the node: busy, not reporting, or under maintenance.
        Waiting,
        /// The work order is in the NodeHealth.
        Assigned,
        /// The agent is at work.
        Running,
        /// Ended.
        Done,
    } default Pending
}

/// What the operator knows about a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HealthCheckRunStatus {
    /// The generation of the spec that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 9_007_199_254_740_991_i64))]
    pub observed_generation: Option<i64>,
    /// Where the run stands.
    #[serde(default)]
    pub phase: Phase,
    /// When the targets were frozen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_time: Option<Time>,
    /// When the run ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completion_time: Option<Time>,
    /// How many nodes stand where.
    #[serde(default)]
    pub counts: Counts,
    /// The frozen targets; the list never changes after the start, only what is known about each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1000))]
    pub targets: Vec<Target>,
    /// The worst findings, worst first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    pub worst: Vec<WorstFinding>,
    /// What the checks between nodes found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<Network>,
    /// Texts for the columns of kubectl.
    #[serde(default)]
    pub summary: RunSummary,
    /// Accepted, Complete, Passed, Ready, Reconciling, Stalled.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

/// How many nodes of a run stand where.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    /// The number of all targets, in nodes.
    #[schemars(range(min = 0, max = 1000))]
    pub total: i64,
    /// The number of nodes that are not admitted yet.
    #[schemars(range(min = 0, max = 1000))]
    pub pending: i64,
    /// The number of nodes that wait to become idle or to report.
    #[schemars(range(min = 0, max = 1000))]
    pub waiting: i64,
    /// The number of nodes at work.
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
    /// The name of the node.
    #[schemars(length(min = 1, max = 253))]
    pub node: String,
    /// The uid of the Node when the targets were frozen; empty if there was no such Node.
    #[serde(default)]
    #[schemars(length(max = 64))]
    pub uid: String,
    /// Where it stands.
    #[serde(default)]
    pub state: TargetState,
    /// How it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub reason: Option<String>,
    /// The number of the attempt; the work order's id is `<run uid>/<attempt>`. Counts from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 16))]
    pub attempt: Option<i64>,
    /// When the state was reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,
}

/// One of the worst findings of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorstFinding {
    /// The name of the node.
    #[schemars(length(min = 1, max = 253))]
    pub node: String,
    /// The check.
    #[schemars(length(max = 80))]
    pub check: String,
    /// The PCI address, link, port or `node`.
    #[schemars(length(max = 64))]
    pub target: String,
    /// The outcome.
    pub outcome: Outcome,
    /// The severity.
    #[serde(default)]
    pub severity: Severity,
    /// Why, as one word.
    #[schemars(length(max = 63))]
    pub reason: String,
    /// Why, as a sentence.
    #[serde(default)]
    #[schemars(length(max = 256))]
    pub message: String,
}

/// What the checks between nodes found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Network {
    /// Nodes that many of their edges speak against.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50), inner(length(max = 253)))]
    pub suspects: Vec<String>,
    /// The slowest or failed edges, worst first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 200))]
    pub edges: Vec<NetworkEdge>,
    /// The number of edges that were measured, in edges.
    #[serde(default)]
    #[schemars(range(min = 0, max = 32_000))]
    pub measured: i64,
    /// The lowest rate, in megabits per second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100_000_000))]
    pub min_mbps: Option<i64>,
    /// The mean rate, in megabits per second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100_000_000))]
    pub mean_mbps: Option<i64>,
    /// The highest rate, in megabits per second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100_000_000))]
    pub max_mbps: Option<i64>,
    /// The sum of all rates, in megabits per second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100_000_000_000_i64))]
    pub aggregate_mbps: Option<i64>,
}

/// One tested pair.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NetworkEdge {
    /// The node that sent.
    #[schemars(length(max = 253))]
    pub from: String,
    /// The node that received.
    #[schemars(length(max = 253))]
    pub to: String,
    /// The rate, in megabits per second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100_000_000))]
    pub mbps: Option<i64>,
    /// The outcome.
    pub outcome: Outcome,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub reason: Option<String>,
}

/// Texts for the columns of kubectl.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunSummary {
    /// Why the run stands where it stands, as one word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub reason: Option<String>,
    /// The same as a sentence, with the remedy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    pub message: Option<String>,
    /// When the run ends at the latest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Time>,
}
