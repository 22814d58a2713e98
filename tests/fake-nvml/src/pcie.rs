//! The PCIe link.

use std::ffi::c_uint;

use nvml_wrapper_sys::bindings::*;

use crate::call::{At, put};

/// Megatransfers per second by generation, from 1.
const SPEEDS: [u32; 6] = [2_500, 5_000, 8_000, 16_000, 32_000, 64_000];

exports! { device:
    nvmlDeviceGetCurrPcieLinkGeneration(to: *mut c_uint) = |at: &At<'_>, to| put(to, at.gpu.pcie.generation);
    nvmlDeviceGetCurrPcieLinkWidth(to: *mut c_uint) = |at: &At<'_>, to| put(to, at.gpu.pcie.width);
    nvmlDeviceGetMaxPcieLinkGeneration(to: *mut c_uint) = |at: &At<'_>, to| put(to, at.gpu.pcie.max_generation);
    nvmlDeviceGetGpuMaxPcieLinkGeneration(to: *mut c_uint) = |at: &At<'_>, to| put(to, at.gpu.pcie.max_generation);
    nvmlDeviceGetMaxPcieLinkWidth(to: *mut c_uint) = |at: &At<'_>, to| put(to, at.gpu.pcie.max_width);
    nvmlDeviceGetPcieSpeed(to: *mut c_uint) = |at: &At<'_>, to| put(to, speed(at.gpu.pcie.generation)?);
    // An enum that has the number of the generation.
    nvmlDeviceGetPcieLinkMaxSpeed(to: *mut c_uint) = |at: &At<'_>, to| put(to, at.gpu.pcie.max_generation);
    nvmlDeviceGetPcieReplayCounter(to: *mut c_uint) = |at: &At<'_>, to| put(to, at.gpu.pcie.replays);
    nvmlDeviceGetPcieThroughput(counter: nvmlPcieUtilCounter_t, to: *mut c_uint) =
        |at: &At<'_>, counter, to| match counter {
            nvmlPcieUtilCounter_enum_NVML_PCIE_UTIL_TX_BYTES => put(to, at.gpu.pcie.tx_kib_s),
            nvmlPcieUtilCounter_enum_NVML_PCIE_UTIL_RX_BYTES => put(to, at.gpu.pcie.rx_kib_s),
            _ => Err(nvmlReturn_enum_NVML_ERROR_INVALID_ARGUMENT),
        };
}

fn speed(generation: u32) -> Result<u32, nvmlReturn_t> {
    let place = (generation as usize).checked_sub(1).and_then(|place| SPEEDS.get(place));
    place.copied().ok_or(nvmlReturn_enum_NVML_ERROR_UNKNOWN)
}
