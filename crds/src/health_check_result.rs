//! `HealthCheckResult`: what a run measured on one node. The operator writes it once, when the node's part of the run ends; it
//! is deleted together with the run.

use crate::{Outcome, Severity, Time, text::short_hash};
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Maximum number of values of one check.
pub const MAX_VALUES: usize = 64;
/// Maximum number of edges of one node.
pub const MAX_RESULT_EDGES: usize = 64;
/// The longest name of an object of a cluster-scoped kind.
const MAX_NAME: usize = 253;
/// The longest value of a label.
const MAX_LABEL: usize = 63;

/// What a run measured on one node.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "gpuhealth.dev",
    version = "v1alpha1",
    kind = "HealthCheckResult",
    plural = "healthcheckresults",
    singular = "healthcheckresult",
    shortname = "hcres",
    category = "gpuhealth",
    derive = "PartialEq",
    doc = "HealthCheckResult is what a HealthCheckRun measured on one node. The operator writes it when the node's part of the run ends; it is kept as long as the run. List those of a run with `kubectl get hcres -l gpuhealth.dev/run=NAME`.",
    printcolumn(name = "Run", type_ = "string", json_path = ".spec.run.name", description = "Name of the run."),
    printcolumn(name = "Node", type_ = "string", json_path = ".spec.node.name", description = "Name of the node."),
    printcolumn(
        name = "Outcome",
        type_ = "string",
        json_path = ".spec.outcome",
        description = "Worst outcome of the checks."
    ),
    printcolumn(
        name = "Worst",
        type_ = "string",
        json_path = ".spec.summary.worst",
        description = "The check with the worst outcome, and why."
    ),
    printcolumn(
        name = "Value",
        type_ = "string",
        json_path = ".spec.summary.value",
        description = "The worst value of that check."
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp",
        description = "Time since creation."
    )
)]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "self == oldSelf", "reason": "FieldValueForbidden",
     "message": "a HealthCheckResult is written once and never changed"}
]))]
#[serde(rename_all = "camelCase")]
pub struct HealthCheckResultSpec {
    /// The run.
    pub run: ObjectId,
    /// The node.
    pub node: ObjectId,
    /// The number of the attempt, counted from 1.
    #[serde(default)]
    #[schemars(range(min = 0, max = 16))]
    pub attempt: i64,
    /// When the agent started, by the node's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Time>,
    /// When the agent finished, by the node's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Time>,
    /// Worst outcome of the checks: Pass, Skipped, Inconclusive, Warn or Fail.
    pub outcome: Outcome,
    /// The checks and what they measured.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub checks: Vec<CheckRecord>,
    /// Pairs that this node tested as the sender, for checks between nodes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub edges: Vec<crate::health_check_run::NetworkEdge>,
    /// Texts for kubectl columns.
    #[serde(default)]
    pub summary: ResultSummary,
}

/// Name and UID of an object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ObjectId {
    /// Name of the object.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// UID of the object.
    #[schemars(length(max = 64))]
    pub uid: String,
}

/// One check and what it measured.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CheckRecord {
    /// Name of the check within the run.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
    /// Kind of the check; `custom/<program>` for a custom program.
    #[schemars(length(min = 1, max = 80))]
    pub check: String,
    /// Worst outcome over all targets: Pass, Skipped, Inconclusive, Warn or Fail.
    pub outcome: Outcome,
    /// Severity of the worst fault.
    #[serde(default)]
    pub severity: Severity,
    /// Machine-readable reason, one word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub reason: Option<String>,
    /// Human-readable explanation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub message: Option<String>,
    /// Duration, in milliseconds.
    #[serde(default)]
    #[schemars(range(min = 0, max = 604_800_000))]
    pub duration_ms: i64,
    /// Targets that were tested.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(max = 64)))]
    pub tested: Vec<String>,
    /// What was measured.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub values: Vec<MeasuredValue>,
}

/// One measured value.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MeasuredValue {
    /// PCI address, link, port, name of the other node, or `node`.
    #[schemars(length(min = 1, max = 253))]
    pub target: String,
    /// Name of the measurement, for example `mbps.min`.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
    /// Unit of the value, for example `Mbit/s`. Absent if it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub unit: Option<String>,
    /// The value, in the unit that the name gives.
    #[schemars(range(min = -9_007_199_254_740_991_i64, max = 9_007_199_254_740_991_i64))]
    pub value: i64,
    /// The lowest value that passes, in the unit that the name gives. Absent if nothing was required.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = -9_007_199_254_740_991_i64, max = 9_007_199_254_740_991_i64))]
    pub floor: Option<i64>,
}

/// Texts for kubectl columns.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResultSummary {
    /// The check with the worst outcome, and why, for example `ring BelowFloor`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub worst: Option<String>,
    /// The worst value of that check, for example `mbps.min 9120 Mbit/s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub value: Option<String>,
}

/// The name of the result of a run on a node: `<run>-<node>`, its end replaced by a hash where that is too long.
pub fn name_of(run: &str, node: &str) -> String {
    shortened(&format!("{run}-{node}"), MAX_NAME)
}

/// The name to take where [`name_of`] is taken: by run `a-b` on node `c`, which reads as run `a` on node `b-c`, or by a run of
/// the same name that was deleted a moment ago.
pub fn other_name_of(run: &str, run_uid: &str, node: &str) -> String {
    let whole = format!("{run}-{node}");
    let hash = short_hash(&format!("{run_uid}/{node}"));
    format!("{}-{hash}", cut(&whole, MAX_NAME - hash.len() - 1))
}

/// A name as the value of a label, its end replaced by a hash where it is too long.
pub fn label_value(name: &str) -> String {
    shortened(name, MAX_LABEL)
}

fn shortened(name: &str, most: usize) -> String {
    if name.len() <= most {
        return name.to_owned();
    }
    let hash = short_hash(name);
    format!("{}-{hash}", cut(name, most - hash.len() - 1))
}

/// The beginning of a DNS name, without a separator at its end.
fn cut(name: &str, most: usize) -> &str {
    name.get(..most).unwrap_or(name).trim_end_matches(['-', '.'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_fits_and_different_pairs_get_different_names_at_the_latest_with_the_other_one() {
        assert_eq!(name_of("burn-in", "n17"), "burn-in-n17");
        let long = "r".repeat(250);
        let (one, two) = (name_of(&long, "n1"), name_of(&long, "n10"));
        assert!(one != two && one.len() <= 253 && two.len() <= 253);
        assert_eq!(name_of("a-b", "c"), name_of("a", "b-c"));
        assert_ne!(other_name_of("a-b", "u1", "c"), other_name_of("a", "u2", "b-c"));
        assert!(other_name_of(&long, "u1", "n1").len() <= 253);
        let label = label_value(&format!("{}.x", "l".repeat(60)));
        assert!(label.len() <= 63 && label_value("short") == "short", "{label}");
    }
}
