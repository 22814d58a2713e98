//! `power`: lowered power limits, and a GPU that draws far less than its peers under the same load.

use crate::judge::core::like_load::{self, Compared};
use crate::judge::core::peers::Side;
use crate::judge::core::tally::{Answer, Tally, shown};
use crate::judge::core::{Ground, Judged, Page, Rule};
use crate::readings::sample::{GpuReadings, PowerReading, Section};
use crds::check::Check;
use crds::{Outcome, Severity, reason};

#[cfg(test)]
pub(in crate::judge) mod tests;

/// How far an enforced limit may be below the default, in milliwatts: drivers round.
const ROUNDING_MILLIWATTS: u64 = 1_000;
/// The smallest distance from the peers that gives a warning, in percent of the default limit. Our estimate.
const OUTLIER_PERCENT: f64 = 25.0;

/// What the check can find.
#[rustfmt::skip]
pub static RULES: &[Rule] = &[
    Rule {
        reason: reason::POWER_LIMIT_LOWERED,
        outcome: Outcome::Warn,
        severity: Severity::Monitor,
        when: "The power limit in force is more than 1 W below the default limit of the board.",
        lifts: "The limit in force is not more than 1 W below the default.",
        act: "Find out who set it (`nvidia-smi -pl`, the baseboard controller, a power shelf) and set it back, or leave the check `power` out of the policy if the limit is intended.",
        source: "nvmlDeviceGetEnforcedPowerLimit; DCGM error 72 ENFORCED_POWER_LIMIT, of severity CONFIG; 1 W is our judgement",
    },
    Rule {
        reason: reason::POWER_OUTLIER,
        outcome: Outcome::Warn,
        severity: Severity::Monitor,
        when: "Among at least 4 GPUs of one model that are all at least 90 % busy in two samples in a row, this GPU draws less than the median by more than 6 scaled median absolute deviations and by more than 25 % of the default limit, in both samples.",
        lifts: "A comparison under the same load in which the GPU is no outlier.",
        act: "Look at the clocks of the same GPU; run gpuCompute when the node is free.",
        source: "median absolute deviation: Rousseeuw and Croux 1993; 25 % is our judgement",
    },
];

/// The page of this check.
pub static PAGE: Page = Page {
    check: Check::Power,
    means: "A GPU's power limit is below the board's default, or it draws far less than its peers under the same load. It is slower then, and so is every job that uses it.",
    measured: "nvmlDeviceGetPowerUsage, nvmlDeviceGetEnforcedPowerLimit, nvmlDeviceGetPowerManagementLimit, nvmlDeviceGetPowerManagementDefaultLimit.",
    profile: &[],
    metrics: &["gpu_health_gpu_power_watts", "gpu_health_gpu_power_limit_watts"],
    rules: RULES,
};

/// Judges the last readings.
pub fn judge(ground: &Ground<'_>) -> Judged {
    let gpus = match ground.driver(Section::Power) {
        Ok(gpus) => gpus,
        Err(judged) => return *judged,
    };
    let draw = |gpu: &GpuReadings| Some(watts(gpu.power.as_ref()?.draw_milliwatts?));
    let at_least = |gpu: &GpuReadings| {
        let default = gpu.power.as_ref().and_then(|power| power.default_milliwatts).map(watts);
        // Without a default limit there is no outlier.
        default.map_or(f64::MAX, |default| default * OUTLIER_PERCENT / 100.0)
    };
    let compared = like_load::compare(ground, &gpus, Side::Below, draw, at_least);
    let mut tally = Tally::new(&PAGE, ground);
    for gpu in gpus {
        let Some(power) = &gpu.power else { continue };
        let name = tally.name(&gpu.pci);
        tally.ask(
            &gpu.pci,
            [
                (reason::POWER_LIMIT_LOWERED, lowered(power, &name)),
                (reason::POWER_OUTLIER, outlier(&gpu.pci, &name, power, &compared)),
            ],
        );
    }
    tally.judged()
}

fn lowered(power: &PowerReading, name: &str) -> Answer {
    let limits = power.enforced_milliwatts.zip(power.default_milliwatts);
    Answer::when(limits.map(|(enforced, default)| enforced.saturating_add(ROUNDING_MILLIWATTS) < default), || {
        let (enforced, default) = limits.unwrap_or_default();
        let message = format!(
            "{name}: power limit of {:.0} W in force; the default of the board is {:.0} W",
            watts(enforced),
            watts(default)
        );
        (message, evidence(power))
    })
}

fn outlier(pci: &str, name: &str, power: &PowerReading, compared: &Compared) -> Answer {
    Answer::when(compared.is_odd(pci), || {
        let (draw, median) = compared.values(pci);
        let message =
            format!("{name}: draws {draw:.0} W; the median of the node's GPUs under the same load is {median:.0} W");
        (message, evidence(power))
    })
}

fn evidence(power: &PowerReading) -> String {
    format!(
        "mW: draw {}, limit {}, enforced {}, default {}",
        shown(power.draw_milliwatts),
        shown(power.limit_milliwatts),
        shown(power.enforced_milliwatts),
        shown(power.default_milliwatts)
    )
}

/// Milliwatts stay below 2^53.
#[allow(clippy::cast_precision_loss)]
fn watts(milliwatts: u64) -> f64 {
    milliwatts as f64 / 1000.0
}
