//! The rows of `clocks`.

use crate::judge::core::Rule;
use crds::{Outcome, Severity, reason};

const NVML: &str = "nvml.h, clock event reasons and fields 269 to 271; 5 % is our judgement (a healthy GPU shows 0)";

/// What the check can find.
#[rustfmt::skip]
pub static RULES: &[Rule] = &[
    Rule {
        reason: reason::HW_THERMAL_SLOWDOWN,
        outcome: Outcome::Fail,
        severity: Severity::Monitor,
        when: "More than 5 % of the time in hardware thermal slowdown, in each of two samples in a row; if the driver does not count that time, the bit 0x40 in two samples in a row of a GPU at work (utilization of 50 % or more).",
        lifts: "A sample with 5 % or less; if the driver does not count that time, a sample without the bit.",
        act: "Check the cooling: fans, air flow, inlet temperature, heat sinks, coolant.",
        source: NVML,
    },
    Rule {
        reason: reason::POWER_BRAKE,
        outcome: Outcome::Fail,
        severity: Severity::Monitor,
        when: "More than 5 % of the time slowed down by the power brake, in each of two samples in a row; if the driver does not count that time, the bit 0x80 in two samples in a row of a GPU at work.",
        lifts: "A sample with 5 % or less; if the driver does not count that time, a sample without the bit.",
        act: "Check the power supplies and the limits set by the baseboard controller.",
        source: NVML,
    },
    Rule {
        reason: reason::HW_SLOWDOWN,
        outcome: Outcome::Fail,
        severity: Severity::Monitor,
        when: "The bit 0x8 (hardware slowdown) in two samples in a row of a GPU at work, with neither 0x40 nor 0x80, which would name the cause.",
        lifts: "A sample without the bit.",
        act: "Check the node's cooling and power.",
        source: "nvml.h, clock event reasons; Autopilot gpupower; two samples because the bit shows briefly on changes of the performance state",
    },
    Rule {
        reason: reason::SLOWDOWN_STAYS,
        outcome: Outcome::Fail,
        severity: Severity::Reset,
        when: "HwSlowdown or HwThermalSlowdown has been found for 10 minutes, the GPU is still slowed down, and in two samples in a row it is 10 degrees or more below its own slowdown threshold.",
        lifts: "A sample with neither bit 0x8 nor bit 0x40.",
        act: "Drain the node and reset the GPU; if it happens again, check the power connection, then replace the GPU.",
        source: "Reset, 10 minutes and 10 degrees are our own choice",
    },
    Rule {
        reason: reason::SW_THERMAL_SLOWDOWN,
        outcome: Outcome::Warn,
        severity: Severity::Monitor,
        when: "More than 5 % of the time in software thermal slowdown, in each of two samples in a row; if the driver does not count that time, the bit 0x20 in two samples in a row of a GPU at work.",
        lifts: "A sample with 5 % or less; if the driver does not count that time, a sample without the bit.",
        act: "Check the cooling before the hardware throttles.",
        source: NVML,
    },
    Rule {
        reason: reason::CLOCK_OUTLIER,
        outcome: Outcome::Warn,
        severity: Severity::Monitor,
        when: "Among at least 4 GPUs of one model that are all at least 90 % busy in two samples in a row, this GPU's SM clock is below the median by more than 6 scaled median absolute deviations and by more than 15 % of the highest clock, in both samples. GPUs with application clocks set are left out.",
        lifts: "A comparison under the same load in which the GPU is no outlier.",
        act: "Watch it; run gpuCompute when the node is free.",
        source: "median absolute deviation: Rousseeuw and Croux 1993; 15 % is our judgement",
    },
];
