//! `NodeHardwareProfile`: the hardware that a type of node must have.

use crate::Selector;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The hardware that a type of node must have. Values that are not declared are not judged.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "gpuhealth.dev",
    version = "v1alpha1",
    kind = "NodeHardwareProfile",
    plural = "nodehardwareprofiles",
    singular = "nodehardwareprofile",
    shortname = "nhwp",
    category = "gpuhealth",
    derive = "PartialEq",
    doc = "NodeHardwareProfile declares the hardware that a type of node must have: GPUs, network devices and minimum rates. Of the profiles that match a node, the one with the highest priority is copied into NodeHealth.spec.expected.",
    printcolumn(
        name = "Priority",
        type_ = "integer",
        json_path = ".spec.priority",
        description = "Priority; the highest wins."
    ),
    printcolumn(
        name = "Vendor",
        type_ = "string",
        json_path = ".spec.gpus.vendor",
        description = "Vendor of the accelerators."
    ),
    printcolumn(
        name = "GPUs",
        type_ = "integer",
        json_path = ".spec.gpus.count",
        description = "Expected number of accelerators."
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp",
        description = "Time since creation."
    )
)]
#[serde(rename_all = "camelCase")]
pub struct NodeHardwareProfileSpec {
    /// If several profiles match a node, the one with the highest priority number wins, then the oldest.
    #[serde(default)]
    #[schemars(range(min = -1_000_000, max = 1_000_000))]
    pub priority: i64,
    /// The nodes that this profile applies to.
    #[serde(rename = "match")]
    pub match_: Match,
    /// Expected accelerators.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpus: Option<ExpectedGpus>,
    /// Expected network devices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<ExpectedNetwork>,
    /// Key of a node label whose value names the NVLink domain of a node, for example its rack. Nodes of this profile with the same value must report the same NVLink cluster and clique; those that differ get a warning, which changes no state and marks nothing. Where a domain is divided into partitions, the label must name the partition. Without it nothing is compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 317))]
    pub nvlink_domain_label: Option<String>,
    /// Minimum rates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub floors: Option<Floors>,
}

/// The nodes that a profile applies to. Every member that is set must match.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "has(self.instanceTypes) || has(self.nodeSelector) || has(self.gpuModels)",
    "message": "match needs at least one of instanceTypes, nodeSelector and gpuModels; use nodeSelector: {} to match every accelerator node"
}]))]
#[serde(rename_all = "camelCase")]
pub struct Match {
    /// Values of the label node.kubernetes.io/instance-type. A prefix `ml.` in the label's value is ignored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), inner(length(min = 1, max = 63)))]
    pub instance_types: Option<Vec<String>>,
    /// Selects nodes by label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_selector: Option<Selector>,
    /// GPU models. Every model that the driver reports must contain one of these names as whole words, so L4 does not match L40S. A node keeps its profile while the driver is down and reports no model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 16), inner(length(min = 1, max = 64)))]
    pub gpu_models: Option<Vec<String>>,
}

/// The accelerators that a node must have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExpectedGpus {
    /// Vendor: nvidia or amd.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = r"^(nvidia|amd)$"))]
    pub vendor: Option<String>,
    /// The number of accelerators.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 16))]
    pub count: Option<i64>,
    /// Kernel driver that each accelerator must be bound to. Those bound to another one, for example vfio-pci, or to none do not count. Without it every accelerator on PCI counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = r"^[A-Za-z0-9_-]+$"))]
    pub kernel_driver: Option<String>,
    /// Allowed models. A model that the driver reports must contain one of these names as whole words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), inner(length(min = 1, max = 64)))]
    pub models: Vec<String>,
    /// Memory of each accelerator, in MiB.
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "memoryMiB")]
    #[schemars(range(min = 1, max = 16_777_216))]
    pub memory_mib: Option<i64>,
    /// Whether ECC must be enabled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ecc_required: Option<bool>,
    /// The number of NVLinks of each accelerator that must be up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 64))]
    pub nvlink_links: Option<i64>,
    /// The number of XGMI links of each accelerator that must be up. Not implemented yet: no check of AMD hardware is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 64))]
    pub xgmi_links: Option<i64>,
    /// PCIe link of each accelerator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pcie: Option<ExpectedPcie>,
    /// Minimum driver version, for example `535.54.03`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = r"^[0-9]+(\.[0-9]+)*$"))]
    pub driver_at_least: Option<String>,
}

/// Expected PCIe link.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExpectedPcie {
    /// PCIe generation, judged under load.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 8))]
    pub generation: Option<i64>,
    /// The number of lanes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 32))]
    pub width: Option<i64>,
}

/// The network devices that a node must have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExpectedNetwork {
    /// The number of RDMA devices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 64))]
    pub rdma_devices: Option<i64>,
    /// The number of EFA devices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 64))]
    pub efa_devices: Option<i64>,
    /// Ports that must be up.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub ports: Vec<ExpectedPort>,
}

/// An RDMA port that must be up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExpectedPort {
    /// Device and port, for example `mlx5_0/1`.
    #[schemars(length(min = 1, max = 32))]
    pub name: String,
    /// Rate of the port, in gigabits per second. Without it the rate is not judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100_000))]
    pub rate_gbps: Option<i64>,
}

/// Minimum rates. Without a floor, a check reports the measured value and does not judge it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Floors {
    /// Copy bandwidth between host and GPU in either direction, in megabytes (1e6 bytes) per second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000_000))]
    pub pcie_bandwidth_megabytes_per_second: Option<i64>,
    /// Copy bandwidth between GPUs, in megabytes (1e6 bytes) per second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000_000))]
    pub gpu_peer_megabytes_per_second: Option<i64>,
    /// Memory bandwidth of one GPU, in megabytes (1e6 bytes) per second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100_000_000))]
    pub gpu_memory_megabytes_per_second: Option<i64>,
    /// Matrix multiplication throughput of one GPU, in gigaflops (1e9 operations per second).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100_000_000))]
    pub gpu_compute_gigaflops: Option<i64>,
    /// Bandwidth between two nodes, measured with iperf3, in megabits per second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000_000))]
    pub network_bandwidth_megabits_per_second: Option<i64>,
    /// RDMA bandwidth between two nodes, in megabits per second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000_000))]
    pub rdma_bandwidth_megabits_per_second: Option<i64>,
    /// Bus bandwidth of a NCCL all-reduce, in megabytes (1e6 bytes) per second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100_000_000))]
    pub nccl_bus_megabytes_per_second: Option<i64>,
}

/// An instance type without SageMaker's prefix `ml.`.
pub fn instance_type(label: &str) -> &str {
    label.strip_prefix("ml.").unwrap_or(label)
}

/// Whether a name reported by a driver (`NVIDIA L4`) is of this model (`L4`). The name must contain the model as whole
/// words, ignoring case, so `L4` does not match `NVIDIA L40S`, `A10` not `A100`, and `H200` not `GH200`.
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
