use super::*;
use crate::judge::samples::Origin::{Derived, Invented, Recorded};
use crate::judge::samples::Shows::{Fires, Lifts, NearMiss};
use crate::judge::samples::{GPU, Sample, Scene, Table, h200, sample, t4};
use crds::Time;
use crds::node_hardware_profile::ExpectedGpus;
use crds::{Outcome, Severity};

const STUCK: &str = "NVIDIA/gpu-operator issue 2511: Fabric State In Progress, Status N/A, for good";
const DEAD: &str = "NVIDIA/NVSentinel issue 883: the fabric manager was killed and did not start";
const AZURE: &str = "Azure/azhpc-images pull request 506: Completed, Insufficient Resources (NVML 23)";
const UNHEALTHY: &str =
    "kubernetes-sigs/dra-driver-nvidia-gpu issue 626: Completed, Success, Summary Unhealthy, Bandwidth Full";
const KTI: &str =
    "NVIDIA/k8s-test-infra issue 677 and the fabric health mask of nvml.h: 0x1aa is healthy, 0x1a9 is degraded";

const MODE: &str = "Fabric Manager user guide, FABRIC_MODE=1: without an active partition a GPU stays in progress";
const PARTITION: &str = "nvml.h: bits 8 to 11 are 4, no partition; bits 12 to 13 are 2, not assigned";

pub(crate) static TABLE: Table = Table { page: &PAGE, judge, samples: SAMPLES };

