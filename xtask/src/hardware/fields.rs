//! Maps the agent's readings to elements of `nvidia-smi -q -x`, one row per field.

use super::smi::SmiGpu;
use node_agent::readings::inventory::NvmlGpu;
use node_agent::readings::sample::{EccReading, GpuReadings, RemapReading};

/// A value in a form common to both sides.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Text(String),
    Number(f64),
    Flag(bool),
}

/// How much the two readings of a GPU may differ, as they are taken one after the other.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Moves {
    /// Not at all.
    No,
    /// By this much, in the field's unit.
    By(f64),
    /// By any amount: the field changes with every reading and is only shown.
    Freely,
}

/// The agent's side.
pub(super) struct Ours<'a> {
    pub(super) driver: Option<&'a str>,
    pub(super) gpu: &'a NvmlGpu,
    pub(super) readings: &'a GpuReadings,
}

/// One field.
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) moves: Moves,
    pub(super) ours: fn(&Ours<'_>) -> Option<Value>,
    pub(super) smi: fn(&SmiGpu) -> Option<Value>,
}

const fn field(
    name: &'static str,
    moves: Moves,
    ours: fn(&Ours<'_>) -> Option<Value>,
    smi: fn(&SmiGpu) -> Option<Value>,
) -> Field {
    Field { name, moves, ours, smi }
}

fn text(value: Option<&str>) -> Option<Value> {
    value.map(|text| Value::Text(text.to_owned()))
}

#[expect(clippy::cast_precision_loss, reason = "counters of a comparison: 53 bits are enough")]
fn number(value: Option<u64>) -> Option<Value> {
    value.map(|number| Value::Number(number as f64))
}

fn small(value: Option<u32>) -> Option<Value> {
    number(value.map(u64::from))
}

fn celsius(value: Option<i32>) -> Option<Value> {
    value.map(|degrees| Value::Number(degrees.into()))
}

fn flag(value: Option<bool>) -> Option<Value> {
    value.map(Value::Flag)
}

fn smi_number(gpu: &SmiGpu, paths: &[&str]) -> Option<Value> {
    gpu.number(paths).map(Value::Number)
}

fn watts(gpu: &SmiGpu, paths: &[&str]) -> Option<Value> {
    gpu.number(paths).map(|watts| Value::Number((watts * 1000.0).round()))
}

fn microseconds(gpu: &SmiGpu, path: &str) -> Option<Value> {
    gpu.number(&[path]).map(|us| Value::Number(us * 1000.0))
}

fn sum(gpu: &SmiGpu, paths: &[&str]) -> Option<Value> {
    let parts: Vec<f64> = paths.iter().filter_map(|path| gpu.number(&[path])).collect();
    (!parts.is_empty()).then(|| Value::Number(parts.iter().sum()))
}

fn ecc(ours: &Ours<'_>, pick: fn(&EccReading) -> Option<u64>) -> Option<Value> {
    number(ours.readings.ecc.as_ref().and_then(pick))
}

fn remap(ours: &Ours<'_>, pick: fn(&RemapReading) -> Option<u64>) -> Option<Value> {
    number(ours.readings.row_remap.as_ref().and_then(pick))
}

/// Names of the recovery action in nvidia-smi (nvml.h, field 230).
const RECOVERY: &[(&str, u32)] = &[("None", 0), ("Reset", 1), ("Reboot", 2), ("Drain P2P", 3), ("Drain and Reset", 4)];
/// Names of the fabric states in nvidia-smi.
const FABRIC: &[(&str, u32)] = &[("Not Supported", 0), ("Not Started", 1), ("In Progress", 2), ("Completed", 3)];
/// Bits of the clock event reasons (nvml.h), by the end of the element's name.
const REASONS: &[(&str, u32)] = &[
    ("gpu_idle", 0x1),
    ("applications_clocks_setting", 0x2),
    ("sw_power_cap", 0x4),
    ("hw_slowdown", 0x8),
    ("sync_boost", 0x10),
    ("sw_thermal_slowdown", 0x20),
    ("hw_thermal_slowdown", 0x40),
    ("hw_power_brake_slowdown", 0x80),
    ("display_clocks_setting", 0x100),
];

fn named(gpu: &SmiGpu, path: &str, names: &[(&str, u32)]) -> Option<Value> {
    let said = gpu.text(&[path])?;
    let known = names.iter().find(|(name, _)| *name == said).map(|(_, value)| *value);
    Some(known.map_or_else(|| Value::Text(said.to_owned()), |value| Value::Number(value.into())))
}

fn reasons(gpu: &SmiGpu) -> Option<Value> {
    let mut mask = None;
    for (name, bit) in REASONS {
        let paths = [
            format!("clocks_event_reasons/clocks_event_reason_{name}"),
            format!("clocks_throttle_reasons/clocks_throttle_reason_{name}"),
        ];
        if let Some(active) = gpu.flag(&[&paths[0], &paths[1]]) {
            mask = Some(mask.unwrap_or(0) | if active { *bit } else { 0 });
        }
    }
    small(mask)
}

use Moves::{By, Freely, No};

/// All fields that both sides report.
#[rustfmt::skip]
pub(super) static FIELDS: &[Field] = &[
    field("driver version", No, |o| text(o.driver), |s| text(s.text(&["driver_version"]))),
    field("PCI address", No, |o| text(o.gpu.pci.as_deref()), |s| s.pci().map(Value::Text)),
    field("name", No, |o| text(o.gpu.name.as_deref()), |s| text(s.text(&["product_name"]))),
    field("UUID", No, |o| text(o.gpu.uuid.as_deref()), |s| text(s.text(&["uuid"]))),
    field("serial", No, |o| text(o.gpu.serial.as_deref()), |s| text(s.text(&["serial"]))),
    field("VBIOS", No, |o| text(o.gpu.vbios.as_deref()), |s| text(s.text(&["vbios_version"]))),
    field("memory, MiB", No, |o| number(o.gpu.memory_mib), |s| smi_number(s, &["fb_memory_usage/total"])),
    field("persistence mode", No, |o| flag(o.readings.driver.as_ref()?.persistence), |s| flag(s.flag(&["persistence_mode"]))),
    field("MIG", No, |o| flag(o.readings.driver.as_ref()?.mig), |s| flag(s.flag(&["mig_mode/current_mig"]))),
    field("recovery action", No, |o| small(o.readings.recovery_action.as_ref()?.action), |s| named(s, "gpu_recovery_action", RECOVERY)),
    field("ECC on", No, |o| flag(o.readings.ecc.as_ref()?.enabled), |s| flag(s.flag(&["ecc_mode/current_ecc"]))),
    field("ECC after reset", No, |o| flag(o.readings.ecc.as_ref()?.pending), |s| flag(s.flag(&["ecc_mode/pending_ecc"]))),
    field("ECC volatile uncorrected", No, |o| ecc(o, |e| e.volatile_uncorrected), |s| sum(s, &["ecc_errors/volatile/sram_uncorrectable", "ecc_errors/volatile/sram_uncorrectable_parity", "ecc_errors/volatile/sram_uncorrectable_secded", "ecc_errors/volatile/dram_uncorrectable"])),
    field("ECC volatile corrected", By(1000.0), |o| ecc(o, |e| e.volatile_corrected), |s| sum(s, &["ecc_errors/volatile/sram_correctable", "ecc_errors/volatile/dram_correctable"])),
    field("ECC aggregate uncorrected", No, |o| ecc(o, |e| e.aggregate_uncorrected), |s| sum(s, &["ecc_errors/aggregate/sram_uncorrectable", "ecc_errors/aggregate/sram_uncorrectable_parity", "ecc_errors/aggregate/sram_uncorrectable_secded", "ecc_errors/aggregate/dram_uncorrectable"])),
    field("ECC aggregate corrected", By(1000.0), |o| ecc(o, |e| e.aggregate_corrected), |s| sum(s, &["ecc_errors/aggregate/sram_correctable", "ecc_errors/aggregate/dram_correctable"])),
    field("ECC DRAM uncorrected", No, |o| ecc(o, |e| e.dram_uncorrected), |s| smi_number(s, &["ecc_errors/volatile/dram_uncorrectable"])),
    field("ECC SRAM uncorrected", No, |o| ecc(o, |e| e.sram_uncorrected), |s| sum(s, &["ecc_errors/volatile/sram_uncorrectable", "ecc_errors/volatile/sram_uncorrectable_parity", "ecc_errors/volatile/sram_uncorrectable_secded"])),
    field("SRAM threshold exceeded", No, |o| flag(o.readings.ecc.as_ref()?.sram_threshold_exceeded), |s| flag(s.flag(&["ecc_errors/aggregate/sram_threshold_exceeded"]))),
    field("rows remapped, correctable", No, |o| remap(o, |r| r.correctable), |s| smi_number(s, &["remapped_rows/remapped_row_corr"])),
    field("rows remapped, uncorrectable", No, |o| remap(o, |r| r.uncorrectable), |s| smi_number(s, &["remapped_rows/remapped_row_unc"])),
    field("remapping pending", No, |o| flag(o.readings.row_remap.as_ref()?.pending), |s| flag(s.flag(&["remapped_rows/remapped_row_pending"]))),
    field("remapping failed", No, |o| flag(o.readings.row_remap.as_ref()?.failure), |s| flag(s.flag(&["remapped_rows/remapped_row_failure"]))),
    field("banks with all spares", No, |o| remap(o, |r| Some(r.banks?.max.into())), |s| smi_number(s, &["remapped_rows/row_remapper_histogram/row_remapper_histogram_max"])),
    field("banks with no spare", No, |o| remap(o, |r| Some(r.banks?.none.into())), |s| smi_number(s, &["remapped_rows/row_remapper_histogram/row_remapper_histogram_none"])),
    field("pages retired, single-bit", No, |o| remap(o, |r| r.retired_single_bit), |s| smi_number(s, &["retired_pages/multiple_single_bit_retirement/retired_count"])),
    field("pages retired, double-bit", No, |o| remap(o, |r| r.retired_double_bit), |s| smi_number(s, &["retired_pages/double_bit_retirement/retired_count"])),
    field("retirement pending", No, |o| flag(o.readings.row_remap.as_ref()?.retirement_pending), |s| flag(s.flag(&["retired_pages/pending_retirement"]))),
    field("clock event reasons", Freely, |o| number(o.readings.clocks.as_ref()?.reasons), reasons),
    field("SW thermal slowdown, ns", By(5e9), |o| number(o.readings.clocks.as_ref()?.sw_thermal_ns), |s| microseconds(s, "clocks_event_reasons_counters/clocks_event_reasons_counters_sw_therm_slowdown")),
    field("HW thermal slowdown, ns", By(5e9), |o| number(o.readings.clocks.as_ref()?.hw_thermal_ns), |s| microseconds(s, "clocks_event_reasons_counters/clocks_event_reasons_counters_hw_therm_slowdown")),
    field("power brake, ns", By(5e9), |o| number(o.readings.clocks.as_ref()?.power_brake_ns), |s| microseconds(s, "clocks_event_reasons_counters/clocks_event_reasons_counters_hw_power_brake")),
    field("SM clock, MHz", Freely, |o| small(o.readings.clocks.as_ref()?.sm_mhz), |s| smi_number(s, &["clocks/sm_clock"])),
    field("highest SM clock, MHz", No, |o| small(o.readings.clocks.as_ref()?.max_sm_mhz), |s| smi_number(s, &["max_clocks/sm_clock"])),
    field("memory clock, MHz", Freely, |o| small(o.readings.clocks.as_ref()?.memory_mhz), |s| smi_number(s, &["clocks/mem_clock"])),
    field("utilization, percent", Freely, |o| small(o.readings.clocks.as_ref()?.utilization_percent), |s| smi_number(s, &["utilization/gpu_util"])),
    field("temperature, C", By(8.0), |o| celsius(o.readings.thermal.as_ref()?.gpu_celsius), |s| smi_number(s, &["temperature/gpu_temp"])),
    field("memory temperature, C", By(8.0), |o| celsius(o.readings.thermal.as_ref()?.memory_celsius), |s| smi_number(s, &["temperature/memory_temp"])),
    field("shutdown at, C", No, |o| celsius(o.readings.thermal.as_ref()?.shutdown_celsius), |s| smi_number(s, &["temperature/gpu_temp_max_threshold"])),
    field("slowdown at, C", No, |o| celsius(o.readings.thermal.as_ref()?.slowdown_celsius), |s| smi_number(s, &["temperature/gpu_temp_slow_threshold"])),
    field("GPU at most, C", No, |o| celsius(o.readings.thermal.as_ref()?.gpu_max_celsius), |s| smi_number(s, &["temperature/gpu_temp_max_gpu_threshold"])),
    field("memory at most, C", No, |o| celsius(o.readings.thermal.as_ref()?.memory_max_celsius), |s| smi_number(s, &["temperature/gpu_temp_max_mem_threshold"])),
    field("draw, mW", Freely, |o| number(o.readings.power.as_ref()?.draw_milliwatts), |s| watts(s, &["gpu_power_readings/instant_power_draw", "gpu_power_readings/average_power_draw", "gpu_power_readings/power_draw", "power_readings/power_draw"])),
    field("limit set, mW", No, |o| number(o.readings.power.as_ref()?.limit_milliwatts), |s| watts(s, &["gpu_power_readings/requested_power_limit", "power_readings/power_limit"])),
    field("limit in force, mW", No, |o| number(o.readings.power.as_ref()?.enforced_milliwatts), |s| watts(s, &["gpu_power_readings/current_power_limit", "power_readings/enforced_power_limit"])),
    field("default limit, mW", No, |o| number(o.readings.power.as_ref()?.default_milliwatts), |s| watts(s, &["gpu_power_readings/default_power_limit", "power_readings/default_power_limit"])),
    field("PCIe generation", Freely, |o| small(o.readings.pcie.as_ref()?.generation), |s| smi_number(s, &["pci/pci_gpu_link_info/pcie_gen/current_link_gen"])),
    field("PCIe width", No, |o| small(o.readings.pcie.as_ref()?.width), |s| smi_number(s, &["pci/pci_gpu_link_info/link_widths/current_link_width"])),
    field("highest PCIe generation", No, |o| small(o.readings.pcie.as_ref()?.max_generation), |s| smi_number(s, &["pci/pci_gpu_link_info/pcie_gen/max_link_gen"])),
    field("highest PCIe width", No, |o| small(o.readings.pcie.as_ref()?.max_width), |s| smi_number(s, &["pci/pci_gpu_link_info/link_widths/max_link_width"])),
    field("PCIe replays", By(100.0), |o| number(o.readings.pcie.as_ref()?.replays), |s| smi_number(s, &["pci/replay_counter"])),
    field("fabric state", No, |o| small(o.readings.fabric.as_ref()?.state), |s| named(s, "fabric/state", FABRIC)),
];
