//! `thermal`: temperatures against the GPU's own thresholds, and against its peers under the same load.
//!
//! From Ada on the driver reports T.Limit in place of thresholds: how far the GPU is from the nearest slowdown threshold,
//! and at which of these distances something happens. Where it has both, T.Limit counts: nvml.h says that it supersedes
//! the thresholds.

use crate::judge::core::like_load::{self, Compared};
use crate::judge::core::peers::Side;
use crate::judge::core::tally::{Answer, Tally, shown};
use crate::judge::core::{Ground, Judged, Page, Rule};
use crate::readings::sample::{GpuReadings, Section, ThermalReading};
use crds::check::Check;
use crds::{Outcome, Severity, reason};
use std::ops::RangeInclusive;

#[cfg(test)]
pub(in crate::judge) mod tests;

/// A temperature finding lifts this many degrees below its threshold.
const MARGIN_CELSIUS: i32 = 5;
/// The smallest distance from the peers that gives a warning, in degrees. Our estimate: healthy GPUs of one node differ
/// by about ten, depending on their place in the air flow.
const OUTLIER_CELSIUS: f64 = 15.0;
/// What the values of the driver can be, in degrees; others say nothing. Thresholds of real boards lie between 83 (V100)
/// and 105, the limits of T.Limit between -8 and 0 (H200, L40S); the rest is room, our judgement. Drivers may answer a
/// question for a threshold with a margin (H200: slowdown at -2), which is not a temperature.
const THRESHOLDS: RangeInclusive<i32> = 60..=130;
/// As [`THRESHOLDS`]: temperatures that are measured.
const MEASURED: RangeInclusive<i32> = -55..=150;
/// As [`THRESHOLDS`]: T.Limit at the moment.
const MARGINS: RangeInclusive<i32> = -60..=160;
/// As [`THRESHOLDS`]: values of T.Limit at which something happens.
const MARGIN_LIMITS: RangeInclusive<i32> = -40..=20;
/// As [`THRESHOLDS`]: the temperature of the core at which T.Limit would reach the slowdown. Wider than a threshold, as
/// T.Limit may be that of the memory, which is hotter than the core.
const IMPLIED: RangeInclusive<i32> = 40..=140;

/// What the check can find.
#[rustfmt::skip]
pub static RULES: &[Rule] = &[
    Rule {
        reason: reason::ABOVE_SLOWDOWN,
        outcome: Outcome::Fail,
        severity: Severity::Monitor,
        when: "The GPU is hotter than its own slowdown threshold: T.Limit is below the value at which the hardware slows it down or, on GPUs without T.Limit, the core is above the threshold.",
        lifts: "5 degrees below the threshold, or cooler.",
        act: "Check the cooling: fans, air flow, inlet temperature, heat sinks, coolant.",
        source: "nvml.h: nvmlDeviceGetMarginTemperature and field 194 (T.Limit after which the hardware may slow the GPU down), which supersede nvmlDeviceGetTemperatureThreshold, NVML_TEMPERATURE_THRESHOLD_SLOWDOWN; 5 degrees are our judgement",
    },
    Rule {
        reason: reason::MEMORY_ABOVE_MAXIMUM,
        outcome: Outcome::Fail,
        severity: Severity::Monitor,
        when: "The memory is hotter than the maximum that the GPU reports for it. Not judged on GPUs that report only T.Limit: it is one margin for core and memory together.",
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
    measured: "nvmlDeviceGetTemperature, field 82 (memory); nvmlDeviceGetMarginTemperature (T.Limit) and fields 193 to 196 (the values of T.Limit at which the GPU shuts down, is slowed down, or leaves its full speed); nvmlDeviceGetTemperatureThreshold on GPUs without these. Values that no GPU can have are not judged: thresholds outside 60 to 130 degrees, margins outside -60 to 160 degrees.",
    profile: &[],
    metrics: &[
        "gpu_health_gpu_temperature_celsius",
        "gpu_health_gpu_temperature_limit_celsius",
        "gpu_health_gpu_temperature_margin_celsius",
        "gpu_health_gpu_temperature_margin_limit_celsius",
    ],
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
        let slowdown = distance(&tally, &gpu.pci, reason::ABOVE_SLOWDOWN, below_slowdown(thermal), || {
            (too_hot(&name, thermal), evidence(thermal))
        });
        let memory_maximum = below(thermal.memory_celsius, thermal.memory_max_celsius);
        let memory_maximum = distance(&tally, &gpu.pci, reason::MEMORY_ABOVE_MAXIMUM, memory_maximum, || {
            let (now, limit) = (shown(thermal.memory_celsius), shown(thermal.memory_max_celsius));
            (format!("{name}: memory at {now} C; its maximum is {limit} C"), evidence(thermal))
        });
        let answers = [
            (reason::ABOVE_SLOWDOWN, slowdown),
            (reason::MEMORY_ABOVE_MAXIMUM, memory_maximum),
            (reason::TEMPERATURE_OUTLIER, outlier(&gpu.pci, &name, thermal, &core, &memory)),
        ];
        tally.ask(&gpu.pci, answers);
    }
    tally.judged()
}

