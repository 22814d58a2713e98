//! `NodeHealthPolicy.spec.outputs`: which marks are set. Each is an object, so that it can get options later.

use super::yes;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which marks are set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Outputs {
    /// Node condition GPUHealthy.
    #[serde(default)]
    pub node_condition: Output,
    /// Labels gpuhealth.dev/health and gpuhealth.dev/severity.
    #[serde(default)]
    pub labels: Output,
    /// Taint gpuhealth.dev/unhealthy.
    #[serde(default)]
    pub taints: Output,
    /// Annotation gpuhealth.dev/summary.
    #[serde(default)]
    pub annotation: Output,
    /// A condition on pods that request GPUs. Not implemented yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_condition: Option<OptionalOutput>,
    /// Node condition AcceleratedHardwareReady, as read by Karpenter and EKS. Not implemented yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accelerated_hardware_ready: Option<AcceleratedHardwareReady>,
    /// Taints on DRA devices. Not implemented yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_taints: Option<DeviceTaints>,
    /// Labels, taints and annotations of IBM Autopilot. Not implemented yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub autopilot: Option<OptionalOutput>,
    /// Labels, taints and annotations of the AWS GPU cluster health check suite. Not implemented yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aws: Option<AwsOutput>,
    /// Label of AMD's health service. Not implemented yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amd: Option<OptionalOutput>,
}

/// A mark that is set unless it is switched off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Output {
    /// Whether the mark is set.
    #[serde(default = "yes")]
    pub enabled: bool,
}

impl Default for Output {
    fn default() -> Self {
        Self { enabled: true }
    }
}

/// A mark that is set only if it is switched on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OptionalOutput {
    /// Whether the mark is set.
    #[serde(default)]
    pub enabled: bool,
}

/// The Node condition AcceleratedHardwareReady.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AcceleratedHardwareReady {
    /// Whether the condition is set.
    #[serde(default)]
    pub enabled: bool,
    /// How long a node must be Unhealthy before the condition becomes False, in seconds. Karpenter replaces the node then.
    #[serde(default)]
    #[schemars(range(min = 0, max = 86400))]
    pub after_seconds: i64,
}

/// Taints on DRA devices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeviceTaints {
    /// Whether the taints are set.
    #[serde(default)]
    pub enabled: bool,
    /// Effect of the taints: NoSchedule or NoExecute.
    #[serde(default)]
    pub effect: DeviceTaintEffect,
}

/// Effect of a taint on a DRA device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DeviceTaintEffect {
    /// New pods do not get the device.
    #[default]
    NoSchedule,
    /// Running pods that use the device are evicted as well.
    NoExecute,
}

/// Marks of the AWS GPU cluster health check suite.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AwsOutput {
    /// Whether the marks are set.
    #[serde(default)]
    pub enabled: bool,
    /// Prefix of the labels, taints and annotations.
    #[serde(default = "default_aws_prefix")]
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$"))]
    pub prefix: String,
}

fn default_aws_prefix() -> String {
    // awslabs/awsome-distributed-ai, kubernetes/: the prefix of all its marks.
    "gpu-healthcheck.aws-samples.io".to_owned()
}

impl Default for AwsOutput {
    fn default() -> Self {
        Self { enabled: false, prefix: default_aws_prefix() }
    }
}
