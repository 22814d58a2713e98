//! Lines as drivers printed them, with what has to be read from each.

use crate::xid::Severity::{self, Isolate, Monitor, Reboot, Reset};
use crate::xid::XidEvent::{self, FallenOffTheBus, SXid, Xid};

pub(super) struct Sample {
    pub(super) line: &'static str,
    pub(super) event: XidEvent,
    pub(super) pci: &'static str,
    pub(super) pid: Option<u32>,
    pub(super) process: Option<&'static str>,
    pub(super) severity: Severity,
    pub(super) reason: &'static str,
}

const fn sample(
    line: &'static str,
    event: XidEvent,
    pci: &'static str,
    process: (Option<u32>, Option<&'static str>),
    severity: Severity,
    reason: &'static str,
) -> Sample {
    Sample { line, event, pci, pid: process.0, process: process.1, severity, reason }
}

const NOBODY: (Option<u32>, Option<&str>) = (None, None);

#[rustfmt::skip]
pub(super) const SAMPLES: &[Sample] = &[
    // [gpud PR 46]
    sample("NVRM: Xid (PCI:0000:cb:00): 13, pid='<unknown>', name=<unknown>, Graphics SM Warp Exception on (GPC 7, TPC 7, SM 0): Illegal Instruction Parameter", Xid(13), "0000:cb:00.0", NOBODY, Monitor, "EngineException"),
    // [gpud PR 46; PCI id ours]
    sample("NVRM: Xid (PCI:0000:18:00): 109, pid=1797828, name=pt_main_thread, Ch 00000008, errorString CTX SWITCH TIMEOUT, Info 0x58005", Xid(109), "0000:18:00.0", (Some(1_797_828), Some("pt_main_thread")), Reset, "ContextSwitchTimeout"),
    // [open-gpu-kernel-modules 446]
    sample("NVRM: Xid (PCI:0000:61:00): 119, pid=1346198, name=nvidia-smi, Timeout waiting for RPC from GSP! Expected function 103 (GSP_RM_ALLOC) (0x80 0x38).", Xid(119), "0000:61:00.0", (Some(1_346_198), Some("nvidia-smi")), Reset, "GspRpcTimeout"),
    // [gpud testdata]
    sample("NVRM: Xid (PCI:0000:9b:00): 119, pid=2024380, name=nvidia-smi, Timeout after 6s of waiting for RPC response from GPU4 GSP! Expected function 103 (GSP_RM_ALLOC) (0x2081 0x4).", Xid(119), "0000:9b:00.0", (Some(2_024_380), Some("nvidia-smi")), Reset, "GspRpcTimeout"),
    // [open-gpu-kernel-modules 1150]
    sample("NVRM: Xid (PCI:0000:dc:00): 45, pid=1818990, name=python3, Ch 00000001 caused by previous Xid 149", Xid(45), "0000:dc:00.0", (Some(1_818_990), Some("python3")), Monitor, "PreemptiveRemoval"),
    // [open-gpu-kernel-modules 1030]
    sample("NVRM: Xid (PCI:0000:01:00): 31, pid=13705, name=UnrealEditor, channel 0x0000000c, intr 00000000. MMU Fault: ENGINE GRAPHICS GPC2 GPCCLIENT_PROP_0 faulted @ 0x0_00000000. Fault is of type FAULT_PDE ACCESS_TYPE_VIRT_READ", Xid(31), "0000:01:00.0", (Some(13705), Some("UnrealEditor")), Monitor, "MmuFault"),
    // [open-gpu-kernel-modules 363; PCI id ours]
    sample("NVRM: Xid (PCI:0000:01:00): 31, pid=169800, name=chrome, Ch 00000023, intr 00000000. MMU Fault: ENGINE CE0 HUBCLIENT_HSCE0 faulted @ 0x0_0abe0000. Fault is of type FAULT_PTE ACCESS_TYPE_VIRT_READ", Xid(31), "0000:01:00.0", (Some(169_800), Some("chrome")), Monitor, "MmuFault"),
    // [doitsujin/dxvk 1027]
    sample("NVRM: Xid (PCI:0000:01:00): 31, Ch 0000005a, intr 10000000. MMU Fault: …", Xid(31), "0000:01:00.0", NOBODY, Monitor, "MmuFault"),
    sample("NVRM: Xid (PCI:0000:01:00): 32, Channel ID 00000052 intr 02000000", Xid(32), "0000:01:00.0", NOBODY, Monitor, "CorruptedPushBuffer"),
    // [NVSentinel tests]
    sample("NVRM: Xid (PCI:0000:66:00): 32, pid=2280636, name=train.3, Channel ID 0000000d intr0 00040000", Xid(32), "0000:66:00.0", (Some(2_280_636), Some("train.3")), Monitor, "CorruptedPushBuffer"),
    // [imbue-ai/cluster-health]
    sample("NVRM: Xid (PCI:0000:0f:00): 64, pid='<unknown>', name=<unknown>, Row Remapper Error: (0x00000002eebc4100) - All reserved rows for bank are remapped", Xid(64), "0000:0f:00.0", NOBODY, Reset, "RowRemapFailed"),
    sample("NVRM: Xid (PCI:0000:0f:00): 94, pid=2503421, name=python3, Ch 00000008", Xid(94), "0000:0f:00.0", (Some(2_503_421), Some("python3")), Monitor, "ContainedEcc"),
    // [stas00/ml-engineering; a pid without a name]
    sample("NVRM: Xid (PCI:0000:10:1c): 63, pid=1896, Row Remapper: New row marked for remapping, reset gpu to activate.", Xid(63), "0000:10:1c.0", (Some(1896), None), Monitor, "RowRemapRecorded"),
    // [wilicc/gpu-burn 1]
    sample("NVRM: Xid (PCI:0000:02:00): 79, GPU has fallen off the bus.", Xid(79), "0000:02:00.0", NOBODY, Reboot, "FallenOffTheBus"),
    // [NVSentinel tests]
    sample("NVRM: Xid (PCI:0001:ab:cd): 69, pid=1310987, name=train.3, Class Error: ChId 0008, Class 0000cbc0, Offset 00000184, Data ffffffff, ErrorCode 00000004", Xid(69), "0001:ab:cd.0", (Some(1_310_987), Some("train.3")), Monitor, "ClassError"),
    sample("NVRM: Xid (PCI:0003:00:00): 74, pid='<unknown>', name=<unknown>, NVLink: fatal error detected on link 14(0x0, 0x0, 0x10000, 0x0, 0x0, 0x0, 0x0)", Xid(74), "0003:00:00.0", NOBODY, Reset, "NvLinkRepeatable"),
    // [gpud tests; two blanks as printed, the words after the second elided by us]
    sample("NVRM: Xid (PCI:0009:01:00): 149, NETIR_LINK_EVT  Fatal   XC0 i0 Link 01 (0x021425c6 0x00000000 …)", Xid(149), "0009:01:00.0", NOBODY, Reset, "NvLinkNetir"),
    sample("NVRM: Xid (PCI:0009:01:00): 154, GPU recovery action changed from 0x0 (None) to 0x4 (Drain and Reset)", Xid(154), "0009:01:00.0", NOBODY, Reset, "RecoveryDrainAndReset"),
    // [gpud kmsg_test.go]
    sample("NVRM: Xid (PCI:0019:01:00): 154, GPU recovery action changed from 0x4 (Drain and Reset) to 0x1 (GPU Reset Required)", Xid(154), "0019:01:00.0", NOBODY, Reset, "RecoveryGpuReset"),
    // [gpud components/memory/testdata]
    sample("NVRM: Xid (PCI:0000:38:00): 13, pid='<unknown>', name=<unknown>, Graphics SM Warp Exception on (GPC 9, TPC 1, SM 1): Out Of Range Address", Xid(13), "0000:38:00.0", NOBODY, Monitor, "EngineException"),
    // [gpud PR 1174]
    sample("NVRM: Xid (PCI:0019:01:00): 149, NETIR Fatal XC0 i0 Link -1 (0x000fe406 0x00000000 0x00000000 0x00000000 0x00000000 0x00000000)", Xid(149), "0019:01:00.0", NOBODY, Reset, "NvLinkNetir"),
    // [gpud tests]
    sample("NVRM: Xid (PCI:0018:01:00): 145, pid=876767, name=ray::WorkerDict, RLW_RXPIPE Nonfatal XC0 i0 Link 13 (0x0409a0c2 0x00000008 0x00000001 0x00000000 0x00100000 0x00000004)", Xid(145), "0018:01:00.0", (Some(876_767), Some("ray::WorkerDict")), Monitor, "NvLinkRlw"),
    // [imbue-ai/cluster-health] the line says Non-fatal, gpud's list says fatal
    sample("nvidia-nvswitch2: SXid (PCI:0000:85:00.0): 12028, Non-fatal, Link 61 egress non-posted PRIV error (First)", SXid(12028), "0000:85:00.0", NOBODY, Monitor, "NvSwitchNonFatal"),
    // [gpud]
    sample("nvidia-nvswitch0: SXid (PCI:0000:00:00.0): 20034, Fatal, Link 30 LTSSM Fault Up", SXid(20034), "0000:00:00.0", NOBODY, Reset, "NvSwitchFatal"),
    // [NVIDIA/nvtrust 124]
    sample("nvidia-nvswitch3: SXid (PCI:0000:04:00.0): 22013, Non-fatal, Link 44 Minion Link DLREQ interrupt", SXid(22013), "0000:04:00.0", NOBODY, Monitor, "NvSwitchNonFatal"),
    // [NVSentinel tests]
    sample("nvidia-nvswitch3: SXid (PCI:0000:04:00.0): 20009, Non-fatal, Link 04 RX Short Error Rate", SXid(20009), "0000:04:00.0", NOBODY, Monitor, "NvSwitchNonFatal"),
    sample("nvidia-nvswitch3: SXid (PCI:0000:04:00.0): 24007, Fatal, Link 28 sourcetrack timeout error (First)", SXid(24007), "0000:04:00.0", NOBODY, Reset, "NvSwitchFatal"),
    // [open-gpu-kernel-modules: the form without a link]
    sample("nvidia-nvswitch3: SXid (PCI:0000:04:00.0): 26006, SOE HALTED", SXid(26006), "0000:04:00.0", NOBODY, Monitor, "NvSwitchUnknown"),
    // [open-gpu-kernel-modules osinit.c]
    sample("NVRM: GPU 0000:29:00.0: GPU has fallen off the bus.", FallenOffTheBus, "0000:29:00.0", NOBODY, Reboot, "FallenOffTheBus"),
    // [old drivers]
    sample("NVRM: Xid (0000:03:00): 14, Channel 00000001", Xid(14), "0000:03:00.0", NOBODY, Monitor, "UnusedXid"),
    // Forms of open-gpu-kernel-modules osapi.c.
    sample("NVRM: Xid (PCI:0000:85:00.1): 48, pid=7, name=nvc:[driver], An uncorrectable double bit error (DBE) has been detected", Xid(48), "0000:85:00.0", (Some(7), Some("nvc:[driver]")), Reset, "DoubleBitEcc"),
    sample("NVRM: Xid (PCI:0000:85:00): 54, pid='<unknown>', name=<unknown>, aux power", Xid(54), "0000:85:00.0", NOBODY, Isolate, "AuxPowerNotConnected"),
    sample("NVRM: Xid (PCI:0000:85:00): 999, something new", Xid(999), "0000:85:00.0", NOBODY, Monitor, "UnknownXid"),
    sample("NVRM: Xid (PCI:0000:85:00): 79", Xid(79), "0000:85:00.0", NOBODY, Reboot, "FallenOffTheBus"),
];
