//! `probe inventory`: which accelerators and network cards are there, by PCI and by the driver's library.
//!
//! The two views are reported side by side and not compared here: a GPU that PCI sees and NVML does not is the judge's
//! business. Each view says by itself whether it could be read, so that "none" is never mistaken for "not seen".

mod nvml;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::tree::pci;
use super::tree::root::Root;

pub use super::tree::pci::{Accelerator, ConfigSpace, Nic, Vendor};
pub use nvml::{NvmlError, NvmlGpu, NvmlView};

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
    let view = pci::read(&Root::new(&args.sysfs_root));
    InventoryReport {
        pci: view.accelerators,
        nics: view.nics,
        pci_errors: view.errors,
        nvml: nvml::read_library(&args.nvml_library),
    }
}
