//! The nodes of the bench, with the labels that GPU nodes of a managed cluster have.

use gpu_health_tests::cluster::NodeSpec;

/// What cloud provider, node feature discovery and GPU feature discovery put on each node of one kind of machine.
const COMMON: &[(&str, &str)] = &[
    ("beta.kubernetes.io/arch", "amd64"),
    ("beta.kubernetes.io/instance-type", "p5.48xlarge"),
    ("beta.kubernetes.io/os", "linux"),
    ("failure-domain.beta.kubernetes.io/region", "us-east-1"),
    ("failure-domain.beta.kubernetes.io/zone", "us-east-1a"),
    ("feature.node.kubernetes.io/cpu-model.vendor_id", "Intel"),
    ("feature.node.kubernetes.io/kernel-version.full", "6.8.0-1021-aws"),
    ("feature.node.kubernetes.io/pci-10de.present", "true"),
    ("feature.node.kubernetes.io/rdma.capable", "true"),
    ("feature.node.kubernetes.io/system-os_release.ID", "ubuntu"),
    ("feature.node.kubernetes.io/system-os_release.VERSION_ID", "22.04"),
    ("kubernetes.io/arch", "amd64"),
    ("kubernetes.io/os", "linux"),
    ("node.kubernetes.io/instance-type", "p5.48xlarge"),
    ("nvidia.com/cuda.driver-version.full", "570.86.15"),
    ("nvidia.com/cuda.driver-version.major", "570"),
    ("nvidia.com/cuda.driver-version.minor", "86"),
    ("nvidia.com/cuda.driver-version.revision", "15"),
    ("nvidia.com/cuda.runtime-version.full", "12.8"),
    ("nvidia.com/gpu.compute.major", "9"),
    ("nvidia.com/gpu.compute.minor", "0"),
    ("nvidia.com/gpu.count", "8"),
    ("nvidia.com/gpu.deploy.container-toolkit", "true"),
    ("nvidia.com/gpu.deploy.dcgm", "true"),
    ("nvidia.com/gpu.deploy.device-plugin", "true"),
    ("nvidia.com/gpu.deploy.driver", "true"),
    ("nvidia.com/gpu.family", "hopper"),
    ("nvidia.com/gpu.machine", "p5.48xlarge"),
    ("nvidia.com/gpu.memory", "81559"),
    ("nvidia.com/gpu.mode", "compute"),
    ("nvidia.com/gpu.present", "true"),
    ("nvidia.com/gpu.product", "NVIDIA-H100-80GB-HBM3"),
    ("nvidia.com/gpu.replicas", "1"),
    ("nvidia.com/gpu.sharing-strategy", "none"),
    ("nvidia.com/mig.capable", "true"),
    ("nvidia.com/mig.strategy", "single"),
    ("topology.k8s.aws/network-node-layer-1", "nn-1"),
    ("topology.k8s.aws/zone-id", "use1-az4"),
    ("topology.kubernetes.io/region", "us-east-1"),
    ("topology.kubernetes.io/zone", "us-east-1a"),
];

/// A Ready node with eight GPUs and the labels that it has in common with its like.
pub(super) fn with_common_labels(name: &str) -> NodeSpec {
    COMMON.iter().fold(NodeSpec::new(name), |node, (key, value)| node.label(*key, *value))
}
