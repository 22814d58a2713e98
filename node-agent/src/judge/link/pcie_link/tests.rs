use super::*;
use crate::judge::samples::Origin::{Derived, Invented, Recorded};
use crate::judge::samples::Shows::{Fires, Lifts, NearMiss};
use crate::judge::samples::{GPU, Sample, Scene, Table, a100_mig, address, h200, sample, t4};
use crate::readings::TreeReport;
use crate::readings::sample::ClocksReading;
use crate::readings::sysfs::PciLink;
use crds::Time;
use crds::node_hardware_profile::ExpectedGpus;

const DOWNTRAINED: &str = "NVIDIA/NVSentinel issue 890: Gen5 x16 comes back as Gen3 x8; on the capture of an H200";
const FATAL: &str = "wilicc/gpu-burn issue 1: AER Uncorrected (Fatal), then Xid 79; counted once";
const RPI: &str = "geerlingguy/raspberry-pi-pcie-devices issue 480: LnkSta Width x1 (downgraded)";
const IDLE: &str = "Syllo/nvtop issue 6: an idle GTX 1080 Ti at PCIe GEN 1@16x";

pub(crate) static TABLE: Table = Table { page: &PAGE, judge, samples: SAMPLES };

#[rustfmt::skip]
static SAMPLES: &[Sample] = &[
    sample(reason::WIDTH_BELOW_PROFILE, Fires, Derived, DOWNTRAINED, || declared().then(lanes(8)).then(|_| {})),
    sample(reason::WIDTH_BELOW_PROFILE, Fires, Derived, RPI, || declared().then(lanes(1)).then(|_| {})),
    sample(reason::WIDTH_BELOW_PROFILE, NearMiss, Recorded, "telegraf tesla-t4.xml: x8 of x16, declared as x8", || Scene::of(t4(1)).expecting(pcie_of(3, 8)).then(|_| {})),
    sample(reason::WIDTH_BELOW_PROFILE, NearMiss, Recorded, "telegraf tesla-t4.xml: x8 of x16, nothing declared", || Scene::of(t4(1)).then(|_| {})),
    sample(reason::WIDTH_BELOW_PROFILE, NearMiss, Invented, "one odd reading", || declared().then(lanes(8)).then(lanes(16))),
    sample(reason::WIDTH_BELOW_PROFILE, NearMiss, Invented, "a width that does not exist", || declared().then(lanes(255)).then(lanes(0)).then(lanes(0))),
    sample(reason::WIDTH_BELOW_PROFILE, Lifts, Derived, DOWNTRAINED, || settled(declared().then(lanes(8)).then(|_| {})).then(lanes(16))),
    sample(reason::GENERATION_BELOW_PROFILE, Fires, Derived, DOWNTRAINED, || declared().then(at_work(97)).then(generation(3)).then(|_| {})),
    sample(reason::GENERATION_BELOW_PROFILE, Fires, Invented, "with MIG no utilization is reported; state 0 counts as work", || Scene::of(a100_mig(1)).expecting(pcie_of(4, 16)).then(generation(1)).then(|_| {})),
    sample(reason::GENERATION_BELOW_PROFILE, NearMiss, Derived, IDLE, || declared().then(generation(1)).then(|_| {})),
    sample(reason::GENERATION_BELOW_PROFILE, NearMiss, Invented, "work began between the two readings", || declared().then(generation(1)).then(at_work(97))),
    sample(reason::GENERATION_BELOW_PROFILE, Lifts, Derived, DOWNTRAINED, || settled(declared().then(at_work(97)).then(generation(3)).then(|_| {})).then(generation(5))),
    sample(reason::PCIE_ERRORS, Fires, Derived, FATAL, || aer(aer(h200s(), [0, 0, 0]).then(|_| {}), [1, 0, 0])),
    sample(reason::PCIE_ERRORS, NearMiss, Invented, "the first reading is no rise", || aer(h200s(), [3, 0, 0])),
    sample(reason::PCIE_ERRORS, NearMiss, Invented, "counted while the node came up", || booting(aer(aer(h200s(), [0, 0, 0]).then(|_| {}), [1, 0, 0]))),
    sample(reason::PCIE_ERRORS, Lifts, Derived, FATAL, || aer(settled(aer(aer(h200s(), [0, 0, 0]).then(|_| {}), [1, 0, 0])).later(3601, |_| {}), [1, 0, 0])),
    sample(reason::WIDTH_BELOW_BEST, Fires, Derived, DOWNTRAINED, || h200s().then(lanes(8)).then(|_| {})),
    sample(reason::WIDTH_BELOW_BEST, Fires, Invented, "one of eight was never wider", || Scene::of(one_narrow(8)).then(|_| {})),
    sample(reason::WIDTH_BELOW_BEST, NearMiss, Invented, "one of three: no majority", || Scene::of(one_narrow(3)).then(|_| {})),
    sample(reason::WIDTH_BELOW_BEST, NearMiss, Invented, "another board in the slot", || h200s().later(60, |sample| {
        sample.view.gpus[0].serial = Some("another".to_owned());
        sample.view.gpus[0].name = Some("NVIDIA L4".to_owned());
        lanes(8)(&mut sample.gpus[0]);
    }).then(|_| {})),
    sample(reason::WIDTH_BELOW_BEST, Lifts, Derived, DOWNTRAINED, || settled(h200s().then(lanes(8)).then(|_| {})).then(lanes(16))),
    sample(reason::GENERATION_BELOW_BEST, Fires, Derived, DOWNTRAINED, || h200s().then(at_work(97)).then(generation(3)).then(|_| {})),
    sample(reason::GENERATION_BELOW_BEST, NearMiss, Derived, IDLE, || h200s().then(generation(1)).then(|_| {})),
    sample(reason::GENERATION_BELOW_BEST, Lifts, Derived, DOWNTRAINED, || settled(h200s().then(at_work(97)).then(generation(3)).then(|_| {})).then(at_work(0))),
    sample(reason::PCIE_NONFATAL_ERRORS, Fires, Derived, "NVIDIA/open-gpu-kernel-modules issue 1229: CmpltTO, not fatal", || aer(aer(h200s(), [0, 2, 0]).then(|_| {}), [0, 3, 0])),
    sample(reason::PCIE_NONFATAL_ERRORS, NearMiss, Invented, "none since the last reading", || aer(aer(h200s(), [0, 2, 0]).then(|_| {}), [0, 2, 0])),
    sample(reason::PCIE_NONFATAL_ERRORS, Lifts, Invented, "an hour later", || aer(settled(aer(aer(h200s(), [0, 2, 0]).then(|_| {}), [0, 3, 0])).later(3601, |_| {}), [0, 3, 0])),
    sample(reason::PCIE_REPLAYS, Fires, Derived, "DCGM: 8 per minute on generation 3, so 32 on 5", || h200s().later(600, replays(330))),
    sample(reason::PCIE_REPLAYS, Fires, Derived, "ARK-Electronics/ark_jetson_kernel pull request 120: 210-240 corrected errors per second", || aer(aer(h200s(), [0, 0, 0]).later(600, |_| {}), [0, 0, 126_000])),
    sample(reason::PCIE_REPLAYS, NearMiss, Derived, "NVIDIA/DCGM issue 184: a p5 that passes 8 per minute is healthy", || h200s().later(600, replays(120))),
    sample(reason::PCIE_REPLAYS, NearMiss, Invented, "a burst that was seen for a minute only", || h200s().later(60, replays(300))),
    sample(reason::PCIE_REPLAYS, Lifts, Invented, "ten quiet minutes", || settled(h200s().later(600, replays(400))).later(600, |_| {})),
];

