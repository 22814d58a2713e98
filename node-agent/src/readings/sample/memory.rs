//! What is read of a GPU's memory: ECC and repairs.

use serde::{Deserialize, Serialize};

/// ECC. Counters count errors; volatile ones since the last driver load or reset, aggregate ones for the board's life.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EccReading {
    /// On at the moment.
    pub enabled: Option<bool>,
    /// On after the next reset.
    pub pending: Option<bool>,
    /// Volatile, uncorrected.
    pub volatile_uncorrected: Option<u64>,
    /// Volatile, corrected.
    pub volatile_corrected: Option<u64>,
    /// Aggregate, uncorrected.
    pub aggregate_uncorrected: Option<u64>,
    /// Aggregate, corrected.
    pub aggregate_corrected: Option<u64>,
    /// Volatile uncorrected errors in DRAM (device memory).
    pub dram_uncorrected: Option<u64>,
    /// Volatile uncorrected errors in SRAM (caches, registers).
    pub sram_uncorrected: Option<u64>,
    /// The driver's own flag: the aggregate SRAM count passed the threshold for replacement.
    pub sram_threshold_exceeded: Option<bool>,
    /// Aggregate uncorrected errors in SRAM, by unit.
    pub sram_sources: Option<SramSources>,
}

/// Where the uncorrected errors in SRAM were, in the board's life (`nvmlDeviceGetSramEccErrorStatus`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SramSources {
    /// L2 cache.
    pub l2: u64,
    /// Streaming multiprocessors.
    pub sm: u64,
    /// PCIe.
    pub pcie: u64,
    /// Microcontrollers.
    pub microcontroller: u64,
    /// All other units.
    pub other: u64,
}

/// Repairs of the memory: rows and banks that are remapped, channels and processors that are retired, and pages on GPUs
/// before Ampere.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RemapReading {
    /// Rows remapped because of correctable errors.
    pub correctable: Option<u64>,
    /// Rows remapped because of uncorrectable errors.
    pub uncorrectable: Option<u64>,
    /// A remapping waits for a reset.
    pub pending: Option<bool>,
    /// A remapping failed.
    pub failure: Option<bool>,
    /// Banks by how many spare rows they have left.
    pub banks: Option<BankSpares>,
    /// Pages retired after several single-bit errors (older GPUs).
    pub retired_single_bit: Option<u64>,
    /// Pages retired after a double-bit error (older GPUs).
    pub retired_double_bit: Option<u64>,
    /// A retirement waits for a reboot (older GPUs).
    pub retirement_pending: Option<bool>,
    /// Remappings because of correctable errors that are not in effect (field 301).
    pub correctable_inactive: Option<u64>,
    /// Remappings because of uncorrectable errors that are not in effect (field 302).
    pub uncorrectable_inactive: Option<u64>,
    /// Whole banks that are remapped, on GPUs that can.
    pub bank_remaps: Option<BankRemaps>,
    /// The repair of a memory channel waits for a reset (`nvmlDeviceGetRepairStatus`).
    pub channel_repair_pending: Option<bool>,
    /// The repair of a processing cluster (TPC) waits for a reset (`nvmlDeviceGetRepairStatus`).
    pub tpc_repair_pending: Option<bool>,
    /// The driver's flag that memory cannot be repaired (`nvmlDeviceGetUnrepairableMemoryFlag_v1`).
    pub unrepairable: Option<bool>,
}

/// Remapping of banks (`nvmlDeviceGetBankRemapperStatus_v1`, or fields 303 to 307).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BankRemaps {
    /// Remappings in effect.
    pub active: Option<u64>,
    /// Remappings that are not in effect.
    pub inactive: Option<u64>,
    /// A remapping waits for a reset.
    pub pending: Option<bool>,
    /// Groups of banks with all their spares.
    pub groups_full: Option<u64>,
    /// Groups of banks without a spare.
    pub groups_without: Option<u64>,
}

/// The row remapper's histogram: numbers of banks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BankSpares {
    /// All spares left.
    pub max: u32,
    /// Most left.
    pub high: u32,
    /// Some left.
    pub partial: u32,
    /// Few left.
    pub low: u32,
    /// None left.
    pub none: u32,
}
