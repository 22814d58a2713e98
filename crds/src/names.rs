//! Names of every mark, label, field manager and resource of the product, in one place.

/// The API group.
pub const GROUP: &str = "gpuhealth.dev";
/// The API version.
pub const VERSION: &str = "v1alpha1";
/// The prefix of every label, annotation and taint that is ours on a Node.
pub const PREFIX: &str = "gpuhealth.dev/";

/// Label on a Node: healthy, suspect, quarantined, unknown.
pub const LABEL_HEALTH: &str = "gpuhealth.dev/health";
/// Label on a Node: none, monitor, reset, reboot, isolate.
pub const LABEL_SEVERITY: &str = "gpuhealth.dev/severity";
/// Label on a Node, `true` where an agent belongs. Plumbing, not a verdict: also in Observe.
pub const LABEL_AGENT: &str = "gpuhealth.dev/agent";
/// Prefix of the labels of fresh certifications: `gpuhealth.dev/certified-<level>`.
pub const LABEL_CERTIFIED_PREFIX: &str = "gpuhealth.dev/certified-";
/// Label on a Node, set by people or automation: the reason of a maintenance.
pub const LABEL_MAINTENANCE: &str = "gpuhealth.dev/maintenance";
/// Label on a Node, set by NVIDIA's GPU operator (k8s-operator-libs, `pkg/upgrade/consts.go`): where the upgrade of the
/// driver stands. Empty: not yet looked at.
pub const LABEL_DRIVER_UPGRADE: &str = "nvidia.com/gpu-driver-upgrade-state";
/// Values of [`LABEL_DRIVER_UPGRADE`] in which nothing is done to the node: `upgrade-required` waits for its turn, for
/// weeks where automatic upgrades are off.
pub const DRIVER_UPGRADE_AT_REST: &[&str] = &["", "upgrade-required", "upgrade-done"];
/// Prefix of the labels by which NVIDIA's GPU operator starts and stops what it runs on a Node (k8s-driver-manager).
pub const LABEL_DEPLOY_PREFIX: &str = "nvidia.com/gpu.deploy.";
/// Value of a label of [`LABEL_DEPLOY_PREFIX`] while the driver is being replaced.
pub const PAUSED_FOR_DRIVER_UPGRADE: &str = "paused-for-driver-upgrade";
/// Label on a Node, set by NVIDIA's MIG manager: `pending` and `rebooting` while it repartitions, then `success` or
/// `failed`.
pub const LABEL_MIG_STATE: &str = "nvidia.com/mig.config.state";
/// Values of [`LABEL_MIG_STATE`] in which GPUs come and go.
pub const MIG_UNDER_WAY: &[&str] = &["pending", "rebooting"];
/// Annotation on a Node: compact JSON of state, severity, action, since and causes.
pub const ANNOTATION_SUMMARY: &str = "gpuhealth.dev/summary";

/// Taint on a Node that is out of use; value = severity in lower case.
pub const TAINT_UNHEALTHY: &str = "gpuhealth.dev/unhealthy";
/// Taint on a Node that is fenced for a check; value = short run id.
pub const TAINT_CHECKING: &str = "gpuhealth.dev/checking";
/// Start-up taint that others register and we remove.
pub const TAINT_UNCERTIFIED: &str = "gpuhealth.dev/uncertified";

/// Type of the condition that we keep in a Node's status.
pub const NODE_CONDITION: &str = "GPUHealthy";

/// Namespace of operator and agents.
pub const NAMESPACE: &str = "gpu-health";
/// Namespace that holds one Lease per agent, named as its node, and nothing else.
pub const LEASE_NAMESPACE: &str = "gpu-health-leases";
/// ServiceAccount of the operator, in [`NAMESPACE`].
pub const OPERATOR_SERVICE_ACCOUNT: &str = "gpu-health-operator";
/// ServiceAccount of the agents, in [`NAMESPACE`].
pub const AGENT_SERVICE_ACCOUNT: &str = "gpu-health-agent";
/// ServiceAccount of the reservation pods, in [`NAMESPACE`].
pub const PROBE_SERVICE_ACCOUNT: &str = "gpu-health-probe";

/// Field manager of the operator's writes to NodeHealth metadata and spec.
pub const MANAGER_SPEC: &str = "gpu-health-operator";
/// Field manager of the operator's writes to NodeHealth status.
pub const MANAGER_DECISION: &str = "gpu-health-operator-decision";
/// Field manager of the operator's labels and annotation on Nodes.
pub const MANAGER_NODE_MARKS: &str = "gpu-health-operator-marks";
/// Field manager of the operator's condition on Nodes.
pub const MANAGER_NODE_CONDITION: &str = "gpu-health-operator-condition";
/// Field manager of the operator's taint patches on Nodes.
pub const MANAGER_NODE_TAINTS: &str = "gpu-health-operator-taints";
/// Field manager of the operator's run and policy statuses.
pub const MANAGER_STATUS: &str = "gpu-health-operator-status";
/// Field manager of the agent's report.
pub const MANAGER_REPORT: &str = "gpu-health-agent";

/// Target of a finding that concerns the node as a whole.
pub const TARGET_NODE: &str = "node";

/// Extended resources that make a node an accelerator node.
pub const ACCELERATOR_RESOURCES: &[&str] = &["nvidia.com/gpu", "amd.com/gpu"];
/// Labels of Node Feature Discovery that tell of an accelerator on PCI (class 03xx of NVIDIA 10de and AMD 1002;
/// kubernetes-sigs/node-feature-discovery, default `deviceClassWhitelist` 0300, 0302, 0b40, 12).
pub const ACCELERATOR_PCI_LABELS: &[&str] = &[
    "feature.node.kubernetes.io/pci-10de.present",
    "feature.node.kubernetes.io/pci-0300_10de.present",
    "feature.node.kubernetes.io/pci-0302_10de.present",
    "feature.node.kubernetes.io/pci-1002.present",
    "feature.node.kubernetes.io/pci-0300_1002.present",
    "feature.node.kubernetes.io/pci-0380_1002.present",
    "feature.node.kubernetes.io/pci-1200_1002.present",
    "nvidia.com/gpu.present",
];
/// The well-known label that holds a node's instance type.
pub const LABEL_INSTANCE_TYPE: &str = "node.kubernetes.io/instance-type";
