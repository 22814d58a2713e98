//! `NodeHealthPolicy.spec.rules`: what findings lead to, and what lifts the causes they open.

use crate::{Outcome, Severity, check::CheckName};
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
    /// How often a finding must occur before the rule applies. Default: once. Not implemented yet: a rule with it is not applied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<After>,
    /// What the rule does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effect: Option<Effect>,
    /// What lifts the cause. Default: one pass. Not implemented yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lift: Option<LiftRule>,
    /// Whether the rule also applies during a storm. Not implemented yet.
    #[serde(default)]
    pub even_in_storm: bool,
    /// Minimum share of this rule's past quarantines that were confirmed, in percent. Below it the rule only reports. Not implemented yet: a rule with it is not applied.
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
    #[schemars(length(max = 32), with = "Vec<CheckName>")]
    pub checks: Vec<String>,
    /// Reasons of the findings. A reason that no built-in check gives is an error unless the rule names a custom check.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 63), regex(pattern = r"^[A-Z][A-Za-z0-9]*$")))]
    pub reasons: Vec<String>,
    /// Codes of the findings, for example the number of an Xid.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub codes: Vec<Code>,
    /// Severities of the findings.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 5))]
    pub severities: Vec<Severity>,
    /// Outcomes of the findings: Warn or Fail.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 2))]
    pub outcomes: Vec<Outcome>,
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Effect {
    /// Severity that the finding gets, instead of its own: a Monitor finding can be raised, a Reset one lowered. Not implemented yet: a rule with it is not applied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<Severity>,
    /// Effect of the taint gpuhealth.dev/unhealthy: NoSchedule, PreferNoSchedule, NoExecute or None.
    #[serde(default)]
    pub taint: TaintEffect,
    /// Whether the condition GPUHealthy becomes False. Not implemented yet.
    #[serde(default = "super::yes")]
    pub condition: bool,
    /// What to test on the quarantined node. Default: nothing. Not implemented yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<QuarantineRun>,
}

impl Default for Effect {
    fn default() -> Self {
        Self { severity: None, taint: TaintEffect::default(), condition: true, run: None }
    }
}

/// What to test on a quarantined node. For checks with parameters of their own, declare a level.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "has(self.checks) != has(self.level)",
    "message": "exactly one of effect.run.checks and effect.run.level is needed, for example level: deep"
}]))]
#[serde(rename_all = "camelCase")]
pub struct QuarantineRun {
    /// A level, shipped or of this policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 53), regex(pattern = r"^[a-z][a-z0-9-]*$"))]
    pub level: Option<String>,
    /// Checks with their default parameters, in the order they run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 16), with = "Option<Vec<CheckName>>")]
    pub checks: Option<Vec<String>>,
}

/// Effect of the taint gpuhealth.dev/unhealthy.
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
    None,
}

/// What lifts a cause that the rule opened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LiftRule {
    /// The number of passes of the same check on the same target.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 1000))]
    pub passes: i64,
    /// How long no further finding may occur, in seconds.
    #[serde(default)]
    #[schemars(range(min = 0, max = 31_536_000))]
    pub quiet_seconds: i64,
    /// Checks that must pass in a run, with their default parameters. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), with = "Vec<CheckName>")]
    pub retest: Vec<String>,
    /// Whether only a NodeHealthOverride lifts the cause.
    #[serde(default)]
    pub manual: bool,
}

const fn one() -> i64 {
    1
}

impl Default for LiftRule {
    fn default() -> Self {
        Self { passes: 1, quiet_seconds: 0, retest: Vec::new(), manual: false }
    }
}

/// The code of a fault, as its source numbers or names it: an Xid (`79`), an error id of DCGM.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Code(pub String);

impl Serialize for Code {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.parse::<u32>() {
            Ok(number) => serializer.serialize_u32(number),
            Err(_) => serializer.serialize_str(&self.0),
        }
    }
}

impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Raw {
            Number(u32),
            Text(String),
        }
        Ok(match Raw::deserialize(deserializer)? {
            Raw::Number(number) => Self(number.to_string()),
            Raw::Text(text) => Self(text),
        })
    }
}

impl JsonSchema for Code {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Code".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "x-kubernetes-int-or-string": true,
            "maxLength": 32,
            "x-kubernetes-validations": [{
                "rule": "type(self) == int ? (self >= 0 && self <= 4294967295) : self.matches('^[A-Za-z0-9][A-Za-z0-9._-]*$')",
                "message": "must be the code of a fault as its source gives it, for example 79 for Xid 79"
            }],
        })
    }
}
