//! `fabric`: whether the NVLink fabric is set up, and the health that it reports.

mod rules;
#[cfg(test)]
pub(in crate::judge) mod tests;

pub use rules::RULES;

use super::domain::{self, Agreement};
use crate::judge::core::rule::{found, is_confirmed, judged, suspected};
use crate::judge::core::{Found, Ground, Judged, Page};
use crate::readings::sample::{FabricReading, GpuReadings, PlatformReading, Section};
use crds::check::Check;
use crds::names::TARGET_NODE;
use crds::reason;

/// How long set-up may take outside the boot grace, in seconds, before it counts as stuck. The fabric manager of an HGX
/// H20 took 47 s from its start to the last switch (log in NVIDIA/nvtrust issue 128); this is about four times that.
pub(in crate::judge) const SET_UP_SECONDS: i64 = 180;

/// The page of this check.
pub static PAGE: Page = Page {
    check: Check::Fabric,
    means: "The NVLink fabric of an NVSwitch system is not set up, or reports itself as unhealthy. The GPUs look healthy, but CUDA programs do not start, or jobs on several GPUs are slow.",
    measured: "NVML: nvmlDeviceGetGpuFabricInfoV (state, status, health mask, health summary). A GPU whose state is `not supported` is not judged. Silent under maintenance and during the boot grace.",
    profile: &["gpus.nvlinkLinks"],
    metrics: &["gpu_health_fabric_state", "gpu_health_fabric_health_mask"],
    rules: RULES,
};

/// NVML return codes without information about the fabric: success, not supported, no permission, function not found.
const NO_FAILURE: &[u32] = &[0, 3, 4, 13];

/// The value for yes in a two-bit field of the health mask; 0 is not supported.
const YES: u32 = 1;
/// The value for no.
const NO: u32 = 2;

/// What slows a fabric down: the first of two bits of the health mask, their value, and its name (nvml.h,
/// `NVML_GPU_FABRIC_HEALTH_MASK_*`; bits 14-15 since R620).
const SIGNS: &[(u32, u32, &str)] = &[
    (0, YES, "less bandwidth (health mask, bits 0-1)"),
    (2, YES, "a route is being recovered (health mask, bits 2-3)"),
    (6, YES, "an access timeout is being recovered (health mask, bits 6-7)"),
    (14, NO, "it has lost its global fabric manager (health mask, bits 14-15)"),
];

/// Whether the GPU is assigned to a partition, by bits 12 to 13. Not assigned is how a GPU waits for its tenant.
const PARTITION: &[(u32, &str)] = &[(YES, "assigned"), (NO, "not assigned")];

/// The configuration that lacks a partition. It is a setting, as the partition itself is.
const NO_PARTITION: u32 = 4;

/// Names of configuration faults, by the value of bits 8 to 11; 0 is not supported, 1 is no fault.
const CONFIGURATION: &[(u32, &str)] = &[
    (2, "system GUID"),
    (3, "chassis serial number"),
    (NO_PARTITION, "no partition"),
    (5, "too few NVLinks"),
    (6, "incompatible firmware"),
    (7, "invalid location"),
    (8, "invalid state of the GPU"),
];

