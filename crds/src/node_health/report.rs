//! `NodeHealth.status.report` and `.exclusive`: the measurements.

use crate::{Outcome, Severity, Shared, Text, Time, string_enum::string_enum};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Maximum number of findings. `truncated` counts those left out.
pub const MAX_FINDINGS: usize = 24;
/// Maximum number of accelerators.
pub const MAX_GPUS: usize = 16;
/// Maximum number of network devices.
pub const MAX_NICS: usize = 32;
/// Maximum number of baselines.
pub const MAX_BASELINES: usize = 49;
/// Maximum length of evidence, in characters.
pub const MAX_EVIDENCE: usize = 256;
/// Maximum number of edges over all runs of a report.
pub const MAX_EDGES_REPORTED: usize = 64;
/// Maximum number of runs in a report.
pub const MAX_RUNS_REPORTED: usize = 2;

/// Report of the agent. A result stays in the report until its id is gone from `spec.assignments`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The generation of the spec that the agent uses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 9_007_199_254_740_991_i64))]
    pub observed_generation: Option<i64>,
    /// Facts about the agent.
    #[serde(default)]
    pub agent: AgentFacts,
    /// Hardware of the node.
    #[serde(default)]
    pub inventory: Inventory,
    /// NVLink fabric of the GPUs, if they belong to one that spans nodes and all of them report the same one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fabric: Option<FabricDomain>,
    /// One row per enabled monitor.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 24))]
    pub checks: Shared<Vec<CheckRow>>,
    /// Faults found. The combination of check and target is unique.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 24))]
    pub findings: Vec<Finding>,
    /// The number of findings left out for lack of space. Absent if none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub truncated: Option<i64>,
    /// Reference values of counters, per target. A change here alone does not cause a write.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 49))]
    pub baselines: Vec<Baseline>,
    /// State and results of the assignments.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 2))]
    pub runs: Vec<RunReport>,
}

string_enum! {
    /// Whether any of the agent's processes has the driver open: Held or Released.
    DriverHandles {
        /// An agent process has the driver library or a device node open, or may open it.
        Held,
        /// No agent process has the driver open. A driver upgrade can proceed.
        Released,
    } default Held
}

/// Facts about the agent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AgentFacts {
    /// Version of the agent.
    #[serde(default)]
    #[schemars(length(max = 64))]
    pub version: String,
    /// Boot id of the node's kernel.
    #[serde(default)]
    #[schemars(length(max = 64))]
    pub boot_id: String,
    /// When the node booted, by the node's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub booted_at: Option<Time>,
    /// When the agent started, by the node's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Time>,
    /// Source of the kernel log, for example `kmsg:/dev/kmsg` or `syslog`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 300))]
    pub kernel_log: Option<String>,
    /// Whether any of the agent's processes has the driver open: Held or Released.
    #[serde(default)]
    pub driver_handles: DriverHandles,
    /// Why texts are missing in this report. Absent while the API server accepts the full one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<Refused>,
    /// Addresses at which other nodes can reach this node for network checks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(max = 64)))]
    pub addresses: Vec<String>,
}

/// The API server refuses the full report, so that the agent leaves out what is only for people.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Refused {
    /// Machine-readable reason, one word: `ReportRefused`.
    #[schemars(length(max = 63))]
    pub reason: String,
    /// When the full report was first refused, by the node's clock.
    pub since: Time,
}

/// Hardware of the node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Inventory {
    /// Vendor of the accelerators: nvidia or amd.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub vendor: Option<String>,
    /// Driver version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub driver: Option<String>,
    /// Accelerators, by PCI address.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub gpus: Vec<Gpu>,
    /// Network devices relevant to training.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub nics: Shared<Vec<Nic>>,
}

/// The NVLink fabric of a node's GPUs, as the driver reports it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FabricDomain {
    /// UUID of the NVLink cluster, which all nodes of one NVLink domain share.
    #[schemars(length(min = 1, max = 36))]
    pub cluster_uuid: String,
    /// The number of the clique: the GPUs of a cluster that can reach each other over NVLink.
    #[schemars(range(min = 0, max = 4_294_967_295_i64))]
    pub clique_id: i64,
}

