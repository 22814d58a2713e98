//! What a healthy board answers, whatever machine it is in.

use super::machine::Board;
use node_agent::readings::sample::{EccReading, ErrorRate, LinkReading, MarginLimits, NewerCounters, ThermalReading};

/// Its totals are those of a year of work, and it corrects errors all the time.
pub(crate) fn newest_link(link: LinkReading, board: &Board, recovered: u64) -> LinkReading {
    let newer = NewerCounters {
        failed_recoveries: Some(2),
        receive_errors: Some(90_000),
        effective_errors: Some(7),
        symbol_errors: Some(9_000_000 + board.symbol_errors),
        effective_ber: ErrorRate::decode(0x10f),
        symbol_ber: ErrorRate::decode(0x305),
        ..NewerCounters::default()
    };
    LinkReading { recoveries: Some(40 + recovered), newer, ..link }
}

pub(crate) fn ecc(board: &Board) -> EccReading {
    EccReading {
        enabled: Some(true),
        pending: Some(true),
        volatile_uncorrected: Some(0),
        volatile_corrected: Some(board.corrected),
        aggregate_uncorrected: Some(0),
        aggregate_corrected: Some(board.corrected),
        dram_uncorrected: Some(0),
        sram_uncorrected: Some(0),
        sram_threshold_exceeded: Some(false),
        sram_sources: None,
    }
}

/// An older board tells thresholds, a newer one only how far it is from them.
pub(crate) fn thermal(newest: bool, board: &Board) -> ThermalReading {
    let base = if board.busy { 62 } else { 31 };
    let (core, memory) = (base + board.warmth, base + 8 + board.warmth);
    let measured =
        ThermalReading { gpu_celsius: Some(core), memory_celsius: Some(memory), ..ThermalReading::default() };
    if newest {
        let limits = MarginLimits { shutdown: Some(-8), slowdown: Some(-2), memory_max: Some(0), gpu_max: Some(0) };
        return ThermalReading { margin_celsius: Some(87 - core), margin_limits: limits, ..measured };
    }
    ThermalReading {
        slowdown_celsius: Some(89),
        shutdown_celsius: Some(92),
        gpu_max_celsius: Some(85),
        memory_max_celsius: Some(95),
        ..measured
    }
}
