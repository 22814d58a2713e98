//! Parameters of each check.

use crate::Severity;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A check without parameters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NoParameters {}

/// Bandwidth of pinned copies between host and device, per GPU.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PcieBandwidth {
    /// Minimum rate to pass, in megabytes (1e6 bytes) per second. Default: the NodeHardwareProfile's floor for the current link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000_000))]
    pub min_megabytes_per_second: Option<i64>,
}

/// Writes and verifies patterns in at least 90 % of each GPU's memory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GpuMemory {
    /// The number of passes over the memory. Each pass writes and verifies every cell with both bit values. Default: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub passes: Option<i64>,
}

/// NVIDIA's diagnostics.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DcgmDiag {
    /// Level of `dcgmi diag -r`, as a number from 1 (seconds) to 4 (hours). Default: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 4))]
    pub level: Option<i64>,
}

/// Combined compute and memory load at full power.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Stress {
    /// Duration, in minutes. Default: 10.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1440))]
    pub minutes: Option<i64>,
    /// Power caps to test in turn, in percent of the default limit. The limit is restored afterwards.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), inner(range(min = 10, max = 100)))]
    pub power_caps_percent: Vec<i64>,
}

/// How nodes are paired. Default: Ring.
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

/// Reachability and round-trip time between the nodes of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Ping {
    /// How nodes are paired. Default: Ring.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<Pattern>,
    /// Maximum packet loss to pass, in percent. Default: 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100))]
    pub max_loss_percent: Option<i64>,
}

/// An inclusive range of TCP ports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "self.first <= self.last",
    "message": "the port range is empty: ports.first must not exceed ports.last, for example {first: 5201, last: 5264}"
}]))]
#[serde(rename_all = "camelCase")]
pub struct PortRange {
    /// Lowest port number.
    #[schemars(range(min = 1024, max = 65535))]
    pub first: i64,
    /// Highest port number.
    #[schemars(range(min = 1024, max = 65535))]
    pub last: i64,
}

impl Default for PortRange {
    fn default() -> Self {
        Self { first: 5201, last: 5264 }
    }
}

/// Bandwidth between the nodes of a run, measured with iperf3 in rounds of disjoint pairs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NetworkBandwidth {
    /// How nodes are paired. Default: Ring.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<Pattern>,
    /// The number of parallel streams per test. Default: 8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 128))]
    pub streams: Option<i64>,
    /// Duration of each test, in seconds. Default: 5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 300))]
    pub duration_seconds: Option<i64>,
    /// Ports for the iperf3 servers. Default: 5201 to 5264.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ports: Option<PortRange>,
    /// Minimum rate to pass, in megabits per second. Default: the NodeHardwareProfile's floor. Without either, the rate is reported but not judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000_000))]
    pub min_megabits_per_second: Option<i64>,
}

/// RDMA bandwidth, measured with perftest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RdmaBandwidth {
    /// Minimum rate per port to pass, in megabits per second. Default: the NodeHardwareProfile's floor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000_000))]
    pub min_megabits_per_second: Option<i64>,
}

/// NCCL all-reduce over the GPUs of one or more nodes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Nccl {
    /// Buffer size, in MiB. Default: 1024.
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "sizeMiB")]
    #[schemars(range(min = 1, max = 65536))]
    pub size_mib: Option<i64>,
}

/// Creates a PersistentVolumeClaim, waits until it is bound, writes and reads it, and deletes it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Pvc {
    /// Storage class. Default: the cluster's default class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub storage_class: Option<String>,
    /// Size of the claim, in MiB. Default: 100.
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "sizeMiB")]
    #[schemars(range(min = 1, max = 1_048_576))]
    pub size_mib: Option<i64>,
}

/// A program that you supply, found by name in the agent's directory for custom checks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("x-kubernetes-validations" = [
    {
        "rule": "self.program.matches('^[a-z0-9][a-z0-9-]{0,62}$')",
        "messageExpression": "'custom.program ' + self.program + ' must be the name of a program in the directory for custom checks (lowercase letters, digits, hyphens), not a path or a command line'",
        "message": "custom.program must be the name of a program in the directory for custom checks, not a path or a command line"
    },
    {
        "rule": "!has(self.env) || self.env.all(key, key.startsWith('CHECK_') && size(key) <= 63)",
        "message": "keys of custom.env must start with CHECK_ and have at most 63 characters"
    }
]))]
#[serde(rename_all = "camelCase")]
pub struct Custom {
    /// Name of the program: lowercase letters, digits and hyphens. Paths are rejected.
    #[schemars(length(min = 1, max = 63))]
    pub program: String,
    /// Arguments, passed to the program unchanged, without a shell.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(max = 256)))]
    pub args: Vec<String>,
    /// Environment variables. Keys start with `CHECK_`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 16), with = "BTreeMap<String, EnvValue>")]
    pub env: BTreeMap<String, String>,
    /// Timeout, in seconds. Default: 300.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 86400))]
    pub timeout_seconds: Option<i64>,
}

/// Limit on the total length of all arguments and variables of a run's custom checks, in characters.
pub const MAX_CUSTOM_TEXT: usize = 1_024;

/// Limits across all checks of a run. Work orders are copied into a NodeHealth, which must stay small.
pub(crate) fn total_rules() -> serde_json::Value {
    serde_json::json!([{
        "rule": "self.map(c, !has(c.custom) ? 0 : \
                 (has(c.custom.args) ? c.custom.args.map(arg, size(arg)).sum() : 0) + \
                 (has(c.custom.env) ? c.custom.env.map(key, size(key) + size(c.custom.env[key])).sum() : 0)).sum() <= 1024",
        "message": "custom.args and custom.env are limited to 1024 characters over all checks: put longer input into a file that the program reads",
    }])
}

/// The value of an environment variable.
#[derive(JsonSchema)]
#[schemars(inline)]
#[allow(dead_code)]
struct EnvValue(#[schemars(length(max = 256))] String);

/// A synthetic finding to rehearse an incident. It is marked as a drill wherever it is shown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Drill {
    /// The synthetic finding to report.
    pub finding: DrillFinding,
    /// Duration of the synthetic finding, in seconds.
    #[schemars(range(min = 1, max = 86400))]
    pub seconds: i64,
    /// Whether to mark the Node as for a real fault.
    #[serde(default)]
    pub marks: bool,
}

/// The finding that a drill reports.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DrillFinding {
    /// Severity of the synthetic finding.
    pub severity: Severity,
    /// Reason of the synthetic finding, one word in PascalCase. It is shown with the prefix `Drill`.
    #[schemars(length(min = 1, max = 58), regex(pattern = r"^[A-Z][A-Za-z0-9]*$"))]
    pub reason: String,
    /// Target of the synthetic finding: a PCI address or `node`. Default: `node`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub target: Option<String>,
}
