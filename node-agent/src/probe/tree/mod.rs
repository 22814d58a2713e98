//! `probe tree`: sysfs and procfs, without any driver library: PCI, NICs, RDMA ports, EFA, device topology.
//!
//! Only reads; never opens a device node and never calls a driver library, so it still works when the driver hangs.
//! What must stay true: no file, link or folder in the tree makes it wait, leave the tree or fail; lists are bounded; a
//! value that could not be read is absent and listed as an error, never 0.

mod bus;
mod efa_view;
mod nvidia_proc;
mod rdma;
mod root;
#[cfg(test)]
mod tests;
pub mod values;

use std::path::PathBuf;
use std::process::ExitCode;

#[cfg(test)]
use proptest::prelude::*;
use serde::Serialize;

use super::places::{Machine, Places};
use super::start::{Nothing, Probe, print};
use crate::readings::TreeReport;
use root::Root;

/// The parameters of `probe tree`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, clap::Args)]
#[serde(rename_all = "camelCase")]
pub struct TreeParameters {
    /// Root of the tree that is `/sys` on a node.
    #[arg(long, default_value = "/sys")]
    pub sysfs_root: PathBuf,
    /// Root of the tree that is `/proc` on a node.
    #[arg(long, default_value = "/proc")]
    pub proc_root: PathBuf,
}

impl Probe for TreeParameters {
    type Asked = Nothing;
    type Report = TreeReport;

    const NAME: &'static str = "tree";
    const OF_THE_RUNNER: &'static [&'static str] = &["sysfsRoot", "procRoot"];

    fn at(places: &Places, Nothing {}: Nothing) -> Self {
        let Machine { sysfs_root, proc_root, .. } = places.machine.clone();
        Self { sysfs_root, proc_root }
    }

    fn run(self) -> ExitCode {
        print::<Self>(measure(&self))
    }

    #[cfg(test)]
    fn any() -> BoxedStrategy<Nothing> {
        Just(Nothing {}).boxed()
    }
}

/// Reads both trees. Never waits and never fails: what could not be read is listed in the report.
fn measure(args: &TreeParameters) -> TreeReport {
    let (sysfs, proc) = (Root::new(&args.sysfs_root), Root::new(&args.proc_root));
    let mut view = bus::read(&sysfs);
    let mut errors = Vec::new();
    if view.nics_left_out > 0 {
        errors.push(format!("{} more network cards than are read", view.nics_left_out));
    }
    let (rdma, rdma_left_out) = rdma::ports(&sysfs, &view.nics, &mut errors);
    let efa = efa_view::read(&sysfs, &proc, &view.nics, &rdma, &mut errors);
    errors.truncate(bus::MAX_ERRORS);
    view.errors.truncate(bus::MAX_ERRORS);
    TreeReport {
        pci: view.accelerators,
        nics: view.nics,
        pci_errors: view.errors,
        links: view.links,
        rdma,
        rdma_left_out,
        rdma_is_exclusive: rdma::is_exclusive(&sysfs),
        errors,
        efa,
        bridges: view.bridges,
        minors: nvidia_proc::minors(&proc),
        module_version: sysfs.read("module/nvidia/version", values::word),
    }
}
