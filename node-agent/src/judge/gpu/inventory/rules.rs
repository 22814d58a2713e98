//! What `inventory` can find. A board that neither view shows is replaced; one that PCI shows and the driver does not
//! needs a reboot; a mismatch that harms no job is a warning.

use crate::judge::core::{Page, Rule};
use crds::check::Check;
use crds::{Outcome, Severity, reason};

/// The page of `inventory`.
pub static PAGE: Page = Page {
    check: Check::Inventory,
    means: "An accelerator is missing, lost, or seen by one side only. A node with seven of eight GPUs looks healthy to any check that does not count them.",
    measured: "sysfs: every accelerator on PCI, by vendor and class, and whether its configuration space answers. NVML: every GPU that the driver shows. The profile: how many there must be, and of which model. The Node: how many it offers. Without the driver's library only PCI is counted and the result is Inconclusive, because only the library can show that a GPU is back. Where it cannot be told whether a display controller is one of the declared accelerators, and the count depends on it, the result is Inconclusive. A board that is found at another address takes its findings along; an address at which nothing stands is released when its board is elsewhere, or when the declared number of boards is there and read. Silent under maintenance and during the boot grace.",
    profile: &["gpus.vendor", "gpus.count", "gpus.kernelDriver", "gpus.models"],
    metrics: &["gpu_health_gpu_info"],
    rules: RULES,
};

/// What the check can find.
pub const RULES: &[Rule] = &[
    Rule {
        reason: reason::GPU_MISSING,
        outcome: Outcome::Fail,
        severity: Severity::Isolate,
        when: "In two readings PCI and driver together show fewer accelerators than the profile declares. Display cards do not count: NVIDIA's of PCI class 0x0300 that NVIDIA's driver does not have, next to boards that it has. Without a vendor in the profile, the vendor with the most accelerators counts. Without a profile nothing is missing.",
        lifts: "The count is right again.",
        act: "Look at the node's history. If a GPU has been missing since a boot, the board or its slot is dead: replace the node. If the kernel log shows Xid 79 before that, a cold boot may bring the GPU back.",
        source: "AWS gpu-cluster-healthcheck, check 0",
    },
    Rule {
        reason: reason::NOT_IN_DRIVER,
        outcome: Outcome::Fail,
        severity: Severity::Reboot,
        when: "In two readings PCI shows a GPU that is bound to the driver, the driver answers, and neither shows nor counts it. One that it counts without a handle was not read, and is not judged.",
        lifts: "The driver shows it.",
        act: "Search the kernel log for this address at the time the driver was loaded; reboot the node.",
        source: "nvml.h: a GPU that the driver could not initialise is not enumerated",
    },
    Rule {
        reason: reason::GPU_LOST,
        outcome: Outcome::Fail,
        severity: Severity::Reboot,
        when: "In two readings the driver reports a GPU as lost (NVML_ERROR_GPU_IS_LOST), or its configuration space reads all ones.",
        lifts: "The GPU answers again.",
        act: "Reboot the node; if that does not bring the GPU back, power-cycle it. If the same board is lost again, replace it.",
        source: "nvml.h, NVML_ERROR_GPU_IS_LOST; NVIDIA's Xid catalogue, 79",
    },
    Rule {
        reason: reason::NO_KERNEL_DRIVER,
        outcome: Outcome::Warn,
        severity: Severity::Monitor,
        when: "PCI shows a GPU that no kernel driver is bound to, while others are bound.",
        lifts: "A kernel driver is bound to it.",
        act: "Search the kernel log for this address at the time the driver was loaded: the driver may have refused the board. Otherwise someone has taken it from the driver, for example for a virtual machine.",
        source: "our judgement: unbound on purpose and refused by the driver look the same in sysfs; the kernel log tells",
    },
    Rule {
        reason: reason::NOT_ON_PCI,
        outcome: Outcome::Warn,
        severity: Severity::Monitor,
        when: "The driver shows a GPU that PCI does not, or the Node offers accelerators although neither shows any.",
        lifts: "Both agree.",
        act: "Check that the agent reads the node's own sysfs; in the second case restart the device plugin.",
        source: "our judgement: nothing harms a job yet",
    },
    Rule {
        reason: reason::NOT_ALLOCATABLE,
        outcome: Outcome::Warn,
        severity: Severity::Monitor,
        when: "The Node offers fewer `nvidia.com/gpu` than the driver shows. Not judged with MIG resources.",
        lifts: "The numbers are equal.",
        act: "Look at the device plugin's log: it withdraws a GPU after an Xid, and offers it again when it is restarted.",
        source: "our judgement: the device plugin may withdraw a healthy GPU",
    },
    Rule {
        reason: reason::MODEL_UNEXPECTED,
        outcome: Outcome::Warn,
        severity: Severity::Monitor,
        when: "A GPU's name, as the driver reports it, contains none of the profile's models as whole words.",
        lifts: "Every name fits.",
        act: "Correct the profile, or find out which board was installed.",
        source: "our judgement: a wrong label is at least as likely as wrong hardware",
    },
    Rule {
        reason: reason::CHILD_UNKILLABLE,
        outcome: Outcome::Warn,
        severity: Severity::Reboot,
        when: "A probe hangs in the kernel (state D) and cannot be killed.",
        lifts: "The process has ended.",
        act: "Reboot the node when its jobs are done; `driver` names the call that hangs.",
        source: "Linux: a process in uninterruptible sleep (state D) ends only when the kernel call returns",
    },
    Rule {
        reason: reason::GPU_MISSING,
        outcome: Outcome::Warn,
        severity: Severity::Monitor,
        when: "The same in one reading only: a hot-plugged board or a rescan of the bus may be under way.",
        lifts: "The next reading shows the declared number.",
        act: "Wait for the next reading.",
        source: "our judgement: one odd reading proves nothing",
    },
    Rule {
        reason: reason::NOT_IN_DRIVER,
        outcome: Outcome::Warn,
        severity: Severity::Monitor,
        when: "The same in one reading only: PCI and driver are read one after the other, and a board may have come in between.",
        lifts: "The driver shows it.",
        act: "Wait for the next reading.",
        source: "our judgement: one odd reading proves nothing",
    },
    Rule {
        reason: reason::GPU_LOST,
        outcome: Outcome::Warn,
        severity: Severity::Monitor,
        when: "The same in one reading only: a GPU that is being reset does not answer for a moment.",
        lifts: "The GPU answers again.",
        act: "Wait for the next reading.",
        source: "Linux pci_reset_function: the device is inaccessible while it is reset",
    },
];
