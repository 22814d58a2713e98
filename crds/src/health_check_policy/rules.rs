//! `HealthCheckPolicy.spec.rules`: what findings lead to, and what lifts it.

use crate::Severity;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What some findings lead to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Rule {
    /// The name of the rule.
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"))]
    pub name: String,
    /// Which findings it is about; what is left out matches everything.
    #[serde(default, rename = "match")]
    pub match_: RuleMatch,
    /// How often it must be seen first; default once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<After>,
    /// What it leads to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effect: Option<Effect>,
    /// What lifts it; default one pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lift: Option<LiftRule>,
    /// Whether it also acts in a storm; default false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub even_in_storm: Option<bool>,
    /// The lowest share of past quarantines of this rule that were confirmed, in percent; below it the rule only reports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100))]
    pub min_precision_percent: Option<i64>,
}

/// Which findings a rule is about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RuleMatch {
    /// Names of checks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(max = 80)))]
    pub checks: Vec<String>,
    /// Reasons.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 63)))]
    pub reasons: Vec<String>,
    /// Severities.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 5))]
    pub severities: Vec<Severity>,
}

/// How often a finding must be seen before a rule acts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct After {
    /// How many occurrences, as a number of occurrences.
    #[schemars(range(min = 1, max = 16))]
    pub occurrences: i64,
    /// Within how many seconds.
    #[schemars(range(min = 1, max = 31_536_000))]
    pub within_seconds: i64,
}

/// What a rule leads to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Effect {
    /// The effect of the taint gpuhealth.dev/unhealthy; default NoSchedule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taint: Option<TaintEffect>,
    /// Whether the condition GPUHealthy becomes False; default true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub condition: Option<bool>,
    /// The level of a run that is made on the quarantined node; default none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub quarantine_run: Option<String>,
}

/// The effect of a taint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TaintEffect {
    /// New pods stay away.
    #[default]
    NoSchedule,
    /// New pods go elsewhere where they can.
    PreferNoSchedule,
    /// Running pods are evicted too.
    NoExecute,
    /// No taint.
    #[serde(rename = "none")]
    #[schemars(rename = "none")]
    None,
}

/// What lifts the causes of a rule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LiftRule {
    /// How many passes of the same check on the same target, as a number of passes; default 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub passes: Option<i64>,
    /// Over how long without another finding, in seconds; default 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 31_536_000))]
    pub quiet_seconds: Option<i64>,
    /// The level or the check of a run that must pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub retest: Option<String>,
    /// Whether only a NodeHealthOverride lifts it; default false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manual: Option<bool>,
}
