//! `HardwareProfile`: what a node of a kind must be.

use crate::Selector;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a node of a kind must be. Nothing is condemned for a number that nobody declared.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "gpuhealth.dev",
    version = "v1alpha1",
    kind = "HardwareProfile",
    plural = "hardwareprofiles",
    singular = "hardwareprofile",
    shortname = "hwp",
    category = "gpuhealth",
    derive = "PartialEq",
    doc = "HardwareProfile declares what a node of a kind must be: its GPUs, network devices and minimum rates. The profile of the highest priority that matches a node is copied into NodeHealth.spec.expected.",
    printcolumn(name = "Priority", type_ = "integer", json_path = ".spec.priority", description = "The highest wins."),
    printcolumn(
        name = "GPUs",
        type_ = "integer",
        json_path = ".spec.gpus.count",
        description = "How many accelerators."
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp",
        description = "When it was created."
    )
)]
#[serde(rename_all = "camelCase")]
pub struct HardwareProfileSpec {
    /// Among the profiles that match a node the one with the highest priority number wins, then the oldest.
    #[serde(default)]
    #[schemars(range(min = -1_000_000, max = 1_000_000))]
    pub priority: i64,
    /// The nodes that this profile is about.
    #[serde(rename = "match")]
    pub match_: Match,
    /// The accelerators.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpus: Option<ExpectedGpus>,
    /// The network devices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<ExpectedNetwork>,
    /// Minimum rates per check.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub floors: Option<Floors>,
}

/// Which nodes a profile is about; every member that is given must match.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "has(self.instanceTypes) || has(self.nodeSelector) || has(self.gpuModels)",
    "message": "match needs at least one of instanceTypes, nodeSelector and gpuModels; nodeSelector: {} matches every accelerator node"
}]))]
#[serde(rename_all = "camelCase")]
pub struct Match {
    /// Values of the label node.kubernetes.io/instance-type; a prefix `ml.` of the label's value is ignored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), inner(length(min = 1, max = 63)))]
    pub instance_types: Option<Vec<String>>,
    /// Selects nodes by their labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_selector: Option<Selector>,
    /// Models of GPUs, by what the agent finds: every model that the driver reports must contain one of these names as whole words, so that L4 is no L40S. A node that matched keeps its profile while the driver is dead and no model is reported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 16), inner(length(min = 1, max = 64)))]
    pub gpu_models: Option<Vec<String>>,
}

/// What accelerators a node must have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExpectedGpus {
    /// The vendor: nvidia or amd.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = r"^(nvidia|amd)$"))]
    pub vendor: Option<String>,
    /// How many accelerators, as a number of devices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 16))]
    pub count: Option<i64>,
    /// Models that are allowed; a name that the driver reports must contain one of them as whole words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), inner(length(min = 1, max = 64)))]
    pub models: Vec<String>,
    /// The memory of each, in MiB.
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "memoryMiB")]
    #[schemars(range(min = 1, max = 16_777_216))]
    pub memory_mib: Option<i64>,
    /// Whether ECC must be on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ecc_required: Option<bool>,
    /// How many NVLinks of each must be up, as a number of links.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 64))]
    pub nvlink_links: Option<i64>,
    /// The PCIe link of each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pcie: Option<ExpectedPcie>,
    /// The lowest driver version that is allowed, for example `535.54.03`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = r"^[0-9]+(\.[0-9]+)*$"))]
    pub driver_at_least: Option<String>,
}

/// What a PCIe link must be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExpectedPcie {
    /// The generation number, judged under load.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 8))]
    pub generation: Option<i64>,
    /// The width, as a number of lanes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 32))]
    pub width: Option<i64>,
}

/// What network devices a node must have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExpectedNetwork {
    /// How many RDMA devices, as a number of devices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 64))]
    pub rdma_devices: Option<i64>,
    /// How many EFA devices, as a number of devices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 64))]
    pub efa_devices: Option<i64>,
    /// The names of the ports that must be up, for example `mlx5_0/1`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(max = 32)))]
    pub ports: Vec<String>,
    /// The rate of each port, in gigabits per second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100_000))]
    pub rate_gbps: Option<i64>,
}

/// Minimum rates; a check without a floor reports its value and judges nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Floors {
    /// Host-to-device and device-to-host copies, in megabytes (1e6 bytes) per second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000_000))]
    pub pcie_bandwidth_megabytes_per_second: Option<i64>,
    /// Copies between GPUs, in megabytes (1e6 bytes) per second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000_000))]
    pub gpu_peer_megabytes_per_second: Option<i64>,
    /// Memory bandwidth of one GPU, in megabytes (1e6 bytes) per second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100_000_000))]
    pub gpu_memory_megabytes_per_second: Option<i64>,
    /// Matrix products of one GPU, in gigaflops (1e9 operations) per second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100_000_000))]
    pub gpu_compute_gigaflops: Option<i64>,
    /// Rate of iperf3 between two nodes, in megabits per second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000_000))]
    pub network_bandwidth_megabits_per_second: Option<i64>,
    /// RDMA between two nodes, in megabits per second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000_000))]
    pub rdma_bandwidth_megabits_per_second: Option<i64>,
    /// Bus bandwidth of an all-reduce, in megabytes (1e6 bytes) per second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100_000_000))]
    pub nccl_bus_megabytes_per_second: Option<i64>,
}

/// An instance type without the prefix `ml.` that SageMaker puts before it.
pub fn instance_type(label: &str) -> &str {
    label.strip_prefix("ml.").unwrap_or(label)
}

/// Whether the name that a driver reports (`NVIDIA L4`) is of this model (`L4`): the model's name is in it as whole words,
/// in any case of letters, so that `L4` is not an `NVIDIA L40S`, `A10` no `A100` and `H200` no `GH200`.
pub fn is_of_model(reported: &str, model: &str) -> bool {
    let (reported, model) = (reported.to_ascii_lowercase(), model.trim().to_ascii_lowercase());
    let inside = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    let found = |(at, part): (usize, &str)| {
        !inside(reported[..at].chars().next_back()) && !inside(reported[at + part.len()..].chars().next())
    };
    !model.is_empty() && reported.match_indices(model.as_str()).any(found)
}

#[cfg(test)]
mod tests {
    use super::is_of_model;

    #[test]
    fn a_model_is_known_by_whole_words_of_the_reported_name() {
        for (reported, model) in [
            ("NVIDIA L4", "L4"),
            ("NVIDIA H100 80GB HBM3", "H100"),
            ("NVIDIA A100-SXM4-80GB", "a100"),
            ("NVIDIA A100-SXM4-80GB", "A100-SXM4-80GB"),
            ("Tesla V100-SXM2-16GB", "V100"),
            ("NVIDIA H200", " H200 "),
        ] {
            assert!(is_of_model(reported, model), "{model} in {reported}");
        }
        for (reported, model) in [
            ("NVIDIA L40S", "L4"),
            ("NVIDIA A100-SXM4-80GB", "A10"),
            ("NVIDIA A10G", "A10"),
            ("NVIDIA GH200 480GB", "H200"),
            ("NVIDIA GB200", "B200"),
            ("NVIDIA H100 PCIe", "H100 80GB HBM3"),
            ("NVIDIA H100 PCIe", ""),
            ("", "L4"),
        ] {
            assert!(!is_of_model(reported, model), "{model} in {reported}");
        }
    }
}
