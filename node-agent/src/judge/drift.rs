//! The page of `drift`. The operator judges this check, because it sees more than one node; its page is generated with
//! the others.

use super::core::{Page, Rule};
use crds::check::Check;
use crds::{Outcome, Severity, reason};

/// The page of `drift`.
pub static PAGE: Page = Page {
    check: Check::Drift,
    means: "A node's driver, or the video BIOS of one of its GPUs, differs from most nodes of its profile; or nodes that belong to one NVLink domain report several.",
    measured: "By the operator, from the inventories of all reports: the driver's version among the nodes of a profile, the video BIOS among the GPUs of one model on them. At least three nodes must report a version and more than half must agree, so that a fleet-wide upgrade raises no finding halfway. NVLink domains by the cluster and clique in the reports (report.fabric), among the nodes of a profile whose label nvlinkDomainLabel has the same value. Nodes under maintenance are left out.",
    profile: &["nvlinkDomainLabel"],
    metrics: &["gpu_health_operator_nodes_drifting"],
    rules: &[
        Rule {
            reason: reason::VERSION_DIFFERS,
            outcome: Outcome::Warn,
            severity: Severity::Monitor,
            when: "The version differs from that of more than half of the nodes of the same profile.",
            lifts: "The versions are the same.",
            act: "Finish the upgrade on this node, or give it a profile of its own.",
            source: "our judgement: warning only; it never changes a node's state",
        },
        Rule {
            reason: reason::NVLINK_DOMAIN_SPLIT,
            outcome: Outcome::Warn,
            severity: Severity::Monitor,
            when: "The node's NVLink cluster or clique differs from that of more than half of at least three nodes with the same value of the profile's nvlinkDomainLabel. Where there is no such majority, all of them are told.",
            lifts: "All nodes with that value report the same.",
            act: "Jobs that span these nodes fall back to the network. Compare the NVLink partitions and the state of the fabric manager with what was planned, or correct the label.",
            source: "leptonai/gpud pull request 1302 (ClusterUUID, CliqueID); NVIDIA GPU feature discovery, label nvidia.com/gpu.clique; our judgement: warning only",
        },
    ],
};
