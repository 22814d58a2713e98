use super::*;
use crate::judge::samples::Origin::{Derived, Invented, Recorded};
use crate::judge::samples::Shows::{Fires, Lifts, NearMiss};
use crate::judge::samples::{GPU, Scene, Table, a100_mig, h200, sample, t4};

const T4: &str = "telegraf tesla-t4.xml: 40 C, slowdown at 93 C";
const A100: &str = "telegraf a100-sxm4-v12.xml: memory 44 C, at most 95 C";

fn thermal(scene: Scene, change: impl FnOnce(&mut ThermalReading)) -> Scene {
    scene.then(|gpu| change(gpu.thermal.as_mut().unwrap()))
}

fn core(celsius: i32) -> Scene {
    thermal(Scene::of(t4(1)), |thermal| thermal.gpu_celsius = Some(celsius))
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
        sample(reason::ABOVE_SLOWDOWN, NearMiss, Recorded, "H200 capture 590.48.01: 28 C, slowdown margin -2", || Scene::of(h200(8))),
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
fn margins_are_no_thresholds_and_a_gpu_that_tells_only_them_is_not_covered() {
    assert_eq!(Scene::of(h200(8)).judge(judge).outcome, Outcome::Skipped);
}
