//! Kernel logs in the shape of published ones: the lines are ours, with the addresses and the forms of the source.

use super::Case;

const fn case(
    number: u32,
    about: &'static str,
    source: &'static str,
    log: &'static str,
    expected: &'static [&'static str],
) -> Case {
    Case { number, about, source, log, expected, differs: "" }
}

const NOTHING: &[&str] = &[];

/// Every case, by its number.
#[rustfmt::skip]
pub(super) const CASES: &[Case] = &[
    case(1, "L40 lost at probe, three lines, no Xid", "NVSentinel 155",
        "[   12.100001] NVRM: The NVIDIA GPU 0000:b3:00.0
[   12.100002] NVRM: (PCI ID: 10de:26b5) installed in this system has
[   12.100003] NVRM: fallen off the bus and is not responding to commands.
[   12.100400] nvidia: probe of 0000:b3:00.0 failed with error -1
[   12.100500] NVRM: The NVIDIA probe routine failed for 1 device(s).",
        &["0000:b3:00.0 Reboot FallenOffTheBus"]),
    case(3, "GSP timeout, rate limited", "gpud, dmesg-with-xid-119.log",
        "[Tue Jan 14 10:00:00 2025] NVRM: Xid (PCI:0000:9b:00): 119, pid=2024380, name=nvidia-smi, Timeout after 6s of waiting for RPC response from GPU4 GSP! Expected function 103 (GSP_RM_ALLOC) (0x2081 0x4).
[Tue Jan 14 10:00:00 2025] NVRM: GPU4 GSP RPC buffer contains function 4128 (GSP_POST_NOCAT_RECORD) and data 0x0000000000000005 0x00000000009bd0b8.
[Tue Jan 14 10:00:00 2025] Call Trace:
[Tue Jan 14 10:00:00 2025]  os_dump_stack+0xe/0x14 [nvidia]
[Tue Jan 14 10:01:00 2025] NVRM: Rate limiting GSP RPC error prints for GPU at PCI:0000:9b:00 (printing 1 of every 30).  The GPU likely needs to be reset.
[Tue Jan 14 10:06:00 2025] NVRM: Xid (PCI:0000:9b:00): 119, pid=4071838, name=python, Timeout after 6s of waiting for RPC response from GPU4 GSP! Expected function 76 (GSP_RM_CONTROL) (0x20801702 0x4).",
        &["0000:9b:00.0 Reset GspRpcTimeout", "0000:9b:00.0 Monitor LogRateLimited"]),
    case(4, "GB200: fatal link events, Xid 154 moves on", "gpud pull request 1160",
        "[171167.620236] NVRM: Xid (PCI:0009:01:00): 149, NETIR_LINK_EVT  Fatal   XC0 i0 Link 01 (0x021425c6 0x00000000 0x00000000 0x00000000 0x00000000 0x00000000)
[171167.620800] NVRM: Xid (PCI:0008:01:00): 149, NETIR_LINK_EVT  Fatal   XC0 i0 Link 08 (0x021425c6 0x00000000 0x00000000 0x00000000 0x00000000 0x00000000)
[171167.621162] NVRM: Xid (PCI:0009:01:00): 154, GPU recovery action changed from 0x0 (None) to 0x4 (Drain and Reset)
[171167.621900] NVRM: Xid (PCI:0008:01:00): 154, GPU recovery action changed from 0x0 (None) to 0x1 (GPU Reset Required)
[171167.700000] NVRM: Xid (PCI:0018:01:00): 154, GPU recovery action changed from 0x4 (Drain and Reset) to 0x1 (GPU Reset Required)
[171167.897562] NVRM: Xid (PCI:0019:01:00): 154, GPU recovery action changed from 0x4 (Drain and Reset) to 0x1 (GPU Reset Required)",
        &["0008:01:00.0 Reset", "0009:01:00.0 Reset", "0018:01:00.0 Reset RecoveryGpuReset", "0019:01:00.0 Reset RecoveryGpuReset"]),
    case(6, "a VM: programs on two GPUs, contained ECC on a third", "akash-network support 244",
        "[Fri Aug 30 11:43:09 2024] NVRM: Xid (PCI:0000:00:05): 43, pid=1045242, name=pt_main_thread, Ch 00000008
[Fri Aug 30 11:44:09 2024] NVRM: Xid (PCI:0000:00:05): 43, pid=1045242, name=pt_main_thread, Ch 00000009
[Fri Aug 30 12:43:09 2024] NVRM: Xid (PCI:0000:00:07): 31, pid='<unknown>', name=<unknown>, Ch 00000008, intr 00000000. MMU Fault: ENGINE GRAPHICS GPCCLIENT_T1_8 faulted @ 0x73ac_1c000000. Fault is of type FAULT_PDE ACCESS_TYPE_VIRT_WRITE
[Sat Aug 31 01:43:09 2024] NVRM: Xid (PCI:0000:00:08): 94, pid='<unknown>', name=<unknown>, Contained: SM (0x1). RST: No, D-RST: No",
        &["0000:00:05.0 Monitor ChannelResetVerification", "0000:00:07.0 Monitor MmuFault", "0000:00:08.0 Monitor ContainedEcc"]),
    case(7, "Talos: Xid 74 with a link, 154, banner lines", "vllm 40652",
        "192.168.11.119: kern: warning: [2026-04-22T21:25:20.458998481Z]: NVRM: GPU at PCI:0000:48:00: GPU-5fc0bcec-c2e1-38dc-8994-2a9f9f3b709e
192.168.11.119: kern: warning: [2026-04-22T21:25:20.473962892Z]: NVRM: GPU Board Serial Number: 1563521020414
192.168.11.119: kern: warning: [2026-04-22T21:25:20.505406921Z]: NVRM: Xid (PCI:0000:48:00): 74, pid=22884, name=VLLM::Worker, NVLink: fatal error detected on link 8(0x0, 0x0, 0x10000, 0x0, 0x0, 0x0, 0x0)
192.168.11.119: kern: warning: [2026-04-22T21:25:20.560106789Z]: NVRM: Xid (PCI:0000:48:00): 45, pid=22884, name=VLLM::Worker, channel 0x0000000a caused by previous Xid 74
192.168.11.119: kern: warning: [2026-04-22T21:25:20.610106789Z]: NVRM: Xid (PCI:0000:48:00): 154, GPU recovery action changed from 0x0 (None) to 0x1 (GPU Reset Required)
192.168.11.119: kern: warning: [2026-04-22T21:25:20.658998481Z]: NVRM: GPU at PCI:0000:0b:00: GPU-11c0bcec-c2e1-38dc-8994-2a9f9f3b709e
192.168.11.119: kern: warning: [2026-04-22T21:25:21.658998481Z]: NVRM: _kgspLogXid119: ********************************* GSP Timeout **********************************",
        &["0000:48:00.0 Reset"]),
    case(8, "A100, domain 0001: banner lines around two Xid 119", "vllm 40652, comment of 2026-05-05",
        "[Sun Apr 26 23:12:26 2026] NVRM: _kgspLogXid119: ********************************* GSP Timeout **********************************
[Sun Apr 26 23:12:26 2026] NVRM: _kgspLogXid119: Note: Please also check logs above.
[Sun Apr 26 23:12:26 2026] NVRM: Xid (PCI:0001:6c:00): 119, pid=10200, name=NvmlTaskRunner, Timeout after 45s of waiting for RPC response from GPU5 GSP! Expected function 76 (GSP_RM_CONTROL) sequence 24174 (0x20801322 0x808).
[Sun Apr 26 23:13:11 2026] NVRM: Xid (PCI:0001:96:00): 119, pid=10200, name=NvmlTaskRunner, Timeout after 45s of waiting for RPC response from GPU6 GSP! Expected function 76 (GSP_RM_CONTROL) sequence 23837 (0x20810108 0x3e0).
[Sun Apr 26 23:13:11 2026] NVRM: _kgspLogXid119: ********************************************************************************",
        &["0001:6c:00.0 Reset GspRpcTimeout", "0001:96:00.0 Reset GspRpcTimeout"]),
    case(9, "Polish months; Xid 38 and 109 of the driver itself", "open-gpu-kernel-modules 1045",
        "kwi 15 09:12:01 host kernel: NVRM: Xid (PCI:0000:07:00): 38, pid=326, name=modprobe, channel 0x00000003 0000c597 00000000 00000000
kwi 15 09:12:02 host kernel: NVRM: Xid (PCI:0000:07:00): 109, pid=326, name=modprobe, Ch 00000003, errorString CTX SWITCH TIMEOUT, Info 0x4c005
kwi 15 09:12:02 host kernel: NVRM: Xid (PCI:0000:07:00): 109, pid=326, name=modprobe, Ch 00000003, errorString CTX SWITCH TIMEOUT, Info 0x4c005",
        &["0000:07:00.0 Reset ContextSwitchTimeout"]),
    case(10, "PMU halt, 154, then 109 on the compositor", "open-gpu-kernel-modules 1045",
        "mar 15 20:01:00 host kernel: NVRM: GPU0 nvAssertFailedNoLog: Assertion failed: status == NV_OK || status == NV_WARN @ kern_pmu.c:101
mar 15 20:01:00 host kernel: NVRM: Xid (PCI:0000:01:00): 62, 32260b5e 000154b0 00000000 2026da96 202b5626 202b5832 202b5872 202b58be
mar 15 20:01:00 host kernel: NVRM: Xid (PCI:0000:01:00): 154, GPU recovery action changed from 0x0 (None) to 0x1 (GPU Reset Required)
mar 15 20:01:09 host kernel: NVRM: Xid (PCI:0000:01:00): 109, pid=2211, name=cinnamon, Ch 00000018, errorString CTX SWITCH TIMEOUT, Info 0x8c009",
        &["0000:01:00.0 Reset PmuHalt"]),
    case(13, "double-bit error with a pending remap", "a runbook of a GPU cluster, driver 550.90.07",
        "[1000000.100000] NVRM: Xid (PCI:0000:52:00): 48, pid=77, name=python3, DBE (double bit error) ECC Error (DBE) has been detected on GPU
[1000000.110000] NVRM: Xid (PCI:0000:52:00): 63, pid=77, name=python3, Row Remapper: New row marked for remapping, reset gpu to activate.
[1000000.124000] NVRM: Xid (PCI:0000:52:00): 94, pid=77, name=python3, Contained: CE User Channel (0x9). RST: No, D-RST: No",
        &["0000:52:00.0 Reset DoubleBitEcc"]),
    case(15, "addresses redacted by the reporter", "nccl 2241",
        "[99.000001] NVRM: Xid (PCI:...): 145, RLW_RXPIPE Nonfatal XC0 i0 Link 11 (0x........ 0x........)
[99.000002] NVRM: Xid (PCI:...): 137, RLW_RXPIPE interrupt hit on link 11 on GPU0: PRIV Error",
        NOTHING),
    case(16, "surprise down at the port, then Xid 79", "gpu-burn 1",
        "[74785.644138] pcieport 0000:00:02.0: AER: Corrected error received: id=0010
[74785.644150] pcieport 0000:00:02.0: PCIe Bus Error: severity=Corrected, type=Data Link Layer, id=0010(Transmitter ID)
[74889.640000] pcieport 0000:00:02.0: AER: Uncorrected (Fatal) error received: id=0010
[74889.640010] pcieport 0000:00:02.0: PCIe Bus Error: severity=Uncorrected (Fatal), type=Transaction Layer, id=0010(Receiver ID)
[74889.640020] pcieport 0000:00:02.0:    [ 5] Surprise Down Error
[74889.644138] NVRM: Xid (PCI:0000:02:00): 79, GPU has fallen off the bus.",
        &["0000:02:00.0 Reboot FallenOffTheBus"]),
    case(17, "loss in AER lines only, times as differences", "returnn 1500",
        "[  +0.000844] nvidia 0000:03:00.0: AER: can't recover (no error_detected callback)
[  +0.000001] snd_hda_intel 0000:03:00.1: AER: can't recover (no error_detected callback)
[  +0.000008] pcieport 0000:00:03.0: AER: device recovery failed
[  +0.000001] pcieport 0000:00:03.0: AER: Multiple Uncorrected (Fatal) error received: 0000:00:03.0
[  +0.000898] pcieport 0000:00:03.0:   device [8086:6f08] error status/mask=00004020/00000000
[  +1.050439] pcieport 0000:00:03.0: AER: Root Port link has been reset (0)",
        &["0000:03:00.0 Reboot PcieLoss"]),
    case(18, "corrected storm of a notebook's port", "nbfc 181",
        "jan. 29 20:50:17 host kernel: pcieport 0000:00:1c.5: AER: Corrected error received: id=00e5
jan. 29 20:50:17 host kernel: pcieport 0000:00:1c.5: PCIe Bus Error: severity=Corrected, type=Physical Layer, id=00e5(Receiver ID)
jan. 29 20:50:17 host kernel: pcieport 0000:00:1c.5:    [ 0] Receiver Error",
        NOTHING),
    case(19, "eGPU: completion timeout, then Xid 31", "open-gpu-kernel-modules 1229",
        "pcieport 0000:00:01.2: AER: Uncorrectable (Non-Fatal) error received from 0000:63:00.0
snd_hda_intel 0000:63:00.1: PCIe Bus Error: Uncorrectable (Non-Fatal), type=Transaction Layer
nvidia 0000:63:00.0: AER: can't recover (no error_detected callback)
pcieport 0000:62:00.0: AER: device recovery failed
NVRM: Xid (PCI:0000:63:00): 31, name=plasmashell, MMU Fault: ENGINE GR_HOST0 HUBCLIENT_ESC0 faulted @ 0x0_00000000. Fault is of type FAULT_PDE",
        &["0000:63:00.0 Reboot PcieLoss", "0000:63:00.0 Monitor MmuFault"]),
    case(20, "assertions at each wake", "open-gpu-kernel-modules 1145",
        "2026-05-25T10:00:00.123456 NVRM: GPU0 nvAssertFailedNoLog: Assertion failed: 0 @ kernel_gsp.c:1446
2026-05-25T10:00:00.123460 NVRM: GPU0 _kgspProcessRpcEvent: Attempted to process RPC event from GPU0: 0x101a (PFM_REQ_HNDLR_STATE_SYNC_CALLBACK) during bootup without API lock",
        NOTHING),
    case(21, "non-fatal NVLink5 events", "gpud pull request 1174",
        "4,1,1000000,-;NVRM: Xid (PCI:0008:01:00): 149, NETIR_BER_EVENT Nonfatal XC0 i0 Link 01 (0x00000226 0x00000001 0x00000000 0x00000000 0x00000000 0x00000000)
4,2,1000100,-;NVRM: Xid (PCI:0018:01:00): 145, pid=876767, name=ray::WorkerDict, RLW_RXPIPE Nonfatal XC0 i0 Link 13 (0x0409a0c2 0x00000008 0x00000001 0x00000000 0x00100000 0x00000004)
4,3,1000200,-;NVRM: Xid (PCI:0018:01:00): 145, RLW_SRC_TRACK Nonfatal XC0 i0 Link 03 (0x000000e2 0x00000008 0x00000000 0x00000000 0x00000000 0x00000000)",
        &["0008:01:00.0 Monitor", "0018:01:00.0 Monitor"]),
    case(22, "fatal NETIR without a link, and a record cut off", "gpud pull request 1174",
        "4,1,1000000,-;NVRM: Xid (PCI:0019:01:00): 149, NETIR Fatal XC0 i0 Link -1 (0x000fe406 0x00000000 0x00000000 0x00000000 0x00000000 0x00000000)
4,2,1000100,-;NVRM: Xid (PCI:0018:01:00): 149, NETIR Fatal XC0 i0 Link -1 (0x000fe406
4,3,1000200,-;NVRM: Xid (PCI:0008:01:00): 149, NETIR_LINK_EVT Fatal XC0 i0 Link 04 (0x004005c6 0x00000000 0x00000000 0x00000000 0x00000000 0x00000000)",
        &["0008:01:00.0 Reset", "0018:01:00.0 Reset", "0019:01:00.0 Reset"]),
    case(23, "invalid ACL at four switches: partitions", "HGX passthrough notes, H100",
        "[500.000001] nvidia-nvswitch0: SXid (PCI:0000:00:07.0): 11004, Non-fatal, Link 32 ingress invalid ACL (First)
[500.000002] nvidia-nvswitch0: SXid (PCI:0000:00:07.0): 11004, Severity 0 Engine instance 32 Sub-engine instance 00
[500.000003] nvidia-nvswitch0: SXid (PCI:0000:00:07.0): 11004, Data {0x00000001, 0x00000000}
[500.000104] nvidia-nvswitch1: SXid (PCI:0000:00:08.0): 11004, Non-fatal, Link 32 ingress invalid ACL (First)
[500.000204] nvidia-nvswitch2: SXid (PCI:0000:00:09.0): 11004, Non-fatal, Link 32 ingress invalid ACL (First)
[500.000304] nvidia-nvswitch3: SXid (PCI:0000:00:0a.0): 11004, Non-fatal, Link 32 ingress invalid ACL (First)",
        &["0000:00:07.0 Monitor NvSwitchNonFatal", "0000:00:08.0 Monitor NvSwitchNonFatal", "0000:00:09.0 Monitor NvSwitchNonFatal", "0000:00:0a.0 Monitor NvSwitchNonFatal"]),
    case(27, "does not come back from D3cold", "gpu-passthrough-tutorial 39",
        "[   26.485239] nvidia 0000:01:00.0: not ready 8191ms after resume; waiting
[   52.597123] nvidia 0000:01:00.0: not ready 32767ms after resume; waiting
[   87.412701] nvidia 0000:01:00.0: not ready 65535ms after resume; giving up
[   87.412759] nvidia 0000:01:00.0: Unable to change power state from D3cold to D0, device inaccessible
[   87.473074] NVRM: GPU 0000:01:00.0: RmInitAdapter failed! (0x22:0x56:667)
[   87.473112] NVRM: GPU 0000:01:00.0: rm_init_adapter failed, device minor number 0",
        &["0000:01:00.0 Reboot DeviceInaccessible"]),
    case(28, "Xid 45, then tasks stuck in the driver", "gpud pull request 117",
        "[Sat Oct 12 18:35:32 2024] NVRM: Xid (PCI:0000:61:00): 45, pid=1496200, name=distprovers-gpu, Ch 0000000a
[Sat Oct 12 18:35:32 2024] NVRM: Xid (PCI:0000:61:00): 45, pid=1496200, name=distprovers-gpu, Ch 0000000b
[Sat Oct 12 18:38:44 2024] INFO: task cache_mgr_event:620917 blocked for more than 120 seconds.
[Sat Oct 12 18:38:44 2024]       Tainted: P           OE     5.15.0-97-generic #107-Ubuntu
[Sat Oct 12 18:38:44 2024] task:cache_mgr_event state:D stack:    0 pid:620917 ppid:620571 flags:0x00000002
[Sat Oct 12 18:38:44 2024] Call Trace:
[Sat Oct 12 18:38:44 2024]  <TASK>
[Sat Oct 12 18:38:44 2024]  __schedule+0x24e/0x590
[Sat Oct 12 18:38:44 2024]  os_acquire_rwlock_write+0x3a/0x50 [nvidia]",
        &["0000:61:00.0 Monitor PreemptiveRemoval", "node Reboot TasksStuck"]),
    case(29, "Xid 13 on one SM, then 109", "gpud pull request 46",
        "[Fri Aug 30 11:43:09 2024] NVRM: Xid (PCI:0000:cb:00): 13, pid='<unknown>', name=<unknown>, Graphics SM Warp Exception on (GPC 7, TPC 7, SM 0): Illegal Instruction Parameter
[Fri Aug 30 11:43:09 2024] NVRM: Xid (PCI:0000:cb:00): 13, pid='<unknown>', name=<unknown>, Graphics Exception: ESR 0x53ff30=0x4 0x53ff34=0x24 0x53ff28=0xf81eb60 0x53ff2c=0x1174
[Fri Aug 30 11:43:20 2024] NVRM: Xid (PCI:0000:cb:00): 109, pid=1797828, name=pt_main_thread, Ch 00000008, errorString CTX SWITCH TIMEOUT, Info 0x58005
[Fri Aug 30 11:43:21 2024] nvidia-peermem nv_get_p2p_free_callback:127 ERROR detected invalid context, skipping further processing",
        &["0000:cb:00.0 Reset ContextSwitchTimeout"]),
    case(30, "Xid 13 flood of one launch", "vllm 5901",
        "[100.000001] NVRM: Xid (PCI:0000:43:00): 13, pid=4711, name=python3, Graphics SM Warp Exception on (GPC 0, TPC 0, SM 0): Out Of Range Address
[100.000002] NVRM: Xid (PCI:0000:43:00): 13, pid=4711, name=python3, Graphics Exception: ESR 0x504730=0xc05000e 0x504734=0x20 0x504728=0x4c1eb72 0x50472c=0x174
[100.000003] NVRM: Xid (PCI:0000:43:00): 13, pid=4711, name=python3, Graphics SM Warp Exception on (GPC 1, TPC 3, SM 1): Out Of Range Address
[100.000004] NVRM: Xid (PCI:0000:43:00): 43, pid=4711, name=python3, Ch 00000008",
        &["0000:43:00.0 Monitor EngineException"]),
    case(31, "old forms without a pid", "Bumblebee 677",
        "[100.000001] NVRM: Xid (PCI:0000:01:00): 32, Channel ID 00000001 intr 00008000
[101.000001] NVRM: Xid (PCI:0000:01:00): 31, Ch 00000001, engmask 00000101, intr 10000000",
        &["0000:01:00.0 Monitor CorruptedPushBuffer"]),
    case(32, "old Xid 13 without an SM", "relion 436; john 2491",
        "Mar  4 10:00:00 host kernel: [82659.755847] NVRM: Xid (PCI:0000:41:00): 13, Graphics Exception: ESR 0x404000=0x80000000
[4711.000001] NVRM: Xid (PCI:0000:05:00): 13, Graphics SM Warp Exception on (GPC 0, TPC 0): Physical Multiple Warp Errors",
        &["0000:05:00.0 Monitor EngineException", "0000:41:00.0 Monitor EngineException"]),
    case(33, "Korean journal of a vGPU manager", "vgpu_unlock 110",
        "11월 15 16:00:51 nvidia-vgpu-mgr[3472905]: notice: vmiop_log: (0x0): Cannot query ECC status. vGPU ECC support will be disabled.
11월 15 16:01:08 nvidia-vgpu-mgr[3472905]: notice: vmiop_log: (0x0): Current max guest pfn = 0x46fe6e!",
        NOTHING),
    case(34, "Chinese journal of the fabric manager", "gpu-operator 610",
        "11月 07 10:21:11 node1 nv-fabricmanager[2211]: request to query NVSwitch device information from NVSwitch driver failed with error:WARNING Nothing to do
11月 07 10:21:11 node1 systemd[1]: nvidia-fabricmanager.service: Failed with result 'exit-code'.",
        NOTHING),
    case(35, "peer memory module, repeated sequence numbers", "gpud, kmsg.2.peermem.log",
        "3,3973,206764307,-;nvidia-peermem nv_get_p2p_free_callback:127 ERROR detected invalid context, skipping further processing
3,3973,206764308,-;nvidia-peermem nv_get_p2p_free_callback:127 ERROR detected invalid context, skipping further processing
3,3973,206764309,-;test",
        NOTHING),
    case(59, "DGX Spark: 119, then 120, a blank in the name", "DGX Spark incident note",
        "NVRM: Xid (PCI:000f:01:00): 119, pid=2011, name=KMS thread, Timeout after 6s of waiting for RPC response from GPU0 GSP! Expected function 76 (GSP_RM_CONTROL) (0x730190 0x1c).
nvidia-modeset: ERROR: GPU:0: Failed to query display engine channel state
NVRM: Xid (PCI:000f:01:00): 120, GSP task exception: load access page fault (cause:0xd) @ pc:0x140c7f6, partition:4#0, task:3",
        &["000f:01:00.0 Reset GspRpcTimeout"]),
    case(60, "Xid 79 with the hint about a crash dump", "akash-network support 209",
        "[Tue Jan 14 10:00:00 2025] NVRM: GPU at PCI:0000:a1:00: GPU-26fba6b2-9e52-006e-68db-4ce18382a5ea
[Tue Jan 14 10:00:00 2025] NVRM: Xid (PCI:0000:a1:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus.
[Tue Jan 14 10:00:00 2025] NVRM: GPU 0000:a1:00.0: GPU has fallen off the bus.
[Tue Jan 14 10:00:00 2025] NVRM: A GPU crash dump has been created. If possible, please run
               NVRM: nvidia-bug-report.sh as root to collect this data before
               NVRM: the NVIDIA kernel module is unloaded.",
        &["0000:a1:00.0 Reboot FallenOffTheBus"]),
    case(61, "attaching fails at every open", "open-gpu-kernel-modules 1151",
        "May 27 16:50:10 host kernel: NVRM: osInitNvMapping: *** Cannot attach gpu
May 27 16:50:10 host kernel: NVRM: RmInitAdapter: osInitNvMapping failed, bailing out of RmInitAdapter
May 27 16:50:10 host kernel: NVRM: GPU 0000:09:00.0: RmInitAdapter failed! (0x22:0x56:894)
May 27 16:50:10 host kernel: NVRM: GPU 0000:09:00.0: rm_init_adapter failed, device minor number 0
May 27 16:50:10 host kernel: NVRM: osInitNvMapping: *** Cannot attach gpu
May 27 16:50:10 host kernel: NVRM: GPU 0000:09:00.0: RmInitAdapter failed! (0x22:0x56:894)",
        &["0000:09:00.0 Reboot AdapterInitFailed"]),
    Case { differs: "the report rebooted the nodes; the same line alone is weak evidence, and nvlink and fabric decide",
        ..case(63, "NVLink discovery fails", "gpud pull request 1271",
        "Sep 01 10:00:00 host kernel: NVRM: knvlinkDiscoverPostRxDetLinks_GH100: Getting peer0's postRxDetLinkMask failed!
Sep 01 10:00:01 host kernel: NVRM: knvlinkDiscoverPostRxDetLinks_GB100_REV2: Getting peer17 postRxDetLinkMask failed!",
        &["node Monitor NvLinkDiscoveryFailed"]) },
    Case { differs: "the report isolates; without its text a 64 may be a remap that only waits, so it resets, and the row-remap state or its return isolates",
        ..case(64, "Xid 63 and a 64 without its text", "training chronicle, AWS p4d",
        "[100.000001] NVRM: Xid (PCI:0000:10:1c): 63, pid=1896, Row Remapper: New row marked for remapping, reset gpu to activate.
[200.000001] NVRM: Xid (PCI:0000:90:1c): 64, pid=1896, ...",
        &["0000:10:1c.0 Monitor RowRemapRecorded", "0000:90:1c.0 Reset RowRemapFailed"]) },
    case(64, "Xid 64 with its text", "imbue-ai cluster-health",
        "[2397166.923949] NVRM: Xid (PCI:0000:0f:00): 64, pid='<unknown>', name=<unknown>, Row Remapper Error: (0x00000002eebc4100) - All reserved rows for bank are remapped",
        &["0000:0f:00.0 Isolate"]),
    case(66, "an injected Xid 79", "gpud pull request 870",
        "syslog:err   : 2025-06-01T10:00:00,000000+00:00 NVRM: Xid (PCI:0000:04:00): 79, GPU has fallen off the bus.
user  :warn  : 2025-06-01T10:00:01,000000+00:00 NVRM: Xid (PCI:0000:04:00): 79, GPU has fallen off the bus.",
        NOTHING),
    case(67, "a line of the device plugin", "k8s-device-plugin 189",
        "2020/07/08 01:51:20 XidCriticalError: Xid=69 on Device=GPU-9fba6b2-9e52-006e-68db-4ce18382a5ea, the device will go unhealthy.",
        NOTHING),
    Case { differs: "the report wants the noisy link watched; corrected errors are counted by pcieLink from sysfs, for the GPU itself and not for its port",
        ..case(69, "correctable storm at the port", "pop 3363",
        "Sep 19 16:18:02 host kernel: [68183.615790] pcieport 0000:00:03.1: AER: Correctable error message received from 0000:00:00.0
Sep 19 16:18:02 host kernel: [68183.615810] pcieport 0000:00:03.1: PCIe Bus Error: severity=Correctable, type=Data Link Layer, (Transmitter ID)
Sep 19 16:18:02 host kernel: [68183.637907] pcieport 0000:00:03.1:    [ 6] BadTLP",
        NOTHING) },
];
