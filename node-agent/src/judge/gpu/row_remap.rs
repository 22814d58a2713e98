//! `rowRemap`: repairs that are pending, failed, or out of spares: rows and banks of the memory, its channels, processing
//! clusters; on GPUs before Ampere, retired pages.

use crate::judge::core::tally::{Answer, Tally, shown};
use crate::judge::core::{Ground, Judged, Page};
use crate::readings::sample::{RemapReading, Section};
use crds::check::Check;
use crds::reason;

mod rules;
#[cfg(test)]
pub(in crate::judge) mod tests;

pub use rules::RULES;

/// Pages that may be retired after single-bit errors (AWS, MAX_RETIRED_PAGES_SBE; the board has room for 64).
const SINGLE_BIT_PAGES: u64 = 60;

/// The page of this check.
pub static PAGE: Page = Page {
    check: Check::RowRemap,
    means: "A GPU replaces bad memory rows with spare ones, newer ones also whole banks, memory channels and processing clusters; older GPUs retire bad pages. A pending repair needs a reset or a reboot; a failed repair needs another board.",
    measured: "nvmlDeviceGetRemappedRows, nvmlDeviceGetRowRemapperHistogram; where the driver and the GPU have them nvmlDeviceGetBankRemapperStatus_v1 (R615), nvmlDeviceGetRepairStatus (R580), nvmlDeviceGetUnrepairableMemoryFlag_v1 (R590), fields 301 and 302 (remappings that are not in effect; a metric only); before Ampere nvmlDeviceGetRetiredPages and nvmlDeviceGetRetiredPagesPendingStatus. With MIG on, the driver does not report rows; a GPU that reports nothing else either is not covered.",
    profile: &[],
    metrics: &[
        "gpu_health_gpu_remapped_rows",
        "gpu_health_gpu_remap_pending",
        "gpu_health_gpu_remap_failure",
        "gpu_health_gpu_remap_banks",
        "gpu_health_gpu_inactive_remapped_rows",
        "gpu_health_gpu_bank_remaps",
        "gpu_health_gpu_repair_pending",
        "gpu_health_gpu_unrepairable_memory",
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
            tally.ask(&gpu.pci, rows(remap, &name).into_iter().chain(others(remap, &name)).chain(pages(remap, &name)));
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

fn others(remap: &RemapReading, name: &str) -> [(&'static str, Answer); 4] {
    let banks = remap.bank_remaps.unwrap_or_default();
    let evidence = || {
        format!(
            "banks: remapped {}, pending {}, groups without spare {}; repair pending: channel {}, TPC {}; unrepairable {}",
            shown(banks.active),
            shown(banks.pending),
            shown(banks.groups_without),
            shown(remap.channel_repair_pending),
            shown(remap.tpc_repair_pending),
            shown(remap.unrepairable)
        )
    };
    let repairs = [(remap.channel_repair_pending, "a memory channel"), (remap.tpc_repair_pending, "a TPC")];
    let waiting = repairs.iter().find(|(pending, _)| *pending == Some(true)).map(|(_, what)| *what);
    let is_known = repairs.iter().all(|(pending, _)| pending.is_some()) || waiting.is_some();
    [
        (
            reason::BANK_REMAP_PENDING,
            Answer::when(banks.pending, || {
                (format!("{name}: a bank remapping is pending until the GPU is reset"), evidence())
            }),
        ),
        (
            reason::REPAIR_PENDING,
            Answer::when(is_known.then_some(waiting.is_some()), || {
                let what = waiting.unwrap_or_default();
                (format!("{name}: the repair of {what} is pending until the GPU is reset"), evidence())
            }),
        ),
        (
            reason::UNREPAIRABLE_MEMORY,
            Answer::when(remap.unrepairable, || {
                (format!("{name}: the driver flags memory that cannot be repaired"), evidence())
            }),
        ),
        (
            reason::NO_SPARE_BANKS,
            Answer::when(banks.groups_without.map(|groups| groups > 0), || {
                let groups = shown(banks.groups_without);
                (format!("{name}: {groups} groups of memory banks have no spare bank left; 0 is normal"), evidence())
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
