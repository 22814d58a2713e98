//! The rows of `driver`.

use crate::judge::core::Rule;
use crds::{Outcome, Severity, reason};

const NVML: &str = "nvml.h, return codes";

/// What the check can find.
#[rustfmt::skip]
pub static RULES: &[Rule] = &[
    Rule {
        reason: reason::GPU_LOST,
        outcome: Outcome::Fail,
        severity: Severity::Reboot,
        when: "A call about the GPU returns 15, NVML_ERROR_GPU_IS_LOST.",
        lifts: "The driver answers calls about the GPU without that error.",
        act: "Drain and reboot the node; if the GPU is lost again, replace it.",
        source: NVML,
    },
    Rule {
        reason: reason::RESET_REQUIRED,
        outcome: Outcome::Fail,
        severity: Severity::Reset,
        when: "A call about the GPU returns 16, NVML_ERROR_RESET_REQUIRED.",
        lifts: "The driver answers calls about the GPU without that error.",
        act: "Drain the node and reset the GPU.",
        source: NVML,
    },
    Rule {
        reason: reason::LIB_RM_VERSION_MISMATCH,
        outcome: Outcome::Warn,
        severity: Severity::Monitor,
        when: "The library returns 18, NVML_ERROR_LIB_RM_VERSION_MISMATCH, and `/sys/module/nvidia/version` is older than the library: the driver was upgraded on disk and the kernel module was not reloaded.",
        lifts: "The library answers.",
        act: "Finish the upgrade: drain the node, then reload the kernel module or reboot. Programs that run go on; new ones cannot use the GPUs.",
        source: "nvml.h, return codes. With the module newer than the agent's library, or one version unknown, it is AgentLibraryStale or LibRmVersionMismatch, both Inconclusive",
    },
    Rule {
        reason: reason::DRIVER_NOT_LOADED,
        outcome: Outcome::Fail,
        severity: Severity::Reboot,
        when: "The library returns 9, NVML_ERROR_DRIVER_NOT_LOADED, and sysfs shows NVIDIA GPUs with no kernel driver bound to any of them.",
        lifts: "The library answers.",
        act: "Check the kernel log and the driver's installation; reboot the node.",
        source: "nvml.h, return codes; GPUs that another driver holds (vfio-pci), and a module that is loaded while our container has no device nodes, are left out",
    },
    Rule {
        reason: reason::CALL_HUNG,
        outcome: Outcome::Fail,
        severity: Severity::Reboot,
        when: "The same call has not returned by its deadline in two processes in a row, or it hangs in the kernel (state D). The deadline is 10 s, and 120 s at the start of the library. Once is CallUnanswered, which is Inconclusive.",
        lifts: "The library answers again.",
        act: "Drain and reboot the node; the message names the call and, where it is known, the GPU.",
        source: "NVSentinel 1574 and 1748: a driver that hangs hides every other fault; only a reboot frees what hangs in the kernel",
    },
    Rule {
        reason: reason::CHILD_UNKILLABLE,
        outcome: Outcome::Fail,
        severity: Severity::Reboot,
        when: "A call hangs in the kernel (state D), so that its process survives SIGKILL.",
        lifts: "The library answers again.",
        act: "Reboot the node; a drain may hang on the same call.",
        source: "Linux: a process in uninterruptible sleep (state D) ends only when the kernel call returns",
    },
    Rule {
        reason: reason::CORRUPTED_INFOROM,
        outcome: Outcome::Warn,
        severity: Severity::Monitor,
        when: "A call about the GPU returns 14, NVML_ERROR_CORRUPTED_INFOROM.",
        lifts: "The driver answers calls about the GPU without that error.",
        act: "Plan a replacement: the GPU still computes, but cannot store its error counters and row remappings.",
        source: "nvml.h; published nvidia-smi outputs with `infoROM is corrupted` show GPUs that do their work; DCGM error 9 (TRIAGE)",
    },
    Rule {
        reason: reason::DRIVER_ERROR,
        outcome: Outcome::Warn,
        severity: Severity::Monitor,
        when: "A call about the GPU returns 8 (external power), 10 (timeout), 11 (interrupt issue) or 999 (unknown).",
        lifts: "The driver answers calls about the GPU without such an error.",
        act: "Look at the kernel log around that time.",
        source: "nvml.h: these codes do not say what would cure the fault, and drivers return 999 for single values of healthy GPUs too; the Xid of a real fault says more",
    },
    Rule {
        reason: reason::CALL_SLOW,
        outcome: Outcome::Warn,
        severity: Severity::Monitor,
        when: "The slowest call of a sample took more than 5,000 ms.",
        lifts: "A sample without such a call.",
        act: "Turn on persistence mode; look for a GPU with an error storm.",
        source: "NVSentinel 1748: calls stalled for more than 45 s under an error storm; 5 s is our judgement",
    },
    Rule {
        reason: reason::PERSISTENCE_OFF,
        outcome: Outcome::Warn,
        severity: Severity::Monitor,
        when: "Persistence mode is off.",
        lifts: "Persistence mode is on.",
        act: "Run nvidia-persistenced, or `nvidia-smi -pm 1`.",
        source: "AWS gpu-cluster-healthcheck check 0 (WARN); DCGM error 29 (CONFIG)",
    },
    Rule {
        reason: reason::DRIVER_TOO_OLD,
        outcome: Outcome::Warn,
        severity: Severity::Monitor,
        when: "The driver's version is lower than the profile's driverAtLeast.",
        lifts: "The driver's version is driverAtLeast or higher.",
        act: "Update the driver.",
        source: "NodeHardwareProfile, gpus.driverAtLeast",
    },
    Rule {
        reason: reason::UUID_REPEATED,
        outcome: Outcome::Warn,
        severity: Severity::Monitor,
        when: "Two GPUs of the node answer with the same UUID.",
        lifts: "The UUIDs are different.",
        act: "Check the InfoROM of both boards: schedulers and device plugins identify GPUs by UUID.",
        source: "nvmlDeviceGetUUID: globally unique by its contract",
    },
];
