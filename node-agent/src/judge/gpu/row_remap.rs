//! `rowRemap`: memory repairs that are pending, failed, or out of spare rows; on GPUs before Ampere, retired pages.

use crate::judge::core::tally::{Answer, Tally, shown};
use crate::judge::core::{Ground, Judged, Page, Rule};
use crate::readings::sample::{RemapReading, Section};
use crds::check::Check;
use crds::{Outcome, Severity, reason};

#[cfg(test)]
pub(in crate::judge) mod tests;

/// Pages that may be retired after single-bit errors (AWS, MAX_RETIRED_PAGES_SBE; the board has room for 64).
const SINGLE_BIT_PAGES: u64 = 60;

/// What the check can find.
#[rustfmt::skip]
pub static RULES: &[Rule] = &[
    Rule {
        reason: reason::REMAP_PENDING,
        outcome: Outcome::Fail,
        severity: Severity::Reset,
        when: "A row remapping is pending.",
        lifts: "None is pending, as after a reset of the GPU.",
        act: "Let running work finish (it is not affected), then reset the GPU.",
        source: "NVIDIA GPU Memory Error Management; DCGM error 85 (RESET)",
    },
    Rule {
        reason: reason::REMAP_FAILED,
        outcome: Outcome::Fail,
        severity: Severity::Isolate,
        when: "A row remapping failed. The number of remapped rows alone is not judged.",
        lifts: "The flag is clear, which requires replacing the board.",
        act: "Replace the board.",
        source: "NVIDIA GPU Memory Error Management, RMA policy; gpud pull request 219 (by the flag, not by the count)",
    },
    Rule {
        reason: reason::NO_SPARE_ROWS,
        outcome: Outcome::Warn,
        severity: Severity::Monitor,
        when: "At least one bank has no spare row left, and no remapping has failed yet.",
        lifts: "Every bank has a spare row, which requires replacing the board.",
        act: "Plan a replacement: the next error in that bank cannot be repaired.",
        source: "nvmlDeviceGetRowRemapperHistogram; NVIDIA GPU Memory Error Management",
    },
    Rule {
        reason: reason::RETIREMENT_PENDING,
        outcome: Outcome::Fail,
        severity: Severity::Reboot,
        when: "The retirement of a page is pending (GPUs before Ampere).",
        lifts: "None is pending, as after a reboot.",
        act: "Drain and reboot the node.",
        source: "AWS gpu-cluster-healthcheck check 0 (retired_pages.pending Yes: REBOOT)",
    },
    Rule {
        reason: reason::PAGES_RETIRED_DOUBLE_BIT,
        outcome: Outcome::Fail,
        severity: Severity::Isolate,
        when: "At least one page was retired after a double-bit error (GPUs before Ampere).",
        lifts: "There is no such page, which requires replacing the board.",
        act: "Replace the board. NVIDIA's own criterion is milder (60 retired pages in all): to follow it, acknowledge the finding with an override.",
        source: "AWS gpu-cluster-healthcheck check 0 (retired_pages.dbe > 0: ISOLATE); NVIDIA Dynamic Page Retirement, RMA at 60 pages",
    },
    Rule {
        reason: reason::PAGES_RETIRED_SINGLE_BIT,
        outcome: Outcome::Warn,
        severity: Severity::Monitor,
        when: "More than 60 pages were retired after single-bit errors (GPUs before Ampere).",
        lifts: "There are 60 or fewer such pages, which requires replacing the board.",
        act: "Plan a replacement: the board has room for 64.",
        source: "AWS gpu-cluster-healthcheck check 0 (MAX_RETIRED_PAGES_SBE 60: MONITOR)",
    },
];

/// The page of this check.
pub static PAGE: Page = Page {
    check: Check::RowRemap,
    means: "A GPU replaces bad memory rows with spare ones; older GPUs retire bad pages. A pending repair needs a reset or a reboot; a failed repair needs another board.",
    measured: "nvmlDeviceGetRemappedRows, nvmlDeviceGetRowRemapperHistogram; before Ampere nvmlDeviceGetRetiredPages and nvmlDeviceGetRetiredPagesPendingStatus. With MIG on, the driver does not report them, and the GPU is not covered.",
    profile: &[],
    metrics: &[
        "gpu_health_gpu_remapped_rows",
        "gpu_health_gpu_remap_pending",
        "gpu_health_gpu_remap_failure",
        "gpu_health_gpu_remap_banks",
        "gpu_health_gpu_retired_pages",
    ],
    rules: RULES,
};

/// Judges the last readings.
pub fn judge(ground: &Ground<'_>) -> Judged {
    let gpus = match ground.driver(Section::RowRemap) {
        Ok(gpus) => gpus,
        Err(judged) => return *judged,
    };
    let mut tally = Tally::new(&PAGE, ground);
    for gpu in gpus {
        if let Some(remap) = &gpu.row_remap {
            let name = tally.name(&gpu.pci);
            tally.ask(&gpu.pci, rows(remap, &name).into_iter().chain(pages(remap, &name)));
        }
    }
    tally.judged()
}

fn rows(remap: &RemapReading, name: &str) -> [(&'static str, Answer); 3] {
    let evidence = || {
        format!(
            "remapped rows: correctable {}, uncorrectable {}, pending {}, failure {}, banks without spare {}",
            shown(remap.correctable),
            shown(remap.uncorrectable),
            shown(remap.pending),
            shown(remap.failure),
            shown(remap.banks.map(|banks| banks.none))
        )
    };
    let bare_banks = remap.banks.map(|banks| banks.none);
    [
        (
            reason::REMAP_PENDING,
            Answer::when(remap.pending, || {
                let rows = shown(remap.uncorrectable);
                (
                    format!("{name}: a row remapping is pending until the GPU is reset; rows remapped so far: {rows}"),
                    evidence(),
                )
            }),
        ),
        (
            reason::REMAP_FAILED,
            Answer::when(remap.failure, || {
                (format!("{name}: a row remapping failed; the memory cannot be repaired"), evidence())
            }),
        ),
        (
            reason::NO_SPARE_ROWS,
            Answer::when(bare_banks.map(|banks| banks > 0), || {
                (format!("{name}: {} memory banks have no spare row left; 0 is normal", shown(bare_banks)), evidence())
            }),
        ),
    ]
}

fn pages(remap: &RemapReading, name: &str) -> [(&'static str, Answer); 3] {
    let (double, single) = (remap.retired_double_bit, remap.retired_single_bit);
    let evidence = || {
        format!(
            "retired pages: double bit {}, single bit {}, pending {}",
            shown(double),
            shown(single),
            shown(remap.retirement_pending)
        )
    };
    [
        (
            reason::RETIREMENT_PENDING,
            Answer::when(remap.retirement_pending, || {
                (format!("{name}: the retirement of a memory page waits for a reboot"), evidence())
            }),
        ),
        (
            reason::PAGES_RETIRED_DOUBLE_BIT,
            Answer::when(double.map(|pages| pages > 0), || {
                (
                    format!("{name}: {} memory pages retired after double-bit errors; 0 are allowed", shown(double)),
                    evidence(),
                )
            }),
        ),
        (
            reason::PAGES_RETIRED_SINGLE_BIT,
            Answer::when(single.map(|pages| pages > SINGLE_BIT_PAGES), || {
                let message = format!(
                    "{name}: {} memory pages retired after single-bit errors; {SINGLE_BIT_PAGES} are allowed",
                    shown(single)
                );
                (message, evidence())
            }),
        ),
    ]
}
