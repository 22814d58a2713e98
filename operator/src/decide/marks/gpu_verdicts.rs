//! The verdict on each GPU, in the status of a NodeHealth.

use super::parts::{is_pci_address, split};
use crate::decide::judge::verdict::Judgement;
use crds::{
    NodeHealth, Severity, State,
    condition::truncate,
    node_health::{Gpu, GpuVerdict, MAX_GPUS},
};
use std::collections::BTreeMap;

/// The verdict on each GPU in the inventory, and on each that a cause names.
pub(crate) fn gpus(health: &NodeHealth, judgement: &Judgement) -> Vec<GpuVerdict> {
    let status = health.status.as_ref();
    let seen = status.and_then(|s| s.report.as_ref()).map_or(&[][..], |r| r.inventory.gpus.as_slice());
    let former = status.map_or(&[][..], |s| s.gpus.as_slice());
    let mut verdicts: BTreeMap<&str, GpuVerdict> =
        seen.iter().map(|gpu| (gpu.pci_address.as_str(), verdict(gpu, judgement))).collect();
    // Causes are sorted worst first, so the first one for a GPU decides its verdict.
    for cause in judgement.causes.iter().rev() {
        let (address, _) = split(&cause.target);
        if !is_pci_address(address) {
            continue;
        }
        let entry = verdicts.entry(address).or_insert_with(|| {
            let known = former.iter().find(|gpu| gpu.pci_address == address);
            GpuVerdict {
                pci_address: truncate(address, 32).into(),
                uuid: known.and_then(|k| k.uuid.clone()),
                serial: known.and_then(|k| k.serial.clone()),
                ..GpuVerdict::default()
            }
        });
        entry.state = if cause.condemns() { State::Unhealthy } else { State::Suspect };
        entry.severity = cause.severity.clone();
        entry.reason = Some(cause.reason.as_str().into());
    }
    verdicts.into_values().take(MAX_GPUS).collect()
}

fn verdict(gpu: &Gpu, judgement: &Judgement) -> GpuVerdict {
    GpuVerdict {
        pci_address: gpu.pci_address.clone(),
        uuid: gpu.uuid.clone(),
        serial: gpu.serial.clone(),
        state: match judgement.state {
            State::Unknown | State::Unrecognized(_) => State::Unknown,
            _ if judgement.silent => State::Unknown,
            State::Healthy | State::Suspect | State::Unhealthy | State::NotApplicable => State::Healthy,
        },
        severity: Severity::None,
        reason: None,
    }
}
