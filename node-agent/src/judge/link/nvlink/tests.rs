use super::*;
use crate::judge::samples::Origin::{Derived, Invented, Recorded};
use crate::judge::samples::Shows::{Fires, Lifts, NearMiss};
use crate::judge::samples::{GPU, Sample, Scene, Table, a100_mig, address, h200, sample, t4, v100};
use crate::readings::sample::{ErrorRate, FabricReading, LinkReading, NewerCounters, NvlinkReading};
use crds::node_hardware_profile::ExpectedGpus;

const AZURE_V100: &str = "Azure/azhpc-diagnostics issue 73: GPU 3, Tesla V100-SXM2-32GB, links 3 and 5 inactive";
const NCV5: &str = "Azure/azurehpc-health-checks issue 162: H100 PCIe, 12 of 18 links by design";
const NO_BRIDGE: &str = "NVIDIA/NVSentinel pull request 1481: A100 80GB PCIe without bridge, all 12 links down";
const WINDOWS: &str = "NVIDIA/nvidia-resiliency-ext pull request 302: 30 windows of 60 s, 15 of them allowed";
const DCGM: &str = "DCGM tests, MonitorNVLink4Fields: 6000 CRC errors in 60 s fail, 5999 warn";

const AZURE_A100: &str = "Azure/azurehpc-health-checks, bad_nvlink_status.txt: one GPU of eight with every link inactive, on the H200 of the samples";
const STATES: &str = "nvml.h 13.5.37, NVML_NVLINK_STATE_*: 2 is asleep, 3 is active but not usable for traffic";
const NVLINK5: &str = "DCGM health names each link recovery event of Blackwell (DCGM_FR_NVLINK_ERROR_CRITICAL)";
const EKS: &str = "aws/eks-node-monitoring-agent pull request 261: lifetime counters of healthy H100 nodes";
const AZURE_BER: &str = "Azure/cyclecloud-healthagent, defaults.yaml: an effective BER above 1e-6 warns";

pub(crate) static TABLE: Table = Table { page: &PAGE, judge, samples: SAMPLES };

