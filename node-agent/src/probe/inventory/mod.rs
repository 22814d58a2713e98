//! Which accelerators and network cards are there, by PCI (`probe tree`) and by the driver's library (`probe sampler`).
//!
//! The two views are reported side by side and not compared here: a GPU that PCI sees and NVML does not is the judge's
//! business. Each view says by itself whether it could be read, so that "none" is never mistaken for "not seen".

mod nvml;

use serde::{Deserialize, Serialize};

pub use super::tree::pci::{Accelerator, ConfigSpace, Nic, Vendor};
pub use nvml::{NvmlError, NvmlGpu, NvmlView};
pub(crate) use nvml::{is_absence, is_hole, kind_of};

/// What a node has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InventoryReport {
    /// Accelerators on PCI, by address.
    pub pci: Vec<Accelerator>,
    /// Network cards on PCI, by address.
    pub nics: Vec<Nic>,
    /// What of the PCI tree could not be read, as sentences, at most 16. With any, counts of PCI prove nothing.
    pub pci_errors: Vec<String>,
    /// The driver's own view.
    pub nvml: NvmlView,
}
