//! `NodeHealth.status.report` and `.exclusive`: what was measured.

use crate::{Outcome, Severity, Time, string_enum::string_enum};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The longest list of findings; beyond it `truncated` counts what was left out.
pub const MAX_FINDINGS: usize = 24;
/// The longest list of accelerators.
pub const MAX_GPUS: usize = 16;
/// The longest list of network devices.
pub const MAX_NICS: usize = 32;
/// The longest list of baselines.
pub const MAX_BASELINES: usize = 49;
/// The longest evidence, in bytes.
pub const MAX_EVIDENCE: usize = 256;
/// The longest list of edges, over all runs of a report.
pub const MAX_EDGES_REPORTED: usize = 64;
/// The longest list of runs of a report.
pub const MAX_RUNS_REPORTED: usize = 2;

/// What the agent reports. A result leaves the report only after its id left `spec.assignments`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The generation of the spec that the agent acts on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 9_007_199_254_740_991_i64))]
    pub observed_generation: Option<i64>,
    /// The agent itself.
    #[serde(default)]
    pub agent: AgentFacts,
    /// What hardware there is.
    #[serde(default)]
    pub inventory: Inventory,
    /// One row per enabled monitor.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 24))]
    pub checks: Vec<CheckRow>,
    /// What is wrong; check and target together are unique.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 24))]
    pub findings: Vec<Finding>,
    /// How many findings found no room, as a number of findings; absent if none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub truncated: Option<i64>,
    /// Counters as they stood at the start, per target; never a reason to write.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 49))]
    pub baselines: Vec<Baseline>,
    /// Where the assignments stand, and their results.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 2))]
    pub runs: Vec<RunReport>,
}

string_enum! {
    /// Whether any process of ours has the driver open.
    DriverHandles {
        /// Some process of ours has the driver library or a device node open, or may open it.
        Held,
        /// None has; a driver upgrade can go on.
        Released,
    } default Held
}

/// The agent itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AgentFacts {
    /// The version of the agent.
    #[serde(default)]
    #[schemars(length(max = 64))]
    pub version: String,
    /// The boot id of the node's kernel.
    #[serde(default)]
    #[schemars(length(max = 64))]
    pub boot_id: String,
    /// When the node booted, by its own clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub booted_at: Option<Time>,
    /// When the agent started, by its own clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Time>,
    /// The source of the kernel log, for example `kmsg:/dev/kmsg` or `syslog`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 300))]
    pub kernel_log: Option<String>,
    /// Whether a process of ours has the driver open.
    #[serde(default)]
    pub driver_handles: DriverHandles,
    /// Addresses at which peers may reach this node for checks between nodes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(max = 64)))]
    pub addresses: Vec<String>,
}

/// What hardware there is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Inventory {
    /// The vendor of the accelerators: nvidia or amd.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub vendor: Option<String>,
    /// The version of the driver.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub driver: Option<String>,
    /// The accelerators, by PCI address.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub gpus: Vec<Gpu>,
    /// The network devices that matter for training.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub nics: Vec<Nic>,
}

/// One accelerator.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Gpu {
    /// The PCI address, for example `0000:83:00.0`; the key.
    #[schemars(length(min = 1, max = 32))]
    pub pci_address: String,
    /// The index number that the driver gives it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 4096))]
    pub index: Option<i64>,
    /// The UUID.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 96))]
    pub uuid: Option<String>,
    /// The serial number of the board.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub serial: Option<String>,
    /// The model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 96))]
    pub model: Option<String>,
    /// The version of the video BIOS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub vbios: Option<String>,
    /// The memory, in MiB.
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "memoryMiB")]
    #[schemars(range(min = 0, max = 16_777_216))]
    pub memory_mib: Option<i64>,
}

/// One network device.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Nic {
    /// The PCI address.
    #[schemars(length(max = 32))]
    pub pci_address: String,
    /// The name of the interface, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub interface: Option<String>,
    /// The name of the RDMA device, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub rdma: Option<String>,
}

/// What one monitor says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CheckRow {
    /// The name of the check.
    #[schemars(length(min = 1, max = 32))]
    pub check: String,
    /// The worst outcome of its targets.
    pub outcome: Outcome,
    /// The targets that it could judge; one that is listed here and has no finding of this check is well.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 49), inner(length(max = 64)))]
    pub covered: Vec<String>,
    /// Since when the outcome stands, by the node's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,
    /// Why, as one word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub reason: Option<String>,
    /// Why, as a sentence; given where the check could not judge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub message: Option<String>,
}

