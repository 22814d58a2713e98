//! The pages of `inventory`, `xid` and `drift`, whose tables lie elsewhere: in [`super::inventory::RULES`], in the Xid
//! catalogue, and in the operator.

use super::{Page, Rule};
use crds::check::Check;
use crds::{Outcome, Severity, reason};

/// Pages beside [`super::PAGES`].
pub static OTHERS: &[&Page] = &[&INVENTORY, &XID, &DRIFT];

/// `inventory`.
pub static INVENTORY: Page = Page {
    check: Check::Inventory,
    means: "An accelerator is missing, lost, or seen by one side only. A node with seven of eight GPUs looks healthy to everything that does not count.",
    measured: "sysfs: every accelerator on PCI, by vendor and class, and whether its configuration space answers. NVML: every GPU that the driver shows. The profile: how many there must be, and of which model. The Node: how many it offers. Without the driver's library PCI alone is counted, and the row is Inconclusive: only the library could heal it. Silent under maintenance and during the boot grace.",
    profile: &["gpus.vendor", "gpus.count", "gpus.models"],
    metrics: &["gpu_health_gpu_info"],
    rules: &[
        Rule {
            reason: reason::GPU_MISSING,
            outcome: Outcome::Fail,
            severity: Severity::Isolate,
            when: "PCI and driver together show fewer accelerators than the profile declares. Without a profile nothing is missing.",
            lifts: "The count is right again.",
            act: "Look at the node's history: after a boot, a board or its slot is dead, so replace the node; if the kernel log tells Xid 79 before, a cold boot may bring it back.",
            source: "AWS gpu-cluster-healthcheck, check 0",
        },
        Rule {
            reason: reason::NOT_IN_DRIVER,
            outcome: Outcome::Fail,
            severity: Severity::Reboot,
            when: "PCI shows a GPU and the driver, which answers, does not.",
            lifts: "The driver shows it.",
            act: "Read the kernel log of the driver's start for this address; boot the node.",
            source: "nvml.h: a GPU that the driver could not initialise is not enumerated",
        },
        Rule {
            reason: reason::GPU_LOST,
            outcome: Outcome::Fail,
            severity: Severity::Reboot,
            when: "The driver says that a GPU is lost (NVML_ERROR_GPU_IS_LOST), or its configuration space reads all ones.",
            lifts: "The GPU answers again.",
            act: "Boot the node, by power cycle if a warm boot does not bring it back; if it comes again on the same board, replace it.",
            source: "nvml.h, NVML_ERROR_GPU_IS_LOST; NVIDIA's Xid catalogue, 79",
        },
        Rule {
            reason: reason::NOT_ON_PCI,
            outcome: Outcome::Warn,
            severity: Severity::Monitor,
            when: "The driver shows a GPU that PCI does not, or the Node offers accelerators of which neither shows any.",
            lifts: "Both agree.",
            act: "See whether the agent reads the node's own sysfs; in the second case restart the device plugin.",
            source: "a judgement: nothing harms a job yet",
        },
        Rule {
            reason: reason::NOT_ALLOCATABLE,
            outcome: Outcome::Warn,
            severity: Severity::Monitor,
            when: "The Node offers fewer `nvidia.com/gpu` than the driver shows. Not judged with MIG resources.",
            lifts: "The numbers are equal.",
            act: "Look at the device plugin's log: it takes a GPU out when it hears an Xid, and gives it back when it is restarted.",
            source: "a judgement: the device plugin has its reasons, and they are not always ours",
        },
        Rule {
            reason: reason::MODEL_UNEXPECTED,
            outcome: Outcome::Warn,
            severity: Severity::Monitor,
            when: "A GPU's name, as the driver reports it, has none of the profile's models in it as whole words.",
            lifts: "Every name fits.",
            act: "Correct the profile, or find out which board was built in.",
            source: "a judgement: it is a fault of a label at least as often as one of the hardware",
        },
        Rule {
            reason: reason::CHILD_UNKILLABLE,
            outcome: Outcome::Warn,
            severity: Severity::Reboot,
            when: "A probe hangs in the kernel (state D) and cannot be killed.",
            lifts: "The child is gone.",
            act: "Boot the node when its work is done; see `driver` for the call that hangs.",
            source: "a process in state D ends only when the kernel lets it go",
        },
    ],
};

/// `xid`: its rows are those of the catalogue.
pub static XID: Page = Page {
    check: Check::Xid,
    means: "The driver reports faults by number, as Xid (a GPU) and SXid (an NVSwitch). Each number has a row below with what cures it. Faults of programs are only watched; a fault at Reset or above stays until it is known to be cured, never until it is merely silent.",
    measured: "Records of the kernel log (only those that the kernel itself wrote), and NVML's own events; a fault that both tell counts once. Xid 74 is decided by its registers, 144 to 150 by NVIDIA's decode table, 154 by the action that it names, 94 and 95 by what the line says of containment. Without a readable kernel log the row is Inconclusive/KernelLogUnreadable.",
    profile: &[],
    metrics: &["gpu_health_agent_kernel_log_readable", "gpu_health_findings"],
    rules: &[],
};

/// `drift`: judged by the operator, which sees more than one node.
pub static DRIFT: Page = Page {
    check: Check::Drift,
    means: "A node's driver, or the video BIOS of one of its GPUs, is another than that of most nodes of its profile.",
    measured: "By the operator, from the inventories of all reports: the driver's version among the nodes of a profile, the video BIOS among the GPUs of one model on them. At least three nodes must tell theirs and more than half must agree, so that in the middle of an upgrade of the whole fleet nobody is odd. Nodes under maintenance neither count nor are odd.",
    profile: &[],
    metrics: &["gpu_health_operator_nodes_drifting"],
    rules: &[Rule {
        reason: reason::VERSION_DIFFERS,
        outcome: Outcome::Warn,
        severity: Severity::Monitor,
        when: "The version differs from that of more than half of the nodes of the same profile.",
        lifts: "The versions are the same.",
        act: "Finish the upgrade on this node, or pin its version by a profile of its own.",
        source: "a judgement: warning only; it never changes a node's state",
    }],
};

#[cfg(test)]
mod tests {
    use super::{INVENTORY, OTHERS};
    use crate::judge::{PAGES, inventory};
    use crds::check::Check;
    use std::collections::BTreeSet;
    use std::path::Path;

    #[test]
    fn the_page_of_the_inventory_has_the_rows_that_it_judges_by() {
        let page: Vec<_> = INVENTORY.rules.iter().map(|r| (r.reason, r.outcome.clone(), r.severity.clone())).collect();
        assert_eq!(page, inventory::RULES);
    }

    fn source_below(path: &Path) -> String {
        match std::fs::read_dir(path) {
            Ok(entries) => entries.map(|entry| source_below(&entry.unwrap().path())).collect(),
            Err(_) => std::fs::read_to_string(path).unwrap(),
        }
    }

    #[test]
    fn a_page_names_only_metrics_that_there_are() {
        let source = source_below(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/metrics"));
        let names = PAGES.iter().chain(OTHERS).flat_map(|page| page.metrics);
        let ours = names.filter(|name| !name.starts_with("gpu_health_operator_"));
        let missing: Vec<_> = ours.filter(|name| !source.contains(&format!("\"{name}\""))).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }

    #[test]
    fn no_check_has_two_pages() {
        let all: Vec<Check> = PAGES.iter().chain(OTHERS).map(|page| page.check).collect();
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len(), "{all:?}");
    }
}
