//! Answers of the driver's library, section by section, as plain values in base units. Nothing here is judged.
//!
//! Every reading is an `Option`: `None` if the library lacks the function, the GPU does not support it, or the call failed.
//! Failures that say something about a GPU are also in `errors` of [`Sample::view`].

mod links;
mod memory;

pub use links::{ErrorRate, FabricReading, LinkReading, LinkState, NewerCounters, NvlinkReading, TopologyReading};
pub use memory::{BankRemaps, BankSpares, EccReading, RemapReading, SramSources};

use super::inventory::NvmlView;
use serde::{Deserialize, Serialize};

/// What a request can ask for. Each section costs a few calls per GPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Section {
    /// Versions, persistence mode, MIG mode, uptime.
    Driver,
    /// The recovery action (field 230).
    RecoveryAction,
    /// ECC mode and counters.
    Ecc,
    /// Row and bank remapping, other repairs, retired pages.
    RowRemap,
    /// Clock event reasons, clocks, utilization, performance state.
    Clocks,
    /// Temperatures, their thresholds, and the margin to these.
    Thermal,
    /// Draw and limits.
    Power,
    /// Generation, width, replay counter.
    Pcie,
    /// Links: state, errors, remote side; chip-to-chip links.
    Nvlink,
    /// Fabric state and health.
    Fabric,
    /// Common ancestors of pairs of GPUs.
    Topology,
}

impl Section {
    /// All of them.
    pub const ALL: &'static [Self] = &[
        Self::Driver,
        Self::RecoveryAction,
        Self::Ecc,
        Self::RowRemap,
        Self::Clocks,
        Self::Thermal,
        Self::Power,
        Self::Pcie,
        Self::Nvlink,
        Self::Fabric,
        Self::Topology,
    ];
}

/// One answer of the sampler. The identity of the GPUs ([`Self::view`]) is part of every one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Sample {
    /// The sections that were asked for.
    pub sections: Vec<Section>,
    /// How long all calls took together, in milliseconds.
    pub took_ms: u64,
    /// The slowest call: its C name, and its time in milliseconds.
    pub slowest: Option<(String, u64)>,
    /// Versions and GPUs as the library sees them, or why it sees none.
    pub view: NvmlView,
    /// Whether we may open the driver's device nodes. Looked at only where `view.status` is not `Ok` or a call failed.
    pub device_access: Option<DeviceAccess>,
    /// The numbers of the driver's device nodes that exist for us (`/dev/nvidia3`); absent where they could not be listed.
    #[serde(default)]
    pub device_nodes: Option<Vec<u32>>,
    /// The version of the library, `12.570.86.15`.
    pub library_version: Option<String>,
    /// Readings per GPU, in the order of `view.gpus`.
    pub gpus: Vec<GpuReadings>,
    /// How long each C function took, where [`super::Ask::timings`] asked for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub calls: Vec<CallTime>,
}

/// The calls of one C function within one sample.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CallTime {
    /// The C function, `nvmlDeviceGetTotalEccErrors`.
    pub call: String,
    /// How many calls.
    pub count: u32,
    /// All of them together, in microseconds.
    pub total_us: u64,
    /// The longest, in microseconds.
    pub longest_us: u64,
}

/// Whether the device nodes of the driver can be opened by us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum DeviceAccess {
    /// All that exist.
    Granted,
    /// One exists and refuses us with EPERM or EACCES: our container lost its devices. Never the node's fault.
    Refused,
    /// There is none: no driver, or a container that was given none.
    Absent,
}

/// What was read of one GPU. A section that was not asked for is `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct GpuReadings {
    /// As sysfs writes it, `0000:18:00.0`; `index:3` for a GPU whose address the library does not give
    /// ([`NvmlGpu::target`](super::inventory::NvmlGpu::target)).
    pub pci: String,
    /// [`Section::Driver`]
    pub driver: Option<DriverReading>,
    /// [`Section::RecoveryAction`]: 0 None, 1 GPU reset, 2 node reboot, 3 drain P2P, 4 drain and reset, 5 recover IMEX
    /// domain (nvml.h, field 230). The inner `None`: not supported.
    pub recovery_action: Option<RecoveryReading>,
    /// [`Section::Ecc`]
    pub ecc: Option<EccReading>,
    /// [`Section::RowRemap`]
    pub row_remap: Option<RemapReading>,
    /// [`Section::Clocks`]
    pub clocks: Option<ClocksReading>,
    /// [`Section::Thermal`]
    pub thermal: Option<ThermalReading>,
    /// [`Section::Power`]
    pub power: Option<PowerReading>,
    /// [`Section::Pcie`]
    pub pcie: Option<PcieReading>,
    /// [`Section::Nvlink`]
    pub nvlink: Option<NvlinkReading>,
    /// [`Section::Fabric`]
    pub fabric: Option<FabricReading>,
    /// [`Section::Topology`]
    pub topology: Option<TopologyReading>,
}

