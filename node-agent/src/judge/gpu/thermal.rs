//! `thermal`: temperatures against the GPU's own thresholds, and against its peers under the same load.

use crate::judge::core::like_load::{self, Compared};
use crate::judge::core::peers::Side;
use crate::judge::core::tally::{Answer, Tally, shown};
use crate::judge::core::{Ground, Judged, Page, Rule};
use crate::readings::sample::{GpuReadings, Section, ThermalReading};
use crds::check::Check;
use crds::{Outcome, Severity, reason};

#[cfg(test)]
pub(in crate::judge) mod tests;

/// A temperature finding lifts this many degrees below its threshold.
const MARGIN_CELSIUS: i32 = 5;
/// The smallest distance from the peers that gives a warning, in degrees. Our estimate: healthy GPUs of one node differ
/// by about ten, depending on their place in the air flow.
const OUTLIER_CELSIUS: f64 = 15.0;
/// Thresholds in this range are temperatures. From Hopper on the driver may report margins instead (H200: slowdown at
/// -2), which cannot be compared with a temperature.
const PLAUSIBLE_CELSIUS: std::ops::RangeInclusive<i32> = 60..=130;

/// What the check can find.
#[rustfmt::skip]
pub static RULES: &[Rule] = &[
    Rule {
        reason: reason::ABOVE_SLOWDOWN,
        outcome: Outcome::Fail,
        severity: Severity::Monitor,
        when: "The core is hotter than the GPU's own slowdown threshold.",
        lifts: "5 degrees below the threshold, or cooler.",
        act: "Check the cooling: fans, air flow, inlet temperature, heat sinks, coolant.",
        source: "nvmlDeviceGetTemperatureThreshold, NVML_TEMPERATURE_THRESHOLD_SLOWDOWN; 5 degrees are our judgement",
    },
    Rule {
        reason: reason::MEMORY_ABOVE_MAXIMUM,
        outcome: Outcome::Fail,
        severity: Severity::Monitor,
        when: "The memory is hotter than the maximum that the GPU reports for it.",
        lifts: "5 degrees below that temperature, or cooler.",
        act: "Check the cooling; hot memory causes errors.",
        source: "nvmlDeviceGetTemperatureThreshold, NVML_TEMPERATURE_THRESHOLD_MEM_MAX; 5 degrees are our judgement",
    },
    Rule {
        reason: reason::TEMPERATURE_OUTLIER,
        outcome: Outcome::Warn,
        severity: Severity::Monitor,
        when: "Among at least 4 GPUs of one model that are all at least 90 % busy in two samples in a row, this GPU's core or memory is hotter than the median by more than 6 scaled median absolute deviations and by more than 15 degrees, in both samples.",
        lifts: "A comparison under the same load in which the GPU is no outlier.",
        act: "Check this GPU's heat sink, thermal paste and fan.",
        source: "median absolute deviation: Rousseeuw and Croux 1993; 15 degrees are our judgement",
    },
];

/// The page of this check.
pub static PAGE: Page = Page {
    check: Check::Thermal,
    means: "A GPU is above its temperature limit, or much hotter than its peers under the same load. It throttles, and ages faster.",
    measured: "nvmlDeviceGetTemperature, field 82 (memory), nvmlDeviceGetTemperatureThreshold. Thresholds outside 60 to 130 degrees are margins, not temperatures; the GPU is then only compared with its peers.",
    profile: &[],
    metrics: &["gpu_health_gpu_temperature_celsius", "gpu_health_gpu_temperature_limit_celsius"],
    rules: RULES,
};

/// Judges the last readings.
pub fn judge(ground: &Ground<'_>) -> Judged {
    let gpus = match ground.driver(Section::Thermal) {
        Ok(gpus) => gpus,
        Err(judged) => return *judged,
    };
    let compare = |value: fn(&ThermalReading) -> Option<i32>| {
        let value = |gpu: &GpuReadings| gpu.thermal.as_ref().and_then(value).map(f64::from);
        like_load::compare(ground, &gpus, Side::Above, value, |_| OUTLIER_CELSIUS)
    };
    let core = compare(|thermal| thermal.gpu_celsius);
    let memory = compare(|thermal| thermal.memory_celsius);
    let mut tally = Tally::new(&PAGE, ground);
    for gpu in &gpus {
        let Some(thermal) = &gpu.thermal else { continue };
        let name = tally.name(&gpu.pci);
        let above = |tally: &Tally<'_>, why: &str, now: Option<i32>, limit: Option<i32>, what: &str, limit_is: &str| {
            let (now, limit) = (now, absolute(limit));
            let stands = tally.stands(&gpu.pci, why);
            let margin = if stands { MARGIN_CELSIUS } else { 0 };
            let is_above = now.zip(limit).map(|(now, limit)| now > limit - margin);
            Answer::when(is_above, || {
                let message = format!("{name}: {what} at {} C; {limit_is} is {} C", shown(now), shown(limit));
                (message, evidence(thermal))
            })
        };
        let answers = [
            (
                reason::ABOVE_SLOWDOWN,
                above(
                    &tally,
                    reason::ABOVE_SLOWDOWN,
                    thermal.gpu_celsius,
                    thermal.slowdown_celsius,
                    "core",
                    "its slowdown threshold",
                ),
            ),
            (
                reason::MEMORY_ABOVE_MAXIMUM,
                above(
                    &tally,
                    reason::MEMORY_ABOVE_MAXIMUM,
                    thermal.memory_celsius,
                    thermal.memory_max_celsius,
                    "memory",
                    "its maximum",
                ),
            ),
            (reason::TEMPERATURE_OUTLIER, outlier(&gpu.pci, &name, thermal, &core, &memory)),
        ];
        tally.ask(&gpu.pci, answers);
    }
    tally.judged()
}

/// The threshold, if it is a temperature.
pub(super) fn absolute(threshold: Option<i32>) -> Option<i32> {
    threshold.filter(|celsius| PLAUSIBLE_CELSIUS.contains(celsius))
}

fn outlier(pci: &str, name: &str, thermal: &ThermalReading, core: &Compared, memory: &Compared) -> Answer {
    let parts = [("core", core), ("memory", memory)];
    let odd = parts.into_iter().find(|(_, compared)| compared.is_odd(pci) == Some(true));
    let is_known = parts.iter().any(|(_, compared)| compared.is_odd(pci).is_some());
    Answer::when(is_known.then_some(odd.is_some()), || {
        let (part, (celsius, median)) = odd.map(|(part, compared)| (part, compared.values(pci))).unwrap_or_default();
        let message = format!(
            "{name}: {part} at {celsius:.0} C; the median of the node's GPUs under the same load is {median:.0} C"
        );
        (message, evidence(thermal))
    })
}

fn evidence(thermal: &ThermalReading) -> String {
    format!(
        "core {} C (slowdown {}, shutdown {}, maximum {}), memory {} C (maximum {})",
        shown(thermal.gpu_celsius),
        shown(thermal.slowdown_celsius),
        shown(thermal.shutdown_celsius),
        shown(thermal.gpu_max_celsius),
        shown(thermal.memory_celsius),
        shown(thermal.memory_max_celsius)
    )
}
