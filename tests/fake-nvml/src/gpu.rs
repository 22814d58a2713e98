//! One simulated GPU: what its model says with what the state file says on top. `None` is what the GPU does not support.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, de::Error};
use serde_json::Value;

use crate::ecc::Ecc;
use crate::fault::{Fault, Faults};
use crate::fields::StatedField;
use crate::nvlink::Nvlink;

/// A GPU.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Gpu {
    /// Its row in `models.json`.
    #[allow(dead_code, reason = "for the reader of a dump")]
    pub(crate) model: String,
    pub(crate) name: String,
    pub(crate) uuid: Option<String>,
    pub(crate) serial: Option<String>,
    /// `domain:bus:device.function`, hexadecimal.
    pub(crate) pci: String,
    /// Device id in the upper, vendor id in the lower 16 bits.
    #[serde(deserialize_with = "id")]
    pub(crate) pci_device_id: u32,
    #[serde(deserialize_with = "id")]
    pub(crate) pci_subsystem_id: u32,
    pub(crate) brand: u32,
    pub(crate) architecture: u32,
    pub(crate) compute_capability: [i32; 2],
    pub(crate) vbios: String,
    pub(crate) inforom: Option<String>,
    pub(crate) part_number: Option<String>,
    pub(crate) gsp_firmware: Option<String>,
    #[serde(default = "yes")]
    pub(crate) inforom_valid: bool,
    /// SXM modules have a number on the board.
    pub(crate) has_module_id: bool,
    pub(crate) module_id: Option<u32>,
    pub(crate) platform: Option<Platform>,
    pub(crate) minor: Option<u32>,
    pub(crate) numa_node: Option<u32>,
    pub(crate) memory_mib: u64,
    #[serde(default)]
    pub(crate) memory_used_mib: u64,
    #[serde(default)]
    pub(crate) memory_reserved_mib: u64,
    #[serde(default)]
    pub(crate) performance_state: u32,
    #[serde(default)]
    pub(crate) compute_mode: u32,
    #[serde(default = "yes")]
    pub(crate) persistence: bool,
    pub(crate) ecc: Option<Ecc>,
    pub(crate) remap: Option<Remap>,
    pub(crate) retired: Option<Retired>,
    pub(crate) clocks: Clocks,
    pub(crate) temperature: Temperature,
    pub(crate) power: Power,
    pub(crate) pcie: Pcie,
    pub(crate) nvlink: Option<Nvlink>,
    pub(crate) fabric: Option<Fabric>,
    /// Field 230.
    pub(crate) recovery_action: Option<u32>,
    /// Seconds since the driver initialised it.
    #[serde(default = "a_day")]
    pub(crate) uptime_s: u32,
    /// Ampere and later.
    pub(crate) repair: Option<Repair>,
    /// Hopper and later.
    pub(crate) unrepairable_memory: Option<bool>,
    /// Chip-to-chip links to the CPU.
    pub(crate) c2c: Option<C2c>,
    pub(crate) mig: Option<Mig>,
    #[serde(default)]
    pub(crate) utilization: Utilization,
    #[serde(default)]
    pub(crate) processes: Vec<Process>,
    /// Nearest common ancestor by the other's PCI address.
    #[serde(default)]
    pub(crate) ancestors: BTreeMap<String, u32>,
    /// The event bits that it can announce.
    #[serde(default = "all_events")]
    pub(crate) supported_events: u64,
    /// Field values by `ID` or `ID:SCOPE`.
    #[serde(default)]
    pub(crate) fields: BTreeMap<String, StatedField>,
    /// The index gives no handle, and the library does not count it.
    #[serde(default)]
    pub(crate) hole: bool,
    /// Fell off the bus: every call about it answers `GPU_IS_LOST`.
    #[serde(default)]
    pub(crate) lost: bool,
    /// Faults by C function.
    #[serde(default)]
    pub(crate) calls: Faults,
    /// What every call about this GPU does.
    pub(crate) fault: Option<Fault>,
}

/// Row remapping.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Remap {
    pub(crate) correctable: u32,
    pub(crate) uncorrectable: u32,
    pub(crate) pending: bool,
    pub(crate) failure: bool,
    pub(crate) banks: Banks,
    /// Remappings that are not in effect (fields 301, 302).
    pub(crate) inactive_correctable: u32,
    pub(crate) inactive_uncorrectable: u32,
    /// Remapping of whole banks (Rubin and later).
    pub(crate) bank: Option<BankRemap>,
}

/// Remapping of whole banks.
#[derive(Debug, Default, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct BankRemap {
    pub(crate) active: u32,
    pub(crate) inactive: u32,
    pub(crate) pending: bool,
    pub(crate) groups_full: u32,
    pub(crate) groups_without: u32,
}

/// Repairs that wait for a reset.
#[derive(Debug, Default, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Repair {
    pub(crate) channel_pending: bool,
    pub(crate) tpc_pending: bool,
}

/// Chip-to-chip links.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct C2c {
    pub(crate) links: u32,
    /// The numbers of those that are inactive.
    pub(crate) down: Vec<u32>,
}

/// Banks by how many spare rows they have left.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Banks {
    pub(crate) max: u32,
    pub(crate) high: u32,
    pub(crate) partial: u32,
    pub(crate) low: u32,
    pub(crate) none: u32,
}

/// Page retirement, before Ampere.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Retired {
    pub(crate) single_bit: u32,
    pub(crate) double_bit: u32,
    pub(crate) pending: bool,
}

