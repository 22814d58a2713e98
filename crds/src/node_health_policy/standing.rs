//! Who should be tested, and when: schedules, levels, the start-up gate, certifications, custom programs and drills.

use crate::{CheckSpec, health_check_run::HealthCheckRunSpec};
use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Default of `drills.maxNodes`.
pub const DEFAULT_DRILL_NODES: i64 = 1;

/// A recurring test.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Schedule {
    /// Name of the schedule, used as the prefix of the names of its runs.
    #[schemars(length(min = 1, max = 40), regex(pattern = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"))]
    pub name: String,
    /// Cron expression with five fields: minute, hour, day of the month, month, day of the week.
    #[schemars(length(min = 9, max = 128), extend("x-kubernetes-validations" = cron_rules()))]
    pub cron: String,
    /// Time zone of `cron` in the IANA database, for example `Europe/Berlin`.
    #[serde(default = "default_time_zone")]
    #[schemars(length(min = 1, max = 64), extend("x-kubernetes-validations" = time_zone_rules()))]
    pub time_zone: String,
    /// Whether no further runs are started.
    #[serde(default)]
    pub suspend: bool,
    /// How late a run may start, in seconds. A run that is later is missed. Default: it starts however late.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 31_536_000))]
    pub starting_deadline_seconds: Option<i64>,
    /// The number of passed runs to keep.
    #[serde(default = "default_successful_runs")]
    #[schemars(range(min = 0, max = 100))]
    pub successful_runs_history_limit: i64,
    /// The number of runs to keep that ended in another way.
    #[serde(default = "default_failed_runs")]
    #[schemars(range(min = 0, max = 100))]
    pub failed_runs_history_limit: i64,
    /// The runs that the schedule creates. Its nodes must also be nodes that the policy governs.
    pub run_template: RunTemplate,
}

fn default_time_zone() -> String {
    "UTC".to_owned()
}

/// As of a CronJob.
const fn default_successful_runs() -> i64 {
    3
}

/// As of a CronJob.
const fn default_failed_runs() -> i64 {
    1
}

impl Default for Schedule {
    fn default() -> Self {
        Self {
            name: String::new(),
            cron: String::new(),
            time_zone: default_time_zone(),
            suspend: false,
            starting_deadline_seconds: None,
            successful_runs_history_limit: default_successful_runs(),
            failed_runs_history_limit: default_failed_runs(),
            run_template: RunTemplate::default(),
        }
    }
}

/// What can be refused without a parser: anything but five fields of digits, names and `*`, `,`, `-`, `/`.
fn cron_rules() -> Value {
    serde_json::json!([{
        "rule": "self.matches('^[0-9A-Za-z*,/-]+( +[0-9A-Za-z*,/-]+){4}$')",
        "messageExpression": "'cron ' + self + ' must have five fields (minute, hour, day of the month, month, day of the week), for example 0 3 * * 1-5'",
        "message": "cron must have five fields (minute, hour, day of the month, month, day of the week), for example 0 3 * * 1-5",
    }])
}

/// What can be refused without the database.
fn time_zone_rules() -> Value {
    serde_json::json!([{
        "rule": "self.matches('^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*$')",
        "messageExpression": "'timeZone ' + self + ' must be a name of the IANA time zone database, for example Europe/Berlin'",
        "message": "timeZone must be a name of the IANA time zone database, for example Europe/Berlin",
    }])
}

/// What a schedule creates.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunTemplate {
    /// The spec of each HealthCheckRun. Changes apply to later runs.
    #[schemars(transform = may_change)]
    pub spec: HealthCheckRunSpec,
}

/// A run is immutable, the template of later ones is not: its rules about changes go.
fn may_change(schema: &mut Schema) {
    if let Some(Value::Array(rules)) = schema.get_mut("x-kubernetes-validations") {
        rules.retain(|rule| !rule["rule"].as_str().is_some_and(|text| text.contains("oldSelf")));
    }
}

/// A named list of checks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "!(self.name in ['basic', 'quick', 'standard', 'deep'])",
    "messageExpression": "'level ' + self.name + ' is shipped: give your own list of checks another name'",
    "message": "levels[].name is a shipped level: give your own list of checks another name"
}]))]
#[serde(rename_all = "camelCase")]
pub struct PolicyLevel {
    /// Name of the level: lowercase letters, digits and hyphens.
    #[schemars(length(min = 1, max = 53), regex(pattern = r"^[a-z][a-z0-9-]*$"))]
    pub name: String,
    /// Its checks, in the order they run.
    #[schemars(length(min = 1, max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"], "x-kubernetes-validations" = crate::check::total_rules()))]
    pub checks: Vec<CheckSpec>,
}

/// Start-up gate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Gate {
    /// Level that must pass before the taint gpuhealth.dev/uncertified is removed.
    #[schemars(length(min = 1, max = 53), regex(pattern = r"^[a-z][a-z0-9-]*$"))]
    pub level: String,
    /// How long the gate waits for a pass, in seconds.
    #[serde(default = "default_gate_timeout")]
    #[schemars(range(min = 1, max = 86400))]
    pub timeout_seconds: i64,
    /// What happens after the timeout: Closed (the taint stays) or Open (it is removed).
    #[serde(default)]
    pub on_timeout: OnTimeout,
}

const fn default_gate_timeout() -> i64 {
    1_800
}

impl Default for Gate {
    fn default() -> Self {
        Self { level: String::new(), timeout_seconds: default_gate_timeout(), on_timeout: OnTimeout::default() }
    }
}

/// What the gate does after its timeout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OnTimeout {
    /// The taint is removed.
    Open,
    /// The taint stays.
    #[default]
    Closed,
}

/// A level that certifies a node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Certify {
    /// Name of the level.
    #[schemars(length(min = 1, max = 53), regex(pattern = r"^[a-z][a-z0-9-]*$"))]
    pub level: String,
    /// How long the certification is valid, in seconds.
    #[schemars(range(min = 60, max = 31_536_000))]
    pub valid_seconds: i64,
}

/// Which custom programs may mark nodes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CustomChecks {
    /// Names of the programs whose results count for the state of a node. Results of others are told in the run alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), with = "Vec<ProgramName>", extend("x-kubernetes-list-type" = "set"))]
    pub allow: Vec<String>,
}

/// The name of a custom program.
#[derive(JsonSchema)]
#[schemars(inline)]
#[allow(dead_code)]
struct ProgramName(#[schemars(length(min = 1, max = 63), regex(pattern = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"))] String);

/// Whether drills are allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Drills {
    /// Whether drills are allowed.
    #[serde(default)]
    pub allow: bool,
    /// Maximum number of nodes with a drill at once.
    #[serde(default = "default_drill_nodes")]
    #[schemars(range(min = 1, max = 1000))]
    pub max_nodes: i64,
}

const fn default_drill_nodes() -> i64 {
    DEFAULT_DRILL_NODES
}

impl Default for Drills {
    fn default() -> Self {
        Self { allow: false, max_nodes: DEFAULT_DRILL_NODES }
    }
}
