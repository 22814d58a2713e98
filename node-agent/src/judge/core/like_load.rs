//! Compares each GPU with the others of its node and model while all of them are busy, in the last two samples.

use super::ground::Ground;
use super::peers::{self, Side};
use crate::readings::sample::GpuReadings;
use std::collections::{BTreeMap, BTreeSet};

/// GPUs are compared from this load on, in percent of the time in which a kernel ran. Every compared GPU must be at
/// least this busy in two samples in a row, so that a job that leaves one GPU idle does not produce an outlier.
pub(in crate::judge) const BUSY_PERCENT: u32 = 90;

/// The result of the comparison.
#[derive(Debug, Default)]
pub(in crate::judge) struct Compared {
    /// The GPUs that have enough peers under load.
    among: BTreeSet<String>,
    /// The outliers, with value and median.
    odd: BTreeMap<String, (f64, f64)>,
}

impl Compared {
    /// Whether the GPU is an outlier; `None` if it was not compared.
    pub(in crate::judge) fn is_odd(&self, pci: &str) -> Option<bool> {
        self.among.contains(pci).then(|| self.odd.contains_key(pci))
    }

    /// The value of an outlier, and the median.
    pub(in crate::judge) fn values(&self, pci: &str) -> (f64, f64) {
        self.odd.get(pci).copied().unwrap_or_default()
    }
}

/// Compares one value across all GPUs under load. `at_least` returns the smallest distance from the median that counts,
/// given one of the compared GPUs.
pub(in crate::judge) fn compare(
    ground: &Ground<'_>,
    gpus: &[&GpuReadings],
    side: Side,
    value: impl Fn(&GpuReadings) -> Option<f64>,
    at_least: impl Fn(&GpuReadings) -> f64,
) -> Compared {
    let mut compared = Compared::default();
    let models: BTreeSet<Option<&str>> = gpus.iter().map(|gpu| model(ground, &gpu.pci)).collect();
    for wanted in models {
        let mut now = Vec::new();
        let mut before = Vec::new();
        let mut smallest = 0.0_f64;
        for gpu in gpus.iter().filter(|gpu| model(ground, &gpu.pci) == wanted) {
            let Some(former) = ground.before(&gpu.pci) else { continue };
            if is_busy(gpu)
                && is_busy(former)
                && let (Some(new), Some(old)) = (value(gpu), value(former))
            {
                now.push((gpu.pci.as_str(), new));
                before.push((gpu.pci.as_str(), old));
                smallest = smallest.max(at_least(gpu));
            }
        }
        if now.len() < peers::FEWEST {
            continue;
        }
        compared.among.extend(now.iter().map(|(pci, _)| (*pci).to_owned()));
        let odd_before = peers::outliers(&before, side, smallest);
        for (pci, value, median) in peers::outliers(&now, side, smallest) {
            if odd_before.iter().any(|(other, _, _)| *other == pci) {
                compared.odd.insert(pci.to_owned(), (value, median));
            }
        }
    }
    compared
}

fn model<'a>(ground: &Ground<'a>, pci: &str) -> Option<&'a str> {
    ground.gpus.iter().find(|gpu| gpu.pci_address == pci)?.model.as_deref()
}

fn is_busy(gpu: &GpuReadings) -> bool {
    gpu.clocks.as_ref().and_then(|clocks| clocks.utilization_percent).is_some_and(|busy| busy >= BUSY_PERCENT)
}
