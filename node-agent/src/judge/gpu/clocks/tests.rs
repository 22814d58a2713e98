use super::*;
use crate::judge::samples::Origin::{Derived, Invented, Recorded};
use crate::judge::samples::Shows::{Fires, Lifts, NearMiss};
use crate::judge::samples::{GPU, Scene, Table, h200, sample, t4, v100};

const V100: &str =
    "l4rz, Dell iDRAC reverse engineering: V100 with HW Slowdown and HW Power Brake Slowdown Active, SM 382 MHz";
const H200: &str = "nvidia_gpu_exporter capture, H200 590.48.01, with time in the slowdown counters";
const OLD: &str = "the V100 of l4rz as a driver shows it that has no finer reasons: 0x8 alone";

fn clocks(scene: Scene, change: impl FnOnce(&mut ClocksReading)) -> Scene {
    scene.then(|gpu| change(gpu.clocks.as_mut().unwrap()))
}

/// Working V100s; the first shows these reasons at 382 MHz.
fn braked(reasons: u64) -> Scene {
    slowed(Scene::of(v100(4)), reasons)
}

fn slowed(scene: Scene, reasons: u64) -> Scene {
    clocks(scene, |clocks| (clocks.reasons, clocks.sm_mhz) = (Some(reasons), Some(382)))
}

/// This many milliseconds of each minute in a slowdown that the driver counts.
fn counted(minutes: &[u64], counter: fn(&mut ClocksReading) -> &mut Option<u64>) -> Scene {
    minutes.iter().fold(Scene::of(h200(8)), |scene, milliseconds| {
        clocks(scene, |clocks| {
            let time = counter(clocks);
            *time = time.map(|before| before + milliseconds * 1_000_000);
        })
    })
}

/// A hardware slowdown that has lasted this many minutes, on a GPU of this temperature.
fn long_slow(minutes: u32, celsius: i32) -> Scene {
    let begun = slowed(braked(HW_SLOWDOWN), HW_SLOWDOWN).settled(&PAGE, judge);
    let warm = begun.then(|gpu| gpu.thermal.as_mut().unwrap().gpu_celsius = Some(celsius));
    warm.settled(&PAGE, judge).later(60 * (minutes - 1), |_| {})
}

/// Eight GPUs at full load, the first with this clock, for this many samples.
fn loaded(first: u32, samples: u32) -> Scene {
    let mut scene = Scene::of(h200(8)).later(60, |sample| {
        for gpu in &mut sample.gpus {
            let clocks = gpu.clocks.as_mut().unwrap();
            (clocks.reasons, clocks.sm_mhz, clocks.utilization_percent) = (Some(4), Some(1_755), Some(100));
        }
    });
    for _ in 0..samples {
        scene = clocks(scene, |clocks| clocks.sm_mhz = Some(first));
    }
    scene
}

#[rustfmt::skip]
pub(crate) static TABLE: Table = Table {
    page: &PAGE,
    judge,
    samples: &[
        sample(reason::POWER_BRAKE, Fires, Recorded, V100, || slowed(braked(0x88), 0x88)),
        sample(reason::POWER_BRAKE, Fires, Derived, H200, || counted(&[4_000, 4_000], |clocks| &mut clocks.power_brake_ns)),
        sample(reason::POWER_BRAKE, NearMiss, Derived, "the same in one sample only", || braked(0x88)),
        sample(reason::POWER_BRAKE, NearMiss, Recorded, "gpud testdata, idle GPU in P8 with HW Power Brake Slowdown Active", || {
            let idle = |scene: Scene| clocks(scene, |clocks| (clocks.reasons, clocks.utilization_percent, clocks.performance_state) = (Some(0x89), Some(0), Some(8)));
            idle(idle(Scene::of(t4(1))))
        }),
        sample(reason::POWER_BRAKE, Lifts, Derived, V100, || {
            clocks(slowed(braked(0x88), 0x88).settled(&PAGE, judge), |clocks| (clocks.reasons, clocks.sm_mhz) = (Some(0), Some(1_530)))
        }),
        sample(reason::HW_THERMAL_SLOWDOWN, Fires, Derived, H200, || counted(&[30_000, 30_000], |clocks| &mut clocks.hw_thermal_ns)),
        sample(reason::HW_THERMAL_SLOWDOWN, Fires, Derived, "nvml.h: 0x48 on a V100 at work", || slowed(braked(0x48), 0x48)),
        sample(reason::HW_THERMAL_SLOWDOWN, NearMiss, Derived, H200, || counted(&[3_000, 3_000], |clocks| &mut clocks.hw_thermal_ns)),
        sample(reason::HW_THERMAL_SLOWDOWN, NearMiss, Derived, "a minute of heat between clean ones", || counted(&[0, 30_000], |clocks| &mut clocks.hw_thermal_ns)),
        sample(reason::HW_THERMAL_SLOWDOWN, Lifts, Derived, H200, || {
            clocks(counted(&[30_000, 30_000], |clocks| &mut clocks.hw_thermal_ns).settled(&PAGE, judge), |_| {})
        }),
        sample(reason::HW_SLOWDOWN, Fires, Derived, OLD, || slowed(braked(HW_SLOWDOWN), HW_SLOWDOWN)),
        sample(reason::HW_SLOWDOWN, NearMiss, Derived, "nvml.h: 0x8 for a moment, on a change of the performance state", || slowed(braked(HW_SLOWDOWN), 0)),
        sample(reason::HW_SLOWDOWN, NearMiss, Recorded, "nvidia_gpu_exporter capture, H200: idle, 0x1", || Scene::of(h200(8)).then(|_| {})),
        sample(reason::HW_SLOWDOWN, Lifts, Derived, OLD, || {
            slowed(slowed(braked(HW_SLOWDOWN), HW_SLOWDOWN).settled(&PAGE, judge), 0)
        }),
        sample(reason::SLOWDOWN_STAYS, Fires, Derived, "the V100 of l4rz, cool: it stayed at 382 MHz for ever", || long_slow(12, 45)),
        sample(reason::SLOWDOWN_STAYS, NearMiss, Derived, "the same after 8 minutes", || long_slow(8, 45)),
        sample(reason::SLOWDOWN_STAYS, NearMiss, Derived, "the same at 80 C: its threshold is 87", || long_slow(12, 80)),
        sample(reason::SLOWDOWN_STAYS, Lifts, Derived, OLD, || slowed(long_slow(12, 45).settled(&PAGE, judge), 0)),
        sample(reason::SW_THERMAL_SLOWDOWN, Fires, Derived, H200, || counted(&[4_000, 60_000], |clocks| &mut clocks.sw_thermal_ns)),
        sample(reason::SW_THERMAL_SLOWDOWN, NearMiss, Derived, H200, || counted(&[60_000, 3_000], |clocks| &mut clocks.sw_thermal_ns)),
        sample(reason::SW_THERMAL_SLOWDOWN, Lifts, Derived, H200, || {
            clocks(counted(&[9_000, 9_000], |clocks| &mut clocks.sw_thermal_ns).settled(&PAGE, judge), |_| {})
        }),
        sample(reason::CLOCK_OUTLIER, Fires, Invented, "one of eight H200 at 1,200 MHz, the others at 1,755", || loaded(1_200, 2)),
        sample(reason::CLOCK_OUTLIER, NearMiss, Invented, "one at 1,600 MHz", || loaded(1_600, 2)),
        sample(reason::CLOCK_OUTLIER, NearMiss, Recorded, "nvidia_gpu_exporter capture, H200: idle at 345 MHz beside busy ones", || {
            clocks(loaded(345, 1), |clocks| (clocks.sm_mhz, clocks.utilization_percent) = (Some(345), Some(0)))
        }),
        sample(reason::CLOCK_OUTLIER, Lifts, Invented, "back at 1,755 MHz", || {
            let back = |scene| clocks(scene, |clocks| clocks.sm_mhz = Some(1_755));
            back(loaded(1_200, 2).settled(&PAGE, judge))
        }),
    ],
};