/// One accelerator.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Gpu {
    /// PCI address, for example `0000:83:00.0`. Unique within the list.
    #[schemars(length(min = 1, max = 32))]
    pub pci_address: Text,
    /// The driver's index number of the accelerator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 4096))]
    pub index: Option<i64>,
    /// UUID.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 96))]
    pub uuid: Option<Text>,
    /// Serial number of the board.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub serial: Option<Text>,
    /// Model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 96))]
    pub model: Option<Text>,
    /// VBIOS version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub vbios: Option<Text>,
    /// Memory, in MiB.
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "memoryMiB")]
    #[schemars(range(min = 0, max = 16_777_216))]
    pub memory_mib: Option<i64>,
    /// Kernel driver that is bound instead of the vendor's own, for example vfio-pci.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub kernel_driver: Option<Text>,
}

/// One network device.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Nic {
    /// PCI address.
    #[schemars(length(max = 32))]
    pub pci_address: String,
    /// Name of the network interface, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub interface: Option<String>,
    /// Name of the RDMA device, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub rdma: Option<String>,
}

/// Latest result of one monitor.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CheckRow {
    /// Name of the check.
    #[schemars(length(min = 1, max = 32))]
    pub check: String,
    /// Worst outcome over all targets: Pass, Skipped, Inconclusive, Warn or Fail.
    pub outcome: Outcome,
    /// Targets that the check could judge. A target listed here without a finding of this check passed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 49), inner(length(max = 64)))]
    pub covered: Shared<Vec<String>>,
    /// When the outcome last changed, by the node's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,
    /// When the check last reached a verdict, by the node's clock. Written only together with another change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_run: Option<Time>,
    /// Machine-readable reason, one word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub reason: Option<String>,
    /// Human-readable explanation, present if the check could not judge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub message: Option<String>,
}

impl CheckRow {
    /// Whether the check could judge this target.
    pub fn covers(&self, target: &str) -> bool {
        self.covered.iter().any(|covered| covered == target)
    }
}

/// A fault.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// Name of the check.
    #[schemars(length(min = 1, max = 80))]
    pub check: String,
    /// PCI address, link, port or `node`.
    #[schemars(length(min = 1, max = 64))]
    pub target: String,
    /// Warn or Fail.
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
    /// When the fault was first seen, by the node's clock.
    pub since: Time,
    /// When the fault was last seen, by the node's clock. Updated at most once a minute.
    pub last_seen: Time,
    /// The number of times the fault was seen.
    #[serde(default)]
    #[schemars(range(min = 0, max = 1_000_000_000))]
    pub count: i64,
    /// Text that proves the fault, at most 256 characters, for example the kernel log record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub evidence: Option<String>,
    /// Code of the fault as its source gives it, for example the number of an Xid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 32))]
    pub code: Option<String>,
    /// UUID of the affected board when the fault was found. The finding does not apply to another board at the same address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 96))]
    pub uuid: Option<String>,
    /// Serial number of the affected board.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub serial: Option<String>,
    /// The finding that explains this one, such as the loss of a GPU. A finding with a cause is a Warn, and marks nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caused_by: Option<CausedBy>,
}

/// The key of the finding that explains another one of the same node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CausedBy {
    /// Name of the check.
    #[schemars(length(min = 1, max = 80))]
    pub check: String,
    /// Its target, a PCI address.
    #[schemars(length(min = 1, max = 64))]
    pub target: String,
}

/// Counter values of one target at one point in time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Baseline {
    /// Target, or `kernelLog` for the cursor in the kernel log.
    #[schemars(length(min = 1, max = 64))]
    pub target: String,
    /// Boot id at the time of the reading.
    #[schemars(length(max = 64))]
    pub boot_id: String,
    /// Time of the reading.
    pub at: Time,
    /// Counter values, in a compact format internal to the agent.
    #[schemars(length(max = 256))]
    pub values: String,
}

string_enum! {
    /// State of an assignment.
    RunState {
        /// The agent has accepted the work order.
        Accepted,
        /// The agent is ready to start the group check.
        Ready,
        /// The checks are running.
        Running,
        /// Finished; the results are complete.
        Done,
    } default Accepted
}

/// State and results of one assignment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunReport {
    /// Id of the assignment.
    #[schemars(length(min = 1, max = 80))]
    pub id: String,
    /// State of the assignment: Accepted, Ready, Running or Done.
    pub state: RunState,
    /// Whether the results are only reported, as the assignment says.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub report_only: bool,
    /// When the agent started the assignment, by the node's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Time>,
    /// When the assignment ended, by the node's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Time>,
    /// One result per finished check.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub results: Vec<CheckResult>,
    /// Tested pairs, for checks between nodes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub edges: Vec<Edge>,
}

