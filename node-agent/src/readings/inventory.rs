//! Which accelerators and network cards a node has: on PCI by sysfs (`probe tree`), and by the driver's library
//! (`probe sampler`).
//!
//! The two views are reported side by side and not compared here: a GPU that PCI shows and NVML does not is for the judge.
//! Each view says whether it could be read, so that "none" is never mistaken for "unknown".

use crate::pci::PciAddress;
use crate::text::{EVIDENCE_CHARS, bounded};
use serde::{Deserialize, Serialize};

/// What a node has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InventoryReport {
    /// Accelerators on PCI, by address.
    pub pci: Vec<Accelerator>,
    /// Network cards on PCI, by address, without virtual functions.
    pub nics: Vec<Nic>,
    /// Parts of the PCI tree that could not be read, as sentences, at most 16. With any, counts of PCI prove nothing.
    pub pci_errors: Vec<String>,
    /// The driver's own view.
    pub nvml: NvmlView,
}

/// Who makes accelerators that we know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Vendor {
    /// NVIDIA
    Nvidia,
    /// AMD
    Amd,
}

/// The PCI class of a VGA controller: NVIDIA's GPUs with a display output, and its display cards.
pub const DISPLAY_CLASS: u16 = 0x0300;

/// Whether the device answers on the bus.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ConfigSpace {
    /// Its vendor id can be read.
    Answers,
    /// All ones: nothing answers at that address any more, the device fell off the bus.
    AllOnes,
    /// We could not read it.
    Unreadable,
}

/// An accelerator on PCI.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Accelerator {
    /// As sysfs writes it: `0000:18:00.0`.
    pub address: String,
    /// Who made it.
    pub vendor: Vendor,
    /// PCI device id.
    pub device: u16,
    /// PCI class: base class and subclass, such as 0x0302.
    pub class: u16,
    /// NUMA node; absent if the platform reports none.
    pub numa_node: Option<u32>,
    /// The kernel driver that is bound.
    pub driver: Option<String>,
    /// The physical slot, if the platform reports it.
    pub slot: Option<String>,
    /// Whether it answers.
    pub config_space: ConfigSpace,
}

/// A network card on PCI.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Nic {
    /// As sysfs writes it.
    pub address: String,
    /// PCI vendor id.
    pub vendor: u16,
    /// PCI device id.
    pub device: u16,
    /// NUMA node; absent if the platform reports none.
    pub numa_node: Option<u32>,
    /// The kernel driver that is bound.
    pub driver: Option<String>,
    /// RDMA devices that it carries, `mlx5_0`, in order.
    pub rdma_devices: Vec<String>,
    /// Network interfaces that it carries, `eth0`, in order.
    pub interfaces: Vec<String>,
}

/// What the library answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NvmlView {
    /// `Ok`, or the kind of the error that kept us from asking for GPUs: `LibraryNotFound`, `DriverNotLoaded`,
    /// `LibRmVersionMismatch`, …, `Unknown(CODE)` for a code that has no name here.
    pub status: String,
    /// What the library or the loader said, where the status is not `Ok`.
    pub message: Option<String>,
    /// Version of the driver.
    pub driver: Option<String>,
    /// How many GPUs the library counts. Those that it then gives no handle for are among `errors`.
    pub count: Option<u32>,
    /// GPUs that have a handle, by index.
    pub gpus: Vec<NvmlGpu>,
    /// Failed calls whose error says something about a GPU.
    pub errors: Vec<NvmlError>,
}

/// A GPU that the library gives a handle for. Each field is absent where its call failed or is not supported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NvmlGpu {
    /// The library's index. Not stable over reboots, and it may have holes.
    pub index: u32,
    /// PCI address as sysfs writes it.
    pub pci: Option<String>,
    /// `GPU-…`
    pub uuid: Option<String>,
    /// The board's serial number.
    pub serial: Option<String>,
    /// Model.
    pub name: Option<String>,
    /// Version of the VBIOS.
    pub vbios: Option<String>,
    /// Memory, in MiB, rounded down.
    pub memory_mib: Option<u64>,
}

/// A call that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NvmlError {
    /// The GPU's index; absent where the call was not about one.
    pub index: Option<u32>,
    /// The GPU's PCI address, if the library still reported it.
    pub pci: Option<String>,
    /// The call, without its prefix: `DeviceGetUUID`.
    pub call: String,
    /// As in `status`.
    pub kind: String,
}

impl NvmlError {
    /// The GPU's address, if it is a valid one.
    pub fn address(&self) -> Option<String> {
        self.pci.clone().filter(|text| text.parse::<PciAddress>().is_ok())
    }
}

impl NvmlGpu {
    /// What findings about this GPU name: its PCI address or, if the library gives none, its index.
    pub fn target(&self) -> String {
        let address = self.pci.as_ref().filter(|text| text.parse::<PciAddress>().is_ok());
        address.cloned().unwrap_or_else(|| format!("index:{}", self.index))
    }
}

impl NvmlView {
    /// `status` of a library that answered.
    pub const OK: &str = "Ok";

    /// A library that answered and has said nothing yet.
    pub(crate) fn empty() -> Self {
        Self {
            status: Self::OK.to_owned(),
            message: None,
            driver: None,
            count: None,
            gpus: Vec::new(),
            errors: Vec::new(),
        }
    }

    /// A library that could not be asked for its GPUs.
    pub(crate) fn fail(&mut self, kind: String, message: &str) {
        self.status = kind;
        self.message = Some(bounded(message, EVIDENCE_CHARS));
    }
}
