//! The rows of `clocks`.

use crate::judge::core::Rule;
use crds::{Outcome, Severity, reason};

const NVML: &str = "nvml.h, clock event reasons and fields 269 to 271; 5 % is a judgement (a healthy GPU shows 0)";

/// What the check can find.
#[rustfmt::skip]
pub static RULES: &[Rule] = &[
    Rule {
        reason: reason::HW_THERMAL_SLOWDOWN,
        outcome: Outcome::Fail,
        severity: Severity::Monitor,
        when: "More than 5 % of the time in hardware thermal slowdown, in each of two samples in a row; without the time, the bit 0x40 in two samples in a row of a GPU that works (utilization of 50 % or more).",
        lifts: "A window of 5 % or less; without the time, a sample without the bit.",
        act: "Check the cooling: fans, air flow, inlet temperature, heat sinks, coolant.",
        source: NVML,
    },
    Rule {
        reason: reason::POWER_BRAKE,
        outcome: Outcome::Fail,
        severity: Severity::Monitor,
        when: "More than 5 % of the time slowed down by the power brake, in each of two samples in a row; without the time, the bit 0x80 in two samples in a row of a GPU that works.",
        lifts: "A window of 5 % or less; without the time, a sample without the bit.",
        act: "Check the power supplies and the limits set by the baseboard controller.",
        source: NVML,
    },
    Rule {
        reason: reason::HW_SLOWDOWN,
        outcome: Outcome::Fail,
        severity: Severity::Monitor,
        when: "The bit 0x8, hardware slowdown, without 0x40 and 0x80 that would say why, in two samples in a row of a GPU that works.",
        lifts: "A sample without the bit.",
        act: "Check the node's cooling and power.",
        source: "nvml.h, clock event reasons; Autopilot gpupower; two samples because the bit shows briefly on changes of the performance state",
    },
    Rule {
        reason: reason::SLOWDOWN_STAYS,
        outcome: Outcome::Fail,
        severity: Severity::Reset,
        when: "A finding HwSlowdown or HwThermalSlowdown stands for 10 minutes, the GPU is slowed down still, and it is 10 degrees or more below its own slowdown threshold in two samples in a row.",
        lifts: "A sample without the bits 0x8 and 0x40.",
        act: "Drain the node and reset the GPU; if it happens again, check the power connection, then replace the GPU.",
        source: "Reset if it stays after cooling, 10 minutes and 10 degrees are judgements",
    },
    Rule {
        reason: reason::SW_THERMAL_SLOWDOWN,
        outcome: Outcome::Warn,
        severity: Severity::Monitor,
        when: "More than 5 % of the time in software thermal slowdown, in each of two samples in a row; without the time, the bit 0x20 in two samples in a row of a GPU that works.",
        lifts: "A window of 5 % or less; without the time, a sample without the bit.",
        act: "Check the cooling before the hardware throttles.",
        source: NVML,
    },
    Rule {
        reason: reason::CLOCK_OUTLIER,
        outcome: Outcome::Warn,
        severity: Severity::Monitor,
        when: "Among at least 4 GPUs of one model that are all 90 % busy in two samples in a row, an SM clock below the median by 6 scaled median distances and by 15 % of the highest clock, in both; GPUs with application clocks set are left out.",
        lifts: "A comparison under the same load in which it is not.",
        act: "Watch it; run gpuCompute when the node is free.",
        source: "robust statistics, see the page on peers; 15 % is a judgement",
    },
];