/// The result of one check of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CheckResult {
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
    /// Human-readable explanation, with the first lines of the tool's output if the check could not judge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub message: Option<String>,
    /// Duration, in milliseconds.
    #[serde(default)]
    #[schemars(range(min = 0, max = 604_800_000))]
    pub duration_ms: i64,
    /// Targets that were tested. A pass lifts findings of these targets only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(max = 64)))]
    pub tested: Vec<String>,
    /// Targets that did not pass, if the check has a verdict on each. A tested target that is not listed here passed. Without the list, the outcome of the check is that of every target.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub failed: Vec<FailedTarget>,
    /// Aggregated measurements.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 4))]
    pub aggregates: Vec<Aggregate>,
}

/// The address in a target: `0000:18:00.0` of `0000:18:00.0/link3`.
pub fn address_of(target: &str) -> &str {
    target.split('/').next().unwrap_or(target)
}

/// A target that did not pass a check of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FailedTarget {
    /// PCI address, link, port or `node`.
    #[schemars(length(min = 1, max = 64))]
    pub target: String,
    /// Warn or Fail.
    pub outcome: Outcome,
    /// What it takes to fix the fault: Monitor, Reset, Reboot or Isolate.
    #[serde(default)]
    pub severity: Severity,
    /// Machine-readable reason, one word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub reason: Option<String>,
}

/// Maximum number of targets that a result lists as failed.
pub const MAX_FAILED: usize = 16;

impl CheckResult {
    /// What the check says about one target; `None` if it did not test it.
    pub fn on(&self, target: &str) -> Option<(&Outcome, &Severity)> {
        if let Some(failed) = self.failed.iter().find(|failed| failed.target == target) {
            return Some((&failed.outcome, &failed.severity));
        }
        let is_tested = self.tested.iter().any(|tested| tested == target)
            || (self.tested.is_empty() && self.failed.is_empty() && target == crate::names::TARGET_NODE);
        match (is_tested, self.failed.is_empty()) {
            (false, _) => None,
            (true, true) => Some((&self.outcome, &self.severity)),
            (true, false) => Some((&Outcome::Pass, &Severity::None)),
        }
    }
}

/// One measurement, aggregated over the targets of a check.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Aggregate {
    /// Name of the measurement, with its unit, for example `sendMbps`.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
    /// Lowest value, in the unit that the name gives.
    #[schemars(range(min = -9_007_199_254_740_991_i64, max = 9_007_199_254_740_991_i64))]
    pub min: i64,
    /// Median value, in the unit that the name gives.
    #[schemars(range(min = -9_007_199_254_740_991_i64, max = 9_007_199_254_740_991_i64))]
    pub median: i64,
    /// Highest value, in the unit that the name gives.
    #[schemars(range(min = -9_007_199_254_740_991_i64, max = 9_007_199_254_740_991_i64))]
    pub max: i64,
    /// Target with the worst value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub worst: Option<String>,
}

/// One tested pair, as measured by the client.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Edge {
    /// The number of the slot.
    #[schemars(range(min = 0, max = 4095))]
    pub slot: i64,
    /// Name of the other node.
    #[schemars(length(min = 1, max = 63))]
    pub peer: String,
    /// Rail of the edge, if it was tested on one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub rail: Option<String>,
    /// Network interface of the client, if the edge was tested on one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub interface: Option<String>,
    /// Rate at which the peer received, in megabits per second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100_000_000))]
    pub mbps: Option<i64>,
    /// Outcome: Pass, Skipped, Inconclusive, Warn or Fail.
    pub outcome: Outcome,
    /// Machine-readable reason, one word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub reason: Option<String>,
}

/// Report of the reservation pod on this node, replaced as a whole.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Exclusive {
    /// UID of the pod.
    #[schemars(length(max = 64))]
    pub pod_uid: String,
    /// Id of the pod's assignment.
    #[schemars(length(max = 80))]
    pub assignment: String,
    /// State of the assignment: Accepted, Ready, Running or Done.
    pub state: RunState,
    /// Faults that the pod found.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 24))]
    pub findings: Vec<Finding>,
    /// One result per finished check.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub results: Vec<CheckResult>,
}