/// Something that is wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// The name of the check.
    #[schemars(length(min = 1, max = 80))]
    pub check: String,
    /// The PCI address, link, port or `node`.
    #[schemars(length(min = 1, max = 64))]
    pub target: String,
    /// Warn or Fail.
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
    /// When it was first seen, by the node's clock.
    pub since: Time,
    /// When it was last seen, by the node's clock; moves at most once a minute.
    pub last_seen: Time,
    /// How many times it was seen, as a number of sightings.
    #[serde(default)]
    #[schemars(range(min = 0, max = 1_000_000_000))]
    pub count: i64,
    /// The text that proves it, at most 256 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub evidence: Option<String>,
    /// The UUID of the board that it is about, as it was known then; another board at the same address is not meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 96))]
    pub uuid: Option<String>,
    /// The serial number of that board.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub serial: Option<String>,
}

/// Counters of one target as they stood at a time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Baseline {
    /// The target, or `kernelLog` for the cursor of the kernel log.
    #[schemars(length(min = 1, max = 64))]
    pub target: String,
    /// The boot in which it was read.
    #[schemars(length(max = 64))]
    pub boot_id: String,
    /// When it was read.
    pub at: Time,
    /// The values, in a compact form of the agent's own.
    #[schemars(length(max = 256))]
    pub values: String,
}

string_enum! {
    /// Where an assignment stands.
    RunState {
        /// The agent has read the order.
        Accepted,
        /// The agent is ready for the group to start.
        Ready,
        /// At work.
        Running,
        /// Ended; results are complete.
        Done,
    } default Accepted
}

/// Where one assignment stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunReport {
    /// The id of the assignment.
    #[schemars(length(min = 1, max = 80))]
    pub id: String,
    /// Where it stands.
    pub state: RunState,
    /// When the agent began, by the node's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Time>,
    /// When it ended, by the node's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Time>,
    /// One result per check that ended.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub results: Vec<CheckResult>,
    /// The tested pairs, for checks between nodes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub edges: Vec<Edge>,
}

/// The result of one check of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CheckResult {
    /// The name of the check within the run.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
    /// The kind, for a custom program `custom/<program>`.
    #[schemars(length(min = 1, max = 80))]
    pub check: String,
    /// The worst outcome of its targets.
    pub outcome: Outcome,
    /// What cures the worst of it.
    #[serde(default)]
    pub severity: Severity,
    /// Why, as one word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub reason: Option<String>,
    /// Why, as a sentence, with the first lines of a tool's output where it could not be judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub message: Option<String>,
    /// How long it took, in milliseconds.
    #[serde(default)]
    #[schemars(range(min = 0, max = 604_800_000))]
    pub duration_ms: i64,
    /// The targets that were tested; a pass lifts findings of these only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(max = 64)))]
    pub tested: Vec<String>,
    /// Figures over the targets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 4))]
    pub aggregates: Vec<Aggregate>,
}

/// A figure over the targets of a check.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Aggregate {
    /// What was measured, with its unit, for example `sendMbps`.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
    /// The lowest value, in the unit that the name gives.
    #[schemars(range(min = -9_007_199_254_740_991_i64, max = 9_007_199_254_740_991_i64))]
    pub min: i64,
    /// The median value, in the unit that the name gives.
    #[schemars(range(min = -9_007_199_254_740_991_i64, max = 9_007_199_254_740_991_i64))]
    pub median: i64,
    /// The highest value, in the unit that the name gives.
    #[schemars(range(min = -9_007_199_254_740_991_i64, max = 9_007_199_254_740_991_i64))]
    pub max: i64,
    /// The target with the worst value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub worst: Option<String>,
}

/// One tested pair, as the client of the pair saw it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Edge {
    /// The number of the slot.
    #[schemars(range(min = 0, max = 4095))]
    pub slot: i64,
    /// The name of the other node.
    #[schemars(length(min = 1, max = 63))]
    pub peer: String,
    /// The rate at which the peer received, in megabits per second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100_000_000))]
    pub mbps: Option<i64>,
    /// The outcome.
    pub outcome: Outcome,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub reason: Option<String>,
}

/// What the reservation pod of this node reports, replaced whole.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Exclusive {
    /// The uid of the pod.
    #[schemars(length(max = 64))]
    pub pod_uid: String,
    /// The id of the assignment that it works on.
    #[schemars(length(max = 80))]
    pub assignment: String,
    /// Where it stands.
    pub state: RunState,
    /// What it found.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 24))]
    pub findings: Vec<Finding>,
    /// One result per check that ended.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub results: Vec<CheckResult>,
}
