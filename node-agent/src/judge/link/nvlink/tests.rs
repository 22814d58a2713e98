use super::*;
use crate::judge::samples::Origin::{Derived, Invented, Recorded};
use crate::judge::samples::Shows::{Fires, Lifts, NearMiss};
use crate::judge::samples::{GPU, Sample, Scene, Table, a100_mig, address, h200, sample, t4, v100};
use crate::readings::sample::NvlinkReading;
use crds::hardware_profile::ExpectedGpus;

const AZURE_V100: &str = "Azure/azhpc-diagnostics issue 73: GPU 3, Tesla V100-SXM2-32GB, links 3 and 5 inactive";
const NCV5: &str = "Azure/azurehpc-health-checks issue 162: H100 PCIe, 12 of 18 links by design";
const NO_BRIDGE: &str = "NVIDIA/NVSentinel pull request 1481: A100 80GB PCIe without bridge, all 12 links down";
const WINDOWS: &str = "NVIDIA/nvidia-resiliency-ext pull request 302: 30 windows of 60 s, 15 of them allowed";
const DCGM: &str = "DCGM tests, MonitorNVLink4Fields: 6000 CRC errors in 60 s fail, 5999 warn";

pub(crate) static TABLE: Table = Table { page: &PAGE, judge, samples: SAMPLES };

#[rustfmt::skip]
static SAMPLES: &[Sample] = &[
    sample(reason::LINKS_BELOW_PROFILE, Fires, Recorded, AZURE_V100, || Scene::of(v100(4)).expecting(links_of(6)).then(down(&[3, 5])).then(|_| {})),
    sample(reason::LINKS_BELOW_PROFILE, Fires, Invented, "not one link, and no instances", || Scene::of(h200(8)).expecting(links_of(18)).then(none).then(|_| {})),
    sample(reason::LINKS_BELOW_PROFILE, NearMiss, Derived, NCV5, || Scene::of(h200(2)).expecting(links_of(12)).later(60, |sample| sample.gpus.iter_mut().for_each(down(&[4, 5, 10, 11, 16, 17]))).then(|_| {})),
    sample(reason::LINKS_BELOW_PROFILE, NearMiss, Recorded, "telegraf a100-sxm4-v12.xml: MIG is on, links are not reported", || Scene::of(a100_mig(4)).expecting(links_of(12)).then(|_| {})),
    sample(reason::LINKS_BELOW_PROFILE, NearMiss, Invented, "a link that trains for a moment", || Scene::of(v100(4)).expecting(links_of(6)).then(down(&[3])).then(all_up)),
    sample(reason::LINKS_BELOW_PROFILE, Lifts, Recorded, AZURE_V100, || settled(Scene::of(v100(4)).expecting(links_of(6)).then(down(&[3, 5])).then(|_| {})).then(all_up)),
    sample(reason::LINK_ERRORS_PERSISTENT, Fires, Derived, WINDOWS, || rising(16)),
    sample(reason::LINK_ERRORS_PERSISTENT, Fires, Derived, DCGM, || Scene::of(h200(8)).later(300, errors(3, |link| link.crc_flit = Some(30_000)))),
    sample(reason::LINK_ERRORS_PERSISTENT, NearMiss, Derived, WINDOWS, || rising(15)),
    sample(reason::LINK_ERRORS_PERSISTENT, NearMiss, Derived, DCGM, || Scene::of(h200(8)).later(300, errors(3, |link| link.crc_flit = Some(29_000)))),
    sample(reason::LINK_ERRORS_PERSISTENT, Lifts, Derived, WINDOWS, || settled(rising(16)).later(1800, |_| {})),
    sample(reason::LINKS_BELOW_BEST, Fires, Derived, AZURE_V100, || Scene::of(v100(4)).then(down(&[3, 5])).then(|_| {})),
    sample(reason::LINKS_BELOW_BEST, NearMiss, Derived, NO_BRIDGE, || without_bridge().then(|_| {})),
    sample(reason::LINKS_BELOW_BEST, NearMiss, Derived, NCV5, || Scene::of({ let mut sample = h200(2); sample.gpus.iter_mut().for_each(down(&[4, 5, 10, 11, 16, 17])); sample }).then(|_| {})),
    sample(reason::LINKS_BELOW_BEST, Lifts, Derived, AZURE_V100, || settled(Scene::of(v100(4)).then(down(&[3, 5])).then(|_| {})).then(all_up)),
    sample(reason::LINK_ERRORS, Fires, Derived, "DCGM tests, MonitorNVLink4Fields: one recovery is named", || Scene::of(h200(8)).later(60, errors(3, |link| link.recoveries = Some(1)))),
    sample(reason::LINK_ERRORS, NearMiss, Invented, "nine replays within an hour", || Scene::of(h200(8)).later(60, errors(3, |link| link.replays = Some(9)))),
    sample(reason::LINK_ERRORS, NearMiss, Invented, "counted before we looked", || Scene::of({ let mut sample = h200(8); errors(3, |link| link.recoveries = Some(7))(&mut sample); sample }).then(|_| {})),
    sample(reason::LINK_ERRORS, Lifts, Invented, "an hour without", || settled(Scene::of(h200(8)).later(60, errors(3, |link| link.recoveries = Some(1)))).later(3600, |_| {}).then(|_| {})),
];

