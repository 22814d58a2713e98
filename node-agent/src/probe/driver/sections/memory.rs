//! The sections of the memory: ECC, and repairs.

use nvml_wrapper_sys::bindings::nvmlEccSramErrorStatus_t;

use super::super::raw::Library;
use super::{Reader, count, flag, or_if_old, unless_sentinel};
use crate::readings::sample::{BankRemaps, BankSpares, EccReading, RemapReading, SramSources};

/// `NVML_FI_DEV_REMAPPED_COR`, `_UNC`, `_PENDING`, `_FAILURE`
const REMAPPED: [u32; 4] = [142, 143, 144, 145];
/// `NVML_FI_DEV_REMAPPED_ROWS_COR_INACTIVE`, `_UNC_INACTIVE`: numbers of remappings that are not in effect
const INACTIVE: [u32; 2] = [301, 302];
impl Reader<'_> {
    pub(super) fn ecc(&mut self) -> EccReading {
        const CORRECTED: u32 = 0;
        const UNCORRECTED: u32 = 1;
        const VOLATILE: u32 = 0;
        const AGGREGATE: u32 = 1;
        const DRAM: u32 = 2;
        const SRAM: u32 = 7;
        let mode = self.get(Library::ecc_mode);
        let mut total = |kind, counter| {
            self.get(|library, gpu| library.total_ecc_errors(gpu, kind, counter)).and_then(unless_sentinel)
        };
        let (volatile_uncorrected, volatile_corrected) = (total(UNCORRECTED, VOLATILE), total(CORRECTED, VOLATILE));
        let (aggregate_uncorrected, aggregate_corrected) = (total(UNCORRECTED, AGGREGATE), total(CORRECTED, AGGREGATE));
        let mut at = |place| {
            self.get(|library, gpu| library.memory_errors(gpu, UNCORRECTED, VOLATILE, place)).and_then(unless_sentinel)
        };
        let (dram_uncorrected, sram_uncorrected) = (at(DRAM), at(SRAM));
        let sram = self.get(Library::sram_status);
        EccReading {
            enabled: mode.and_then(|(current, _)| flag(current)),
            pending: mode.and_then(|(_, pending)| flag(pending)),
            volatile_uncorrected,
            volatile_corrected,
            aggregate_uncorrected,
            aggregate_corrected,
            dram_uncorrected,
            sram_uncorrected,
            sram_threshold_exceeded: sram.and_then(|status| flag(status.bThresholdExceeded)),
            sram_sources: sram.and_then(|status| sram_sources(&status)),
        }
    }

    pub(super) fn row_remap(&mut self) -> RemapReading {
        const SINGLE_BIT: u32 = 0;
        const DOUBLE_BIT: u32 = 1;
        let [correctable, uncorrectable, pending, failure] = self.remapped_rows();
        let [correctable_inactive, uncorrectable_inactive] = self.fields(INACTIVE.map(|field| (field, 0)));
        let repairs = self.get(Library::repairs);
        RemapReading {
            correctable,
            uncorrectable,
            pending: pending.and_then(flag),
            failure: failure.and_then(flag),
            banks: self.get(Library::histogram).map(|banks| BankSpares {
                max: banks.max,
                high: banks.high,
                partial: banks.partial,
                low: banks.low,
                none: banks.none,
            }),
            retired_single_bit: self.retired_pages(SINGLE_BIT),
            retired_double_bit: self.retired_pages(DOUBLE_BIT),
            retirement_pending: self.get(Library::retirement_pending).and_then(flag),
            correctable_inactive: count(correctable_inactive),
            uncorrectable_inactive: count(uncorrectable_inactive),
            bank_remaps: self.bank_remaps(),
            channel_repair_pending: repairs.and_then(|(channel, _)| flag(channel)),
            tpc_repair_pending: repairs.and_then(|(_, tpc)| flag(tpc)),
            unrepairable: self.get(Library::unrepairable_memory).and_then(|status| flag(status.flag)),
        }
    }

    /// `None` where there is no bank to remap. Fields 303 to 307 have the same; drivers got both at the same time.
    fn bank_remaps(&mut self) -> Option<BankRemaps> {
        let status = self.get(Library::bank_remapper)?;
        let number = |value: u32| unless_sentinel(value.into());
        Some(BankRemaps {
            active: number(status.active),
            inactive: number(status.inactive),
            pending: flag(status.pending),
            groups_full: number(status.groups_full),
            groups_without: number(status.groups_without),
        })
    }

    fn remapped_rows(&mut self) -> [Option<u64>; 4] {
        match self.get(|library, gpu| or_if_old(library.remapped_rows(gpu).map(Some), || Ok(None))) {
            Some(Some(rows)) => rows.map(|rows| unless_sentinel(rows.into())),
            Some(None) => self.fields(REMAPPED.map(|field| (field, 0))).map(count),
            None => [None; 4],
        }
    }

    fn retired_pages(&mut self, cause: u32) -> Option<u64> {
        self.get(|library, gpu| or_if_old(library.retired_pages(gpu, cause), || library.retired_pages_v1(gpu, cause)))
            .map(u64::from)
            .and_then(unless_sentinel)
    }
}

/// Absent if any of them is no value.
fn sram_sources(status: &nvmlEccSramErrorStatus_t) -> Option<SramSources> {
    Some(SramSources {
        l2: unless_sentinel(status.aggregateUncBucketL2)?,
        sm: unless_sentinel(status.aggregateUncBucketSm)?,
        pcie: unless_sentinel(status.aggregateUncBucketPcie)?,
        microcontroller: unless_sentinel(status.aggregateUncBucketMcu)?,
        other: unless_sentinel(status.aggregateUncBucketOther)?,
    })
}
