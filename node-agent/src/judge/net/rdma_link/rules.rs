//! What `rdmaLink` can find.

use crate::judge::core::{Page, Rule};
use crds::check::Check;
use crds::{Outcome, Severity, reason};

/// What the check can find.
pub static RULES: &[Rule] = &[
    Rule {
        reason: reason::RDMA_DEVICES_MISSING,
        outcome: Outcome::Fail,
        severity: Severity::Isolate,
        when: "In two readings there are fewer physical RDMA devices than the profile's network.rdmaDevices. Virtual and scalable functions and software devices do not count. Not judged while the device tree cannot be read, or while the missing ones may be in another network namespace.",
        lifts: "One reading with at least as many.",
        act: "Look for the card in lspci and for its driver in the kernel log. Replace a card that PCI does not show; a card that PCI shows needs its driver or firmware.",
        source: "AWS gpu-cluster-healthcheck check 2 (count against the profile: isolate); leptonai/gpud pull request 752 (`stat of IB device 'mlx5_8' failed`)",
    },
    Rule {
        reason: reason::PORT_DOWN,
        outcome: Outcome::Fail,
        severity: Severity::Monitor,
        when: "A port of the profile's network.ports is missing, its state is neither ACTIVE nor ACTIVE_DEFER, or its physical state is not LinkUp.",
        lifts: "One reading in which it is active.",
        act: "Check cable, transceiver and switch port before the card.",
        source: "leptonai/gpud pull requests 99 and 482 (Down, Disabled; Down, Polling); Linux Documentation/ABI/stable/sysfs-class-infiniband",
    },
    Rule {
        reason: reason::PORT_SLOW,
        outcome: Outcome::Fail,
        severity: Severity::Monitor,
        when: "A port of the profile's network.ports is active and runs below its rateGbps there.",
        lifts: "One reading at the declared rate.",
        act: "Lanes or speed were lost in training: clean or replace cable and transceiver, then compare both ends' settings.",
        source: "leptonai/gpud pull request 482 (a 400 Gb/s port at 10); Linux Documentation/ABI/stable/sysfs-class-infiniband",
    },
    Rule {
        reason: reason::PORT_FLAPPING,
        outcome: Outcome::Warn,
        severity: Severity::Monitor,
        when: "link_downed rose by three or more within an hour, not counting what rose before the end of the boot grace. sysfs does not show how long it was down.",
        lifts: "An hour with fewer.",
        act: "Look at cable and transceiver. Short flaps that no job noticed are harmless: NCCL gives up after about 7 s without a link.",
        source: "leptonai/gpud (three returns are a flap), NVIDIA/NVSentinel pull request 1272 (three within an hour)",
    },
    Rule {
        reason: reason::PORT_ERRORS,
        outcome: Outcome::Warn,
        severity: Severity::Monitor,
        when: "Within an hour more than 120 symbol errors or more than 5 link recoveries, or over ten minutes more than 600 lost or repeated packets per minute (receive errors, discards, link integrity, overruns, retries).",
        lifts: "The counts of the last window are within these limits.",
        act: "Compare with the other end of the cable; discards and retries alone are mostly congestion.",
        source: "NVIDIA/NVSentinel docs/nic-health-monitor (120 symbol errors per hour); 5 and 600 are our judgement",
    },
    Rule {
        reason: reason::RDMA_DEVICES_MISSING,
        outcome: Outcome::Warn,
        severity: Severity::Monitor,
        when: "The same in one reading only: while a driver or firmware reloads, its devices disappear for a moment.",
        lifts: "One reading with at least as many.",
        act: "Wait for the next reading.",
        source: "Our judgement",
    },
    Rule {
        reason: reason::PORT_DOWN,
        outcome: Outcome::Warn,
        severity: Severity::Monitor,
        when: "A port that no profile declares went down within the last hour (link_downed rose) and has not come back.",
        lifts: "One reading in which it is active.",
        act: "Declare the ports that must be up in network.ports; for other ports this is for information only.",
        source: "NVIDIA/NVSentinel issue 1529 (management ports reported as faults)",
    },
];

/// The page of this check.
pub static PAGE: Page = Page {
    check: Check::RdmaLink,
    means: "An RDMA device is missing, or a port is down, slow or counts errors: multi-node jobs hang or run slowly.",
    measured: "sysfs: class/infiniband (state, phys_state, rate, counters, hw_counters), counters as increases between readings. EFA ports always say ACTIVE; the check efa reads their counters. Ports that the profile does not name are reported, but judged only by changes; those of virtual functions are not judged at all. The result is Inconclusive where devices may be out of sight: RDMA in exclusive mode (module/ib_core/parameters/netns_mode is N) with cards on PCI that show no device, more than 128 ports of physical devices, or a declared number that is reached only with virtual devices.",
    profile: &["network.rdmaDevices", "network.ports"],
    metrics: &[
        "gpu_health_rdma_port_state",
        "gpu_health_rdma_port_rate_bits_per_second",
        "gpu_health_rdma_port_errors_total",
    ],
    rules: RULES,
};