fn h200s() -> Scene {
    Scene::of(h200(8))
}

fn declared() -> Scene {
    h200s().expecting(pcie_of(5, 16))
}

fn pcie_of(generation: i64, width: i64) -> ExpectedGpus {
    ExpectedGpus {
        pcie: Some(ExpectedPcie { generation: Some(generation), width: Some(width) }),
        ..ExpectedGpus::default()
    }
}

fn settled(scene: Scene) -> Scene {
    scene.settled(&PAGE, judge)
}

fn lanes(width: u32) -> impl Fn(&mut GpuReadings) {
    move |gpu| gpu.pcie.get_or_insert_default().width = Some(width)
}

fn generation(generation: u32) -> impl Fn(&mut GpuReadings) {
    move |gpu| gpu.pcie.get_or_insert_default().generation = Some(generation)
}

fn at_work(percent: u32) -> impl Fn(&mut GpuReadings) {
    move |gpu| gpu.clocks.get_or_insert_with(ClocksReading::default).utilization_percent = Some(percent)
}

fn replays(count: u64) -> impl Fn(&mut crate::readings::Sample) {
    move |sample| sample.gpus[0].pcie.get_or_insert_default().replays = Some(count)
}

fn one_narrow(gpus: u32) -> crate::readings::Sample {
    let mut sample = h200(gpus);
    lanes(8)(&mut sample.gpus[0]);
    sample
}

