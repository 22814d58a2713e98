//! `probe inventory`: which accelerators and network cards are there, by PCI and by the driver's library.
//!
//! The two views are reported side by side and not compared here: a GPU that PCI sees and NVML does not is the judge's
//! business. Each view says by itself whether it could be read, so that "none" is never mistaken for "not seen".

mod nvml;
mod pci;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use nvml::{NvmlError, NvmlGpu, NvmlView};
pub use pci::{Accelerator, ConfigSpace, Nic, Vendor};

/// `probe inventory`
#[derive(Debug, Clone, clap::Args)]
pub struct InventoryArgs {
    /// Root of the tree that is `/sys` on a node.
    #[arg(long, default_value = "/sys")]
    pub sysfs_root: PathBuf,
    /// Name or path of the NVIDIA management library.
    #[arg(long, default_value = "libnvidia-ml.so.1")]
    pub nvml_library: PathBuf,
}

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

/// Reads the tree, then asks the library, which may hang: the runner's deadline is for that.
pub(super) fn measure(args: &InventoryArgs) -> InventoryReport {
    let pci::PciView { accelerators, nics, errors } = pci::read_tree(&args.sysfs_root);
    InventoryReport { pci: accelerators, nics, pci_errors: errors, nvml: nvml::read_library(&args.nvml_library) }
}
