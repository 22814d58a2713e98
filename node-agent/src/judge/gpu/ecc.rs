//! `ecc`: memory errors. Uncorrectable errors count at once, corrected errors are compared with the peers.

use crate::judge::core::peers::{self, Side};
use crate::judge::core::tally::{Answer, Tally, shown};
use crate::judge::core::{Counter, Ground, Judged, Page, Rule};
use crate::readings::sample::{EccReading, Section, SramSources};
use crds::check::Check;
use crds::{Outcome, Severity, reason};
use std::collections::BTreeMap;

#[cfg(test)]
pub(in crate::judge) mod tests;

/// The window in which corrected errors are counted: one hour, in milliseconds.
const WINDOW_MS: u64 = 3_600_000;
/// A rate is not extrapolated from less than this, so that one burst does not count as an hour: ten minutes.
const LEAST_MS: u64 = 600_000;
/// Corrected errors per hour above the median of the peers that give a warning. Our estimate: healthy boards show a
/// handful a day; the faulty one of NVSentinel 1748 showed 63,720,000 in an hour and its peers none.
const RATE_OVER_PEERS: f64 = 1_000.0;
/// Corrected errors per hour that give a warning without peers. Our estimate: Azure's node check tolerates ten million
/// in a board's life (azurehpc pull request 649).
const RATE_ALONE: f64 = 1_000_000.0;

/// What the check can find.
#[rustfmt::skip]
pub static RULES: &[Rule] = &[
    Rule {
        reason: reason::ECC_UNCORRECTABLE,
        outcome: Outcome::Fail,
        severity: Severity::Reset,
        when: "The volatile counter of uncorrected errors is above 0.",
        lifts: "The counter is 0, as it is after a boot or a reset of the GPU.",
        act: "Drain the node and reset the GPU; run gpuMemory before it goes back to work.",
        source: "AWS gpu-cluster-healthcheck check 0 (uncorrected volatile > 0: RESET); NVIDIA catalogue, Xid 48 and 95",
    },
    Rule {
        reason: reason::SRAM_THRESHOLD_EXCEEDED,
        outcome: Outcome::Fail,
        severity: Severity::Isolate,
        when: "The driver's flag says that the uncorrectable errors in SRAM passed the threshold for replacement.",
        lifts: "The flag is clear, which requires replacing the board.",
        act: "Replace the board.",
        source: "NVIDIA GPU Memory Error Management, RMA policy for SRAM; DCGM error 118 (ISOLATE)",
    },
    Rule {
        reason: reason::ECC_RATE_OUTLIER,
        outcome: Outcome::Warn,
        severity: Severity::Monitor,
        when: "Within an hour, corrected errors exceed the median of the node's GPUs by more than 6 scaled median absolute deviations and by more than 1,000 (needs at least 4 GPUs); or they exceed 1,000,000, whatever the other GPUs show.",
        lifts: "The rate of the last hour is below that.",
        act: "Watch it: the errors are corrected, but the board is slower and stalls DCGM.",
        source: "NVSentinel issue 1748: 17,700 corrected errors per second on one GPU of a fleet, none on the others",
    },
    Rule {
        reason: reason::ECC_DISABLED,
        outcome: Outcome::Warn,
        severity: Severity::Monitor,
        when: "ECC is off and the profile requires it.",
        lifts: "ECC is on.",
        act: "Turn it on with `nvidia-smi -e 1` and reset the GPU. This is a setting, not damage: neither a reset alone nor a replacement changes it.",
        source: "DCGM error 55 ECC_DISABLED, of severity CONFIG",
    },
];

/// The page of this check.
pub static PAGE: Page = Page {
    check: Check::Ecc,
    means: "A GPU's memory returned wrong bits. Uncorrectable errors corrupted or killed a program. Corrected errors did no harm, but many of them on a single GPU mean that the board is failing.",
    measured: "nvmlDeviceGetTotalEccErrors (volatile and aggregate), nvmlDeviceGetMemoryErrorCounter by location, nvmlDeviceGetSramEccErrorStatus, nvmlDeviceGetEccMode. Corrected errors by the rise of the aggregate counter over an hour. GPUs without ECC are not covered.",
    profile: &["gpus.eccRequired"],
    metrics: &["gpu_health_gpu_ecc_errors", "gpu_health_gpu_ecc_enabled"],
    rules: RULES,
};