/// Modes of one GPU.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DriverReading {
    /// Persistence mode.
    pub persistence: Option<bool>,
    /// MIG is on.
    pub mig: Option<bool>,
    /// Compute processes on the GPU at the moment.
    pub processes: Option<u32>,
    /// Where the GPU is in its rack, on platforms that tell (Blackwell and later).
    pub platform: Option<PlatformReading>,
    /// Seconds since the driver initialised the GPU; it begins at zero after a boot, a load of the driver and a reset
    /// (`nvmlDeviceGetGpuUptime_v1`, R620).
    pub uptime_seconds: Option<u64>,
}

impl DriverReading {
    /// The uptime, where it proves a reset: without persistence mode the driver initialises a GPU anew for each first
    /// program that opens it, which resets nothing.
    pub fn seconds_since_reset(&self) -> Option<u64> {
        self.uptime_seconds.filter(|_| self.persistence == Some(true))
    }
}

/// A GPU's place in its rack (`nvmlDeviceGetPlatformInfo`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PlatformReading {
    /// Serial number of the chassis.
    pub chassis_serial: Option<String>,
    /// Slot in the rack, switches included.
    pub slot: u32,
    /// Index of the compute tray.
    pub tray: u32,
    /// Index of the host within the slot.
    pub host: u32,
    /// Kind of NVLink peer: whether there is a switch.
    pub peer_type: u32,
    /// Number of the GPU within its host.
    pub module: u32,
}

/// Field 230.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RecoveryReading {
    /// The value.
    pub action: Option<u32>,
}

/// Clocks. Accumulated times are in nanoseconds since the driver was loaded.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ClocksReading {
    /// Clock event reasons, the bit mask of nvml.h (named in `judge::gpu::clocks::REASONS`).
    pub reasons: Option<u64>,
    /// Time in software thermal slowdown.
    pub sw_thermal_ns: Option<u64>,
    /// Time in hardware thermal slowdown.
    pub hw_thermal_ns: Option<u64>,
    /// Time in hardware power brake slowdown.
    pub power_brake_ns: Option<u64>,
    /// SM clock, in MHz.
    pub sm_mhz: Option<u32>,
    /// The highest SM clock, in MHz.
    pub max_sm_mhz: Option<u32>,
    /// Memory clock, in MHz.
    pub memory_mhz: Option<u32>,
    /// Share of time in which a kernel ran, in percent.
    pub utilization_percent: Option<u32>,
    /// Performance state, 0 (highest) to 15.
    pub performance_state: Option<u32>,
}

/// Temperatures, in degrees Celsius.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ThermalReading {
    /// GPU core.
    pub gpu_celsius: Option<i32>,
    /// Memory.
    pub memory_celsius: Option<i32>,
    /// The driver slows the GPU down from here on.
    pub slowdown_celsius: Option<i32>,
    /// The driver shuts the GPU down from here on.
    pub shutdown_celsius: Option<i32>,
    /// The highest temperature of the core at full speed.
    pub gpu_max_celsius: Option<i32>,
    /// The highest temperature of the memory at full speed.
    pub memory_max_celsius: Option<i32>,
    /// T.Limit: how far the GPU is from the nearest of its slowdown thresholds; below zero it is beyond that one
    /// (`nvmlDeviceGetMarginTemperature`).
    pub margin_celsius: Option<i32>,
    /// The margins at which something happens, where the driver gives these in place of temperatures.
    pub margin_limits: MarginLimits,
}

/// Values of T.Limit, in degrees Celsius (fields 193 to 196, Ada and later).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct MarginLimits {
    /// Beyond it the GPU may shut down (field 193).
    pub shutdown: Option<i32>,
    /// Beyond it the hardware may slow the GPU down (field 194).
    pub slowdown: Option<i32>,
    /// Beyond it the driver may slow the GPU down because of its memory (field 195).
    pub memory_max: Option<i32>,
    /// Beyond it the GPU may run below its base clock (field 196).
    pub gpu_max: Option<i32>,
}

/// Power, in milliwatts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PowerReading {
    /// Draw.
    pub draw_milliwatts: Option<u64>,
    /// The limit that somebody has set.
    pub limit_milliwatts: Option<u64>,
    /// The limit that is in force, the lowest of all.
    pub enforced_milliwatts: Option<u64>,
    /// The default limit.
    pub default_milliwatts: Option<u64>,
}

/// The PCIe link of a GPU as the library reports it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PcieReading {
    /// Generation at the moment; idle GPUs drop it.
    pub generation: Option<u32>,
    /// Lanes at the moment.
    pub width: Option<u32>,
    /// The highest generation of GPU and slot together.
    pub max_generation: Option<u32>,
    /// The highest width of GPU and slot together.
    pub max_width: Option<u32>,
    /// Replays since the driver was loaded.
    pub replays: Option<u64>,
}
