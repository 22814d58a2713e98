//! What `nvlink` can find.

use crate::judge::core::{Page, Rule};
use crds::check::Check;
use crds::{Outcome, Severity, reason};

/// What the check can find.
pub static RULES: &[Rule] = &[
    Rule {
        reason: reason::LINKS_BELOW_PROFILE,
        outcome: Outcome::Fail,
        severity: Severity::Reset,
        when: "Fewer links of the GPU are up than the profile's gpus.nvlinkLinks, in two readings in a row. A link that is asleep is up; one that is up but not usable for traffic is not. A GPU in MIG mode is not judged, and neither are links without traffic while the fabric of the GPU is not set up or has no partition for it.",
        lifts: "One reading with at least the declared number of links up.",
        act: "Reset the GPU (on NVSwitch systems all GPUs of the node together). If the links are lost again, replace the board; if several boards lose the link to the same switch, replace the baseboard. The operator's history counts the recurrences.",
        source: "Azure/azhpc-diagnostics issue 73 (2 of 6 links inactive); AWS gpu-cluster-healthcheck check 3; Reset is our judgement",
    },
    Rule {
        reason: reason::LINK_ERRORS_PERSISTENT,
        outcome: Outcome::Fail,
        severity: Severity::Reset,
        when: "Replays or recoveries of a link rose in more than 15 of the last 30 minutes, or its CRC errors rose by 100 or more per second over five minutes.",
        lifts: "30 minutes without a replay or recovery, and CRC errors below one per second.",
        act: "Reset the GPU; if the errors return, replace the board. The link's number identifies the switch or the neighbour.",
        source: "NVIDIA/nvidia-resiliency-ext pull request 302 (30 windows of 60 s, 15 allowed); DCGM dcgm_gpu_hardware_limits.h (CRC errors only matter from 100 per second)",
    },
    Rule {
        reason: reason::LINK_BIT_ERRORS,
        outcome: Outcome::Warn,
        severity: Severity::Monitor,
        when: "The effective bit error rate of a link (NVLink 5 and later) is above 1e-6 in two readings in a row, and its effective errors rose within the last hour; errors before the end of the boot grace do not count.",
        lifts: "A rate of 1e-6 or less, or an hour without such errors.",
        act: "No data is lost. Reseat or replace the cable or the board at either end if the rate stays; compare gpuPeer of this GPU with its neighbours.",
        source: "nvml.h, fields 219 and 220; Azure/cyclecloud-healthagent, healthagent/defaults.yaml (above 1e-6 warns; DCGM's limit is 1e-12)",
    },
    Rule {
        reason: reason::LINKS_BELOW_BEST,
        outcome: Outcome::Warn,
        severity: Severity::Monitor,
        when: "The profile declares no number, and fewer links are up in two readings in a row than this board (serial number) has shown in this slot, or than most of at least four GPUs of its model on this node.",
        lifts: "One reading with at least as many links up.",
        act: "Check whether a bridge was removed on purpose; then declare gpus.nvlinkLinks so that the number can be judged.",
        source: "The rule that healthy hardware stays silent: Azure/azurehpc-health-checks issue 162 (12 of 18 by design), NVIDIA/NVSentinel pull request 1481 (A100 PCIe without bridge)",
    },
    Rule {
        reason: reason::LINK_ERRORS,
        outcome: Outcome::Warn,
        severity: Severity::Monitor,
        when: "A link had a recovery or ten replays within the last hour, or one CRC error or (NVLink 5 and later) one bad packet per second over five minutes; errors before the end of the boot grace do not count.",
        lifts: "An hour without such errors.",
        act: "No data is lost. Watch whether it continues; compare gpuPeer of this GPU with its neighbours.",
        source: "DCGM health (MonitorNVLink4Fields) names every replay and recovery; ten replays an hour and one CRC error per second are our judgement, so that a link that repeats a packet now and then raises no finding",
    },
];

/// The page of this check.
pub static PAGE: Page = Page {
    check: Check::Nvlink,
    means: "A GPU lost NVLinks to its neighbours or to the switches, or links retransmit: collective operations of the whole node slow down or stop.",
    measured: "NVML: the state of each link (field 165; where a driver lacks it, nvmlDeviceGetNvLinkState), of up to 36 links; their replays, recoveries and CRC errors, and from NVLink 5 on recoveries (field 215), packets with errors (208), effective errors and their rate (219, 220), as increases between readings: totals are never judged. Symbol errors and chip-to-chip links are shown as metrics only. `covered` lists the GPUs whose links could be counted, and every link that has ever counted an error.",
    profile: &["gpus.nvlinkLinks"],
    metrics: &[
        "gpu_health_nvlink_links_up",
        "gpu_health_nvlink_link_state",
        "gpu_health_nvlink_errors_total",
        "gpu_health_nvlink_bit_error_ratio",
        "gpu_health_c2c_links",
    ],
    rules: RULES,
};