/// Judges the last readings.
pub fn judge(ground: &Ground<'_>) -> Judged {
    if let Some(pause) = ground.expected.pause(ground.now) {
        return Judged::skipped(pause);
    }
    let gpus = match ground.driver(Section::Fabric) {
        Ok(gpus) => gpus,
        Err(why) => return *why,
    };
    let of_gpu = |gpu: &&GpuReadings| gpu.fabric.clone().filter(|fabric| fabric.state.is_some_and(|state| state > 0));
    if gpus.iter().all(|gpu| of_gpu(gpu).is_none()) {
        return Judged::skipped(reason::NOT_APPLICABLE);
    }
    let must_complete =
        declares_links(ground) || gpus.iter().any(|gpu| of_gpu(gpu).is_some_and(|of| of.state == Some(3)));
    let (mut covered, mut findings, mut open) = (Vec::new(), Vec::new(), Vec::new());
    match domain::agreement(ground, &gpus) {
        Agreement::Unknown => {}
        Agreement::Agree => covered.push(TARGET_NODE.to_owned()),
        Agreement::Differ(evidence) => {
            covered.push(TARGET_NODE.to_owned());
            let message = "the GPUs of this node are in different NVLink clusters or cliques".to_owned();
            findings.push(found(RULES, reason::FABRIC_SPLIT, TARGET_NODE, message, evidence));
        }
    }
    for gpu in gpus {
        let Some(fabric) = of_gpu(&gpu) else { continue };
        if is_being_set_up(&fabric) && !has_no_partition(&fabric) && !must_complete {
            open.push(gpu.pci.as_str());
            continue;
        }
        let before = ground.before(&gpu.pci).and_then(|before| before.fabric.as_ref());
        if let Some(of_gpu) = judge_gpu(ground, &gpu.pci, &fabric, before) {
            covered.push(gpu.pci.clone());
            findings.extend(of_gpu);
        }
    }
    match open.first() {
        Some(first) if covered.is_empty() && findings.is_empty() => {
            let message = format!(
                "the fabric of {} GPUs ({first}, ...) is not set up, and neither gpus.nvlinkLinks of a profile nor another GPU says that it must be",
                open.len()
            );
            Judged::unknown(reason::FABRIC_NOT_READY, message)
        }
        _ => judged(covered, findings),
    }
}

/// Whether the profile says that the GPUs of this node are joined by NVLinks.
fn declares_links(ground: &Ground<'_>) -> bool {
    let gpus = ground.expected.spec.and_then(|spec| spec.expected.as_ref()?.gpus.as_ref());
    gpus.and_then(|gpus| gpus.nvlink_links).is_some_and(|links| links > 0)
}

fn is_being_set_up(fabric: &FabricReading) -> bool {
    matches!(fabric.state, Some(1 | 2))
}

/// Whether links that carry no traffic are as they should be: the fabric is not set up, or has no partition for the GPU.
pub(super) fn waits_for_a_partition(fabric: &FabricReading) -> bool {
    is_being_set_up(fabric) || has_no_partition(fabric)
}

fn has_no_partition(fabric: &FabricReading) -> bool {
    let mask = fabric.health_mask.unwrap_or_default();
    (mask >> 12) & 0x3 == NO || (mask >> 8) & 0xf == NO_PARTITION
}

/// `None` where it cannot be judged yet.
fn judge_gpu(
    ground: &Ground<'_>,
    pci: &str,
    fabric: &FabricReading,
    before: Option<&FabricReading>,
) -> Option<Vec<Found>> {
    let serial = ground.serial(pci).unwrap_or("-");
    let subject = format!("the fabric of GPU {pci} (serial {serial})");
    let evidence = show(fabric, ground.readings.gpus.get(pci).and_then(|gpu| gpu.driver.as_ref()?.platform.as_ref()));
    match fabric.state? {
        1 | 2 if has_no_partition(fabric) => {
            let message = format!("{subject} has no partition (health mask)");
            Some(vec![found(RULES, reason::FABRIC_NO_PARTITION, pci, message, evidence)])
        }
        state @ (1 | 2) => {
            if !before.is_some_and(is_being_set_up) {
                return None;
            }
            let taken = ground.readings.taken.get(&Section::Fabric).copied().unwrap_or(ground.now.mono_ms);
            let why = reason::FABRIC_NOT_READY;
            let name = if state == 1 { "not started" } else { "in progress" };
            Some(vec![if is_confirmed(ground, Check::Fabric, (pci, why), taken, SET_UP_SECONDS) {
                let message =
                    format!("{subject} is {name} for more than {SET_UP_SECONDS} s: no fabric manager sets it up");
                found(RULES, why, pci, message, evidence)
            } else {
                let message = format!("{subject} is {name}; {SET_UP_SECONDS} s are allowed");
                suspected(RULES, why, pci, message, evidence)
            }])
        }
        3 => {
            let status = fabric.status.unwrap_or_default();
            if !NO_FAILURE.contains(&status) {
                let message = format!("setting up {subject} failed with status {status} (nvmlReturn)");
                return Some(vec![found(RULES, reason::FABRIC_FAILED, pci, message, evidence)]);
            }
            let bad = health(fabric, before, &subject)?;
            let as_found = |(why, message)| found(RULES, why, pci, message, evidence.clone());
            Some(bad.into_iter().map(as_found).collect())
        }
        _ => None,
    }
}

