//! Messages of one record: the forms, as data.

use super::message::Says;
use crds::reason;

/// What a form's line names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Names {
    /// `NVRM: …` with the address of a GPU in it.
    Gpu,
    /// `NVRM: …` with the driver's number of a GPU in it (`GPU5`), or with none.
    Instance,
    /// `NVRM: …` about no GPU.
    Driver,
    /// `DRIVER ADDRESS: …`: any function of a device, or a port.
    Device,
    /// `DRIVER ADDRESS: …`: only function 0, since the other functions of a board sleep on their own.
    Function0,
    /// A line of the kernel itself that begins with the first part.
    Kernel,
}

/// One form of message.
#[derive(Debug)]
pub struct Form {
    /// What it names.
    pub names: Names,
    /// Parts of the line, in this order. In a line of the driver or of a device they follow the prefix.
    pub parts: &'static [&'static str],
    /// What it says.
    pub says: Says,
    /// Who published such a line, or where the kernel or the driver prints it.
    pub source: &'static str,
}

const fn form(names: Names, parts: &'static [&'static str], reason: &'static str, source: &'static str) -> Form {
    Form { names, parts, says: Says::Reason(reason), source }
}

use Names::{Device, Driver, Function0, Gpu, Instance, Kernel};
use reason::{
    ADAPTER_INIT_FAILED, DEVICE_INACCESSIBLE, DRIVER_UNSUITABLE, GSP_SILENT, HARDWARE_ERROR, LOG_RATE_LIMITED,
    NVLINK_DISCOVERY_FAILED, PCIE_LOSS,
};

/// Every form. A task's name (15 bytes, of which a line feed is one) must be too short for any of them.
///
/// PCIe: a GPU has no error handlers of its own (open-gpu-kernel-modules 1229), so every uncorrected error on its path
/// ends with `can't recover`; the words `Uncorrected` and `Uncorrectable` are those of kernels before and from 6.13
/// (`drivers/pci/pcie/aer.c`). Corrected errors are counted by `pcieLink` from sysfs and have no row here.
#[rustfmt::skip]
pub static FORMS: &[Form] = &[
    form(Gpu, &["GPU ", ": RmInitAdapter failed!"], ADAPTER_INIT_FAILED, "gpu-operator 1146; open-gpu-kernel-modules 1151"),
    form(Gpu, &["GPU ", ": rm_init_adapter failed"], ADAPTER_INIT_FAILED, "gpu-operator 1146; open-gpu-kernel-modules 1151"),
    form(Gpu, &["Rate limiting GSP RPC error prints for GPU at PCI:", "(printing 1 of every "], LOG_RATE_LIMITED, "gpud, dmesg-with-xid-119.log; open-gpu-kernel-modules, rpc.c"),
    form(Instance, &["_kgspRpcRecvPoll: GSP RM heartbeat timed out"], GSP_SILENT, "bazzite 4449"),
    form(Instance, &["_kgspIsHeartbeatTimedOut: Heartbeat timed out"], GSP_SILENT, "bazzite 4449; open-gpu-kernel-modules 1064"),
    form(Instance, &["Back to back GSP RPC timeout detected! GPU marked for reset"], GSP_SILENT, "open-gpu-kernel-modules 942"),
    form(Driver, &["knvlinkDiscoverPostRxDetLinks_", "postRxDetLinkMask failed"], NVLINK_DISCOVERY_FAILED, "gpud pull request 1271"),
    form(Driver, &["knvlinkUpdatePostRxDetectLinkMask_", "Failed to update Rx Detect Link mask"], NVLINK_DISCOVERY_FAILED, "gpud pull request 1271"),
    form(Function0, &["Unable to change power state from D3cold to D0, device inaccessible"], DEVICE_INACCESSIBLE, "gpu-passthrough-tutorial 39; kata-containers 11708"),
    form(Function0, &["can't change power state from D3cold to D0 (config space inaccessible)"], DEVICE_INACCESSIBLE, "firmware-open 259"),
    form(Function0, &["not ready ", "ms after resume; giving up"], DEVICE_INACCESSIBLE, "gpu-passthrough-tutorial 39"),
    form(Device, &["can't recover (no error_detected callback)"], PCIE_LOSS, "returnn 1500; open-gpu-kernel-modules 1229"),
    form(Device, &["device recovery failed"], PCIE_LOSS, "returnn 1500; open-gpu-kernel-modules 1229"),
    form(Device, &["PCIe Bus Error: severity=Uncorrected (Fatal)"], PCIE_LOSS, "returnn 1500; gpu-burn 1"),
    form(Device, &["PCIe Bus Error: severity=Uncorrectable (Fatal)"], PCIE_LOSS, "Linux, aer.c: the wording from 6.13 on"),
    form(Device, &["DPC: containment event, status:"], PCIE_LOSS, "Linux, dpc.c"),
    Form { names: Device, parts: &["device recovery successful"], says: Says::Recovered, source: "Linux, pcie/err.c" },
    form(Function0, &["Direct firmware load for nvidia/", "failed with error -2"], DRIVER_UNSUITABLE, "open-gpu-kernel-modules 263"),
    form(Kernel, &["EDAC MC", " UE ", " page:0x"], HARDWARE_ERROR, "Linux, edac_mc.c: uncorrected errors"),
    form(Kernel, &["nv", ": ", " callbacks suppressed"], LOG_RATE_LIMITED, "Linux, lib/ratelimit.c"),
];
