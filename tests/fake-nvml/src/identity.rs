//! Which GPU it is, and where it stands.

use std::ffi::{c_char, c_int, c_uint};

use nvml_wrapper_sys::bindings::*;

use crate::call::{At, find, put, put_some, put_text, put_version, small, supported, tag};
use crate::gpu::{Gpu, Platform};
use crate::handles::address;

exports! { device:
    nvmlDeviceGetName(to: *mut c_char, length: c_uint) = |at: &At<'_>, to, length| put_text(to, length, &name(at));
    nvmlDeviceGetUUID(to: *mut c_char, length: c_uint) = |at: &At<'_>, to, length| put_text(to, length, &own_uuid(at));
    nvmlDeviceGetSerial(to: *mut c_char, length: c_uint) =
        |at: &At<'_>, to, length| put_text(to, length, &serial(at.gpu, at.index));
    nvmlDeviceGetVbiosVersion(to: *mut c_char, length: c_uint) =
        |at: &At<'_>, to, length| put_text(to, length, &at.gpu.vbios);
    nvmlDeviceGetInforomImageVersion(to: *mut c_char, length: c_uint) =
        |at: &At<'_>, to, length| put_text(to, length, supported(at.gpu.inforom.as_deref())?);
    nvmlDeviceGetInforomVersion(_object: nvmlInforomObject_t, to: *mut c_char, length: c_uint) =
        // OEM, ECC and power objects: the version of a Hopper board's.
        |at: &At<'_>, _, to, length| supported(at.gpu.inforom.as_deref()).and_then(|_| put_text(to, length, "2.1"));
    nvmlDeviceGetBoardPartNumber(to: *mut c_char, length: c_uint) =
        |at: &At<'_>, to, length| put_text(to, length, supported(at.gpu.part_number.as_deref())?);
    nvmlDeviceGetGspFirmwareVersion(to: *mut c_char) =
        // NVML_GSP_FIRMWARE_VERSION_BUF_SIZE.
        |at: &At<'_>, to| put_text(to, 0x40, supported(at.gpu.gsp_firmware.as_deref())?);
    nvmlDeviceValidateInforom() = |at: &At<'_>| at.gpu.inforom_valid.then_some(()).ok_or(nvmlReturn_enum_NVML_ERROR_CORRUPTED_INFOROM);
    nvmlDeviceGetPciInfo_v3(to: *mut nvmlPciInfo_t) = |at: &At<'_>, to| put(to, pci_info(at.gpu)?);
    nvmlDeviceGetMinorNumber(to: *mut c_uint) = |at: &At<'_>, to| put(to, at.gpu.minor.unwrap_or_else(|| small(at.index)));
    nvmlDeviceGetModuleId(to: *mut c_uint) = |at: &At<'_>, to| put_some(to, module_id(at));
    nvmlDeviceGetPlatformInfo(to: *mut nvmlPlatformInfo_t) =
        |at: &At<'_>, to| put_version(to, 2, platform(supported(at.gpu.platform.as_ref())?));
    nvmlDeviceGetBrand(to: *mut nvmlBrandType_t) = |at: &At<'_>, to| put(to, at.gpu.brand);
    nvmlDeviceGetArchitecture(to: *mut nvmlDeviceArchitecture_t) = |at: &At<'_>, to| put(to, at.gpu.architecture);
    nvmlDeviceGetCudaComputeCapability(major: *mut c_int, minor: *mut c_int) = |at: &At<'_>, major, minor| {
        put(major, at.gpu.compute_capability[0])?;
        put(minor, at.gpu.compute_capability[1])
    };
    nvmlDeviceGetNumaNodeId(to: *mut c_uint) = |at: &At<'_>, to| put(to, numa_node(at));
    nvmlDeviceGetTopologyCommonAncestor(other: nvmlDevice_t, to: *mut nvmlGpuTopologyLevel_t) =
        |at: &At<'_>, other, to| put(to, ancestor(at, &find(at.machine, other)?));
    nvmlDeviceGetP2PStatus(other: nvmlDevice_t, index: nvmlGpuP2PCapsIndex_t, to: *mut nvmlGpuP2PStatus_t) =
        |at: &At<'_>, other, index, to| put(to, peer_status(at, &find(at.machine, other)?, index));
}

fn platform(at: &Platform) -> nvmlPlatformInfo_t {
    let mut chassis = [0; 16];
    chassis.iter_mut().zip(at.chassis.bytes()).for_each(|(to, byte)| *to = byte);
    nvmlPlatformInfo_t {
        version: tag::<nvmlPlatformInfo_t>(2),
        ibGuid: [0; 16],
        chassisSerialNumber: chassis,
        slotNumber: at.slot,
        trayIndex: at.tray,
        hostId: at.host,
        peerType: at.peer_type,
        moduleId: at.module,
    }
}