fn links_of(links: i64) -> ExpectedGpus {
    ExpectedGpus { nvlink_links: Some(links), ..ExpectedGpus::default() }
}

fn settled(scene: Scene) -> Scene {
    scene.settled(&PAGE, judge)
}

fn of(gpu: &mut GpuReadings) -> &mut Vec<LinkReading> {
    &mut gpu.nvlink.get_or_insert_default().links
}

fn down(numbers: &'static [u32]) -> impl Fn(&mut GpuReadings) {
    move |gpu| {
        for link in of(gpu).iter_mut().filter(|link| numbers.contains(&link.link)) {
            link.active = false;
        }
    }
}

fn all_up(gpu: &mut GpuReadings) {
    for link in of(gpu) {
        link.active = true;
    }
}

fn none(gpu: &mut GpuReadings) {
    gpu.nvlink = Some(NvlinkReading::default());
}

fn without_bridge() -> Scene {
    let mut sample = h200(4);
    for gpu in &mut sample.gpus {
        of(gpu).truncate(12);
        for link in of(gpu) {
            link.active = false;
        }
    }
    Scene::of(sample)
}

fn errors(number: usize, change: impl Fn(&mut LinkReading)) -> impl Fn(&mut crate::readings::Sample) {
    move |sample| change(&mut of(&mut sample.gpus[0])[number])
}

/// A replay in each of this many minutes of half an hour, every other minute as far as possible.
fn rising(minutes: u64) -> Scene {
    let mut scene = Scene::of(h200(8));
    let mut replays = 0;
    for minute in 0..30_u64 {
        if (minute + 1) * minutes / 30 > minute * minutes / 30 {
            replays += 1;
        }
        scene = scene.later(60, errors(3, |link| link.replays = Some(replays)));
    }
    scene
}

#[test]
fn boards_without_a_bridge_have_nothing_to_judge_unless_a_profile_declares_links() {
    let none_up = || {
        Scene::of(h200(8)).later(60, |sample| {
            let links =
                sample.gpus.iter_mut().filter_map(|gpu| gpu.nvlink.as_mut()).flat_map(|nvlink| &mut nvlink.links);
            links.for_each(|link| link.active = false);
        })
    };
    let mut fresh = none_up();
    fresh.memory = crate::judge::Memory::default();
    let judged = fresh.judge(judge);
    assert_eq!((judged.outcome, judged.reason.as_deref()), (crds::Outcome::Skipped, Some(reason::NOT_APPLICABLE)));
    assert!(judged.covered.is_empty());
    assert_ne!(none_up().judge(judge).outcome, crds::Outcome::Skipped, "they were up before");
    assert_ne!(fresh.expecting(links_of(18)).judge(judge).outcome, crds::Outcome::Skipped);
}

#[test]
fn every_row_has_samples_that_fire_that_almost_do_and_that_lift() {
    TABLE.prove();
}

#[test]
fn a_gpu_without_links_makes_the_check_not_apply() {
    assert_eq!(Scene::of(t4(1)).judge(judge).reason.as_deref(), Some(reason::NOT_APPLICABLE));
}

#[test]
fn a_link_is_named_with_its_gpu_and_stays_listed_once_it_is_clean() {
    let sick = Scene::of(h200(8)).later(60, errors(3, |link| link.recoveries = Some(2)));
    let link = format!("{GPU}/link3");
    assert_eq!(sick.found(judge), [(link.clone(), reason::LINK_ERRORS.to_owned())]);
    let clean = settled(sick).later(3600, |_| {}).then(|_| {});
    let judged = clean.judge(judge);
    assert!(judged.found.is_empty() && judged.covered.contains(&link), "{judged:?}");
    // The report of this moment may be read late: later reports list the link too.
    let later = settled(clean).then(|_| {});
    assert!(later.findings.of("nvlink").next().is_none());
    assert!(later.judge(judge).covered.contains(&link));
}

#[test]
fn a_link_whose_counters_cannot_be_read_keeps_its_finding() {
    let sick = settled(Scene::of(h200(8)).later(60, errors(3, |link| link.recoveries = Some(2))));
    let unread =
        sick.later(3700, errors(3, |link| *link = LinkReading { link: 3, active: true, ..LinkReading::default() }));
    assert_eq!(settled(unread).findings.of("nvlink").count(), 1);
}

#[test]
fn sixteen_gpus_with_errors_on_every_link_stay_within_the_bounds_of_a_row_and_of_a_report() {
    let scene = Scene::of(h200(16)).later(60, |sample| {
        for gpu in &mut sample.gpus {
            for link in of(gpu) {
                link.recoveries = Some(5);
            }
        }
    });
    let judged = scene.judge(judge);
    assert_eq!(judged.found.len(), 16);
    assert!(judged.found.iter().all(|found| found.message.contains("18 NVLinks")), "{:?}", judged.found);
    assert_eq!(judged.covered.len(), MAX_COVERED);
    assert_eq!(judged.covered[..16], (0..16).map(address).collect::<Vec<_>>());
}

#[test]
fn the_reading_after_the_first_bad_one_neither_condemns_nor_heals() {
    let scene = Scene::of(v100(4)).expecting(links_of(6)).then(down(&[3]));
    let judged = scene.judge(judge);
    assert!(judged.found.is_empty() && !judged.covered.contains(&GPU.to_owned()), "{judged:?}");
}
