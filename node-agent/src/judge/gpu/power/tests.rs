use super::*;
use crate::judge::samples::Origin::{Derived, Invented, Recorded};
use crate::judge::samples::Shows::{Fires, Lifts, NearMiss};
use crate::judge::samples::{GPU, Scene, Table, h200, sample, t4};

const T4: &str = "telegraf tesla-t4.xml: 70 W enforced and by default, 60 W at least";
const H200: &str = "nvidia_gpu_exporter capture, H200 590.48.01: 700 W";

fn power(scene: Scene, change: impl FnOnce(&mut PowerReading)) -> Scene {
    scene.then(|gpu| change(gpu.power.as_mut().unwrap()))
}

fn enforced(milliwatts: u64) -> Scene {
    power(Scene::of(t4(1)), |power| power.enforced_milliwatts = Some(milliwatts))
}

/// Eight GPUs at full load and about 650 W, the first with this draw, for this many samples.
fn loaded(first: u64, samples: u32) -> Scene {
    let mut scene = Scene::of(h200(8)).later(60, |sample| {
        for (gpu, watts) in sample.gpus.iter_mut().zip([650, 660, 640, 655, 645, 650, 662, 648]) {
            gpu.clocks.as_mut().unwrap().utilization_percent = Some(100);
            gpu.power.as_mut().unwrap().draw_milliwatts = Some(watts * 1_000);
        }
    });
    for _ in 0..samples {
        scene = power(scene, |power| power.draw_milliwatts = Some(first * 1_000));
    }
    scene
}

#[rustfmt::skip]
pub(crate) static TABLE: Table = Table {
    page: &PAGE,
    judge,
    samples: &[
        sample(reason::POWER_LIMIT_LOWERED, Fires, Derived, T4, || enforced(60_000)),
        sample(reason::POWER_LIMIT_LOWERED, NearMiss, Derived, T4, || enforced(69_500)),
        sample(reason::POWER_LIMIT_LOWERED, NearMiss, Recorded, H200, || Scene::of(h200(8))),
        sample(reason::POWER_LIMIT_LOWERED, Lifts, Recorded, T4, || enforced(70_000).standing(&PAGE, reason::POWER_LIMIT_LOWERED, GPU)),
        sample(reason::POWER_OUTLIER, Fires, Invented, "one of eight at 300 W, the others at about 650", || loaded(300, 2)),
        sample(reason::POWER_OUTLIER, NearMiss, Invented, "one at 550 W", || loaded(550, 2)),
        sample(reason::POWER_OUTLIER, NearMiss, Recorded, "H200 capture: an idle one at 78 W beside busy ones", || {
            loaded(78, 1).then(|gpu| gpu.clocks.as_mut().unwrap().utilization_percent = Some(0))
        }),
        sample(reason::POWER_OUTLIER, Lifts, Invented, "back at 650 W", || power(loaded(300, 2).settled(&PAGE, judge), |power| power.draw_milliwatts = Some(650_000))),
    ],
};

#[test]
fn each_row_fires_misses_and_lifts() {
    TABLE.prove();
}

#[test]
fn a_limit_that_is_not_told_is_not_covered() {
    let silent = power(Scene::of(t4(1)), |power| *power = PowerReading::default());
    assert_eq!(silent.judge(judge).outcome, Outcome::Skipped);
}
