//! `NodeHealthPolicy.spec.rules`: what findings lead to, and what lifts the causes they open.

use crate::Severity;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What matching findings lead to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Rule {
    /// Name of the rule.
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"))]
    pub name: String,
    /// The findings that the rule applies to. A criterion that is left out matches everything.
    #[serde(default, rename = "match")]
    pub match_: RuleMatch,
    /// How often a finding must occur before the rule applies. Default: once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<After>,
    /// What the rule does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effect: Option<Effect>,
    /// What lifts the cause. Default: one pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lift: Option<LiftRule>,
    /// Whether the rule also applies during a storm. Default: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub even_in_storm: Option<bool>,
    /// Minimum share of this rule's past quarantines that were confirmed, in percent. Below it the rule only reports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100))]
    pub min_precision_percent: Option<i64>,
}

/// The findings that a rule applies to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RuleMatch {
    /// Names of the checks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(max = 80)))]
    pub checks: Vec<String>,
    /// Reasons of the findings.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 63)))]
    pub reasons: Vec<String>,
    /// Severities of the findings.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 5))]
    pub severities: Vec<Severity>,
}

/// How often a finding must occur before a rule applies.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct After {
    /// The number of occurrences.
    #[schemars(range(min = 1, max = 16))]
    pub occurrences: i64,
    /// Time window, in seconds.
    #[schemars(range(min = 1, max = 31_536_000))]
    pub within_seconds: i64,
}

/// What a rule does.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Effect {
    /// Effect of the taint gpuhealth.dev/unhealthy. Default: NoSchedule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taint: Option<TaintEffect>,
    /// Whether the condition GPUHealthy becomes False. Default: true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub condition: Option<bool>,
    /// Level of a run to start on the quarantined node. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub quarantine_run: Option<String>,
}

/// Effect of the taint gpuhealth.dev/unhealthy. Default: NoSchedule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TaintEffect {
    /// New pods are not scheduled to the node.
    #[default]
    NoSchedule,
    /// New pods are scheduled to other nodes if possible.
    PreferNoSchedule,
    /// Running pods are evicted as well.
    NoExecute,
    /// No taint.
    #[serde(rename = "none")]
    #[schemars(rename = "none")]
    None,
}

/// What lifts a cause that the rule opened.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LiftRule {
    /// The number of passes of the same check on the same target. Default: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub passes: Option<i64>,
    /// How long no further finding may occur, in seconds. Default: 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 31_536_000))]
    pub quiet_seconds: Option<i64>,
    /// Level or check of a run that must pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub retest: Option<String>,
    /// Whether only a NodeHealthOverride lifts the cause. Default: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manual: Option<bool>,
}