fn name(at: &At<'_>) -> String {
    let instance = at.instance.and_then(|number| at.gpu.mig.as_ref()?.instances.get(number));
    match instance {
        None => at.gpu.name.clone(),
        Some(instance) => instance.name.clone().unwrap_or_else(|| format!("{} MIG 1g.10gb", at.gpu.name)),
    }
}

fn own_uuid(at: &At<'_>) -> String {
    let Some(number) = at.instance else { return uuid(at.gpu, at.index) };
    let stated = at.gpu.mig.as_ref().and_then(|mig| mig.instances.get(number)?.uuid.clone());
    stated.unwrap_or_else(|| format!("MIG-simulated-0000-0000-{number:04}-{:012}", at.index + 1))
}

pub(crate) fn uuid(gpu: &Gpu, index: usize) -> String {
    gpu.uuid.clone().unwrap_or_else(|| format!("GPU-simulated-0000-0000-0000-{:012}", index + 1))
}

pub(crate) fn serial(gpu: &Gpu, index: usize) -> String {
    gpu.serial.clone().unwrap_or_else(|| format!("SIM{:010}", index + 1))
}

fn module_id(at: &At<'_>) -> Option<u32> {
    at.gpu.module_id.or_else(|| at.gpu.has_module_id.then_some(small(at.index) + 1))
}

/// As stated, else the first half of the GPUs is near node 0 and the second half near node 1.
fn numa_node(at: &At<'_>) -> u32 {
    at.gpu.numa_node.unwrap_or_else(|| small(at.index * 2 / at.machine.gpus.len().max(2)))
}

fn ancestor(at: &At<'_>, other: &At<'_>) -> nvmlGpuTopologyLevel_t {
    let stated = at.gpu.ancestors.get(&other.gpu.pci).or_else(|| other.gpu.ancestors.get(&at.gpu.pci));
    match stated {
        Some(level) => *level,
        None if at.index == other.index => nvmlGpuLevel_enum_NVML_TOPOLOGY_INTERNAL,
        None if numa_node(at) == numa_node(other) => nvmlGpuLevel_enum_NVML_TOPOLOGY_NODE,
        None => nvmlGpuLevel_enum_NVML_TOPOLOGY_SYSTEM,
    }
}

fn peer_status(at: &At<'_>, other: &At<'_>, index: nvmlGpuP2PCapsIndex_t) -> nvmlGpuP2PStatus_t {
    let linked = |gpu: &Gpu| gpu.nvlink.as_ref().is_some_and(|nvlink| nvlink.any_up(gpu));
    let through_links = linked(at.gpu) && linked(other.gpu);
    match index {
        _ if at.gpu.mig_is_on() || other.gpu.mig_is_on() => nvmlGpuP2PStatus_enum_NVML_P2P_STATUS_NOT_SUPPORTED,
        nvmlGpuP2PCapsIndex_enum_NVML_P2P_CAPS_INDEX_NVLINK if !through_links => {
            nvmlGpuP2PStatus_enum_NVML_P2P_STATUS_NOT_SUPPORTED
        }
        _ => nvmlGpuP2PStatus_enum_NVML_P2P_STATUS_OK,
    }
}

pub(crate) fn pci_info(gpu: &Gpu) -> Result<nvmlPciInfo_t, nvmlReturn_t> {
    Ok(nvmlPciInfo_t { pciDeviceId: gpu.pci_device_id, pciSubSystemId: gpu.pci_subsystem_id, ..pci_at(&gpu.pci)? })
}

/// The address alone.
pub(crate) fn pci_at(pci: &str) -> Result<nvmlPciInfo_t, nvmlReturn_t> {
    let [domain, bus, device, function] = address(pci).ok_or(nvmlReturn_enum_NVML_ERROR_UNKNOWN)?;
    Ok(nvmlPciInfo_t {
        // The legacy form has four digits for the domain, the present one eight.
        busIdLegacy: chars(&format!("{domain:04X}:{bus:02X}:{device:02X}.{function:X}")),
        domain,
        bus,
        device,
        pciDeviceId: 0,
        pciSubSystemId: 0,
        busId: chars(&format!("{domain:08X}:{bus:02X}:{device:02X}.{function:X}")),
    })
}

/// Cut to the array, its last element always NUL.
fn chars<const N: usize>(text: &str) -> [c_char; N] {
    let mut array = [0; N];
    for (to, byte) in array.iter_mut().take(N - 1).zip(text.bytes()) {
        *to = c_char::from_ne_bytes([byte]);
    }
    array
}
