//! Which target a message is about.

use crate::judge::core::Readings;
use crate::judge::core::hardware::NVIDIA_DRIVER;
use crate::kernel_messages::Place;
use crate::pci::PciAddress;
use crate::readings::TreeReport;
use crate::readings::inventory::{Accelerator, Vendor};
use crds::names::TARGET_NODE;

/// The target of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A GPU's address, or `node`.
    Is(String),
    /// No GPU: another device, or a port that does not lead to one GPU alone.
    NoGpu,
    /// The device tree has not been read yet.
    NotYet,
}

/// The target of a message. `known`: GPUs known before the first inventory of this process.
pub fn locate(place: Place, readings: &Readings, known: &[String]) -> Target {
    match place {
        Place::Gpu(pci) => Target::Is(pci.to_string()),
        Place::Node => Target::Is(TARGET_NODE.to_owned()),
        Place::Instance(_) => match readings.tree() {
            None => Target::NotYet,
            Some(tree) => Target::Is(only_gpu(tree).unwrap_or_else(|| TARGET_NODE.to_owned())),
        },
        Place::Device(pci) => device(pci, readings, known),
    }
}

/// The board whose function it is, or the one GPU behind it. Never another device behind the same port.
fn device(pci: PciAddress, readings: &Readings, known: &[String]) -> Target {
    let board = pci.device_address().to_string();
    if known.contains(&board) {
        return Target::Is(board);
    }
    let Some(tree) = readings.tree() else { return Target::NotYet };
    if gpus(tree).any(|gpu| gpu.address == board) {
        return Target::Is(board);
    }
    let port = pci.to_string();
    let mut behind = gpus(tree).filter(|gpu| tree.bridges.get(&gpu.address).is_some_and(|above| above.contains(&port)));
    match (behind.next(), behind.next()) {
        (Some(gpu), None) => Target::Is(gpu.address.clone()),
        (Some(_), Some(_)) | (None, _) => Target::NoGpu,
    }
}

fn only_gpu(tree: &TreeReport) -> Option<String> {
    let mut all = gpus(tree).filter(|gpu| gpu.driver.as_deref() == Some(NVIDIA_DRIVER));
    let first = all.next()?;
    (all.next().is_none() && tree.pci_errors.is_empty()).then(|| first.address.clone())
}

fn gpus(tree: &TreeReport) -> impl Iterator<Item = &Accelerator> {
    tree.pci.iter().filter(|gpu| gpu.vendor == Vendor::Nvidia)
}
