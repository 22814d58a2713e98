//! What was not judged: a Pass speaks only for what it covers.

use crate::judge::registry::{self, Extent, Monitor};
use crds::Outcome;
use crds::node_health::{CheckRow, Gpu};
use std::collections::BTreeSet;

/// What a look has seen, as far as it matters for what it covers.
pub(super) struct Seen<'a> {
    pub(super) rows: &'a [CheckRow],
    pub(super) gpus: &'a [Gpu],
    /// Addresses of the GPUs in MIG mode.
    pub(super) mig: &'a BTreeSet<String>,
    /// How many readings were taken.
    pub(super) readings: u32,
}

/// What the rows leave open, a sentence each. Rows that are Inconclusive say so themselves.
pub(super) fn gaps(seen: &Seen<'_>) -> Vec<String> {
    seen.rows.iter().filter_map(|row| gap(registry::named(&row.check)?, row, seen)).collect()
}

fn gap(monitor: &Monitor, row: &CheckRow, seen: &Seen<'_>) -> Option<String> {
    let check = &row.check;
    let by_gpu = match monitor.extent {
        Extent::EveryGpu | Extent::EveryGpuOfAModel | Extent::EveryWholeGpuOfAModel => true,
        Extent::NotByGpu => false,
    };
    match row.outcome {
        Outcome::Pass | Outcome::Warn => {}
        // Every GPU answers what this check reads: the library did not.
        Outcome::Skipped if monitor.extent == Extent::EveryGpu && !seen.gpus.is_empty() => {
            let why = row.reason.as_deref().unwrap_or("no reason given");
            return Some(format!("{check} judged no GPU ({why})"));
        }
        Outcome::Skipped | Outcome::Fail | Outcome::Inconclusive | Outcome::Unrecognized(_) => return None,
    }
    if row.covered.is_empty() && (by_gpu || seen.gpus.len() > 1) {
        return Some(format!("{check} covers nothing"));
    }
    let left_out: Vec<String> = seen.gpus.iter().filter(|gpu| is_left_out(gpu, monitor, row, seen)).map(name).collect();
    if !left_out.is_empty() {
        return Some(format!("{check} did not judge {}", left_out.join(", ")));
    }
    let needs = monitor.readings;
    (seen.readings < needs).then(|| format!("{check} needs {needs} readings, and {} was taken", seen.readings))
}

fn is_left_out(gpu: &Gpu, monitor: &Monitor, row: &CheckRow, seen: &Seen<'_>) -> bool {
    let is_covered = |gpu: &Gpu| row.covers(&gpu.pci_address);
    let has_judged_its_like = || {
        let alike = |other: &&Gpu| gpu.model.is_none() || other.model == gpu.model;
        seen.gpus.iter().filter(alike).any(is_covered)
    };
    !is_covered(gpu)
        && match monitor.extent {
            Extent::EveryGpu => true,
            Extent::EveryGpuOfAModel => has_judged_its_like(),
            Extent::EveryWholeGpuOfAModel => !seen.mig.contains(gpu.pci_address.as_str()) && has_judged_its_like(),
            Extent::NotByGpu => false,
        }
}

fn name(gpu: &Gpu) -> String {
    let index = gpu.index.map(|index| format!(" {index}")).unwrap_or_default();
    format!("GPU{index} ({})", gpu.pci_address)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gpu(index: i64, model: &str) -> Gpu {
        Gpu {
            pci_address: format!("0000:0{index}:00.0").into(),
            index: Some(index),
            model: Some(model).filter(|model| !model.is_empty()).map(Into::into),
            ..Gpu::default()
        }
    }

    fn row(check: &str, outcome: Outcome, covered: &[Gpu]) -> CheckRow {
        let covered = covered.iter().map(|gpu| gpu.pci_address.to_string()).collect();
        CheckRow { check: check.to_owned(), outcome, covered, ..CheckRow::default() }
    }

    fn gaps_of(row: CheckRow, gpus: &[Gpu], mig: &[usize], readings: u32) -> Vec<String> {
        let mig = mig.iter().map(|at| gpus[*at].pci_address.to_string()).collect();
        gaps(&Seen { rows: &[row], gpus, mig: &mig, readings })
    }

    #[test]
    fn a_pass_speaks_only_for_what_it_covers() {
        let gpus: Vec<Gpu> = (0..8).map(|index| gpu(index, "H100")).collect();
        assert_eq!(gaps_of(row("ecc", Outcome::Pass, &gpus), &gpus, &[], 3), [""; 0]);
        let text = "ecc did not judge GPU 7 (0000:07:00.0)";
        assert_eq!(gaps_of(row("ecc", Outcome::Pass, &gpus[..7]), &gpus, &[], 3), [text]);
        assert_eq!(gaps_of(row("ecc", Outcome::Pass, &[]), &gpus, &[], 3), ["ecc covers nothing"]);
        assert_eq!(gaps_of(row("topology", Outcome::Pass, &[]), &gpus, &[], 3), ["topology covers nothing"]);
        assert_eq!(gaps_of(row("topology", Outcome::Pass, &[]), &gpus[..1], &[], 3), [""; 0]);
    }

    #[test]
    fn a_model_may_lack_what_a_check_reads_and_one_of_its_boards_may_not() {
        let gpus = [gpu(0, "A100"), gpu(1, "A100"), gpu(2, "T4")];
        assert_eq!(gaps_of(row("rowRemap", Outcome::Pass, &gpus[..2]), &gpus, &[], 3), [""; 0]);
        assert_eq!(gaps_of(row("rowRemap", Outcome::Skipped, &[]), &gpus, &[], 3), [""; 0]);
        assert_eq!(gaps_of(row("thermal", Outcome::Pass, &gpus[..2]), &gpus, &[], 3).len(), 1);
        assert_eq!(gaps_of(row("thermal", Outcome::Skipped, &[]), &gpus, &[], 3).len(), 1);
        assert_eq!(gaps_of(row("nvlink", Outcome::Pass, &gpus[..1]), &gpus, &[1], 3), [""; 0]);
        // A board whose model is unknown could be of any.
        let gpus = [gpu(0, "A100"), gpu(1, "")];
        assert_eq!(gaps_of(row("rowRemap", Outcome::Pass, &gpus[..1]), &gpus, &[], 3).len(), 1);
    }

    #[test]
    fn one_reading_does_not_do_for_a_rule_that_needs_two() {
        let gpus = [gpu(0, "H100")];
        assert_eq!(gaps_of(row("ecc", Outcome::Pass, &gpus), &gpus, &[], 1), [""; 0]);
        let text = "fabric needs 2 readings, and 1 was taken";
        assert_eq!(gaps_of(row("fabric", Outcome::Pass, &gpus), &gpus, &[], 1), [text]);
        assert_eq!(gaps_of(row("fabric", Outcome::Skipped, &[]), &gpus, &[], 1), [""; 0]);
    }
}
