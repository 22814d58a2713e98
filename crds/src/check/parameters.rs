//! What a run may ask of each check.

use crate::Severity;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Parameters of a check that has none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NoParameters {}

/// Copies between host and device, pinned, per GPU.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PcieBandwidth {
    /// The lowest rate that passes, in megabytes (1e6 bytes) per second; default: the floor of the HardwareProfile for the live link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000_000))]
    pub min_megabytes_per_second: Option<i64>,
}

/// Patterns over at least 90 % of the memory of each GPU.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GpuMemory {
    /// How many passes over the memory; one pass writes and verifies each cell with both values; default 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub passes: Option<i64>,
}

/// A run of NVIDIA's own diagnostics.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DcgmDiag {
    /// The level of `dcgmi diag -r` as a number from 1 (seconds) to 4 (hours); default 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 4))]
    pub level: Option<i64>,
}

/// Compute and memory together at full power.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Stress {
    /// How long, in minutes; default 10.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1440))]
    pub minutes: Option<i64>,
    /// Power caps to test one after the other, in percent of the default limit; the limit is restored afterwards.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), inner(range(min = 10, max = 100)))]
    pub power_caps_percent: Vec<i64>,
}

/// How the members of a group are paired.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Pattern {
    /// Each node with the next one, in rounds of disjoint pairs.
    #[default]
    Ring,
    /// Every pair; at most 64 nodes.
    AllPairs,
    /// A regular random graph.
    Sample,
}

/// Reachability and round trip between the nodes of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Ping {
    /// How the members are paired; default Ring.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<Pattern>,
    /// The highest loss that passes, in percent of the packets; default 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100))]
    pub max_loss_percent: Option<i64>,
}

/// A range of TCP ports, both ends included.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "self.first <= self.last",
    "message": "the port range is empty: ports.first must not be above ports.last, for example {first: 5201, last: 5264}"
}]))]
#[serde(rename_all = "camelCase")]
pub struct PortRange {
    /// The lowest port number.
    #[schemars(range(min = 1024, max = 65535))]
    pub first: i64,
    /// The highest port number.
    #[schemars(range(min = 1024, max = 65535))]
    pub last: i64,
}

impl Default for PortRange {
    fn default() -> Self {
        Self { first: 5201, last: 5264 }
    }
}

/// iperf3 between the nodes of a run, in rounds of disjoint pairs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NetworkBandwidth {
    /// How the members are paired; default Ring.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<Pattern>,
    /// How many parallel streams a test uses, as a number of streams; default 8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 128))]
    pub streams: Option<i64>,
    /// How long each test sends, in seconds; default 5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 300))]
    pub duration_seconds: Option<i64>,
    /// The ports that servers may listen on; default 5201 to 5264.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ports: Option<PortRange>,
    /// The lowest rate that passes, in megabits per second; default: the floor of the HardwareProfile, else nothing is judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000_000))]
    pub min_megabits_per_second: Option<i64>,
}

/// Bandwidth by perftest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RdmaBandwidth {
    /// The lowest rate that passes, in megabits per second per port; default: the floor of the HardwareProfile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000_000))]
    pub min_megabits_per_second: Option<i64>,
}

/// An all-reduce over the GPUs of one or several nodes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Nccl {
    /// The size of the reduced buffer, in MiB; default 1024.
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "sizeMiB")]
    #[schemars(range(min = 1, max = 65536))]
    pub size_mib: Option<i64>,
}

/// A claim is created, bound, written, read and deleted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Pvc {
    /// The storage class; default: the cluster's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub storage_class: Option<String>,
    /// The size of the claim, in MiB; default 100.
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "sizeMiB")]
    #[schemars(range(min = 1, max = 1_048_576))]
    pub size_mib: Option<i64>,
}

/// A program of the user's, by name, from the one directory that the agent's chart mounts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("x-kubernetes-validations" = [
    {
        "rule": "self.program.matches('^[a-z0-9][a-z0-9-]{0,62}$')",
        "messageExpression": "'custom.program ' + self.program + ' must be the name of a program in the mounted directory (lower-case letters, digits, hyphens), never a path or a command line'",
        "message": "custom.program must be the name of a program in the mounted directory, never a path or a command line"
    },
    {
        "rule": "!has(self.env) || self.env.all(key, key.startsWith('CHECK_') && size(key) <= 63)",
        "message": "the keys of custom.env must begin with CHECK_ and have at most 63 characters"
    }
]))]
#[serde(rename_all = "camelCase")]
pub struct Custom {
    /// The name of the program: lower-case letters, digits and hyphens; never a path.
    #[schemars(length(min = 1, max = 63))]
    pub program: String,
    /// Its arguments, passed as they are; no shell reads them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(max = 256)))]
    pub args: Vec<String>,
    /// Variables of its environment; keys begin with `CHECK_`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 16), with = "BTreeMap<String, EnvValue>")]
    pub env: BTreeMap<String, String>,
    /// The longest time that it may take, in seconds; default 300.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 86400))]
    pub timeout_seconds: Option<i64>,
}

/// The longest that all arguments and variables of the custom checks of one run may be together, in characters.
pub const MAX_CUSTOM_TEXT: usize = 1_024;

/// What must hold for all checks of a run together. Work orders are copied into a NodeHealth, which must stay small.
pub(crate) fn total_rules() -> serde_json::Value {
    serde_json::json!([{
        "rule": "self.map(c, !has(c.custom) ? 0 : \
                 (has(c.custom.args) ? c.custom.args.map(arg, size(arg)).sum() : 0) + \
                 (has(c.custom.env) ? c.custom.env.map(key, size(key) + size(c.custom.env[key])).sum() : 0)).sum() <= 1024",
        "message": "custom.args and custom.env of all checks together may hold 1024 characters: put what is longer into a file that the program reads",
    }])
}

/// The value of an environment variable.
#[derive(JsonSchema)]
#[schemars(inline)]
#[allow(dead_code)]
struct EnvValue(#[schemars(length(max = 256))] String);

/// A synthetic finding, plainly marked as one, to rehearse an incident.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Drill {
    /// What the synthetic finding says.
    pub finding: DrillFinding,
    /// How long it stands, in seconds.
    #[schemars(range(min = 1, max = 86400))]
    pub seconds: i64,
    /// Whether marks are set on the Node as a real fault would.
    #[serde(default)]
    pub marks: bool,
}

/// What a drill reports.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DrillFinding {
    /// The severity of the synthetic finding.
    pub severity: Severity,
    /// The reason of the synthetic finding, one word in PascalCase; wherever it shows, `Drill` stands before it.
    #[schemars(length(min = 1, max = 58), regex(pattern = r"^[A-Z][A-Za-z0-9]*$"))]
    pub reason: String,
    /// The target of the synthetic finding: a PCI address or `node`; default `node`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub target: Option<String>,
}
