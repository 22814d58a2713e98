//! `NodeHealth.status.decision` and the other members that the operator writes.

use crate::{Action, Activity, Outcome, Quarantine, Severity, State, Text, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Maximum number of causes.
pub const MAX_CAUSES: usize = 24;
/// Maximum number of recorded occurrences.
pub const MAX_HISTORY: usize = 16;

/// The operator's decision about the node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Decision {
    /// Health state: Healthy, Suspect, Unhealthy, Unknown or NotApplicable.
    pub state: State,
    /// What is done about the state: None, Active (our taint keeps pods away), Waiting (for budget), DryRun (mode Observe), Held (mode Hold, or marks kept from a former policy) or Refused (the API server refuses the taint).
    #[serde(default)]
    pub quarantine: Quarantine,
    /// What the operator is currently doing with the node: None, Reserving, Checking or Maintenance.
    #[serde(default)]
    pub activity: Activity,
    /// Severity of the worst cause: None, Monitor, Reset, Reboot or Isolate.
    #[serde(default)]
    pub severity: Severity,
    /// Recommended action: None, Observe, ResetGpu, Reboot, Replace or ReturnToService.
    #[serde(default)]
    pub action: Action,
    /// When state, severity or reason last changed.
    pub since: Time,
    /// Machine-readable reason, one word.
    #[schemars(length(min = 1, max = 63))]
    pub reason: String,
    /// Human-readable explanation.
    #[serde(default)]
    #[schemars(length(max = 512))]
    pub message: String,
    /// Marks that are on the Node: taint, label, deviceTaint.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 4), inner(length(max = 32)))]
    pub held: Vec<String>,
    /// All open causes, worst first. The marks are removed once no cause is left.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 24))]
    pub causes: Vec<Cause>,
    /// When findings were received, newest last. Rules with `after` count these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub history: Vec<Occurrence>,
    /// Findings of the operator, from comparing nodes with each other.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub fleet_findings: Vec<FleetFinding>,
    /// How often the node returned to service and failed again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flaps: Option<Flaps>,
    /// Retest of the node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retest: Option<Retest>,
}

/// One open cause.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Cause {
    /// Name of the check.
    #[schemars(length(min = 1, max = 80))]
    pub check: String,
    /// PCI address, link, port or `node`.
    #[schemars(length(min = 1, max = 64))]
    pub target: String,
    /// The run that found the fault, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub run: Option<String>,
    /// Name of the policy rule that applied, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub rule: Option<String>,
    /// Warn or Fail. A Fail of severity Reset or above quarantines the node; a Warn never does.
    pub outcome: Outcome,
    /// What it takes to fix the fault: Monitor, Reset, Reboot or Isolate.
    pub severity: Severity,
    /// Machine-readable reason, one word.
    #[schemars(length(min = 1, max = 63))]
    pub reason: String,
    /// Human-readable explanation.
    #[serde(default)]
    #[schemars(length(max = 256))]
    pub message: String,
    /// When the operator received the finding.
    pub since: Time,
    /// What lifts the cause, and the progress so far.
    pub lift: Lift,
    /// Code of the fault as its source gives it, for example the number of an Xid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 32))]
    pub code: Option<String>,
    /// Serial number of the affected board, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub serial: Option<String>,
    /// Level of the check that found the fault, as a number from 1 (seconds) to 4 (hours), if it has levels. Only a pass of the same or a higher level lifts the cause.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 4))]
    pub level: Option<i64>,
}

impl Cause {
    /// Whether a drill opened this cause, so there is no real fault.
    pub fn is_drill(&self) -> bool {
        self.check == crate::Check::Drill.name()
    }

    /// Whether this cause quarantines the node.
    pub fn condemns(&self) -> bool {
        self.outcome == Outcome::Fail && self.severity.condemns()
    }
}

impl Decision {
    /// Whether a drill is in progress.
    pub fn has_drill(&self) -> bool {
        self.causes.iter().any(Cause::is_drill)
    }

    /// The state without drills. Drills run only on nodes that have been judged, so a node without other causes is
    /// Healthy.
    pub fn state_without_drills(&self) -> State {
        if !self.has_drill() {
            return self.state.clone();
        }
        let real = || self.causes.iter().filter(|cause| !cause.is_drill());
        if real().any(Cause::condemns) {
            State::Unhealthy
        } else if real().next().is_some() {
            State::Suspect
        } else {
            State::Healthy
        }
    }
}