#[rustfmt::skip]
static SAMPLES: &[Sample] = &[
    sample(reason::LINKS_BELOW_PROFILE, Fires, Recorded, AZURE_V100, || Scene::of(v100(4)).expecting(links_of(6)).then(down(&[3, 5])).then(|_| {})),
    sample(reason::LINKS_BELOW_PROFILE, Fires, Invented, "not one link, and no instances", || Scene::of(h200(8)).expecting(links_of(18)).then(none).then(|_| {})),
    sample(reason::LINKS_BELOW_PROFILE, NearMiss, Derived, NCV5, || Scene::of(h200(2)).expecting(links_of(12)).later(60, |sample| sample.gpus.iter_mut().for_each(down(&[4, 5, 10, 11, 16, 17]))).then(|_| {})),
    sample(reason::LINKS_BELOW_PROFILE, NearMiss, Recorded, "telegraf a100-sxm4-v12.xml: MIG is on, links are not reported", || Scene::of(a100_mig(4)).expecting(links_of(12)).then(|_| {})),
    sample(reason::LINKS_BELOW_PROFILE, NearMiss, Invented, "a link that trains for a moment", || Scene::of(v100(4)).expecting(links_of(6)).then(down(&[3])).then(all_up)),
    sample(reason::LINKS_BELOW_PROFILE, Fires, Derived, AZURE_A100, || Scene::of(h200(8)).expecting(links_of(18)).then(all_down).then(|_| {})),
    sample(reason::LINKS_BELOW_PROFILE, Fires, Derived, STATES, || Scene::of(h200(8)).expecting(links_of(18)).then(in_state(&[3, 5], LinkState::NoTraffic)).then(|_| {})),
    sample(reason::LINKS_BELOW_PROFILE, NearMiss, Derived, STATES, || Scene::of(h200(8)).expecting(links_of(18)).then(in_state(&[0, 1, 2, 3, 4, 5, 6, 7, 8], LinkState::Asleep)).then(|_| {})),
    sample(reason::LINKS_BELOW_PROFILE, NearMiss, Derived, "nvml.h: the health mask says that no partition is assigned, and no link carries traffic", || Scene::of(h200(8)).expecting(links_of(18)).then(without_partition).then(|_| {})),
    sample(reason::LINKS_BELOW_PROFILE, NearMiss, Invented, "one link cannot be read", || Scene::of(h200(8)).expecting(links_of(18)).then(unread).then(|_| {})),
    sample(reason::LINKS_BELOW_PROFILE, Lifts, Recorded, AZURE_V100, || settled(Scene::of(v100(4)).expecting(links_of(6)).then(down(&[3, 5])).then(|_| {})).then(all_up)),
    sample(reason::LINK_ERRORS_PERSISTENT, Fires, Derived, WINDOWS, || rising(16)),
    sample(reason::LINK_ERRORS_PERSISTENT, Fires, Derived, DCGM, || Scene::of(h200(8)).later(300, errors(3, |link| link.crc_flit = Some(30_000)))),
    sample(reason::LINK_ERRORS_PERSISTENT, NearMiss, Derived, WINDOWS, || rising(15)),
    sample(reason::LINK_ERRORS_PERSISTENT, NearMiss, Derived, DCGM, || Scene::of(h200(8)).later(300, errors(3, |link| link.crc_flit = Some(29_000)))),
    sample(reason::LINK_ERRORS_PERSISTENT, Lifts, Derived, WINDOWS, || settled(rising(16)).later(1800, |_| {})),
    sample(reason::LINKS_BELOW_BEST, Fires, Derived, AZURE_V100, || Scene::of(v100(4)).then(down(&[3, 5])).then(|_| {})),
    sample(reason::LINKS_BELOW_BEST, Fires, Derived, AZURE_A100, || Scene::of(h200(8)).then(all_down).then(|_| {})),
    sample(reason::LINKS_BELOW_BEST, NearMiss, Derived, NO_BRIDGE, || without_bridge().then(|_| {})),
    sample(reason::LINKS_BELOW_BEST, NearMiss, Derived, NCV5, || Scene::of({ let mut sample = h200(2); sample.gpus.iter_mut().for_each(down(&[4, 5, 10, 11, 16, 17])); sample }).then(|_| {})),
    sample(reason::LINKS_BELOW_BEST, Lifts, Derived, AZURE_V100, || settled(Scene::of(v100(4)).then(down(&[3, 5])).then(|_| {})).then(all_up)),
    sample(reason::LINK_ERRORS, Fires, Derived, "DCGM tests, MonitorNVLink4Fields: one recovery is named", || Scene::of(h200(8)).later(60, errors(3, |link| link.recoveries = Some(1)))),
    sample(reason::LINK_ERRORS, Fires, Derived, NVLINK5, || blackwell().later(60, errors(3, |link| link.recoveries = Some(1)))),
    sample(reason::LINK_ERRORS, Fires, Invented, "300 bad packets in five minutes", || blackwell().later(300, errors(3, |link| link.newer.receive_errors = Some(300)))),
    sample(reason::LINK_ERRORS, NearMiss, Invented, "299 bad packets in five minutes", || blackwell().later(300, errors(3, |link| link.newer.receive_errors = Some(299)))),
    sample(reason::LINK_ERRORS, NearMiss, Recorded, EKS, || Scene::of({ let mut sample = h200(8); sample.gpus.iter_mut().for_each(|gpu| of(gpu).iter_mut().for_each(|link| (link.recoveries, link.replays, link.crc_flit) = (Some(40), Some(9_000), Some(70_000)))); sample }).then(|_| {}).then(|_| {})),
    sample(reason::LINK_BIT_ERRORS, Fires, Derived, AZURE_BER, || noisy(0x206, 5).later(60, errors(3, |link| link.newer.effective_errors = Some(60)))),
    sample(reason::LINK_BIT_ERRORS, NearMiss, Derived, AZURE_BER, || noisy(0x106, 5).later(60, errors(3, |link| link.newer.effective_errors = Some(60)))),
    sample(reason::LINK_BIT_ERRORS, NearMiss, Invented, "a high rate of errors that are long past", || noisy(0x206, 5).then(|_| {})),
    sample(reason::LINK_BIT_ERRORS, NearMiss, Invented, "high in one reading only", || blackwell().later(60, |sample| { of(&mut sample.gpus[0])[3].newer = rate(0x206, 50); })),
    sample(reason::LINK_BIT_ERRORS, Lifts, Derived, AZURE_BER, || settled(noisy(0x206, 5).later(60, errors(3, |link| link.newer.effective_errors = Some(60)))).later(60, errors(3, |link| link.newer.effective_ber = ErrorRate::decode(0x10c)))),
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
            link.state = LinkState::Inactive;
        }
    }
}

