use super::*;
use crate::judge::samples::Origin::{Derived, Invented, Recorded};
use crate::judge::samples::Shows::{Fires, Lifts, NearMiss};
use crate::judge::samples::{GPU, Scene, Table, a100_mig, h200, sample, t4};
use crds::node_hardware_profile::ExpectedGpus;

const AWS: &str = "AWS gpu-cluster-healthcheck check 0: uncorrected volatile 3, on the T4 capture";
const NVSENTINEL: &str = "NVSentinel 1748: 17,700 corrected errors per second on one GPU, 0 on the rest";

fn ecc(scene: Scene, change: impl FnOnce(&mut EccReading)) -> Scene {
    scene.then(|gpu| change(gpu.ecc.as_mut().unwrap()))
}

fn volatile(count: u64) -> Scene {
    ecc(Scene::of(t4(1)), |ecc| ecc.volatile_uncorrected = Some(count))
}

/// This many corrected errors in a minute on one GPU.
fn corrected(gpus: u32, by: u64) -> Scene {
    ecc(Scene::of(h200(gpus)), |ecc| ecc.aggregate_corrected = Some(by))
}

fn required(scene: Scene, on: bool) -> Scene {
    let scene = scene.expecting(ExpectedGpus { ecc_required: Some(true), ..ExpectedGpus::default() });
    ecc(scene, |ecc| ecc.enabled = Some(on))
}

#[rustfmt::skip]
pub(crate) static TABLE: Table = Table {
    page: &PAGE,
    judge,
    samples: &[
        sample(reason::ECC_UNCORRECTABLE, Fires, Derived, AWS, || volatile(3)),
        sample(reason::ECC_UNCORRECTABLE, Fires, Derived, "wtdcode/vllm-backport 62: Xid 48 in DRAM of an A100; only the location is reported", || {
            ecc(Scene::of(h200(8)), |ecc| (ecc.volatile_uncorrected, ecc.dram_uncorrected) = (None, Some(1)))
        }),
        sample(reason::ECC_UNCORRECTABLE, NearMiss, Recorded, "telegraf tesla-t4.xml: all counters 0", || Scene::of(t4(1))),
        sample(reason::ECC_UNCORRECTABLE, NearMiss, Derived, "an error of the board's past: aggregate 3, volatile 0", || {
            ecc(Scene::of(h200(8)), |ecc| ecc.aggregate_uncorrected = Some(3))
        }),
        sample(reason::ECC_UNCORRECTABLE, Lifts, Derived, AWS, || volatile(0).standing(&PAGE, reason::ECC_UNCORRECTABLE, GPU)),
        sample(reason::SRAM_THRESHOLD_EXCEEDED, Fires, Derived, "H200 capture with the flag up, as NVIDIA's RMA policy for SRAM describes it", || {
            ecc(Scene::of(h200(8)), |ecc| ecc.sram_threshold_exceeded = Some(true))
        }),
        sample(reason::SRAM_THRESHOLD_EXCEEDED, NearMiss, Recorded, "H200 capture 590.48.01: SRAM Threshold Exceeded : No", || Scene::of(h200(8))),
        sample(reason::SRAM_THRESHOLD_EXCEEDED, NearMiss, Recorded, "telegraf a100-sxm4-v12.xml: no such flag", || Scene::of(a100_mig(4))),
        sample(reason::SRAM_THRESHOLD_EXCEEDED, Lifts, Derived, "H200 capture 590.48.01: SRAM Threshold Exceeded : No", || {
            Scene::of(h200(8)).standing(&PAGE, reason::SRAM_THRESHOLD_EXCEEDED, GPU)
        }),
        sample(reason::ECC_RATE_OUTLIER, Fires, Recorded, NVSENTINEL, || corrected(8, 17_700 * 60)),
        sample(reason::ECC_RATE_OUTLIER, Fires, Derived, "the same on a node with one GPU", || corrected(1, 17_700 * 60)),
        sample(reason::ECC_RATE_OUTLIER, NearMiss, Invented, "a handful in a minute", || corrected(8, 40)),
        sample(reason::ECC_RATE_OUTLIER, NearMiss, Invented, "every GPU shows some", || {
            Scene::of(h200(8)).later(60, |sample| {
                for (gpu, by) in sample.gpus.iter_mut().zip([900_u64, 1_000, 1_100, 950, 1_050, 990, 1_010, 1_400]) {
                    gpu.ecc.as_mut().unwrap().aggregate_corrected = Some(by);
                }
            })
        }),
        sample(reason::ECC_RATE_OUTLIER, Lifts, Derived, NVSENTINEL, || {
            corrected(8, 17_700 * 60).settled(&PAGE, judge).then(|_| {}).later(3_600, |_| {})
        }),
        sample(reason::ECC_DISABLED, Fires, Derived, "T4 capture with ECC off", || required(Scene::of(t4(1)), false)),
        sample(reason::ECC_DISABLED, NearMiss, Derived, "T4 capture with ECC off; no profile requires it", || {
            ecc(Scene::of(t4(1)), |ecc| ecc.enabled = Some(false))
        }),
        sample(reason::ECC_DISABLED, Lifts, Recorded, "telegraf tesla-t4.xml: ECC on", || {
            required(Scene::of(t4(1)), true).standing(&PAGE, reason::ECC_DISABLED, GPU)
        }),
    ],
};

#[test]
fn each_row_fires_misses_and_lifts() {
    TABLE.prove();
}

#[test]
fn a_gpu_without_ecc_is_not_covered_and_nothing_is_found() {
    let bare = ecc(Scene::of(t4(1)), |ecc| *ecc = EccReading::default()).then(|_| {});
    let judged = bare.judge(judge);
    assert_eq!((judged.outcome, judged.covered.len(), judged.found.len()), (Outcome::Skipped, 0, 0));
}

#[test]
fn an_uncorrectable_error_does_not_heal_by_silence() {
    let struck = volatile(3).settled(&PAGE, judge);
    let silent = ecc(struck, |ecc| {
        (ecc.volatile_uncorrected, ecc.dram_uncorrected, ecc.sram_uncorrected) = (None, None, None);
    });
    assert!(silent.settled(&PAGE, judge).findings.get("ecc", GPU).is_some());
}

#[test]
fn a_sick_gpu_is_found_within_one_interval_and_its_peers_are_not() {
    let found = corrected(8, 17_700 * 60).found(judge);
    assert_eq!(found, [(GPU.to_owned(), reason::ECC_RATE_OUTLIER.to_owned())]);
}
