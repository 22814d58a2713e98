//! Lines as drivers printed them, with the fields to be parsed from each.

use super::origin::Origin::{self, Derived, Invented, Recorded};
use crate::xid::XidEvent::{self, FallenOffTheBus, SXid, Xid};
use crds::Severity::{self, Isolate, Monitor, Reboot, Reset};

pub(super) struct Sample {
    pub(super) line: &'static str,
    pub(super) event: XidEvent,
    pub(super) pci: &'static str,
    pub(super) pid: Option<u32>,
    pub(super) process: Option<&'static str>,
    pub(super) severity: Severity,
    pub(super) reason: &'static str,
    pub(super) origin: Origin,
}

const fn sample(
    origin: Origin,
    line: &'static str,
    event: XidEvent,
    pci: &'static str,
    process: (Option<u32>, Option<&'static str>),
    severity: Severity,
    reason: &'static str,
) -> Sample {
    Sample { line, event, pci, pid: process.0, process: process.1, severity, reason, origin }
}

const NOBODY: (Option<u32>, Option<&str>) = (None, None);

/// A format string from the driver's own source, filled in.
const OGK: &str = "open-gpu-kernel-modules 595.45.04, a format of its source";

#[rustfmt::skip]
pub(super) const SAMPLES: &[Sample] = &[
    // ---- application
    sample(Recorded("gpud PR 46"), "NVRM: Xid (PCI:0000:cb:00): 13, pid='<unknown>', name=<unknown>, Graphics SM Warp Exception on (GPC 7, TPC 7, SM 0): Illegal Instruction Parameter", Xid(13), "0000:cb:00.0", NOBODY, Monitor, "EngineException"),
    sample(Recorded("gpud components/memory/testdata"), "NVRM: Xid (PCI:0000:38:00): 13, pid='<unknown>', name=<unknown>, Graphics SM Warp Exception on (GPC 9, TPC 1, SM 1): Out Of Range Address", Xid(13), "0000:38:00.0", NOBODY, Monitor, "EngineException"),
    sample(Recorded("open-gpu-kernel-modules 1030"), "NVRM: Xid (PCI:0000:01:00): 31, pid=13705, name=UnrealEditor, channel 0x0000000c, intr 00000000. MMU Fault: ENGINE GRAPHICS GPC2 GPCCLIENT_PROP_0 faulted @ 0x0_00000000. Fault is of type FAULT_PDE ACCESS_TYPE_VIRT_READ", Xid(31), "0000:01:00.0", (Some(13705), Some("UnrealEditor")), Monitor, "MmuFault"),
    sample(Recorded("open-gpu-kernel-modules 363; PCI id ours"), "NVRM: Xid (PCI:0000:01:00): 31, pid=169800, name=chrome, Ch 00000023, intr 00000000. MMU Fault: ENGINE CE0 HUBCLIENT_HSCE0 faulted @ 0x0_0abe0000. Fault is of type FAULT_PTE ACCESS_TYPE_VIRT_READ", Xid(31), "0000:01:00.0", (Some(169_800), Some("chrome")), Monitor, "MmuFault"),
    sample(Recorded("doitsujin/dxvk 1027"), "NVRM: Xid (PCI:0000:01:00): 31, Ch 0000005a, intr 10000000. MMU Fault: …", Xid(31), "0000:01:00.0", NOBODY, Monitor, "MmuFault"),
    sample(Recorded("akash-network/support 244"), "NVRM: Xid (PCI:0000:00:07): 31, pid=2512125, name=python3.10, Ch 00000008, intr 00000000. MMU Fault: ENGINE GRAPHICS GPCCLIENT_T1_8 faulted @ 0x73ac_1c000000. Fault is of type FAULT_PDE ACCESS_TYPE_VIRT_WRITE", Xid(31), "0000:00:07.0", (Some(2_512_125), Some("python3.10")), Monitor, "MmuFault"),
    sample(Recorded("Bumblebee 608"), "NVRM: Xid (PCI:0000:08:00): 31, Ch 00000001, engmask 00000101, intr 10000000", Xid(31), "0000:08:00.0", NOBODY, Monitor, "MmuFault"),
    sample(Recorded("doitsujin/dxvk 1027"), "NVRM: Xid (PCI:0000:01:00): 32, Channel ID 00000052 intr 02000000", Xid(32), "0000:01:00.0", NOBODY, Monitor, "CorruptedPushBuffer"),
    sample(Recorded("NVSentinel tests"), "NVRM: Xid (PCI:0000:66:00): 32, pid=2280636, name=train.3, Channel ID 0000000d intr0 00040000", Xid(32), "0000:66:00.0", (Some(2_280_636), Some("train.3")), Monitor, "CorruptedPushBuffer"),
    sample(Recorded("akash-network/support 244"), "NVRM: Xid (PCI:0000:00:05): 43, pid=1045242, name=pt_main_thread, Ch 00000008", Xid(43), "0000:00:05.0", (Some(1_045_242), Some("pt_main_thread")), Monitor, "ChannelResetVerification"),
    sample(Recorded("open-gpu-kernel-modules 1150"), "NVRM: Xid (PCI:0000:dc:00): 45, pid=1818990, name=python3, Ch 00000001 caused by previous Xid 149", Xid(45), "0000:dc:00.0", (Some(1_818_990), Some("python3")), Monitor, "PreemptiveRemoval"),
    sample(Recorded("gpud PR 117"), "NVRM: Xid (PCI:0000:61:00): 45, pid=1496200, name=distprovers-gpu, Ch 0000000a", Xid(45), "0000:61:00.0", (Some(1_496_200), Some("distprovers-gpu")), Monitor, "PreemptiveRemoval"),
    sample(Recorded("NVSentinel tests"), "NVRM: Xid (PCI:0001:ab:cd): 69, pid=1310987, name=train.3, Class Error: ChId 0008, Class 0000cbc0, Offset 00000184, Data ffffffff, ErrorCode 00000004", Xid(69), "0001:ab:cd.0", (Some(1_310_987), Some("train.3")), Monitor, "ClassError"),
    sample(Recorded("NVIDIA/nccl 2241; PCI id ours"), "NVRM: Xid (PCI:0000:1b:00): 137, RLW_RXPIPE interrupt hit on link 11 on GPU0: PRIV Error", Xid(137), "0000:1b:00.0", NOBODY, Monitor, "RemoteMmuFault"),

    // ---- driver and firmware
    sample(Recorded("open-gpu-kernel-modules 1045"), "NVRM: Xid (PCI:0000:07:00): 38, pid=326, name=modprobe, channel 0x00000003 0000c597 00000000 00000000", Xid(38), "0000:07:00.0", (Some(326), Some("modprobe")), Monitor, "FecsWatchdog"),
    sample(Recorded("Bumblebee 608"), "NVRM: Xid (PCI:0000:08:00): 44, Ch 00000000, engmask 00000101, intr 10000000", Xid(44), "0000:08:00.0", NOBODY, Monitor, "ContextSwitchFault"),
    sample(Derived("NVSentinel tests"), "NVRM: Xid (PCI:0000:3f:00): 46", Xid(46), "0000:3f:00.0", NOBODY, Reset, "GpuStoppedProcessing"),
    sample(Recorded("a desktop's journal, open module 610"), "NVRM: Xid (PCI:0000:0d:00): 51, BAD_TSG encountered on runlist: 0 with error code: 4", Xid(51), "0000:0d:00.0", NOBODY, Monitor, "UnusedXid"),
    sample(Recorded("NVIDIA's guide to older drivers"), "NVRM: Xid (0000:03:00): 14, Channel 00000001", Xid(14), "0000:03:00.0", NOBODY, Monitor, "InjectedError"),
    sample(Recorded("NVSentinel tests"), "NVRM: Xid (PCI:0000:19:00): 62, 32260b5e 000154b0 00000000 2026da96 202b5626 202b5832 202b5872 202b58be", Xid(62), "0000:19:00.0", NOBODY, Reset, "PmuHalt"),
    sample(Recorded("open-gpu-kernel-modules 1307; PCI id ours"), "NVRM: Xid (PCI:0000:01:00): 62, 324c1547 0000ca08 00000000 20726198 20725344 207254b2 207237b4 20723fa4", Xid(62), "0000:01:00.0", NOBODY, Reset, "PmuHalt"),
    sample(Recorded("a camera server's log, driver 470"), "NVRM: Xid (PCI:0000:02:00): 62, pid=1300, 203c(3090) 85020c09 ffffbd53", Xid(62), "0000:02:00.0", (Some(1300), None), Reset, "PmuHalt"),
    sample(Derived(OGK), "NVRM: Xid (PCI:0000:02:00): 78, vGPU type is not supported", Xid(78), "0000:02:00.0", NOBODY, Monitor, "VgpuStartError"),
    sample(Recorded("gpud PR 46; PCI id ours"), "NVRM: Xid (PCI:0000:18:00): 109, pid=1797828, name=pt_main_thread, Ch 00000008, errorString CTX SWITCH TIMEOUT, Info 0x58005", Xid(109), "0000:18:00.0", (Some(1_797_828), Some("pt_main_thread")), Reset, "ContextSwitchTimeout"),
    sample(Recorded("open-gpu-kernel-modules 1045"), "NVRM: Xid (PCI:0000:07:00): 109, pid=326, name=modprobe, channel 0x00000007, errorString CTX SWITCH TIMEOUT, Info 0x74007", Xid(109), "0000:07:00.0", (Some(326), Some("modprobe")), Reset, "ContextSwitchTimeout"),
    sample(Derived(OGK), "NVRM: Xid (PCI:0000:18:00): 110, pid='<unknown>', name=<unknown>, SEC_FAULT: _FSP_SCPM", Xid(110), "0000:18:00.0", NOBODY, Reset, "SecurityFault"),
    sample(Recorded("open-gpu-kernel-modules 446"), "NVRM: Xid (PCI:0000:61:00): 119, pid=1346198, name=nvidia-smi, Timeout waiting for RPC from GSP! Expected function 103 (GSP_RM_ALLOC) (0x80 0x38).", Xid(119), "0000:61:00.0", (Some(1_346_198), Some("nvidia-smi")), Reset, "GspRpcTimeout"),
    sample(Recorded("gpud testdata"), "NVRM: Xid (PCI:0000:9b:00): 119, pid=2024380, name=nvidia-smi, Timeout after 6s of waiting for RPC response from GPU4 GSP! Expected function 103 (GSP_RM_ALLOC) (0x2081 0x4).", Xid(119), "0000:9b:00.0", (Some(2_024_380), Some("nvidia-smi")), Reset, "GspRpcTimeout"),
    sample(Recorded("NVSentinel tests"), "NVRM: Xid (PCI:0002:00:00): 119, pid=1582259, name=nvc:[driver], Timeout after 6s of waiting for RPC response from GPU1 GSP! Expected function 76 (GSP_RM_CONTROL) (0x20802a02 0x8).", Xid(119), "0002:00:00.0", (Some(1_582_259), Some("nvc:[driver]")), Reset, "GspRpcTimeout"),
    sample(Recorded("open-gpu-kernel-modules 1284"), "NVRM: Xid (PCI:0000:23:00): 120, GSP task exception: load access page fault (cause:0xd) @ pc:0x13636b2, partition:2#0, task:3, gfid: 0", Xid(120), "0000:23:00.0", NOBODY, Reset, "GspError"),
    sample(Recorded("a workstation's journal, open module 610"), "NVRM: Xid (PCI:0000:02:00): 143, Error status 0x65 while polling for FSP boot complete", Xid(143), "0000:02:00.0", NOBODY, Reset, "GpuInitError"),

    // ---- memory
    sample(Recorded("a runbook's capture, driver 550.90.07"), "NVRM: Xid (PCI:0000:52:00): 48, pid='<unknown>', name=<unknown>, An uncorrectable double bit error (DBE) has been detected on GPU in the framebuffer at physAddr 0x18f31d80 partition 16, subpartition 3.", Xid(48), "0000:52:00.0", NOBODY, Reset, "DoubleBitEcc"),
    sample(Derived(OGK), "NVRM: Xid (PCI:0000:85:00.1): 48, pid=7, name=nvc:[driver], An uncorrectable ECC error has been detected on GPU in GSP-RISCV", Xid(48), "0000:85:00.0", (Some(7), Some("nvc:[driver]")), Reset, "DoubleBitEcc"),
    sample(Recorded("a runbook's capture, driver 550.90.07"), "NVRM: Xid (PCI:0000:52:00): 63, pid='<unknown>', name=<unknown>, Row Remapper: New row (0x0000000018f31d80) marked for remapping, reset gpu to activate.", Xid(63), "0000:52:00.0", NOBODY, Monitor, "RowRemapRecorded"),
    sample(Recorded("stas00/ml-engineering; a pid without a name"), "NVRM: Xid (PCI:0000:10:1c): 63, pid=1896, Row Remapper: New row marked for remapping, reset gpu to activate.", Xid(63), "0000:10:1c.0", (Some(1896), None), Monitor, "RowRemapRecorded"),
    sample(Recorded("imbue-ai/cluster-health"), "NVRM: Xid (PCI:0000:0f:00): 64, pid='<unknown>', name=<unknown>, Row Remapper Error: (0x00000002eebc4100) - All reserved rows for bank are remapped", Xid(64), "0000:0f:00.0", NOBODY, Isolate, "RowRemapBankFull"),
    sample(Derived("a chronicle of a training run on p4d; the text elided"), "NVRM: Xid (PCI:0000:90:1c): 64, pid=1896, name=python3", Xid(64), "0000:90:1c.0", (Some(1896), Some("python3")), Reset, "RowRemapFailed"),
    sample(Recorded("imbue-ai/cluster-health"), "NVRM: Xid (PCI:0000:0f:00): 94, pid=2503421, name=python3, Ch 00000008", Xid(94), "0000:0f:00.0", (Some(2_503_421), Some("python3")), Monitor, "ContainedEcc"),
    sample(Recorded("akash-network/support 244"), "NVRM: Xid (PCI:0000:00:08): 94, pid='<unknown>', name=<unknown>, Contained: SM (0x1). RST: No, D-RST: No", Xid(94), "0000:00:08.0", NOBODY, Monitor, "ContainedEcc"),
    sample(Recorded("a hardware ticket of an A100 server"), "NVRM: Xid (PCI:0000:37:00): 95, pid=5171, Uncontained: FBHUB. RST: Yes, D-RST: No", Xid(95), "0000:37:00.0", (Some(5171), None), Reset, "UncontainedEcc"),
    sample(Recorded("llm-jp/nii-sakura-cluster-configs"), "NVRM: Xid (PCI:0000:2a:00): 140, pid='<unknown>', name=<unknown>, An uncorrectable ECC error detected (possible firmware handling failure) DRAM:0, LTC:0, MMU:0, PCIE:0", Xid(140), "0000:2a:00.0", NOBODY, Reset, "UnrecoverableEcc"),
    sample(Derived(OGK), "NVRM: Xid (PCI:0000:2a:00): 172, GSP-RISCV, Uncorrectable SRAM error", Xid(172), "0000:2a:00.0", NOBODY, Monitor, "UncorrectableSram"),

    // ---- bus and power
    sample(Recorded("wilicc/gpu-burn 1"), "NVRM: Xid (PCI:0000:02:00): 79, GPU has fallen off the bus.", Xid(79), "0000:02:00.0", NOBODY, Reboot, "FallenOffTheBus"),
    sample(Recorded("akash-network/support 209"), "NVRM: Xid (PCI:0000:a1:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus.", Xid(79), "0000:a1:00.0", NOBODY, Reboot, "FallenOffTheBus"),
    sample(Recorded("a note on X11 freezes, driver 450"), "NVRM: Xid (PCI:0000:01:00): 79, pid=1122, GPU has fallen off the bus.", Xid(79), "0000:01:00.0", (Some(1122), None), Reboot, "FallenOffTheBus"),
    sample(Recorded("open-gpu-kernel-modules osinit.c"), "NVRM: GPU 0000:29:00.0: GPU has fallen off the bus.", FallenOffTheBus, "0000:29:00.0", NOBODY, Reboot, "FallenOffTheBus"),
    sample(Derived("NVSentinel tests: a code and no words"), "NVRM: Xid (PCI:0000:85:00): 79", Xid(79), "0000:85:00.0", NOBODY, Reboot, "FallenOffTheBus"),
    sample(Derived("the recorded frame, another code"), "NVRM: Xid (PCI:0000:85:00): 54, pid='<unknown>', name=<unknown>, aux power", Xid(54), "0000:85:00.0", NOBODY, Isolate, "AuxPowerNotConnected"),

    // ---- links
    sample(Recorded("NVSentinel tests"), "NVRM: Xid (PCI:0003:00:00): 74, pid='<unknown>', name=<unknown>, NVLink: fatal error detected on link 14(0x0, 0x0, 0x10000, 0x0, 0x0, 0x0, 0x0)", Xid(74), "0003:00:00.0", NOBODY, Reset, "NvLinkRepeatable"),
    sample(Derived("AWS's guide to injecting faults"), "NVRM: Xid (PCI:0000:b9:00): 74, pid=<unknown>, name=<unknown>, NVLink: fatal error detected on link 6(0x10000, 0x0, 0x0, 0x0, 0x0, 0x0, 0x0)", Xid(74), "0000:b9:00.0", NOBODY, Reset, "NvLinkHardware"),
    sample(Derived(OGK), "NVRM: Xid (PCI:0000:b9:00): 74, NVLink: failed to train link 3 to remote PCI:0000:79:00", Xid(74), "0000:b9:00.0", NOBODY, Reset, "NvLinkError"),
    sample(Derived(OGK), "NVRM: Xid (PCI:0000:b9:00): 136, NVLink: Link training failed for link 5(0x0, 0x0, 0x0, 0x0, 0x1, 0x0, 0x0)", Xid(136), "0000:b9:00.0", NOBODY, Reset, "LinkTrainingFailed"),
    sample(Recorded("gpud tests; two blanks as printed"), "NVRM: Xid (PCI:0009:01:00): 149, NETIR_LINK_EVT  Fatal   XC0 i0 Link 01 (0x021425c6 0x00000000 0x00000000 0x00000000 0x00000000 0x00000000)", Xid(149), "0009:01:00.0", NOBODY, Reset, "NvLinkPeerFault"),
    sample(Recorded("NVSentinel tests"), "NVRM: Xid (PCI:0018:01:00): 149, NETIR_LINK_EVT  Fatal   XC0 i0 Link 09 (0x025525c6 0x00000000 0x00000000 0x00000000 0x00000000 0x00000000)", Xid(149), "0018:01:00.0", NOBODY, Reset, "NvLinkPeerFault"),
    sample(Recorded("gpud PR 1174"), "NVRM: Xid (PCI:0019:01:00): 149, NETIR Fatal XC0 i0 Link -1 (0x000fe406 0x00000000 0x00000000 0x00000000 0x00000000 0x00000000)", Xid(149), "0019:01:00.0", NOBODY, Reset, "NvLinkNetir"),
    sample(Recorded("gpud tests"), "NVRM: Xid (PCI:0018:01:00): 149, NETIR_BER_EVENT Nonfatal XC0 i0 Link 03 (0x00086226 0x00000001 0x00000000 0x00000000 0x00000000 0x00000000)", Xid(149), "0018:01:00.0", NOBODY, Monitor, "NvLinkNetir"),
    sample(Recorded("gpud tests"), "NVRM: Xid (PCI:0018:01:00): 145, pid=876767, name=ray::WorkerDict, RLW_RXPIPE Nonfatal XC0 i0 Link 13 (0x0409a0c2 0x00000008 0x00000001 0x00000000 0x00100000 0x00000004)", Xid(145), "0018:01:00.0", (Some(876_767), Some("ray::WorkerDict")), Monitor, "NvLinkRlw"),
    sample(Recorded("NVIDIA/TensorRT-LLM 4816; cut before its words"), "NVRM: Xid (PCI:0000:5f:00): 145, RLW_REMAP Nonfatal XC0 i0 Link 02", Xid(145), "0000:5f:00.0", NOBODY, Monitor, "NvLinkRlw"),
    sample(Derived("gpud tests"), "NVRM: Xid (PCI:0000:01:00): 144, SAW_MVB Nonfatal XC0 i0 Link 0 (0x00000001 0x00000008 0x00000000 0x00000000 0x00000000 0x00000000)", Xid(144), "0000:01:00.0", NOBODY, Monitor, "NvLinkSaw"),

    sample(Recorded("a report on a link that an ioctl takes down; PCI id and further words ours"), "NVRM: Xid (PCI:0009:01:00): 149, NETIR_LINK_EVT  Fatal   XC0 i0 Link 00 (0x016415c6 0x00000000 0x00000000 0x00000000 0x00000000 0x00000000)", Xid(149), "0009:01:00.0", NOBODY, Reset, "NvLinkNetir"),

    // ---- the recovery action
    sample(Recorded("gpud tests"), "NVRM: Xid (PCI:0009:01:00): 154, GPU recovery action changed from 0x0 (None) to 0x4 (Drain and Reset)", Xid(154), "0009:01:00.0", NOBODY, Reset, "RecoveryDrainAndReset"),
    sample(Recorded("gpud kmsg_test.go"), "NVRM: Xid (PCI:0019:01:00): 154, GPU recovery action changed from 0x4 (Drain and Reset) to 0x1 (GPU Reset Required)", Xid(154), "0019:01:00.0", NOBODY, Reset, "RecoveryGpuReset"),
    sample(Recorded("a desktop's journal, open module 610; a newer name of the same value"), "NVRM: Xid (PCI:0000:0d:00): 154, GPU recovery action changed from 0x0 (None) to 0x1 (PF FLR)", Xid(154), "0000:0d:00.0", NOBODY, Reset, "RecoveryGpuReset"),
    sample(Recorded("a workstation's journal, behind its Xid 79"), "NVRM: Xid (PCI:0000:01:00): 154, GPU recovery action changed from 0x0 (None) to 0x2 (Node Reboot Required)", Xid(154), "0000:01:00.0", NOBODY, Reboot, "RecoveryNodeReboot"),

    // ---- NVSwitch
    sample(Recorded("imbue-ai/cluster-health; the line says Non-fatal, gpud's list says fatal"), "nvidia-nvswitch2: SXid (PCI:0000:85:00.0): 12028, Non-fatal, Link 61 egress non-posted PRIV error (First)", SXid(12028), "0000:85:00.0", NOBODY, Monitor, "NvSwitchNonFatal"),
    sample(Recorded("gpud"), "nvidia-nvswitch0: SXid (PCI:0000:00:00.0): 20034, Fatal, Link 30 LTSSM Fault Up", SXid(20034), "0000:00:00.0", NOBODY, Reset, "NvSwitchFatal"),
    sample(Recorded("NVIDIA/nvtrust 124"), "nvidia-nvswitch3: SXid (PCI:0000:04:00.0): 22013, Non-fatal, Link 44 Minion Link DLREQ interrupt", SXid(22013), "0000:04:00.0", NOBODY, Monitor, "NvSwitchNonFatal"),
    sample(Recorded("gpud, 12 s after an Xid 79"), "nvidia-nvswitch1: SXid (PCI:0000:06:00.0): 20034, Fatal, Link 48 LTSSM Fault Up", SXid(20034), "0000:06:00.0", NOBODY, Reset, "NvSwitchFatal"),
    sample(Recorded("NVSentinel tests"), "nvidia-nvswitch3: SXid (PCI:0000:04:00.0): 20009, Non-fatal, Link 04 RX Short Error Rate", SXid(20009), "0000:04:00.0", NOBODY, Monitor, "NvSwitchNonFatal"),
    sample(Recorded("NVSentinel tests"), "nvidia-nvswitch0: SXid (PCI:0000:c3:00.0): 28006, Non-fatal, Link 29 MC TS crumbstore MCTO", SXid(28006), "0000:c3:00.0", NOBODY, Monitor, "NvSwitchNonFatal"),
    sample(Recorded("NVSentinel tests"), "nvidia-nvswitch3: SXid (PCI:0000:04:00.0): 24007, Fatal, Link 28 sourcetrack timeout error (First)", SXid(24007), "0000:04:00.0", NOBODY, Reset, "NvSwitchFatal"),
    sample(Derived("open-gpu-kernel-modules: the form without a link"), "nvidia-nvswitch3: SXid (PCI:0000:04:00.0): 26006, SOE HALTED", SXid(26006), "0000:04:00.0", NOBODY, Monitor, "NvSwitchUnknown"),

    // ---- a code that nobody knows
    sample(Invented, "NVRM: Xid (PCI:0000:85:00): 999, something new", Xid(999), "0000:85:00.0", NOBODY, Monitor, "UnknownXid"),
];