fn in_state(numbers: &'static [u32], state: LinkState) -> impl Fn(&mut GpuReadings) {
    move |gpu| {
        for link in of(gpu).iter_mut().filter(|link| numbers.contains(&link.link)) {
            link.state = state;
        }
    }
}

fn all_down(gpu: &mut GpuReadings) {
    for link in of(gpu) {
        link.state = LinkState::Inactive;
    }
}

/// A tenant has not come yet: the links are trained and carry no traffic.
fn without_partition(gpu: &mut GpuReadings) {
    for link in of(gpu) {
        link.state = LinkState::NoTraffic;
    }
    gpu.fabric = Some(FabricReading { state: Some(3), health_mask: Some(0x21aa), ..FabricReading::default() });
}

fn unread(gpu: &mut GpuReadings) {
    of(gpu).remove(3);
    gpu.nvlink.as_mut().unwrap().unread = 1;
}

/// What a link of NVLink 5 counts.
fn rate(ber: u64, errors: u64) -> NewerCounters {
    NewerCounters {
        receive_errors: Some(0),
        effective_errors: Some(errors),
        symbol_errors: Some(1_000_000),
        effective_ber: ErrorRate::decode(ber),
        ..NewerCounters::default()
    }
}

/// Eight GPUs with links that count as those of NVLink 5; 0xfff is the rate of a link without errors.
fn blackwell() -> Scene {
    let mut sample = h200(8);
    for link in sample.gpus.iter_mut().flat_map(of) {
        (link.replays, link.crc_flit, link.crc_data) = (None, None, None);
        link.newer = rate(0xfff, 0);
    }
    Scene::of(sample)
}

/// The same; link 3 of the first GPU has this rate and has counted so many errors.
fn noisy(ber: u64, errors: u64) -> Scene {
    let mut sample = blackwell().sample;
    of(&mut sample.gpus[0])[3].newer = rate(ber, errors);
    Scene::of(sample)
}

fn all_up(gpu: &mut GpuReadings) {
    for link in of(gpu) {
        link.state = LinkState::Active;
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
            link.state = LinkState::Inactive;
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
            links.for_each(|link| link.state = LinkState::Inactive);
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

/// NVIDIA/DCGM issue 198: every link of a pair of H100 NVL is down, and the diagnostic passes.
#[test]
fn a_pair_without_any_link_up_is_found_where_a_bridge_is_declared_and_not_judged_elsewhere() {
    let pair = || {
        let mut sample = h200(2);
        sample.gpus.iter_mut().for_each(all_down);
        Scene::of(sample).later(60, |_| {})
    };
    assert_eq!(pair().judge(judge).reason.as_deref(), Some(reason::NOT_APPLICABLE));
    let found = pair().expecting(links_of(18)).found(judge);
    let below = |index| (address(index), reason::LINKS_BELOW_PROFILE.to_owned());
    assert_eq!(found, [below(0), below(1)]);
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
    let unread = sick.later(
        3700,
        errors(3, |link| *link = LinkReading { link: 3, state: LinkState::Active, ..LinkReading::default() }),
    );
    assert_eq!(settled(unread).findings.of("nvlink").count(), 1);
}

#[test]
fn a_link_whose_bit_error_rate_cannot_be_read_keeps_its_finding() {
    let sick = settled(noisy(0x206, 5).later(60, errors(3, |link| link.newer.effective_errors = Some(60))));
    assert_eq!(sick.findings.of("nvlink").count(), 1);
    let unread = sick.later(3700, errors(3, |link| link.newer.effective_ber = None));
    assert_eq!(settled(unread).findings.of("nvlink").count(), 1);
}

#[test]
fn the_evidence_tells_links_that_are_down_from_those_without_traffic() {
    let both = |gpu: &mut GpuReadings| {
        in_state(&[3], LinkState::Inactive)(gpu);
        in_state(&[5, 7], LinkState::NoTraffic)(gpu);
    };
    let found = Scene::of(h200(8)).expecting(links_of(18)).then(both).then(|_| {}).judge(judge).found.remove(0);
    let evidence = found.evidence.unwrap();
    assert!(evidence.contains("down: 3,") && evidence.ends_with("without traffic: 5 7"), "{evidence}");
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
