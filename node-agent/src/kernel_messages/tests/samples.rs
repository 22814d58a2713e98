//! Records as kernels and drivers printed them, one per line; `{GPU}` stands for the GPU's address, `{PORT}` for the port
//! above it.

use crate::judge::samples::Origin::{self, Derived, Recorded};
use crds::reason;

/// Records, and what they say.
pub(crate) struct Sample {
    pub(crate) reason: &'static str,
    /// They name the GPU (or a port above it); otherwise they are about the node.
    pub(crate) is_about_a_gpu: bool,
    pub(crate) origin: Origin,
    pub(crate) source: &'static str,
    pub(crate) records: &'static [&'static str],
}

const fn gpu(reason: &'static str, origin: Origin, source: &'static str, records: &'static [&'static str]) -> Sample {
    Sample { reason, is_about_a_gpu: true, origin, source, records }
}

const fn node(reason: &'static str, origin: Origin, source: &'static str, records: &'static [&'static str]) -> Sample {
    Sample { reason, is_about_a_gpu: false, origin, source, records }
}

#[rustfmt::skip]
pub(crate) const FIRES: &[Sample] = &[
    gpu(reason::ADAPTER_INIT_FAILED, Recorded, "gpu-operator 1146", &[
        "NVRM: GPU {GPU}: RmInitAdapter failed! (0x24:0x72:1568)", "NVRM: GPU {GPU}: rm_init_adapter failed, device minor number 5",
    ]),
    gpu(reason::ADAPTER_INIT_FAILED, Recorded, "open-gpu-kernel-modules 1151", &[
        "NVRM: osInitNvMapping: *** Cannot attach gpu", "NVRM: RmInitAdapter: osInitNvMapping failed, bailing out of RmInitAdapter", "NVRM: GPU {GPU}: RmInitAdapter failed! (0x22:0x56:894)",
    ]),
    gpu(reason::ADAPTER_INIT_FAILED, Recorded, "open-gpu-kernel-modules 116", &["NVRM: GPU {GPU}: rm_init_adapter failed, device minor number 0"]),
    gpu(reason::DEVICE_INACCESSIBLE, Recorded, "gpu-passthrough-tutorial 39", &["nvidia {GPU}: not ready 65535ms after resume; giving up"]),
    gpu(reason::DEVICE_INACCESSIBLE, Recorded, "gpu-passthrough-tutorial 39", &["nvidia {GPU}: Unable to change power state from D3cold to D0, device inaccessible"]),
    gpu(reason::DEVICE_INACCESSIBLE, Recorded, "kata-containers 11708", &["vfio-pci {GPU}: Unable to change power state from D3cold to D0, device inaccessible"]),
    gpu(reason::DEVICE_INACCESSIBLE, Recorded, "firmware-open 259", &["nvidia {GPU}: can't change power state from D3cold to D0 (config space inaccessible)"]),
    gpu(reason::PCIE_LOSS, Recorded, "returnn 1500", &["nvidia {GPU}: AER: can't recover (no error_detected callback)"]),
    gpu(reason::PCIE_LOSS, Recorded, "returnn 1500", &["pcieport {PORT}: AER: Multiple Uncorrected (Fatal) error received: {PORT}", "pcieport {PORT}: PCIe Bus Error: severity=Uncorrected (Fatal), type=Transaction Layer, (Requester ID)"]),
    gpu(reason::PCIE_LOSS, Recorded, "returnn 1500", &["pcieport {PORT}: AER: Root Port link has been reset (0)", "pcieport {PORT}: AER: device recovery failed"]),
    gpu(reason::PCIE_LOSS, Derived, "gpu-burn 1: the wording of 2018", &["pcieport {PORT}: PCIe Bus Error: severity=Uncorrected (Fatal), type=Transaction Layer, id=0010(Receiver ID)"]),
    gpu(reason::PCIE_LOSS, Derived, "Linux, aer.c: the wording from 6.13 on", &["pcieport {PORT}: PCIe Bus Error: severity=Uncorrectable (Fatal), type=Transaction Layer, (Receiver ID)"]),
    gpu(reason::PCIE_LOSS, Derived, "Linux, dpc.c", &["pcieport {PORT}: DPC: containment event, status:0x1f01 source:0x0000"]),
    node(reason::GSP_SILENT, Recorded, "bazzite 4449", &["NVRM: GPU0 _kgspRpcRecvPoll: GSP RM heartbeat timed out"]),
    node(reason::GSP_SILENT, Recorded, "bazzite 4449", &["NVRM: GPU0 _kgspIsHeartbeatTimedOut: Heartbeat timed out, currentTimeMs 322227881 heartbeat 0 heartbeatWithOffsetMs 318098841 diff 4129040 timeout 5200"]),
    node(reason::GSP_SILENT, Recorded, "open-gpu-kernel-modules 942", &["NVRM: nvAssertFailedNoLog: Assertion failed: Back to back GSP RPC timeout detected! GPU marked for reset @ kernel_gsp.c:2387"]),
    node(reason::TASKS_STUCK, Recorded, "k8s-device-plugin 77", &[
        "INFO: task nvc:[driver]:5403 blocked for more than 120 seconds.",
        "      Tainted: P           O    4.4.146-1.el7.elrepo.x86_64 #1",
        "\"echo 0 > /proc/sys/kernel/hung_task_timeout_secs\" disables this message.",
        "nvc:[driver]    D ffff883f2cc43bd8     0  5403   5396 0x00000084",
        "Call Trace:",
        " [<ffffffff8170de85>] schedule+0x35/0x80",
        " [<ffffffff8170fd3f>] mutex_lock+0x1f/0x2f",
        " [<ffffffffa09c376e>] uvm_gpu_retain_by_uuid+0x1e/0x40 [nvidia_uvm]",
    ]),
    node(reason::TASKS_STUCK, Derived, "gpud pull request 117, with a frame of the driver", &[
        "INFO: task cache_mgr_event:620917 blocked for more than 120 seconds.",
        "      Tainted: P           OE     5.15.0-97-generic #107-Ubuntu",
        "task:cache_mgr_event state:D stack:    0 pid:620917 ppid:620571 flags:0x00000002",
        "Call Trace:", " <TASK>", " __schedule+0x24e/0x590", " schedule+0x69/0x110",
        " os_acquire_rwlock_write+0x3a/0x50 [nvidia]",
    ]),
    node(reason::DRIVER_OOPS, Recorded, "open-gpu-kernel-modules 1107", &[
        "BUG: kernel NULL pointer dereference, address: 0000000000000030",
        "#PF: supervisor read access in kernel mode",
        "Oops: Oops: 0000 [#1] SMP NOPTI",
        "CPU: 0 UID: 1000 PID: 28651 Comm: python3.14 Tainted: G           O        6.18.24 #1-NixOS PREEMPT(voluntary)",
        "RIP: 0010:nvidia_vma_access+0x1b/0x350 [nvidia]",
    ]),
    node(reason::DRIVER_OOPS, Derived, "open-gpu-kernel-modules 1141, with the build id that its trace prints", &[
        "BUG: kernel NULL pointer dereference, address: 000000000000041c", "RIP: 0010:nv_audio_dynamic_power+0xcd/0x140 [nvidia 150ac0faf5cc194d9]",
    ]),
    gpu(reason::DRIVER_UNSUITABLE, Recorded, "a laptop's boot log, closed module 580.105.08", &[
        "NVRM: The NVIDIA GPU {GPU} (PCI ID: 10de:2c58)\nNVRM: installed in this system requires use of the NVIDIA open kernel modules.",
        "NVRM: GPU {GPU}: RmInitAdapter failed! (0x22:0x56:884)", "NVRM: GPU {GPU}: rm_init_adapter failed, device minor number 0",
    ]),
    gpu(reason::DRIVER_UNSUITABLE, Recorded, "gpu-operator 492", &["NVRM: This PCI I/O region assigned to your NVIDIA device is invalid:\nNVRM: BAR1 is 0M @ 0x0 (PCI:{GPU})", "nvidia: probe of {GPU} failed with error -1"]),
    gpu(reason::DRIVER_UNSUITABLE, Recorded, "open-gpu-kernel-modules 263", &["nvidia {GPU}: Direct firmware load for nvidia/515.43.04/gsp.bin failed with error -2", "NVRM: GPU {GPU}: RmInitAdapter failed! (0x61:0x56:1689)"]),
    node(reason::NVLINK_DISCOVERY_FAILED, Recorded, "gpud pull request 1271", &["NVRM: knvlinkDiscoverPostRxDetLinks_GH100: Getting peer0's postRxDetLinkMask failed!"]),
    node(reason::NVLINK_DISCOVERY_FAILED, Recorded, "gpud pull request 1271", &["NVRM: knvlinkDiscoverPostRxDetLinks_GB100_REV2: Getting peer17 postRxDetLinkMask failed!"]),
    node(reason::NVLINK_DISCOVERY_FAILED, Recorded, "gpud pull request 1271", &["NVRM: knvlinkUpdatePostRxDetectLinkMask_IMPL: Failed to update Rx Detect Link mask!"]),
    node(reason::HARDWARE_ERROR, Derived, "radiasoft devops 134, as an uncorrected error", &["EDAC MC1: 1 UE memory read error on CPU_SrcID#1_Ha#0_Chan#0_DIMM#0 (channel:0 slot:0 page:0xee30a0 offset:0x0 grain:32)"]),
    node(reason::HARDWARE_ERROR, Derived, "Linux, mce/core.c print_mce", &["mce: [Hardware Error]: CPU 1: Machine Check: 0 Bank 7: bd80000000100134"]),
    node(reason::HARDWARE_ERROR, Recorded, "mcelog 74", &["{1}[Hardware Error]: event severity: recoverable", "{1}[Hardware Error]: Error 0, type: recoverable", "{1}[Hardware Error]: section_type: memory error"]),
    gpu(reason::LOG_RATE_LIMITED, Recorded, "gpud, dmesg-with-xid-119.log", &["NVRM: Rate limiting GSP RPC error prints for GPU at PCI:{GPU} (printing 1 of every 30).  The GPU likely needs to be reset."]),
    node(reason::LOG_RATE_LIMITED, Derived, "Linux, lib/ratelimit.c", &["nvidia_poll: 23 callbacks suppressed"]),
];