#[rustfmt::skip]
static SAMPLES: &[Sample] = &[
    sample(reason::FABRIC_NOT_READY, Fires, Recorded, STUCK, || stuck(2)),
    sample(reason::FABRIC_NOT_READY, Fires, Derived, DEAD, || stuck(1)),
    sample(reason::FABRIC_NOT_READY, NearMiss, Invented, "the first reading after the driver came up", || h200s().then(state(2))),
    sample(reason::FABRIC_NOT_READY, NearMiss, Invented, "the node boots", || booting(stuck(2))),
    sample(reason::FABRIC_NOT_READY, NearMiss, Recorded, "telegraf tesla-t4.xml: no fabric", || Scene::of(t4(1)).then(|_| {})),
    sample(reason::FABRIC_NOT_READY, Fires, Recorded, STUCK, || all_stuck().expecting(links_of(18)).then(|_| {})),
    sample(reason::FABRIC_NOT_READY, NearMiss, Derived, MODE, || all_stuck().then(|_| {})),
    sample(reason::FABRIC_NOT_READY, NearMiss, Derived, MODE, || all_stuck().expecting(links_of(0)).then(|_| {})),
    sample(reason::FABRIC_NOT_READY, Lifts, Recorded, STUCK, || settled(stuck(2)).then(state(3))),
    sample(reason::FABRIC_FAILED, Fires, Derived, AZURE, || h200s().then(status(23))),
    sample(reason::FABRIC_FAILED, NearMiss, Derived, "leptonai/gpud pull request 1108: Not Supported on standalone boards", || h200s().then(|gpu| { state(0)(gpu); status(23)(gpu); })),
    sample(reason::FABRIC_FAILED, NearMiss, Invented, "not supported is no failure", || h200s().then(status(3))),
    sample(reason::FABRIC_FAILED, Lifts, Derived, AZURE, || settled(h200s().then(status(23))).then(status(0))),
    sample(reason::FABRIC_UNHEALTHY, Fires, Derived, UNHEALTHY, || h200s().then(health(0x1aa, 2)).then(|_| {})),
    sample(reason::FABRIC_UNHEALTHY, Fires, Derived, KTI, || h200s().then(health(0x19a, 0)).then(|_| {})),
    sample(reason::FABRIC_UNHEALTHY, Fires, Derived, "nvml.h: bits 8 to 11 are 5, too few NVLinks", || h200s().then(health(0x5aa, 0)).then(|_| {})),
    sample(reason::FABRIC_UNHEALTHY, NearMiss, Recorded, "NVIDIA/nccl issue 2186: GB200 with mask 0xaa", || h200s().then(health(0xaa, 1)).then(|_| {})),
    sample(reason::FABRIC_UNHEALTHY, NearMiss, Derived, KTI, || h200s().then(health(0x1aa, 1)).then(|_| {})),
    sample(reason::FABRIC_UNHEALTHY, NearMiss, Invented, "once only", || h200s().then(health(0x1aa, 2)).then(health(0x1aa, 1))),
    sample(reason::FABRIC_UNHEALTHY, NearMiss, Invented, "a configuration that has no name yet", || h200s().then(health(0xfaa, 1)).then(|_| {})),
    sample(reason::FABRIC_UNHEALTHY, Lifts, Derived, UNHEALTHY, || settled(h200s().then(health(0x1aa, 2)).then(|_| {})).then(health(0x1aa, 1))),
    sample(reason::FABRIC_UNHEALTHY, NearMiss, Derived, PARTITION, || h200s().then(health(0x4aa, 2)).then(|_| {})),
    sample(reason::FABRIC_NO_PARTITION, Fires, Derived, PARTITION, || h200s().then(health(0x4aa, 2)).then(|_| {})),
    sample(reason::FABRIC_NO_PARTITION, Fires, Derived, PARTITION, || h200s().then(health(0x21aa, 1))),
    sample(reason::FABRIC_NO_PARTITION, Fires, Derived, MODE, || h200s().then(|gpu| { state(2)(gpu); health(0x2000, 0)(gpu); })),
    sample(reason::FABRIC_NO_PARTITION, NearMiss, Derived, "nvml.h: bits 12 to 13 are 1, a partition is assigned", || h200s().then(health(0x11aa, 1))),
    sample(reason::FABRIC_NO_PARTITION, NearMiss, Recorded, "NVIDIA/nccl issue 2186: GB200 with mask 0xaa", || h200s().then(health(0xaa, 1))),
    sample(reason::FABRIC_NO_PARTITION, Lifts, Derived, PARTITION, || settled(h200s().then(health(0x4aa, 2)).then(|_| {})).then(health(0x1aa, 1))),
    sample(reason::FABRIC_DEGRADED, Fires, Derived, KTI, || h200s().then(health(0x1a9, 1))),
    sample(reason::FABRIC_DEGRADED, Fires, Derived, "nvml.h: summary 3 is limited capacity", || h200s().then(health(0x1aa, 3))),
    sample(reason::FABRIC_DEGRADED, Fires, Derived, "nvml.h of R620: bits 14 to 15 are 2, disconnected", || h200s().then(health(0x91aa, 1))),
    sample(reason::FABRIC_DEGRADED, NearMiss, Derived, "nvml.h: bits 12 to 13 are 2, no partition assigned; 14 to 15 are 1, connected", || h200s().then(health(0x61aa, 1))),
    sample(reason::FABRIC_DEGRADED, NearMiss, Derived, KTI, || h200s().then(health(0x1aa, 1))),
    sample(reason::FABRIC_DEGRADED, Lifts, Derived, KTI, || settled(h200s().then(health(0x1a9, 1))).then(health(0x1aa, 1))),
    sample(reason::FABRIC_SPLIT, Fires, Invented, "a tray of which one GPU is in another partition", || in_domain().then(clique(8)).then(|_| {})),
    sample(reason::FABRIC_SPLIT, NearMiss, Invented, "while the partition changes", || in_domain().then(clique(8))),
    sample(reason::FABRIC_SPLIT, NearMiss, Invented, "a fabric that ends at this node", || h200s().then(clique(8)).then(|_| {})),
    sample(reason::FABRIC_SPLIT, Lifts, Invented, "the partition is as planned again", || settled(in_domain().then(clique(8)).then(|_| {})).then(clique(7))),
];

/// All GPUs in one clique of an NVLink cluster.
fn in_domain() -> Scene {
    h200s().later(60, |sample| {
        for gpu in &mut sample.gpus {
            let fabric = gpu.fabric.get_or_insert_default();
            fabric.cluster_uuid = Some("5c1f0d7a2b3e4f60817293a4b5c6d7e8".to_owned());
            fabric.clique = Some(7);
        }
    })
}

fn clique(clique: u32) -> impl Fn(&mut GpuReadings) {
    move |gpu| gpu.fabric.get_or_insert_default().clique = Some(clique)
}

fn h200s() -> Scene {
    Scene::of(h200(8))
}

fn settled(scene: Scene) -> Scene {
    scene.settled(&PAGE, judge)
}

fn state(state: u32) -> impl Fn(&mut GpuReadings) {
    move |gpu| gpu.fabric.get_or_insert_default().state = Some(state)
}

fn status(status: u32) -> impl Fn(&mut GpuReadings) {
    move |gpu| gpu.fabric.get_or_insert_default().status = Some(status)
}

fn health(mask: u32, summary: u32) -> impl Fn(&mut GpuReadings) {
    move |gpu| {
        let fabric = gpu.fabric.get_or_insert_default();
        (fabric.health_mask, fabric.health_summary) = (Some(mask), Some(summary));
    }
}