/// Fires below zero; a standing finding lifts at [`MARGIN_CELSIUS`].
fn distance(
    tally: &Tally<'_>,
    pci: &str,
    why: &str,
    degrees: Option<i32>,
    say: impl FnOnce() -> (String, String),
) -> Answer {
    let needed = if tally.stands(pci, why) { MARGIN_CELSIUS } else { 0 };
    Answer::when(degrees.map(|degrees| degrees < needed), say)
}

/// How far the GPU is below the temperature at which its hardware slows it down, in degrees; negative above it.
pub(super) fn below_slowdown(thermal: &ThermalReading) -> Option<i32> {
    by_margin(thermal).or_else(|| below(thermal.gpu_celsius, thermal.slowdown_celsius))
}

/// By T.Limit, if its values make sense together.
fn by_margin(thermal: &ThermalReading) -> Option<i32> {
    let margin = thermal.margin_celsius.filter(|margin| MARGINS.contains(margin))?;
    let slowdown = thermal.margin_limits.slowdown.filter(|limit| MARGIN_LIMITS.contains(limit))?;
    // A GPU that shuts down before it slows down is none.
    let is_in_order = thermal.margin_limits.shutdown.is_none_or(|shutdown| shutdown <= slowdown);
    let degrees = margin - slowdown;
    let is_near = thermal.gpu_celsius.is_none_or(|core| IMPLIED.contains(&core.saturating_add(degrees)));
    (is_in_order && is_near).then_some(degrees)
}

/// By a threshold, if both are temperatures.
fn below(now: Option<i32>, threshold: Option<i32>) -> Option<i32> {
    let threshold = threshold.filter(|celsius| THRESHOLDS.contains(celsius))?;
    now.filter(|celsius| MEASURED.contains(celsius)).map(|now| threshold - now)
}

fn too_hot(name: &str, thermal: &ThermalReading) -> String {
    let ThermalReading { gpu_celsius, slowdown_celsius, margin_celsius, margin_limits, .. } = thermal;
    if by_margin(thermal).is_some() {
        let (margin, limit) = (shown(*margin_celsius), shown(margin_limits.slowdown));
        return format!("{name}: thermal margin (T.Limit) of {margin} C; below {limit} C the hardware slows it down");
    }
    format!("{name}: core at {} C; its slowdown threshold is {} C", shown(*gpu_celsius), shown(*slowdown_celsius))
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
    let limits = thermal.margin_limits;
    format!(
        "core {} C (slowdown {}, shutdown {}, maximum {}), memory {} C (maximum {}), T.Limit {} C (slowdown {}, shutdown {}, maximum {}, memory {})",
        shown(thermal.gpu_celsius),
        shown(thermal.slowdown_celsius),
        shown(thermal.shutdown_celsius),
        shown(thermal.gpu_max_celsius),
        shown(thermal.memory_celsius),
        shown(thermal.memory_max_celsius),
        shown(thermal.margin_celsius),
        shown(limits.slowdown),
        shown(limits.shutdown),
        shown(limits.gpu_max),
        shown(limits.memory_max)
    )
}