/// The health by summary and mask; `None` if it is bad for the first time.
fn health(
    fabric: &FabricReading,
    before: Option<&FabricReading>,
    subject: &str,
) -> Option<Vec<(&'static str, String)>> {
    if let Some(what) = unhealthy(fabric) {
        before.and_then(unhealthy)?;
        return Some(vec![(reason::FABRIC_UNHEALTHY, format!("{subject} is unhealthy: {what}"))]);
    }
    let bad = degraded(fabric).map(|what| (reason::FABRIC_DEGRADED, format!("{subject} is degraded: {what}")));
    let unassigned = has_no_partition(fabric)
        .then(|| (reason::FABRIC_NO_PARTITION, format!("{subject} has no partition (health mask)")));
    Some(bad.into_iter().chain(unassigned).collect())
}

fn unhealthy(fabric: &FabricReading) -> Option<String> {
    let mask = fabric.health_mask.unwrap_or_default();
    if (mask >> 4) & 0x3 == YES {
        return Some("a route is unhealthy (health mask, bits 4-5)".to_owned());
    }
    let faults = CONFIGURATION.iter().filter(|(value, _)| *value != NO_PARTITION);
    if let Some((_, name)) = faults.into_iter().find(|(value, _)| *value == (mask >> 8) & 0xf) {
        return Some(format!("incorrect configuration: {name} (health mask, bits 8-11)"));
    }
    // Without a partition the driver's summary has its explanation.
    (fabric.health_summary == Some(2) && !has_no_partition(fabric)).then(|| "the driver's summary says so".to_owned())
}

fn degraded(fabric: &FabricReading) -> Option<&'static str> {
    let mask = fabric.health_mask.unwrap_or_default();
    let sign = SIGNS.iter().find(|(shift, value, _)| (mask >> shift) & 0x3 == *value).map(|(.., name)| *name);
    sign.or_else(|| (fabric.health_summary == Some(3)).then_some("limited capacity"))
}

/// The raw values, and where in its rack the GPU is: the other end of a link is found by that.
fn show(fabric: &FabricReading, platform: Option<&PlatformReading>) -> String {
    let place = platform.map(|at| {
        let chassis = at.chassis_serial.as_deref().unwrap_or("-");
        format!(" chassis={chassis} slot={} tray={} host={} module={}", at.slot, at.tray, at.host, at.module)
    });
    let mask = fabric.health_mask.unwrap_or_default();
    let partition = PARTITION.iter().find(|(value, _)| *value == (mask >> 12) & 0x3);
    let partition = partition.map(|(_, name)| format!(" partition={name}"));
    let number = |value: Option<u32>| value.map_or_else(|| "-".to_owned(), |value| value.to_string());
    format!(
        "state={} status={} mask={} summary={} clique={}{}{}",
        number(fabric.state),
        number(fabric.status),
        fabric.health_mask.map_or_else(|| "-".to_owned(), |mask| format!("{mask:#x}")),
        number(fabric.health_summary),
        number(fabric.clique),
        partition.unwrap_or_default(),
        place.unwrap_or_default()
    )
}
