//! The fabric of NVSwitch systems.

use nvml_wrapper_sys::bindings::*;

use crate::call::{Answer, At, put, supported, tag, version_of};
use crate::gpu::Fabric;

exports! { device:
    nvmlDeviceGetGpuFabricInfo(to: *mut nvmlGpuFabricInfo_t) = |at: &At<'_>, to| {
        let fabric = supported(at.gpu.fabric.as_ref())?;
        let &Fabric { state, status, clique: cliqueId, .. } = fabric;
        put(to, nvmlGpuFabricInfo_t { clusterUuid: cluster(fabric)?, status, cliqueId, state })
    };
    nvmlDeviceGetGpuFabricInfoV(to: *mut nvmlGpuFabricInfoV_t) = versioned;
}

/// Versions 2 and 3; both lie as in nvml.h.
unsafe fn versioned(at: &At<'_>, to: *mut nvmlGpuFabricInfoV_t) -> Answer {
    // SAFETY: by nvml.h's contract.
    let version = unsafe { version_of(to) }?;
    let (second, third) = (tag::<nvmlGpuFabricInfo_v2_t>(2), tag::<nvmlGpuFabricInfo_v3_t>(3));
    if version != second && version != third {
        return Err(nvmlReturn_enum_NVML_ERROR_ARGUMENT_VERSION_MISMATCH);
    }
    let fabric = supported(at.gpu.fabric.as_ref())?;
    let &Fabric { state, status, mask: healthMask, summary: healthSummary, clique: cliqueId, .. } = fabric;
    let clusterUuid = cluster(fabric)?;
    if version == second {
        let info = nvmlGpuFabricInfo_v2_t { version, clusterUuid, status, cliqueId, state, healthMask };
        // SAFETY: by its version the caller's struct is one of version 2.
        return unsafe { put(to.cast(), info) };
    }
    let info = nvmlGpuFabricInfo_v3_t { version, clusterUuid, status, cliqueId, state, healthMask, healthSummary };
    // SAFETY: by its version the caller's struct is one of version 3.
    unsafe { put(to, info) }
}

fn cluster(fabric: &Fabric) -> Result<[u8; 16], nvmlReturn_t> {
    let Some(text) = &fabric.cluster_uuid else { return Ok([0; 16]) };
    let number = u128::from_str_radix(text, 16).map_err(|_| nvmlReturn_enum_NVML_ERROR_UNKNOWN)?;
    Ok(number.to_be_bytes())
}
