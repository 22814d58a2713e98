use super::*;
use crate::judge::samples::Origin::{Derived, Invented, Recorded};
use crate::judge::samples::Shows::{Fires, Lifts, NearMiss};
use crate::judge::samples::{GPU, Scene, Table, a100_mig, h200, sample, t4};

const T4: &str = "telegraf tesla-t4.xml: 40 C, slowdown at 93 C";
const H200: &str = "H200 capture 590.48.01: 28 C, T.Limit 56 C, slowdown at -2 C";
const A100: &str = "telegraf a100-sxm4-v12.xml: memory 44 C, at most 95 C";

fn thermal(scene: Scene, change: impl FnOnce(&mut ThermalReading)) -> Scene {
    scene.then(|gpu| change(gpu.thermal.as_mut().unwrap()))
}

fn core(celsius: i32) -> Scene {
    thermal(Scene::of(t4(1)), |thermal| thermal.gpu_celsius = Some(celsius))
}

/// The first of the H200s with this margin.
fn margin(celsius: i32) -> Scene {
    thermal(Scene::of(h200(8)), |thermal| {
        // As hot as the margin says: 28 degrees at a margin of 56.
        (thermal.margin_celsius, thermal.gpu_celsius) = (Some(celsius), Some(84 - celsius));
    })
}

fn memory(celsius: i32) -> Scene {
    thermal(Scene::of(a100_mig(4)), |thermal| thermal.memory_celsius = Some(celsius))
}

/// Eight GPUs at full load and about 60 degrees, the first at this temperature, for this many samples.
fn loaded(first: i32, samples: u32) -> Scene {
    let mut scene = Scene::of(h200(8)).later(60, |sample| {
        for (gpu, celsius) in sample.gpus.iter_mut().zip([60, 61, 58, 66, 60, 63, 59, 62]) {
            gpu.clocks.as_mut().unwrap().utilization_percent = Some(100);
            gpu.thermal.as_mut().unwrap().gpu_celsius = Some(celsius);
        }
    });
    for _ in 0..samples {
        scene = thermal(scene, |thermal| thermal.gpu_celsius = Some(first));
    }
    scene
}

#[rustfmt::skip]
pub(crate) static TABLE: Table = Table {
    page: &PAGE,
    judge,
    samples: &[
        sample(reason::ABOVE_SLOWDOWN, Fires, Derived, T4, || core(94)),
        sample(reason::ABOVE_SLOWDOWN, NearMiss, Derived, T4, || core(93)),
        sample(reason::ABOVE_SLOWDOWN, NearMiss, Recorded, H200, || Scene::of(h200(8))),
        sample(reason::ABOVE_SLOWDOWN, Fires, Derived, H200, || margin(-3)),
        sample(reason::ABOVE_SLOWDOWN, NearMiss, Derived, H200, || margin(-2)),
        sample(reason::ABOVE_SLOWDOWN, Lifts, Derived, H200, || thermal(margin(-3).settled(&PAGE, judge), |thermal| thermal.margin_celsius = Some(3))),
        sample(reason::ABOVE_SLOWDOWN, Lifts, Derived, T4, || thermal(core(94).settled(&PAGE, judge), |thermal| thermal.gpu_celsius = Some(88))),
        sample(reason::MEMORY_ABOVE_MAXIMUM, Fires, Derived, A100, || memory(96)),
        sample(reason::MEMORY_ABOVE_MAXIMUM, NearMiss, Derived, A100, || memory(95)),
        sample(reason::MEMORY_ABOVE_MAXIMUM, NearMiss, Recorded, "H200 capture 590.48.01: memory 32 C, maximum margin 0", || Scene::of(h200(8))),
        sample(reason::MEMORY_ABOVE_MAXIMUM, Lifts, Recorded, A100, || thermal(memory(96).settled(&PAGE, judge), |thermal| thermal.memory_celsius = Some(44))),
        sample(reason::TEMPERATURE_OUTLIER, Fires, Invented, "one of eight at 85 C, the others at about 60", || loaded(85, 2)),
        sample(reason::TEMPERATURE_OUTLIER, NearMiss, Invented, "one at 72 C", || loaded(72, 2)),
        sample(reason::TEMPERATURE_OUTLIER, NearMiss, Invented, "one at 85 C for one sample", || loaded(85, 1)),
        sample(reason::TEMPERATURE_OUTLIER, Lifts, Invented, "back at 61 C", || thermal(loaded(85, 2).settled(&PAGE, judge), |thermal| thermal.gpu_celsius = Some(61))),
    ],
};

#[test]
fn each_row_fires_misses_and_lifts() {
    TABLE.prove();
}

#[test]
fn a_finding_stands_until_five_degrees_below_its_threshold_and_a_new_one_needs_all_of_it() {
    let hot = core(94).settled(&PAGE, judge);
    let cooling = thermal(hot, |thermal| thermal.gpu_celsius = Some(89)).settled(&PAGE, judge);
    assert!(cooling.findings.get("thermal", GPU).is_some());
    let cool = thermal(cooling, |thermal| thermal.gpu_celsius = Some(88)).settled(&PAGE, judge);
    assert!(cool.findings.get("thermal", GPU).is_none());
    let warm = thermal(cool, |thermal| thermal.gpu_celsius = Some(92)).settled(&PAGE, judge);
    assert!(warm.findings.get("thermal", GPU).is_none());
}

#[test]
fn a_gpu_that_reports_only_margins_is_covered() {
    let judged = Scene::of(h200(8)).judge(judge);
    assert_eq!((judged.outcome, judged.covered.len()), (Outcome::Pass, 8));
}

#[test]
fn a_margin_counts_more_than_a_threshold_and_the_message_has_the_one_that_counts() {
    let both = thermal(margin(-3), |thermal| thermal.slowdown_celsius = Some(120));
    let message = both.judge(judge).found.remove(0).message;
    assert!(message.contains("T.Limit") && message.contains("-3 C"), "{message}");
    let cool = thermal(margin(40), |thermal| thermal.slowdown_celsius = Some(60));
    assert!(cool.judge(judge).found.is_empty());
}

#[test]
fn values_that_no_gpu_can_have_are_not_judged() {
    let lies: [fn(&mut ThermalReading); 7] = [
        |thermal| thermal.margin_celsius = Some(-1_000),
        |thermal| thermal.margin_celsius = Some(i32::MIN),
        |thermal| thermal.margin_limits.slowdown = Some(90),
        // It would shut down before it slows down.
        |thermal| (thermal.margin_celsius, thermal.margin_limits.shutdown) = (Some(-3), Some(-1)),
        // A core of 28 degrees at its slowdown threshold.
        |thermal| (thermal.margin_celsius, thermal.gpu_celsius) = (Some(-3), Some(28)),
        |thermal| (thermal.margin_celsius, thermal.slowdown_celsius) = (None, Some(-2)),
        |thermal| {
            (thermal.margin_celsius, thermal.slowdown_celsius, thermal.gpu_celsius) = (None, Some(90), Some(i32::MAX));
        },
    ];
    for (number, lie) in lies.into_iter().enumerate() {
        let judged = thermal(Scene::of(h200(8)), lie).judge(judge);
        assert!(judged.found.is_empty() && !judged.covered.contains(&GPU.to_owned()), "{number}: {judged:?}");
    }
}