#[test]
fn each_row_fires_misses_and_lifts() {
    TABLE.prove();
}

#[test]
fn benign_reasons_are_silent() {
    let benign =
        REASONS.iter().filter(|reason| matches!(reason.why, Why::Chosen | Why::Policy)).map(|reason| reason.bit);
    for benign in benign.chain([0x117, 0x717, 0x800, 1 << 63]) {
        let scene = clocks(clocks(Scene::of(v100(4)), |c| c.reasons = Some(benign)), |_| {});
        assert!(scene.judge(judge).found.is_empty(), "0x{benign:x}");
    }
}

#[test]
fn every_slowdown_is_classed_as_one_and_the_evidence_names_the_reasons() {
    let judged: Vec<u64> = SLOWDOWNS.iter().map(|kind| kind.bit).collect();
    let classed = REASONS.iter().filter(|reason| matches!(reason.why, Why::Hardware | Why::Heat));
    assert!(classed.clone().all(|reason| judged.contains(&reason.bit)) && classed.count() == judged.len());
    let evidence = slowed(braked(0x688), 0x688).judge(judge).found.remove(0).evidence.unwrap();
    assert!(evidence.contains("0x688 (HW slowdown, power brake, board limit, reliability)"), "{evidence}");
}

#[test]
fn a_cool_gpu_that_reports_only_margins_and_stays_slowed_down_is_found() {
    let slow = |margin: i32, minutes: u32| {
        let slowed = |scene: Scene| {
            scene.then(|gpu| {
                let clocks = gpu.clocks.as_mut().unwrap();
                (clocks.reasons, clocks.utilization_percent) = (Some(HW_SLOWDOWN), Some(99));
                gpu.thermal.as_mut().unwrap().margin_celsius = Some(margin);
            })
        };
        let begun = slowed(slowed(Scene::of(h200(8)))).settled(&PAGE, judge);
        begun.later(60 * minutes, |_| {}).found(judge)
    };
    let stays = [(GPU.to_owned(), reason::SLOWDOWN_STAYS.to_owned())];
    let slowdown = [(GPU.to_owned(), reason::HW_SLOWDOWN.to_owned())];
    // 56 degrees from the nearest threshold, then 9 degrees from the slowdown at -2; and not yet for ten minutes.
    assert_eq!(slow(56, 11), stays);
    assert_eq!(slow(7, 11), slowdown);
    assert_eq!(slow(56, 5), slowdown);
    // A margin that no GPU of 28 degrees can have proves no coolness.
    assert_eq!(slow(159, 11), slowdown);
}

#[test]
fn a_slowdown_that_stays_does_not_fall_back_to_monitor_when_the_gpu_warms_up() {
    let stuck = long_slow(12, 45).settled(&PAGE, judge);
    let warm = stuck.then(|gpu| gpu.thermal.as_mut().unwrap().gpu_celsius = Some(84));
    assert_eq!(warm.found(judge), [(GPU.to_owned(), reason::SLOWDOWN_STAYS.to_owned())]);
}

#[test]
fn an_idle_gpu_keeps_the_finding_of_a_comparison_that_cannot_be_made() {
    let idle = clocks(loaded(1_200, 2).settled(&PAGE, judge), |clocks| clocks.utilization_percent = Some(0));
    assert!(idle.settled(&PAGE, judge).findings.get("clocks", GPU).is_some());
}
