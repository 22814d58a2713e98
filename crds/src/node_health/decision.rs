//! `NodeHealth.status.decision` and its neighbours: what the operator decided.

use crate::{Action, Activity, Outcome, Severity, State, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The longest list of causes.
pub const MAX_CAUSES: usize = 24;
/// The longest list of remembered occurrences.
pub const MAX_HISTORY: usize = 16;

/// The operator's judgement about the node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Decision {
    /// The judgement.
    pub state: State,
    /// What the operator is doing with the node.
    #[serde(default)]
    pub activity: Activity,
    /// Whether the marks that take capacity out of use are on the Node; false in Observe and while waiting for budget.
    #[serde(default)]
    pub enforced: bool,
    /// What cures the worst cause.
    #[serde(default)]
    pub severity: Severity,
    /// What to do next.
    #[serde(default)]
    pub action: Action,
    /// Since when state, severity and reason stand.
    pub since: Time,
    /// Why, as one word.
    #[schemars(length(min = 1, max = 63))]
    pub reason: String,
    /// Why, as a sentence.
    #[serde(default)]
    #[schemars(length(max = 512))]
    pub message: String,
    /// Which marks are on the Node: taint, label, deviceTaint.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 4), inner(length(max = 32)))]
    pub held: Vec<String>,
    /// Every open cause, worst first; the marks go when none is left.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 24))]
    pub causes: Vec<Cause>,
    /// When findings were received, newest last; what rules with `after` count.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub history: Vec<Occurrence>,
    /// The operator's own findings, from comparing nodes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub fleet_findings: Vec<FleetFinding>,
    /// How often the node came back and fell again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flaps: Option<Flaps>,
    /// The run that retests the node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retest: Option<Retest>,
}

/// One open cause of a judgement.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Cause {
    /// The name of the check.
    #[schemars(length(min = 1, max = 80))]
    pub check: String,
    /// The PCI address, link, port or `node`.
    #[schemars(length(min = 1, max = 64))]
    pub target: String,
    /// The run that found it, where one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub run: Option<String>,
    /// The name of the policy's rule that applied, where one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub rule: Option<String>,
    /// Fail condemns from Reset on; Warn never does.
    pub outcome: Outcome,
    /// What cures it.
    pub severity: Severity,
    /// Why, as one word.
    #[schemars(length(min = 1, max = 63))]
    pub reason: String,
    /// Why, as a sentence.
    #[serde(default)]
    #[schemars(length(max = 256))]
    pub message: String,
    /// When the operator learned of it.
    pub since: Time,
    /// What lifts it, and how far that is.
    pub lift: Lift,
    /// The serial number of the board that it is about, where the finding names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub serial: Option<String>,
}

impl Cause {
    /// Whether a drill opened it: nothing is wrong.
    pub fn is_drill(&self) -> bool {
        self.check == crate::Check::Drill.name()
    }

    /// Whether it takes a node out of use.
    pub fn condemns(&self) -> bool {
        self.outcome == Outcome::Fail && self.severity.condemns()
    }
}

impl Decision {
    /// Whether a drill is going on.
    pub fn has_drill(&self) -> bool {
        self.causes.iter().any(Cause::is_drill)
    }

    /// The state as it would be without drills. Only a node that was judged is drilled, so that one without another cause
    /// is Healthy.
    pub fn state_without_drills(&self) -> State {
        if !self.has_drill() {
            return self.state.clone();
        }
        let real = || self.causes.iter().filter(|cause| !cause.is_drill());
        if real().any(Cause::condemns) {
            State::Quarantined
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
    /// The rule as a sentence.
    #[schemars(length(min = 1, max = 128))]
    pub text: String,
    /// How many passes were seen, as a number of passes.
    #[serde(default)]
    #[schemars(range(min = 0, max = 1000))]
    pub passes: i64,
    /// How many passes are needed, as a number of passes.
    #[serde(default)]
    #[schemars(range(min = 0, max = 1000))]
    pub required_passes: i64,
    /// Over how long, in seconds.
    #[serde(default)]
    #[schemars(range(min = 0, max = 31_536_000))]
    pub required_seconds: i64,
    /// When the first of the passes was seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,
}

/// One occurrence of a finding, by the operator's clock.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Occurrence {
    /// The name of the check.
    #[schemars(length(max = 80))]
    pub check: String,
    /// The PCI address, link, port or `node`.
    #[schemars(length(max = 64))]
    pub target: String,
    /// Why, as one word.
    #[schemars(length(max = 63))]
    pub reason: String,
    /// When the operator learned of it.
    pub received_at: Time,
}

/// A finding of the operator's own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FleetFinding {
    /// The name of the check.
    #[schemars(length(max = 80))]
    pub check: String,
    /// What differs.
    #[schemars(length(max = 64))]
    pub target: String,
    /// The outcome.
    pub outcome: Outcome,
    /// Why, as one word.
    #[schemars(length(max = 63))]
    pub reason: String,
    /// Since when.
    pub since: Time,
}

/// How often a node came back and fell again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Flaps {
    /// How many times it came back, as a number of returns.
    #[serde(default)]
    #[schemars(range(min = 0, max = 1000))]
    pub returns: i64,
    /// How long it must be well now before it comes back, in seconds.
    #[serde(default)]
    #[schemars(range(min = 0, max = 31_536_000))]
    pub proof_seconds: i64,
    /// When it last came back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_return: Option<Time>,
}

/// The run that retests a node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Retest {
    /// The name of the run.
    #[serde(default)]
    #[schemars(length(max = 253))]
    pub run: String,
    /// The number of the attempt, counted from 1.
    #[serde(default)]
    #[schemars(range(min = 0, max = 1000))]
    pub attempt: i64,
    /// When the next attempt may begin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Time>,
}

/// The operator's verdict on one GPU.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GpuVerdict {
    /// The PCI address; the key.
    #[schemars(length(min = 1, max = 32))]
    pub pci_address: String,
    /// The UUID.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 96))]
    pub uuid: Option<String>,
    /// The serial number of the board.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub serial: Option<String>,
    /// The judgement.
    pub state: State,
    /// What cures it.
    #[serde(default)]
    pub severity: Severity,
    /// Why, as one word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub reason: Option<String>,
}

/// A level that the node has passed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Certification {
    /// The name of the level.
    #[schemars(length(min = 1, max = 63))]
    pub level: String,
    /// When it was passed.
    pub passed_at: Time,
    /// When it is no longer worth anything.
    pub expires_at: Time,
}

/// Texts for the columns of kubectl.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodeSummary {
    /// Well and expected GPUs, for example `7/8`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub gpus: Option<String>,
    /// The highest level that is fresh.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub certified: Option<String>,
    /// Which part the worst cause is about, for example `GPU3`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub target: Option<String>,
}