/// Clocks, and why they are not higher.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Clocks {
    #[serde(default = "idle")]
    pub(crate) reasons: u64,
    #[serde(default = "all_reasons")]
    pub(crate) supported_reasons: u64,
    #[serde(default)]
    pub(crate) sw_power_ns: u64,
    #[serde(default)]
    pub(crate) sync_boost_ns: u64,
    #[serde(default)]
    pub(crate) sw_thermal_ns: u64,
    #[serde(default)]
    pub(crate) hw_thermal_ns: u64,
    #[serde(default)]
    pub(crate) power_brake_ns: u64,
    pub(crate) graphics_mhz: Option<u32>,
    pub(crate) sm_mhz: u32,
    pub(crate) memory_mhz: u32,
    pub(crate) video_mhz: u32,
    pub(crate) max_graphics_mhz: Option<u32>,
    pub(crate) max_sm_mhz: u32,
    pub(crate) max_memory_mhz: u32,
    pub(crate) max_video_mhz: u32,
}

/// Degrees Celsius.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Temperature {
    pub(crate) gpu: i32,
    pub(crate) memory: Option<i32>,
    pub(crate) slowdown: u32,
    pub(crate) shutdown: u32,
    pub(crate) gpu_max: u32,
    pub(crate) memory_max: Option<u32>,
    /// Distances to the limit (fields 193 to 196): shutdown, slowdown, memory, GPU. Ada and later.
    pub(crate) tlimit: Option<[i32; 4]>,
    /// The distance at the moment; else what `gpu` leaves to `gpu_max`.
    pub(crate) margin: Option<i32>,
    /// `false`: temperatures of thresholds are no longer answered, only distances.
    #[serde(default = "yes")]
    pub(crate) has_thresholds: bool,
}

/// Milliwatts, millijoules.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Power {
    pub(crate) draw_mw: u32,
    pub(crate) limit_mw: u32,
    /// The lowest of all limits; else the one that was set.
    pub(crate) enforced_mw: Option<u32>,
    pub(crate) default_mw: u32,
    pub(crate) min_mw: u32,
    pub(crate) max_mw: u32,
    #[serde(default)]
    pub(crate) energy_mj: u64,
}

/// The PCIe link.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Pcie {
    pub(crate) generation: u32,
    pub(crate) width: u32,
    pub(crate) max_generation: u32,
    pub(crate) max_width: u32,
    #[serde(default)]
    pub(crate) replays: u32,
    #[serde(default)]
    pub(crate) rx_kib_s: u32,
    #[serde(default)]
    pub(crate) tx_kib_s: u32,
    #[serde(default)]
    pub(crate) correctable: u32,
    #[serde(default)]
    pub(crate) non_fatal: u32,
    #[serde(default)]
    pub(crate) fatal: u32,
}

/// The fabric of NVSwitch systems.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Fabric {
    pub(crate) state: u8,
    pub(crate) status: u32,
    pub(crate) mask: u32,
    pub(crate) summary: u8,
    /// 32 hexadecimal digits; none: zeros, as on a single node.
    pub(crate) cluster_uuid: Option<String>,
    pub(crate) clique: u32,
}

/// Multi-instance mode.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Mig {
    pub(crate) enabled: bool,
    /// After the next reset; else as now.
    pub(crate) pending: Option<bool>,
    pub(crate) max_instances: u32,
    pub(crate) instances: Vec<Instance>,
}

/// One MIG device.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Instance {
    pub(crate) name: Option<String>,
    pub(crate) uuid: Option<String>,
    pub(crate) memory_mib: u64,
}

/// Percent.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Utilization {
    pub(crate) gpu: u32,
    pub(crate) memory: u32,
}

/// A process with a context on the GPU.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Process {
    pub(crate) pid: u32,
    #[serde(default = "process_name")]
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) memory_mib: u64,
    #[serde(default)]
    pub(crate) kind: ProcessKind,
}

/// Which list it is in.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ProcessKind {
    #[default]
    Compute,
    Mps,
    Graphics,
}

impl Gpu {
    pub(crate) fn mig_is_on(&self) -> bool {
        self.mig.as_ref().is_some_and(|mig| mig.enabled)
    }

    /// Row remapping as far as it can be asked: not in MIG mode.
    pub(crate) fn askable_remap(&self) -> Option<&Remap> {
        self.remap.as_ref().filter(|_| !self.mig_is_on())
    }
}

fn id<'de, D: Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
    let value = Value::deserialize(from)?;
    let hex = |text: &str| u32::from_str_radix(text.strip_prefix("0x")?, 16).ok();
    let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
    number
        .or_else(|| value.as_str().and_then(hex))
        .ok_or_else(|| D::Error::custom(format!("{value} is no PCI id: a number, or \"0x233010de\"")))
}

fn a_day() -> u32 {
    86_400
}
fn yes() -> bool {
    true
}
fn idle() -> u64 {
    1
}
fn all_reasons() -> u64 {
    0x7ff
}
fn all_events() -> u64 {
    nvml_wrapper_sys::bindings::nvmlEventTypeAll.into()
}
fn process_name() -> String {
    "simulated-process".to_owned()
}

/// The place in the rack.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Platform {
    /// At most 16 bytes.
    pub(crate) chassis: String,
    pub(crate) slot: u8,
    pub(crate) tray: u8,
    pub(crate) host: u8,
    pub(crate) peer_type: u8,
    pub(crate) module: u8,
}
