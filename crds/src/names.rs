//! Names of all labels, taints, annotations, conditions, field managers and other resources.

/// The API group.
pub const GROUP: &str = "gpuhealth.dev";
/// The API version.
pub const VERSION: &str = "v1alpha1";
/// Prefix of our labels, annotations and taints on a Node.
pub const PREFIX: &str = "gpuhealth.dev/";

/// Label on a Node: healthy, suspect, unhealthy, unknown.
pub const LABEL_HEALTH: &str = "gpuhealth.dev/health";
/// Label on a Node: none, monitor, reset, reboot, isolate.
pub const LABEL_SEVERITY: &str = "gpuhealth.dev/severity";
/// Label on a Node, `true` where an agent must run. Set in mode Observe too, as it says nothing about health.
pub const LABEL_AGENT: &str = "gpuhealth.dev/agent";
/// Prefix of the labels for valid certifications: `gpuhealth.dev/certified-<level>`.
pub const LABEL_CERTIFIED_PREFIX: &str = "gpuhealth.dev/certified-";
/// Label on a Node, set by people or automation: the node is under maintenance, and the value is the reason.
pub const LABEL_MAINTENANCE: &str = "gpuhealth.dev/maintenance";
/// Label on a Node, set by NVIDIA's GPU operator (k8s-operator-libs, `pkg/upgrade/consts.go`): the state of the driver
/// upgrade. Empty means unknown.
pub const LABEL_DRIVER_UPGRADE: &str = "nvidia.com/gpu-driver-upgrade-state";
/// Values of [`LABEL_DRIVER_UPGRADE`] that are no maintenance. A node can stay in `upgrade-required` for weeks where
/// automatic upgrades are off.
pub const DRIVER_UPGRADE_AT_REST: &[&str] = &["", "upgrade-required", "upgrade-done"];
/// Prefix of the labels with which NVIDIA's GPU operator starts and stops its pods on a Node (k8s-driver-manager).
pub const LABEL_DEPLOY_PREFIX: &str = "nvidia.com/gpu.deploy.";
/// Value of a [`LABEL_DEPLOY_PREFIX`] label while the driver is being replaced.
pub const PAUSED_FOR_DRIVER_UPGRADE: &str = "paused-for-driver-upgrade";
/// Label on a Node, set by NVIDIA's MIG manager: `pending` and `rebooting` while it repartitions, then `success` or
/// `failed`.
pub const LABEL_MIG_STATE: &str = "nvidia.com/mig.config.state";
/// Values of [`LABEL_MIG_STATE`] during which GPUs appear and disappear.
pub const MIG_UNDER_WAY: &[&str] = &["pending", "rebooting"];
/// Label on a Node, set by NVIDIA's GPU feature discovery: how many physical GPUs it has.
pub const LABEL_GPU_COUNT: &str = "nvidia.com/gpu.count";
/// Label on a HealthCheckResult: the name of its run, its end replaced by a hash where it is too long for a label.
pub const LABEL_RUN: &str = "gpuhealth.dev/run";
/// Label on a HealthCheckResult: the name of its node, its end replaced by a hash where it is too long for a label.
pub const LABEL_NODE: &str = "gpuhealth.dev/node";
/// Annotation on a Node: compact JSON of state, severity, action, since and causes.
pub const ANNOTATION_SUMMARY: &str = "gpuhealth.dev/summary";

/// Taint on a quarantined Node. The value is the severity in lowercase.
pub const TAINT_UNHEALTHY: &str = "gpuhealth.dev/unhealthy";
/// Taint on a Node reserved for a check. The value is a short run id.
pub const TAINT_CHECKING: &str = "gpuhealth.dev/checking";
/// Start-up taint that kubelets or provisioners register and the operator removes.
pub const TAINT_UNCERTIFIED: &str = "gpuhealth.dev/uncertified";

/// Type of our condition in a Node's status.
pub const NODE_CONDITION: &str = "GPUHealthy";

/// Namespace of operator and agents.
pub const NAMESPACE: &str = "gpu-health";
/// Namespace of the agents' Leases, one per agent and named after its node. Contains nothing else.
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
/// Field manager of the operator's run and policy statuses, without the claims.
pub const MANAGER_STATUS: &str = "gpu-health-operator-status";
/// Field manager of the claims in the status of a policy.
pub const MANAGER_CLAIMS: &str = "gpu-health-operator-claims";
/// Field manager of the agent's report.
pub const MANAGER_REPORT: &str = "gpu-health-agent";

/// Target of a finding that concerns the node as a whole.
pub const TARGET_NODE: &str = "node";

/// Extended resources that make a node an accelerator node.
pub const ACCELERATOR_RESOURCES: &[&str] = &["nvidia.com/gpu", "amd.com/gpu"];
/// Labels of Node Feature Discovery that indicate an accelerator on PCI (class 03xx of NVIDIA 10de and AMD 1002;
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
/// Well-known label for a node's instance type.
pub const LABEL_INSTANCE_TYPE: &str = "node.kubernetes.io/instance-type";