/// What lifts a cause.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Lift {
    /// The lift rule as a sentence.
    #[schemars(length(min = 1, max = 128))]
    pub text: String,
    /// The number of passes so far.
    #[serde(default)]
    #[schemars(range(min = 0, max = 1000))]
    pub passes: i64,
    /// The number of passes required.
    #[serde(default)]
    #[schemars(range(min = 0, max = 1000))]
    pub required_passes: i64,
    /// Time over which the passes are required, in seconds.
    #[serde(default)]
    #[schemars(range(min = 0, max = 31_536_000))]
    pub required_seconds: i64,
    /// When the first of these passes was received.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,
}

/// One occurrence of a finding, timed by the operator's clock.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Occurrence {
    /// Name of the check.
    #[schemars(length(max = 80))]
    pub check: String,
    /// PCI address, link, port or `node`.
    #[schemars(length(max = 64))]
    pub target: String,
    /// Machine-readable reason, one word.
    #[schemars(length(max = 63))]
    pub reason: String,
    /// When the operator received the finding.
    pub received_at: Time,
}

/// A finding of the operator.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FleetFinding {
    /// Name of the check.
    #[schemars(length(max = 80))]
    pub check: String,
    /// The item that differs.
    #[schemars(length(max = 64))]
    pub target: String,
    /// Outcome: Pass, Skipped, Inconclusive, Warn or Fail.
    pub outcome: Outcome,
    /// Machine-readable reason, one word.
    #[schemars(length(max = 63))]
    pub reason: String,
    /// When it was first found.
    pub since: Time,
}

/// How often a node returned to service and failed again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Flaps {
    /// The number of returns to service.
    #[serde(default)]
    #[schemars(range(min = 0, max = 1000))]
    pub returns: i64,
    /// How long the node must now stay healthy before it returns to service, in seconds.
    #[serde(default)]
    #[schemars(range(min = 0, max = 31_536_000))]
    pub proof_seconds: i64,
    /// When the node last returned to service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_return: Option<Time>,
}

/// Retest of a node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Retest {
    /// Name of the run.
    #[serde(default)]
    #[schemars(length(max = 253))]
    pub run: String,
    /// The number of the attempt, counted from 1.
    #[serde(default)]
    #[schemars(range(min = 0, max = 1000))]
    pub attempt: i64,
    /// Earliest start of the next attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Time>,
}

/// The operator's decision on one GPU.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GpuVerdict {
    /// PCI address. Unique within the list.
    #[schemars(length(min = 1, max = 32))]
    pub pci_address: Text,
    /// UUID.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 96))]
    pub uuid: Option<Text>,
    /// Serial number of the board.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub serial: Option<Text>,
    /// Health state: Healthy, Suspect, Unhealthy, Unknown or NotApplicable.
    pub state: State,
    /// What it takes to fix the fault: Monitor, Reset, Reboot or Isolate.
    #[serde(default)]
    pub severity: Severity,
    /// Machine-readable reason, one word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub reason: Option<Text>,
}

/// A level that the node has passed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Certification {
    /// Name of the level.
    #[schemars(length(min = 1, max = 63))]
    pub level: String,
    /// When the node passed the level.
    pub passed_at: Time,
    /// When the certification expires.
    pub expires_at: Time,
}

/// The number of GPUs, for tools that count: `summary.gpus` is the same as text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GpuCount {
    /// The number of GPUs that the node should have: declared by its profile, else offered by the Node, else seen.
    #[schemars(range(min = 0, max = 4096))]
    pub expected: i64,
    /// The number of GPUs that are present and not unhealthy.
    #[schemars(range(min = 0, max = 4096))]
    pub healthy: i64,
}

/// Texts for kubectl columns.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodeSummary {
    /// Healthy GPUs out of expected GPUs, for example `7/8`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub gpus: Option<String>,
    /// Highest level with a valid certification.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub certified: Option<String>,
    /// Part affected by the worst cause, for example `GPU3`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub target: Option<String>,
}
