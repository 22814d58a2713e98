//! What the kernel of a healthy node prints about other devices, about programs, and about GPUs that work all the same.

use super::world::{HOUR, World};

/// Lines about other things than GPUs (published logs: nbfc 181, minisforum MS-02 10, openzfs 11635, openstreetmap 300).
const OF_OTHERS: &[&str] = &[
    "pcieport 0000:00:1c.5: AER: Corrected error received: 0000:00:1c.5",
    "pcieport 0000:00:1c.5: PCIe Bus Error: severity=Corrected, type=Physical Layer, (Receiver ID)",
    "pcieport 0000:80:1b.4: AER: Uncorrectable (Non-Fatal) error message received from 0000:80:1b.4",
    "xhci_hcd 0000:97:00.0: AER: can't recover (no error_detected callback)",
    "nvme 0000:c1:00.0: AER: can't recover (no error_detected callback)",
    "pcieport 0000:80:1b.4: AER: device recovery failed",
    "INFO: task dbuf_evict:7746 blocked for more than 120 seconds.",
    " arc_buf_destroy+0x5f/0x100 [zfs]",
    "BUG: unable to handle page fault for address: 0000000000001a81",
    "RIP: 0010:exit_thread+0x12/0xc0",
    "EDAC MC0: 4 CE error on CPU#0Channel#2_DIMM#0 (channel:2 slot:0 page:0x0 offset:0x0 grain:8 syndrome:0x0)",
];

/// A storm of corrected errors elsewhere, and lines about GPUs that the driver reads all the same: a heartbeat that stands
/// still (open-gpu-kernel-modules 1064), a slow initialisation (k8s-device-plugin 77), a first attempt that failed, a PCIe
/// error that the driver survived.
pub(crate) fn noise(world: &mut World, chance: u64) {
    let gpu = usize::try_from(chance).unwrap_or(0) % world.machine.boards.len();
    let address = world.machine.address(gpu);
    for line in OF_OTHERS.iter().cycle().take(OF_OTHERS.len() * 5) {
        world.kernel_says(line);
    }
    world.pass(HOUR);
    let of_gpus = [
        "NVRM: GPU0 _kgspIsHeartbeatTimedOut: Heartbeat timed out, currentTimeMs 322227881 heartbeat 0 heartbeatWithOffsetMs 318098841 diff 4129040 timeout 5200".to_owned(),
        "NVRM: GPU0 _kgspRpcRecvPoll: GSP RM heartbeat timed out".to_owned(),
        "INFO: task nvc:[driver]:5403 blocked for more than 120 seconds.".to_owned(),
        " uvm_gpu_retain_by_uuid+0x1e/0x40 [nvidia_uvm]".to_owned(),
        format!("NVRM: GPU {address}: RmInitAdapter failed! (0x24:0x72:1568)"),
        format!("nvidia {address}: AER: can't recover (no error_detected callback)"),
    ];
    for line in of_gpus {
        world.kernel_says(&line);
        world.pass(HOUR);
    }
    world.pass(5 * HOUR);
}
