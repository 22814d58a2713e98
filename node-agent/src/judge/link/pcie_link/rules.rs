//! What `pcieLink` can find.

use crate::judge::core::{Page, Rule};
use crds::check::Check;
use crds::{Outcome, Severity, reason};

/// What the check can find.
pub static RULES: &[Rule] = &[
    Rule {
        reason: reason::WIDTH_BELOW_PROFILE,
        outcome: Outcome::Fail,
        severity: Severity::Reset,
        when: "The link has fewer lanes than the profile's gpus.pcie.width, idle or not, in two readings of the driver in a row, or in one reading of sysfs if the driver's library is missing.",
        lifts: "One reading with at least the declared width.",
        act: "Reset the GPU or reboot the node so that the link is trained again. If it happens again, reseat the board or replace board, riser or retimer; the operator's history counts the recurrences.",
        source: "NVIDIA/NVSentinel issue 890 (trained down after maintenance: seating, retimers); Reset before Isolate is our judgement",
    },
    Rule {
        reason: reason::GENERATION_BELOW_PROFILE,
        outcome: Outcome::Fail,
        severity: Severity::Reset,
        when: "The link runs below the profile's gpus.pcie.generation in two readings in a row while the GPU is at work (utilization of 50 % or more; if no utilization is reported, performance state 0 without the clock event reason for idle). An idle GPU lowers its link generation to save power.",
        lifts: "One reading at work with at least the declared generation, or one idle reading.",
        act: "Reset the GPU or reboot the node. If it happens again, check the slot's retimers and the firmware's settings before replacing the board.",
        source: "nvidia-smi --help-query-gpu (pcie.link.gen.current: may be reduced when the GPU is not in use); NVIDIA/NVSentinel issue 890; 50 % is our judgement",
    },
    Rule {
        reason: reason::PCIE_ERRORS,
        outcome: Outcome::Fail,
        severity: Severity::Reset,
        when: "At least one fatal error (AER) of the GPU within the last hour; errors before the end of the boot grace do not count.",
        lifts: "An hour without another.",
        act: "Reset the GPU or reboot the node: the link is not reliable after a fatal error. If it happens again, replace the board or its riser.",
        source: "Linux Documentation/PCI/pcieaer-howto (fatal errors make the link unreliable); wilicc/gpu-burn issue 1 (a fatal error, then Xid 79); one hour is our judgement",
    },
    Rule {
        reason: reason::WIDTH_BELOW_BEST,
        outcome: Outcome::Warn,
        severity: Severity::Monitor,
        when: "The profile declares no width, and the link has fewer lanes than this board (serial number) has shown in this slot, or than most of at least four GPUs of its model on this node.",
        lifts: "One reading with at least as many lanes.",
        act: "Compare with the platform's specification of this slot; then declare gpus.pcie.width so that the width can be judged.",
        source: "The rule that healthy hardware stays silent: a device's own maximum alone proves no fault, but a change is worth a look",
    },
    Rule {
        reason: reason::GENERATION_BELOW_BEST,
        outcome: Outcome::Warn,
        severity: Severity::Monitor,
        when: "The profile declares no generation, and the link runs below the best that this board has shown in this slot, in two readings in a row at work.",
        lifts: "One reading at work with at least that generation, or one idle reading.",
        act: "As above; declare gpus.pcie.generation.",
        source: "As above",
    },
    Rule {
        reason: reason::PCIE_NONFATAL_ERRORS,
        outcome: Outcome::Warn,
        severity: Severity::Monitor,
        when: "At least one uncorrected non-fatal error (AER) of the GPU within the last hour; errors before the end of the boot grace do not count.",
        lifts: "An hour without another.",
        act: "Look in the kernel log for the kind of error: an unsupported request usually comes from software, a completion timeout or a poisoned packet from the link.",
        source: "Linux Documentation/PCI/pcieaer-howto (non-fatal: one transaction is lost, the link works); one hour is our judgement",
    },
    Rule {
        reason: reason::PCIE_REPLAYS,
        outcome: Outcome::Warn,
        severity: Severity::Monitor,
        when: "Over ten minutes, more replays per minute than the generation allows (8 up to generation 3, 16 for 4, 32 for 5, 64 for 6), or more than 600 corrected errors (AER) per minute.",
        lifts: "Ten minutes within these limits.",
        act: "No data is lost, but transfers are slower. Compare the GPU's pcieBandwidth with its neighbours'; reseat the board or its riser at the next opportunity.",
        source: "DCGM dcgm_gpu_hardware_limits.h (8 per minute), doubled with each generation since NVIDIA/DCGM issue 184; 600 is our judgement: 20 times the errors of a generation 5 link at a bit error rate of 1e-12",
    },
];

/// The page of this check.
pub static PAGE: Page = Page {
    check: Check::PcieLink,
    means: "A GPU's PCIe link lost lanes or speed, or retransmits and loses packets: every transfer between host and GPU is slower, and nothing else reports it.",
    measured: "NVML: current generation and width, replay counter, utilization, performance state. sysfs: current_link_width, current_link_speed and aer_dev_* of each accelerator. If both report the width, NVML's counts; if NVML reports none (AMD, no library, a hung call), that of sysfs does. The maximum that a device reports is never used as a limit: an L4 in an x8 slot is healthy.",
    profile: &["gpus.pcie.width", "gpus.pcie.generation"],
    metrics: &[
        "gpu_health_pcie_link_width_lanes",
        "gpu_health_pcie_link_generation",
        "gpu_health_pcie_replays_total",
        "gpu_health_pcie_aer_errors_total",
    ],
    rules: RULES,
};