/// Records that say nothing of the kind.
#[rustfmt::skip]
pub(crate) const SILENT: &[(&str, &[&str])] = &[
    ("nbfc 181: corrected errors of a port", &["pcieport 0000:00:1c.5: AER: Corrected error received: id=00e5", "pcieport 0000:00:1c.5: PCIe Bus Error: severity=Corrected, type=Physical Layer, id=00e5(Receiver ID)"]),
    ("pop 3363: the newer wording", &["pcieport {PORT}: AER: Correctable error message received from 0000:00:00.0", "pcieport {PORT}: PCIe Bus Error: severity=Correctable, type=Data Link Layer, (Transmitter ID)"]),
    ("returnn 1500: the audio function alone has its own line", &["pcieport {PORT}:   device [8086:6f08] error status/mask=00004020/00000000", "pcieport {PORT}:    [ 5] SDES                  "]),
    ("open-gpu-kernel-modules 1145: assertions", &["NVRM: GPU0 nvAssertFailedNoLog: Assertion failed: 0 @ kernel_gsp.c:1446", "NVRM: GPU0 nvAssertOkFailedNoLog: Assertion failed: Reset required [NV_ERR_RESET_REQUIRED] (0x00000062)"]),
    ("gpu-passthrough-tutorial 39: it still waits", &["nvidia {GPU}: not ready 32767ms after resume; waiting"]),
    ("firmware-open 259: other functions of the board", &["xhci_hcd 0000:18:00.2: can't change power state from D3cold to D0 (config space inaccessible)"]),
    ("nvidia-docker 1553", &["nvidia-gpu 0000:09:00.3: Refused to change power state, currently in D3"]),
    ("the probe's own summary", &["NVRM: The NVIDIA probe routine failed for 1 device(s).", "NVRM: The NVIDIA probe routine was not called for 1 device(s)."]),
    ("teamredminer 44: stuck in another driver", &["INFO: task teamredminer:1839 blocked for more than 120 seconds.", "Call Trace:", " __schedule+0x291/0x8a0", " ? amdgpu_cs_report_moved_bytes+0x60/0x60 [amdgpu]"]),
    ("openzfs 11635: stuck in a file system", &["INFO: task dbuf_evict:7746 blocked for more than 120 seconds.", " arc_buf_destroy+0x5f/0x100 [zfs]"]),
    ("a call trace without a task that hangs", &["WARNING: CPU: 3 PID: 812 at nvidia/nv.c:4567 nv_pci_remove+0x1e/0x40 [nvidia]", "RIP: 0010:nv_pci_remove+0x1e/0x40 [nvidia]", " nvidia_close+0x1a2/0x270 [nvidia]"]),
    ("optimus-manager 176: an oops elsewhere", &["BUG: unable to handle page fault for address: 0000000000001a81", "Oops: 0000 [#2] PREEMPT SMP PTI", "RIP: 0010:exit_thread+0x12/0xc0"]),
    ("openstreetmap 300: corrected memory errors", &["mce: [Hardware Error]: Machine check events logged", "EDAC MC0: 4 CE error on CPU#0Channel#2_DIMM#0 (channel:2 slot:0 page:0x0 offset:0x0 grain:8 syndrome:0x0)", "mce: [Hardware Error]: CPU 1: Machine Check: 0 Bank 11: 8c00004f000800c2"]),
    ("legacy-rocm-build 2927: corrected, by firmware", &["{359}[Hardware Error]: event severity: corrected", "{359}[Hardware Error]: section_type: PCIe error"]),
    ("nvidia-peermem", &["nvidia-peermem nv_get_p2p_free_callback:127 ERROR detected invalid context, skipping further processing"]),
    ("words of programs", &["python[77]: NVRM: GPU {GPU}: RmInitAdapter failed!", "audit: msg=\"nvidia {GPU}: AER: can't recover (no error_detected callback)\"", "nv[12]: segfault at 0 ip 0 sp 0 error 4 in x[nvidia]"]),
    ("other kinds of suppressed lines", &["net_ratelimit: 23 callbacks suppressed"]),
];
