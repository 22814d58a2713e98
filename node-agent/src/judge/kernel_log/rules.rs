//! What `kernelLog` can find, as data.

use crate::judge::core::Rule;
use crds::{Outcome, Severity, reason};

const LIFTS_GPU: &str = "The driver reads the GPU in a reading taken after the last such line, or a new boot id.";
const LIFTS_NODE: &str = "The driver reads every GPU in a reading taken after the last such line, or a new boot id.";
const LIFTS_WARNING: &str = "3,600 s without another such line.";

/// What it can find.
pub static RULES: &[Rule] = &[
    Rule {
        reason: reason::ADAPTER_INIT_FAILED,
        outcome: Outcome::Fail,
        severity: Severity::Reboot,
        when: "The driver could not initialise the GPU (`RmInitAdapter failed`), did not say why it cannot run it, and has not read it since.",
        lifts: LIFTS_GPU,
        act: "Reboot the node, with a power cycle if it stays. If it comes back, have the board replaced.",
        source: "open-gpu-kernel-modules 1151, gpu-operator 1146: the board had died earlier, and every later open fails",
    },
    Rule {
        reason: reason::DEVICE_INACCESSIBLE,
        outcome: Outcome::Fail,
        severity: Severity::Reboot,
        when: "The GPU did not come back from D3cold (`device inaccessible`, `not ready … after resume; giving up`), and the driver has not read it since.",
        lifts: LIFTS_GPU,
        act: "Reboot the node. If it comes back, keep the board out of D3cold (power/control=on) and look at the firmware of the slot.",
        source: "gpu-passthrough-tutorial 39, kata-containers 11708, firmware-open 259: only a reboot brought the GPU back",
    },
    Rule {
        reason: reason::PCIE_LOSS,
        outcome: Outcome::Fail,
        severity: Severity::Reboot,
        when: "PCIe reported a fatal error, or one from which the kernel could not recover, for a function of the GPU or for a port with this GPU alone behind it, and the driver has not read the GPU since. A port with more than one GPU behind it accuses none.",
        lifts: "As above, and also the kernel's own `device recovery successful` for the same device.",
        act: "Reboot the node. If it comes back, look at riser, cable and slot before you replace the board.",
        source: "returnn 1500, open-gpu-kernel-modules 1229, gpu-burn 1: GPUs lost without an Xid, or before it",
    },
    Rule {
        reason: reason::GSP_SILENT,
        outcome: Outcome::Fail,
        severity: Severity::Reset,
        when: "The driver reports that the GPU's firmware processor (GSP) does not answer, and has not read the GPU since. The line names the driver's own number of the GPU (`GPU5`), which no interface maps to an address: on a node with one GPU it is that one, otherwise the node.",
        lifts: LIFTS_NODE,
        act: "Reset the GPU that an Xid 119, 120 or 154 names at the same time, or all of them; reboot the node if the reset fails.",
        source: "bazzite 4449, open-gpu-kernel-modules 942 and 1064; in the last the heartbeat stands still on a GPU that works, so the driver's answer decides",
    },
    Rule {
        reason: reason::TASKS_STUCK,
        outcome: Outcome::Fail,
        severity: Severity::Reboot,
        when: "The kernel reports a task blocked for more than two minutes (`hung_task_timeout_secs`) in a function of NVIDIA's driver, and the driver has not answered for every GPU since.",
        lifts: LIFTS_NODE,
        act: "Reboot the node: a task in uninterruptible sleep cannot be killed.",
        source: "gpud pull request 117 (only a reboot freed the node); k8s-device-plugin 77 (slow initialisation, which ends by itself)",
    },
    Rule {
        reason: reason::DRIVER_OOPS,
        outcome: Outcome::Fail,
        severity: Severity::Reboot,
        when: "The kernel crashed in a function of NVIDIA's driver (`Oops` or `BUG` with the instruction in module nvidia), and the driver has not answered for every GPU since.",
        lifts: LIFTS_NODE,
        act: "Reboot the node: locks of the driver may be held for ever. On many nodes with one driver version, change the version.",
        source: "open-gpu-kernel-modules 1107 and 1141",
    },
    Rule {
        reason: reason::DRIVER_UNSUITABLE,
        outcome: Outcome::Warn,
        severity: Severity::Monitor,
        when: "The driver says why it cannot run the GPU: it needs the open kernel modules, it is not supported by this release, its firmware file is missing, or the BIOS gave it no PCI resources.",
        lifts: LIFTS_WARNING,
        act: "Install the kind and the version of driver that the line names, or give the virtual machine its PCI resources. The board is not at fault.",
        source: "gpu-operator 492; boot logs of RTX 50 and RTX PRO boards under the closed kernel modules",
    },
    Rule {
        reason: reason::NVLINK_DISCOVERY_FAILED,
        outcome: Outcome::Warn,
        severity: Severity::Monitor,
        when: "A GPU could not learn which NVLinks of a peer have found their other end. The line names no GPU.",
        lifts: LIFTS_WARNING,
        act: "Look at the checks nvlink and fabric: if they find links down, act on them; otherwise watch.",
        source: "gpud pull request 1271: weak evidence alone",
    },
    Rule {
        reason: reason::HARDWARE_ERROR,
        outcome: Outcome::Warn,
        severity: Severity::Monitor,
        when: "An uncorrected error of memory, CPU or PCIe that the machine survived (EDAC `UE`, machine check with the bit UC, APEI `recoverable`).",
        lifts: LIFTS_WARNING,
        act: "Look into the event log of the BMC and replace what it names.",
        source: "mcelog 74; Intel SDM volume 3B for the bits of a machine check",
    },
    Rule {
        reason: reason::LOG_RATE_LIMITED,
        outcome: Outcome::Warn,
        severity: Severity::Monitor,
        when: "The driver or the kernel prints only a part of its messages (`printing 1 of every 30`, `callbacks suppressed`): counts of Xids are lower bounds.",
        lifts: LIFTS_WARNING,
        act: "Nothing by itself; the finding of the check xid on the same GPU decides.",
        source: "gpud, dmesg-with-xid-119.log; open-gpu-kernel-modules, rpc.c",
    },
    Rule {
        reason: reason::MESSAGE_NOT_PROVEN,
        outcome: Outcome::Warn,
        severity: Severity::Monitor,
        when: "A line looks like one of the above, but a program may have written it, and the hardware does not confirm it.",
        lifts: LIFTS_WARNING,
        act: "Find out which program writes such names; use /dev/kmsg as the source of the log, where records can be told apart.",
        source: "our own attack, recorded on Linux 6.18: the kernel quotes names that programs choose",
    },
    Rule {
        reason: reason::LOG_GAP,
        outcome: Outcome::Inconclusive,
        severity: Severity::None,
        when: "Kernel log records were overwritten before the agent could read them. One of them may have reported a fault.",
        lifts: "One interval without another loss.",
        act: "Find what fills the kernel log (`dmesg --follow`). If it happens again and again, enlarge the buffer with the kernel parameter `log_buf_len`.",
        source: "our judgement: lost records neither prove a fault nor rule one out",
    },
];
