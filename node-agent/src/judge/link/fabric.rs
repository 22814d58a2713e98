//! `fabric`: whether the NVLink fabric is set up, and the health that it reports.

#[cfg(test)]
pub(in crate::judge) mod tests;

use super::domain::{self, Agreement};
use crate::judge::core::rule::{found, is_confirmed, judged, suspected};
use crate::judge::core::{Found, Ground, Judged, Page, Rule};
use crate::readings::sample::{FabricReading, GpuReadings, PlatformReading, Section};
use crds::check::Check;
use crds::names::TARGET_NODE;
use crds::{Outcome, Severity, reason};

/// How long set-up may take outside the boot grace, in seconds, before it counts as stuck. The fabric manager of an HGX
/// H20 took 47 s from its start to the last switch (log in NVIDIA/nvtrust issue 128); this is about four times that.
pub(in crate::judge) const SET_UP_SECONDS: i64 = 180;

/// What the check can find.
pub static RULES: &[Rule] = &[
    Rule {
        reason: reason::FABRIC_NOT_READY,
        outcome: Outcome::Fail,
        severity: Severity::Reset,
        when: "The fabric state of the GPU is `not started` or `in progress` for 180 s and in two readings, after the boot grace and outside maintenance.",
        lifts: "State `completed`.",
        act: "CUDA does not start on this node (error 802). Check that nvidia-fabricmanager (on NVLink 5 also nvlsm) runs and has the driver's version; start it, then reset the GPUs or reboot. With FABRIC_MODE=1 a GPU without an active partition stays `in progress`: activate it, or do not run this check there.",
        source: "NVIDIA/NVSentinel issues 883 and 889 (`In Progress` for 20 days, unnoticed), NVIDIA/gpu-operator issue 2511; 180 s from NVIDIA/nvtrust issue 128",
    },
    Rule {
        reason: reason::FABRIC_FAILED,
        outcome: Outcome::Fail,
        severity: Severity::Reset,
        when: "The fabric state is `completed` and its status is an error (a return code of NVML other than success, not supported, no permission, function not found).",
        lifts: "Status `success`.",
        act: "Reset the GPUs of the node together, or reboot. If that does not help, look at the fabric manager's log and at the other nodes of the same NVLink domain.",
        source: "Azure/azhpc-images pull request 506 (Completed, Insufficient Resources); nvml.h, NVML_GPU_FABRIC_STATE_COMPLETED",
    },
    Rule {
        reason: reason::FABRIC_UNHEALTHY,
        outcome: Outcome::Fail,
        severity: Severity::Reset,
        when: "In two readings in a row the health summary is `unhealthy`, or the health mask reports an unhealthy route or an incorrect configuration.",
        lifts: "One reading with neither.",
        act: "Reset the GPU. If that does not help, the named configuration says where to look: identifiers, partition, missing links, firmware, place in the chassis.",
        source: "kubernetes-sigs/dra-driver-nvidia-gpu issue 626 (Summary: Unhealthy, Bandwidth: Full); nvml.h, healthMask",
    },
    Rule {
        reason: reason::FABRIC_DEGRADED,
        outcome: Outcome::Warn,
        severity: Severity::Monitor,
        when: "The health mask reports degraded bandwidth, a route recovery, an access timeout recovery or the loss of the global fabric manager, or the health summary reports limited capacity.",
        lifts: "One reading with none of these.",
        act: "Jobs still run, but slower. Run nccl and gpuPeer and compare with other nodes; plan a reset when the node is idle.",
        source: "nvml.h, healthMask (0x1a9 is degraded bandwidth)",
    },
    Rule {
        reason: reason::FABRIC_SPLIT,
        outcome: Outcome::Warn,
        severity: Severity::Monitor,
        when: "In two readings in a row the GPUs of the node report different NVLink clusters or cliques.",
        lifts: "One reading of as many GPUs in which all report the same.",
        act: "Compare the NVLink partitions with what was planned: jobs expect the GPUs of one node to reach each other. If the node is divided on purpose, ignore it with an override.",
        source: "NVIDIA k8s-dra-driver-gpu: a node has one clique, else its GPUs cannot be published as one; our judgement",
    },
    Rule {
        reason: reason::FABRIC_NOT_READY,
        outcome: Outcome::Warn,
        severity: Severity::Monitor,
        when: "The same for less than 180 s, in two readings in a row: most likely the fabric is still being set up.",
        lifts: "State `completed`.",
        act: "Wait.",
        source: "As above",
    },
];

/// The page of this check.
pub static PAGE: Page = Page {
    check: Check::Fabric,
    means: "The NVLink fabric of an NVSwitch system is not set up, or reports itself as unhealthy. The GPUs look healthy, but CUDA programs do not start, or jobs on several GPUs are slow.",
    measured: "NVML: nvmlDeviceGetGpuFabricInfoV (state, status, health mask, health summary). A GPU whose state is `not supported` is not judged. Silent under maintenance and during the boot grace.",
    profile: &[],
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

/// Whether the GPU is assigned to a partition, by bits 12 to 13. Not assigned is how a GPU waits for its tenant, so it
/// is shown and not judged.
const PARTITION: &[(u32, &str)] = &[(YES, "assigned"), (NO, "not assigned")];

/// Names of configuration faults, by the value of bits 8 to 11; 0 is not supported, 1 is no fault.
const CONFIGURATION: &[(u32, &str)] = &[
    (2, "system GUID"),
    (3, "chassis serial number"),
    (4, "no partition"),
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
    let (mut covered, mut findings) = (Vec::new(), Vec::new());
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
        let before = ground.before(&gpu.pci).and_then(|before| before.fabric.as_ref());
        if let Some(of_gpu) = judge_gpu(ground, &gpu.pci, &fabric, before) {
            covered.push(gpu.pci.clone());
            findings.extend(of_gpu);
        }
    }
    judged(covered, findings)
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
        state @ (1 | 2) => {
            let stuck = |before: &FabricReading| matches!(before.state, Some(1 | 2));
            if !before.is_some_and(stuck) {
                return None;
            }
            let taken = ground.readings.taken.get(&Section::Fabric).copied().unwrap_or(ground.now.mono_ms);
            let why = reason::FABRIC_NOT_READY;
            let name = if state == 1 { "not started" } else { "in progress" };
            Some(vec![if is_confirmed(ground, Check::Fabric, (pci, why), taken, SET_UP_SECONDS) {
                let message = format!("{subject} is {name} for more than {SET_UP_SECONDS} s: no fabric manager runs");
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
    Some(bad.into_iter().collect())
}

fn unhealthy(fabric: &FabricReading) -> Option<String> {
    let mask = fabric.health_mask.unwrap_or_default();
    if (mask >> 4) & 0x3 == YES {
        return Some("a route is unhealthy (health mask, bits 4-5)".to_owned());
    }
    let configuration = CONFIGURATION.iter().find(|(value, _)| *value == (mask >> 8) & 0xf);
    if let Some((_, name)) = configuration {
        return Some(format!("incorrect configuration: {name} (health mask, bits 8-11)"));
    }
    (fabric.health_summary == Some(2)).then(|| "the driver's summary says so".to_owned())
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