/// AER counters of the first GPU in sysfs: fatal, not fatal, corrected.
fn aer(scene: Scene, [fatal, nonfatal, correctable]: [u64; 3]) -> Scene {
    let link =
        PciLink { aer_fatal: Some(fatal), aer_nonfatal: Some(nonfatal), aer_correctable: Some(correctable), ..x(16) };
    scene.tree(TreeReport { links: [(GPU.to_owned(), link)].into(), ..TreeReport::default() })
}

fn x(width: u32) -> PciLink {
    PciLink {
        generation: Some(5),
        width: Some(width),
        max_generation: Some(5),
        max_width: Some(16),
        ..PciLink::default()
    }
}

fn booting(mut scene: Scene) -> Scene {
    scene.booted_at = Some(Time::from_unix(scene.now.wall().unix() - 500));
    scene
}

fn of_tree(widths: &[u32]) -> TreeReport {
    let links = widths.iter().zip(0..).map(|(width, index)| (address(index), x(*width)));
    TreeReport { links: links.collect(), ..TreeReport::default() }
}

#[test]
fn every_row_has_samples_that_fire_that_almost_do_and_that_lift() {
    TABLE.prove();
}

#[test]
fn where_both_tell_the_width_the_driver_counts_and_sysfs_only_where_the_driver_says_nothing() {
    let scene = declared().then(|_| {}).tree(of_tree(&[8, 8, 8, 8, 8, 8, 8, 8]));
    assert_eq!(scene.found(judge), []);
    let hangs = scene.trouble(reason::CALL_HUNG, Some("nvmlDeviceGetFieldValues"), None);
    assert_eq!(hangs.found(judge).len(), 8);
    assert_eq!(hangs.judge(judge).covered.len(), 8);
}

#[test]
fn the_row_names_the_gpus_whose_width_could_be_judged() {
    let scene = declared().later(60, |sample| {
        lanes(8)(&mut sample.gpus[0]);
        sample.gpus[1].pcie = None;
    });
    let covered = scene.judge(judge).covered;
    assert_eq!(covered, (2..8).map(address).collect::<Vec<_>>());
}

#[test]
fn a_fatal_error_stays_while_its_counter_cannot_be_read() {
    let scene = settled(aer(aer(h200s(), [0, 0, 0]).then(|_| {}), [1, 0, 0])).later(3601, |_| {});
    let scene = settled(scene.tree(of_tree(&[16])));
    let standing: Vec<_> = scene.findings.of("pcieLink").map(|finding| finding.reason.as_str()).collect();
    assert_eq!(standing, [reason::PCIE_ERRORS]);
}

#[test]
fn nothing_is_judged_under_maintenance() {
    let mut scene = declared().then(lanes(8)).then(|_| {});
    scene.spec.maintenance = Some(crds::node_health::Maintenance::default());
    let judged = scene.judge(judge);
    assert_eq!((judged.reason.as_deref(), judged.found.len()), (Some(reason::MAINTENANCE), 0));
}
