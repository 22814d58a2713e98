//! What sysfs and procfs show. Nothing here is judged; what could not be read is absent and named in `errors`.

use super::inventory::{Accelerator, Nic};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The report of `probe tree`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TreeReport {
    /// Accelerators on PCI, by address.
    pub pci: Vec<Accelerator>,
    /// Network cards on PCI, by address, without virtual functions.
    pub nics: Vec<Nic>,
    /// Parts of the PCI tree that could not be read, as sentences, at most 16. With any, counts of PCI prove nothing.
    pub pci_errors: Vec<String>,
    /// The PCIe link of each accelerator, by its address.
    pub links: BTreeMap<String, PciLink>,
    /// Each RDMA port, those of physical devices first.
    pub rdma: Vec<RdmaPort>,
    /// How many RDMA ports are there and were not read.
    pub rdma_left_out: RdmaLeftOut,
    /// Whether an RDMA device is seen only in the network namespace that it was given to, and ours may lack some. Absent
    /// where the kernel does not say.
    pub rdma_is_exclusive: Option<bool>,
    /// Other parts that could not be read, as sentences, at most 16.
    pub errors: Vec<String>,
    /// EFA.
    pub efa: EfaView,
    /// The version of NVIDIA's kernel module, `570.86.15`, while it is loaded (`module/nvidia/version`).
    pub module_version: Option<String>,
    /// The device minors of the GPUs that NVIDIA's driver knows, by PCI address (`driver/nvidia/gpus/*/information` of
    /// procfs). Absent where there is no such folder. A container runtime may show a part of it only.
    pub minors: Option<BTreeMap<String, u32>>,
    /// For each accelerator and each RDMA device's PCI address: the bridges above it, from the root down.
    pub bridges: BTreeMap<String, Vec<String>>,
}

/// `current_link_*`, `max_link_*` and `aer_dev_*` of a PCI device (Documentation/ABI/testing/sysfs-bus-pci).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PciLink {
    /// Generation, from the speed (2.5 GT/s is 1, 64 GT/s is 6).
    pub generation: Option<u32>,
    /// Lanes.
    pub width: Option<u32>,
    /// The highest generation of the device.
    pub max_generation: Option<u32>,
    /// The most lanes of the device.
    pub max_width: Option<u32>,
    /// AER: `TOTAL_ERR_COR` since the device was found.
    pub aer_correctable: Option<u64>,
    /// AER: `TOTAL_ERR_NONFATAL`.
    pub aer_nonfatal: Option<u64>,
    /// AER: `TOTAL_ERR_FATAL`.
    pub aer_fatal: Option<u64>,
}

/// RDMA ports beyond those that are read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RdmaLeftOut {
    /// Of physical devices.
    pub physical: usize,
    /// Of virtual ones.
    pub other: usize,
}

/// One port of an RDMA device (Documentation/ABI/stable/sysfs-class-infiniband).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RdmaPort {
    /// `mlx5_0/1`: what findings and the profile's `ports` name.
    pub name: String,
    /// The device, `mlx5_0`.
    pub device: String,
    /// The PCI address of the device.
    pub pci: Option<String>,
    /// The device is no hardware of its own: a virtual function, a scalable function, or software on top of a network
    /// interface.
    pub is_virtual: bool,
    /// It is an Elastic Fabric Adapter (PCI 1d0f:efa0 to efa3, or driver `efa`): its state proves nothing.
    pub efa: bool,
    /// `InfiniBand`, `Ethernet`, `Unspecified`.
    pub link_layer: Option<String>,
    /// The number of `state`: 1 DOWN, 2 INIT, 3 ARMED, 4 ACTIVE, 5 ACTIVE_DEFER.
    pub state: Option<u32>,
    /// The number of `phys_state`: 2 Polling, 3 Disabled, 5 LinkUp, 6 LinkErrorRecovery.
    pub phys_state: Option<u32>,
    /// The rate, in gigabits per second, rounded down.
    pub rate_gbps: Option<u32>,
    /// The network interface, where the device carries one.
    pub interface: Option<String>,
    /// Files of `counters` and `hw_counters` by name, as far as they are numbers and errors (not traffic); at most 24.
    pub counters: BTreeMap<String, u64>,
}

/// EFA as the kernel shows it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EfaView {
    /// EFA functions on PCI, by address.
    pub pci: Vec<String>,
    /// RDMA devices that are EFA, by name.
    pub rdma: Vec<String>,
    /// `uverbs*` below `class/infiniband_verbs` whose device is EFA.
    pub uverbs: Vec<String>,
    /// Which of the modules `efa`, `ib_uverbs`, `ib_core` are loaded (or built in); empty where `module` cannot be read.
    pub modules: BTreeMap<String, bool>,
    /// The soft limit of locked memory, in KiB, of the agent's own process: what the container runtime gives to a pod, or the login
    /// to a program. Absent where it is unlimited or unknown.
    pub memlock_kib: Option<u64>,
}
