//! The state file.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

/// Names the state file.
const VARIABLE: &str = "SIMULATED_NVML_STATE";

/// The simulated machine.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct State {
    #[serde(default = "driver")]
    pub(crate) driver: String,
    #[serde(default = "nvml")]
    pub(crate) nvml: String,
    /// Faults by C function.
    #[serde(default)]
    pub(crate) calls: BTreeMap<String, Fault>,
    #[serde(default)]
    pub(crate) gpus: Vec<Gpu>,
}

/// One simulated GPU.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Gpu {
    #[serde(default = "name")]
    pub(crate) name: String,
    pub(crate) uuid: Option<String>,
    pub(crate) serial: Option<String>,
    /// `domain:bus:device.function`, hexadecimal.
    pub(crate) pci: String,
    /// Device id in the upper, vendor id in the lower 16 bits.
    #[serde(default = "pci_device_id")]
    pub(crate) pci_device_id: u32,
    #[serde(default = "vbios")]
    pub(crate) vbios: String,
    #[serde(default = "memory_mib")]
    pub(crate) memory_mib: u64,
    #[serde(default)]
    pub(crate) memory_used_mib: u64,
    /// The index gives no handle, and the library does not count it.
    #[serde(default)]
    pub(crate) hole: bool,
    /// Faults by C function.
    #[serde(default)]
    pub(crate) calls: BTreeMap<String, Fault>,
    /// What every call about this GPU does.
    pub(crate) fault: Option<Fault>,
}

/// What a call does instead of its work.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Fault {
    Return(u32),
    Hang,
    Abort,
    Segfault,
}

// An H100 SXM5, as nvidia-smi and nvml.h show it.
fn driver() -> String {
    "570.86.15".to_owned()
}
fn nvml() -> String {
    "12.570.86.15".to_owned()
}
fn name() -> String {
    "NVIDIA H100 80GB HBM3".to_owned()
}
fn pci_device_id() -> u32 {
    0x2330_10de
}
fn vbios() -> String {
    "96.00.74.00.01".to_owned()
}
fn memory_mib() -> u64 {
    81_559
}

impl State {
    /// Reads the file, or says why not.
    pub(crate) fn read() -> Result<Self, String> {
        let path: PathBuf = std::env::var_os(VARIABLE).ok_or_else(|| format!("{VARIABLE} is not set"))?.into();
        let text = std::fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        serde_json::from_slice(&text).map_err(|error| format!("{}: {error}", path.display()))
    }
}
