//! The rows of `fabric`.

use crate::judge::core::Rule;
use crds::{Outcome, Severity, reason};

/// What the check can find.
pub static RULES: &[Rule] = &[
    Rule {
        reason: reason::FABRIC_NOT_READY,
        outcome: Outcome::Fail,
        severity: Severity::Reset,
        when: "The fabric state of the GPU is `not started` or `in progress` for 180 s and in two readings, after the boot grace and outside maintenance, and something says that it must complete: the profile declares NVLinks (gpus.nvlinkLinks), or another GPU of the node has completed. Otherwise the GPU is not judged (Inconclusive): without an active partition it stays `in progress`, as it should.",
        lifts: "State `completed`.",
        act: "CUDA does not start on this node (error 802). Check that nvidia-fabricmanager (on NVLink 5 also nvlsm) runs and has the driver's version; start it, then reset the GPUs or reboot. With FABRIC_MODE=1 a GPU without an active partition stays `in progress`: activate the partition, or declare no gpus.nvlinkLinks for such nodes.",
        source: "NVIDIA/NVSentinel issues 883 and 889 (`In Progress` for 20 days, unnoticed), NVIDIA/gpu-operator issue 2511; 180 s from NVIDIA/nvtrust issue 128",
    },
    Rule {
        reason: reason::FABRIC_FAILED,
        outcome: Outcome::Fail,
        severity: Severity::Reset,
        when: "The fabric state is `completed` and its status is an error (a return code of NVML other than success, not supported, no permission, function not found).",
        lifts: "Status `success`.",
        act: "Reset the GPUs of the node together, or reboot. If that does not help, look at the fabric manager's log and at the other nodes of the same NVLink domain.",
        source: "Azure/azhpc-images pull request 506 (Completed, Insufficient Resources); nvml.h, NVML_GPU_FABRIC_STATE_COMPLETED",
    },
    Rule {
        reason: reason::FABRIC_UNHEALTHY,
        outcome: Outcome::Fail,
        severity: Severity::Reset,
        when: "In two readings in a row the health summary is `unhealthy`, or the health mask reports an unhealthy route or an incorrect configuration other than `no partition`. A summary of a GPU without a partition is not counted.",
        lifts: "One reading with neither.",
        act: "Reset the GPU. If that does not help, the named configuration says where to look: identifiers, missing links, firmware, place in the chassis.",
        source: "kubernetes-sigs/dra-driver-nvidia-gpu issue 626 (Summary: Unhealthy, Bandwidth: Full); nvml.h, healthMask",
    },
    Rule {
        reason: reason::FABRIC_DEGRADED,
        outcome: Outcome::Warn,
        severity: Severity::Monitor,
        when: "The health mask reports degraded bandwidth, a route recovery, an access timeout recovery or the loss of the global fabric manager, or the health summary reports limited capacity.",
        lifts: "One reading with none of these.",
        act: "Jobs still run, but slower. Run nccl and gpuPeer and compare with other nodes; plan a reset when the node is idle.",
        source: "nvml.h, healthMask (0x1a9 is degraded bandwidth)",
    },
    Rule {
        reason: reason::FABRIC_NO_PARTITION,
        outcome: Outcome::Warn,
        severity: Severity::Monitor,
        when: "The health mask reports that no partition is assigned to the GPU (bits 12-13), or that its configuration is incorrect for lack of one (bits 8-11).",
        lifts: "One reading with a partition.",
        act: "Nothing, if the GPU waits for a tenant. Otherwise assign it to a partition in the fabric manager: this is a setting of the fabric, and no reset changes it.",
        source: "nvml.h, NVML_GPU_FABRIC_HEALTH_MASK_PARTITION_ASSIGNED_FALSE and _INCORRECT_CONFIGURATION_NO_PARTITION",
    },
    Rule {
        reason: reason::FABRIC_SPLIT,
        outcome: Outcome::Warn,
        severity: Severity::Monitor,
        when: "In two readings in a row the GPUs of the node report different NVLink clusters or cliques.",
        lifts: "One reading of as many GPUs in which all report the same.",
        act: "Compare the NVLink partitions with what was planned: jobs expect the GPUs of one node to reach each other. If the node is divided on purpose, ignore it with an override.",
        source: "NVIDIA k8s-dra-driver-gpu: a node has one clique, else its GPUs cannot be published as one; our judgement",
    },
    Rule {
        reason: reason::FABRIC_NOT_READY,
        outcome: Outcome::Warn,
        severity: Severity::Monitor,
        when: "The same for less than 180 s, in two readings in a row: most likely the fabric is still being set up.",
        lifts: "State `completed`.",
        act: "Wait.",
        source: "As above",
    },
];