/// Judges the last readings.
pub fn judge(ground: &Ground<'_>) -> Judged {
    let gpus = match ground.driver(Section::Ecc) {
        Ok(gpus) => gpus,
        Err(judged) => return *judged,
    };
    let rates = Rates::of(ground);
    let is_required = ground.expected.spec.and_then(|spec| spec.expected.as_ref()?.gpus.as_ref()?.ecc_required);
    let mut tally = Tally::new(&PAGE, ground);
    for gpu in gpus {
        let Some(ecc) = &gpu.ecc else { continue };
        let name = tally.name(&gpu.pci);
        tally.ask(
            &gpu.pci,
            [
                (reason::ECC_UNCORRECTABLE, uncorrectable(ecc, &name)),
                (
                    reason::SRAM_THRESHOLD_EXCEEDED,
                    Answer::when(ecc.sram_threshold_exceeded, || {
                        let message =
                            format!("{name}: uncorrectable errors in SRAM passed the threshold at which NVIDIA replaces the board");
                        (message, format!("SRAM threshold exceeded, {}", counters(ecc)))
                    }),
                ),
                (reason::ECC_RATE_OUTLIER, rates.answer(&gpu.pci, &name)),
                (
                    reason::ECC_DISABLED,
                    Answer::when(ecc.enabled.map(|on| !on && is_required == Some(true)), || off(ecc, &name)),
                ),
            ],
        );
    }
    tally.judged()
}

fn uncorrectable(ecc: &EccReading, name: &str) -> Answer {
    let by_location = [ecc.dram_uncorrected, ecc.sram_uncorrected].into_iter().flatten().reduce(u64::saturating_add);
    let count = ecc.volatile_uncorrected.max(by_location);
    Answer::when(count.map(|count| count > 0), || {
        let message =
            format!("{name}: {} uncorrectable memory errors since the last reset; 0 are allowed", shown(count));
        (message, counters(ecc))
    })
}

fn counters(ecc: &EccReading) -> String {
    let sources = ecc.sram_sources.map(|at| {
        let SramSources { l2, sm, pcie, microcontroller, other } = at;
        format!("; SRAM by unit: L2 {l2}, SM {sm}, PCIe {pcie}, microcontroller {microcontroller}, other {other}")
    });
    format!(
        "uncorrected: volatile {} (DRAM {}, SRAM {}), aggregate {}; corrected: volatile {}, aggregate {}{}",
        shown(ecc.volatile_uncorrected),
        shown(ecc.dram_uncorrected),
        shown(ecc.sram_uncorrected),
        shown(ecc.aggregate_uncorrected),
        shown(ecc.volatile_corrected),
        shown(ecc.aggregate_corrected),
        sources.unwrap_or_default()
    )
}

fn off(ecc: &EccReading, name: &str) -> (String, String) {
    let next = if ecc.pending == Some(true) { "; it comes on with the next reset" } else { "" };
    (
        format!("{name}: ECC is off although the profile requires it{next}"),
        format!("enabled no, pending {}", shown(ecc.pending)),
    )
}

/// Corrected errors per hour, for every GPU with at least two readings.
struct Rates {
    per_hour: BTreeMap<String, f64>,
    odd: BTreeMap<String, f64>,
}

impl Rates {
    fn of(ground: &Ground<'_>) -> Self {
        let per_hour: BTreeMap<String, f64> = ground
            .readings
            .gpus
            .values()
            .filter(|gpu| gpu.ecc.as_ref().is_some_and(|ecc| ecc.aggregate_corrected.is_some()))
            .filter_map(|gpu| {
                let (by, over) = ground.memory.increase(&gpu.pci, Counter::EccCorrected, WINDOW_MS, ground.now)?;
                Some((gpu.pci.clone(), as_float(by) * as_float(WINDOW_MS) / as_float(over.max(LEAST_MS))))
            })
            .collect();
        let values: Vec<_> = per_hour.iter().map(|(pci, rate)| (pci.as_str(), *rate)).collect();
        let over_peers = peers::outliers(&values, Side::Above, RATE_OVER_PEERS);
        let mut odd: BTreeMap<String, f64> =
            over_peers.into_iter().map(|(pci, _, median)| (pci.to_owned(), median)).collect();
        for (pci, _) in values.iter().filter(|(_, rate)| *rate > RATE_ALONE) {
            let all: Vec<f64> = values.iter().map(|(_, rate)| *rate).collect();
            odd.entry((*pci).to_owned()).or_insert_with(|| peers::median(&all).unwrap_or_default());
        }
        Self { per_hour, odd }
    }

    fn answer(&self, pci: &str, name: &str) -> Answer {
        let rate = self.per_hour.get(pci).copied();
        Answer::when(rate.map(|_| self.odd.contains_key(pci)), || {
            let (rate, median) = (rate.unwrap_or_default(), self.odd.get(pci).copied().unwrap_or_default());
            let message = format!(
                "{name}: {rate:.0} corrected memory errors per hour; the median of the node's GPUs is {median:.0}"
            );
            (message, format!("corrected errors per hour: {rate:.0}, median {median:.0}"))
        })
    }
}

/// Counts of errors and milliseconds stay below 2^53.
#[allow(clippy::cast_precision_loss)]
const fn as_float(value: u64) -> f64 {
    value as f64
}
