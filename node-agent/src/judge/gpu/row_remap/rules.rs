//! The rows of `rowRemap`.

use crate::judge::core::Rule;
use crds::{Outcome, Severity, reason};

/// What the check can find.
#[rustfmt::skip]
pub static RULES: &[Rule] = &[
    Rule {
        reason: reason::REMAP_PENDING,
        outcome: Outcome::Fail,
        severity: Severity::Reset,
        when: "A row remapping is pending.",
        lifts: "None is pending, as after a reset of the GPU.",
        act: "Let running work finish (it is not affected), then reset the GPU.",
        source: "NVIDIA GPU Memory Error Management; DCGM error 85 (RESET)",
    },
    Rule {
        reason: reason::REMAP_FAILED,
        outcome: Outcome::Fail,
        severity: Severity::Isolate,
        when: "A row remapping failed. The number of remapped rows alone is not judged.",
        lifts: "The flag is clear, which requires replacing the board.",
        act: "Replace the board.",
        source: "NVIDIA GPU Memory Error Management, RMA policy; gpud pull request 219 (by the flag, not by the count)",
    },
    Rule {
        reason: reason::NO_SPARE_ROWS,
        outcome: Outcome::Warn,
        severity: Severity::Monitor,
        when: "At least one bank has no spare row left, and no remapping has failed yet.",
        lifts: "Every bank has a spare row, which requires replacing the board.",
        act: "Plan a replacement: the next error in that bank cannot be repaired.",
        source: "nvmlDeviceGetRowRemapperHistogram; NVIDIA GPU Memory Error Management",
    },
    Rule {
        reason: reason::BANK_REMAP_PENDING,
        outcome: Outcome::Fail,
        severity: Severity::Reset,
        when: "A bank remapping is pending (GPUs that remap whole banks).",
        lifts: "None is pending, as after a reset of the GPU.",
        act: "Let running work finish, then reset the GPU.",
        source: "nvml.h 13.5.37, nvmlDeviceGetBankRemapperStatus_v1 (bPending) and field 307; the driver's Xid 177 asks for a reset of the GPU to activate the remapping",
    },
    Rule {
        reason: reason::REPAIR_PENDING,
        outcome: Outcome::Fail,
        severity: Severity::Reset,
        when: "The repair of a memory channel or of a processing cluster (TPC) is pending.",
        lifts: "None is pending, as after a reset of the GPU.",
        act: "Let running work finish, then reset the GPU.",
        source: "nvml.h 13.5.37, nvmlDeviceGetRepairStatus; NVIDIA's catalogue, Xid 156 (RESET_GPU) and 160 (its text names the reset that activates the repair)",
    },
    Rule {
        reason: reason::UNREPAIRABLE_MEMORY,
        outcome: Outcome::Warn,
        severity: Severity::Monitor,
        when: "The driver flags memory that cannot be repaired.",
        lifts: "The flag is clear.",
        act: "Run gpuMemory when the node is free, and ask NVIDIA about the board. No replacement by this flag alone: nvml.h names it and does not say what to do.",
        source: "nvml.h 13.5.37, nvmlDeviceGetUnrepairableMemoryFlag_v1 (Hopper and later, R590)",
    },
    Rule {
        reason: reason::NO_SPARE_BANKS,
        outcome: Outcome::Warn,
        severity: Severity::Monitor,
        when: "At least one group of memory banks has no spare bank left (GPUs that remap whole banks).",
        lifts: "Every group has a spare bank, which requires replacing the board.",
        act: "Plan a replacement: the next bank of that group that fails cannot be remapped.",
        source: "nvml.h 13.5.37, nvmlDeviceGetBankRemapperStatus_v1 (noSpareGroupCount) and field 306",
    },
    Rule {
        reason: reason::RETIREMENT_PENDING,
        outcome: Outcome::Fail,
        severity: Severity::Reboot,
        when: "The retirement of a page is pending (GPUs before Ampere).",
        lifts: "None is pending, as after a reboot.",
        act: "Drain and reboot the node.",
        source: "AWS gpu-cluster-healthcheck check 0 (retired_pages.pending Yes: REBOOT)",
    },
    Rule {
        reason: reason::PAGES_RETIRED_DOUBLE_BIT,
        outcome: Outcome::Fail,
        severity: Severity::Isolate,
        when: "At least one page was retired after a double-bit error (GPUs before Ampere).",
        lifts: "There is no such page, which requires replacing the board.",
        act: "Replace the board. NVIDIA's own criterion is milder (60 retired pages in all): to follow it, acknowledge the finding with an override.",
        source: "AWS gpu-cluster-healthcheck check 0 (retired_pages.dbe > 0: ISOLATE); NVIDIA Dynamic Page Retirement, RMA at 60 pages",
    },
    Rule {
        reason: reason::PAGES_RETIRED_SINGLE_BIT,
        outcome: Outcome::Warn,
        severity: Severity::Monitor,
        when: "More than 60 pages were retired after single-bit errors (GPUs before Ampere).",
        lifts: "There are 60 or fewer such pages, which requires replacing the board.",
        act: "Plan a replacement: the board has room for 64.",
        source: "AWS gpu-cluster-healthcheck check 0 (MAX_RETIRED_PAGES_SBE 60: MONITOR)",
    },
];