/// Stuck for four minutes.
fn stuck(at: u32) -> Scene {
    let scene = settled(h200s().then(state(at)).then(|_| {}));
    settled(settled(scene.then(|_| {})).then(|_| {})).then(|_| {})
}

fn links_of(links: i64) -> ExpectedGpus {
    ExpectedGpus { nvlink_links: Some(links), ..ExpectedGpus::default() }
}

/// Every GPU is in progress, for four minutes of a node whose profile declares its links, and then without the profile.
fn all_stuck() -> Scene {
    let mut scene = h200s().expecting(links_of(18)).later(60, |sample| sample.gpus.iter_mut().for_each(state(2)));
    for _ in 0..5 {
        scene = settled(scene.then(|_| {}));
    }
    scene.spec.expected = None;
    scene
}

fn booting(mut scene: Scene) -> Scene {
    scene.booted_at = Some(Time::from_unix(scene.now.wall().unix() - 500));
    scene
}

#[test]
fn a_finding_names_the_bits_of_the_mask_the_partition_and_the_place_in_the_rack() {
    let in_rack = |gpu: &mut GpuReadings| {
        health(0x21a9, 1)(gpu);
        let place =
            PlatformReading { chassis_serial: Some("1821".to_owned()), slot: 7, tray: 3, ..PlatformReading::default() };
        gpu.driver.get_or_insert_default().platform = Some(place);
    };
    let found = h200s().then(in_rack).judge(judge).found.remove(0);
    assert!(found.message.contains("bits 0-1"), "{}", found.message);
    let evidence = found.evidence.unwrap();
    assert!(
        evidence.contains("partition=not assigned") && evidence.contains("chassis=1821 slot=7 tray=3"),
        "{evidence}"
    );
}

#[test]
fn every_row_has_samples_that_fire_that_almost_do_and_that_lift() {
    TABLE.prove();
}

#[test]
fn a_fabric_that_is_being_set_up_is_a_warning_for_three_minutes_and_a_fault_then() {
    let mut scene = h200s().then(state(2));
    let mut outcomes = Vec::new();
    for _ in 0..6 {
        let judged = scene.judge(judge);
        outcomes.push(judged.found.first().map(|found| found.outcome.clone()));
        scene = settled(scene).then(|_| {});
    }
    let (warn, fail) = (Some(Outcome::Warn), Some(Outcome::Fail));
    assert_eq!(outcomes, [None, warn.clone(), warn.clone(), warn, fail.clone(), fail]);
}

#[test]
fn a_set_up_of_47_s_is_no_fault_at_any_interval() {
    let mut scene = h200s();
    for _ in 0..47 {
        scene = settled(scene.later(1, |sample| sample.gpus.iter_mut().for_each(state(2))));
        assert!(scene.findings.iter().all(|finding| finding.outcome == Outcome::Warn));
    }
    let scene = settled(scene.later(1, |sample| sample.gpus.iter_mut().for_each(state(3))));
    assert_eq!(scene.findings.iter().count(), 0);
}

#[test]
fn only_gpus_with_a_fabric_are_covered_and_without_any_the_check_does_not_apply() {
    let judged = h200s().then(state(0)).judge(judge);
    assert!(judged.covered.len() == 7 && !judged.covered.contains(&GPU.to_owned()));
    assert_eq!(Scene::of(t4(1)).judge(judge).reason.as_deref(), Some(reason::NOT_APPLICABLE));
}

#[test]
fn a_fabric_in_progress_that_nothing_says_must_complete_is_not_judged_however_long_it_lasts() {
    let mut scene = h200s().later(60, |sample| sample.gpus.iter_mut().for_each(state(2)));
    for _ in 0..30 {
        scene = settled(scene.then(|_| {}));
        let judged = scene.judge(judge);
        assert_eq!((judged.outcome, judged.found.len(), judged.covered.len()), (Outcome::Inconclusive, 0, 0));
        assert_eq!(judged.reason.as_deref(), Some(reason::FABRIC_NOT_READY));
    }
    // What stood before stays: nothing is known that would lift it.
    let stood = settled(all_stuck());
    assert_eq!(stood.findings.of("fabric").filter(|finding| finding.severity == Severity::Reset).count(), 8);
}

#[test]
fn the_want_of_a_partition_hides_no_route_that_is_unhealthy() {
    for mask in [0x49a, 0x219a] {
        let found = h200s().then(health(mask, 2)).then(|_| {}).judge(judge).found;
        assert_eq!(found[0].reason, reason::FABRIC_UNHEALTHY, "{mask:#x}");
    }
}
