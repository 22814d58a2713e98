//! The section of the fabric.

use super::{Reader, or_if_old};
use crate::readings::sample::FabricReading;

/// `NVML_GPU_FABRIC_STATE_COMPLETED`
const FABRIC_COMPLETED: u8 = 3;

impl Reader<'_> {
    pub(super) fn fabric(&mut self) -> FabricReading {
        let reading = self.get(|library, gpu| {
            or_if_old(library.fabric(gpu, 3).map(|info| (info, 3)), || {
                or_if_old(library.fabric(gpu, 2).map(|info| (info, 2)), || {
                    let old = library.fabric_v1(gpu)?;
                    let info = nvml_wrapper_sys::bindings::nvmlGpuFabricInfoV_t {
                        version: 0,
                        clusterUuid: old.clusterUuid,
                        status: old.status,
                        cliqueId: old.cliqueId,
                        state: old.state,
                        healthMask: 0,
                        healthSummary: 0,
                    };
                    Ok((info, 1))
                })
            })
        });
        let Some((info, version)) = reading else { return FabricReading::default() };
        let completed = info.state == FABRIC_COMPLETED;
        FabricReading {
            state: Some(info.state.into()),
            status: completed.then_some(info.status),
            health_mask: (version >= 2).then_some(info.healthMask),
            health_summary: (version >= 3).then(|| info.healthSummary.into()),
            cluster_uuid: completed.then(|| format!("{:032x}", u128::from_be_bytes(info.clusterUuid))),
            clique: completed.then_some(info.cliqueId),
        }
    }
}
