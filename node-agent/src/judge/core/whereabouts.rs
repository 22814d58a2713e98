//! Where the boards of the node are now, and which addresses are vacant.
//!
//! A finding about a GPU is about its board, and an address is only where that board stood. So:
//! - A board that the driver shows at another address takes its findings along, whatever check they are of: its own check
//!   judges them there. Moving lifts nothing; what a boot or a reset lifts, it lifts at the new address.
//! - A finding at an address where nothing stands is released once the node is complete without its board: as many boards
//!   as the profile declares are on PCI, and each was read. Absence alone releases nothing.
//! - A released finding comes back with its board, for as long as the agent runs.
//! - Where something stands, its own checks decide.

use super::expectation::Expectation;
use super::hardware::{Hardware, Role, addresses, role, vendor_name};
use crate::pci::PciAddress;
use crate::readings::inventory::{Accelerator, ConfigSpace, InventoryReport, NvmlView, Vendor};
use crate::readings::return_codes::Means;
use crds::node_health::Finding;
use std::collections::{BTreeMap, BTreeSet};

/// How a board is told from others.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Identity {
    uuid: Option<String>,
    serial: Option<String>,
}

/// Where the boards are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whereabouts {
    /// Addresses at which PCI or the driver shows an accelerator.
    present: BTreeSet<String>,
    /// The boards that the driver shows, by address.
    boards: BTreeMap<String, Identity>,
    /// As many boards as declared are on PCI, and each was read.
    is_complete: bool,
}

/// Where the board of a finding is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Where it was, or nobody knows.
    There,
    /// At this address.
    At(String),
    /// Not in this node.
    Gone,
}

impl Whereabouts {
    /// `None` while PCI cannot be read.
    pub fn of(expected: &Expectation<'_>, hardware: &Hardware) -> Option<Self> {
        let report = match hardware {
            Hardware::Seen(report) if report.pci_errors.is_empty() => report,
            Hardware::Seen(_) | Hardware::NotYet | Hardware::Unknown { .. } => return None,
        };
        let boards = boards(report);
        let is_complete = is_complete(expected, report, &boards);
        Some(Self { present: addresses(report), boards, is_complete })
    }

    /// Whether a target is a PCI address at which nothing stands.
    pub fn is_vacant(&self, target: &str) -> bool {
        target.parse::<PciAddress>().is_ok() && !self.present.contains(target)
    }

    /// Whether the driver shows a board there.
    pub(super) fn has_board(&self, address: &str) -> bool {
        self.boards.contains_key(address)
    }

    /// Whether the node has all its boards, so that nothing is missing at a vacant address.
    pub fn is_complete(&self) -> bool {
        self.is_complete
    }

    /// Where the board of a finding at this address is now. `was_board`: a board is known to have stood there.
    pub(super) fn place_of(&self, finding: &Finding, address: &str, was_board: bool) -> Place {
        if self.boards.get(address).is_some_and(|here| self.is_of(finding, here)) {
            return Place::There;
        }
        let is_named = finding.uuid.is_some() || finding.serial.is_some();
        match self.seen_at(finding) {
            Some(elsewhere) => Place::At(elsewhere.to_owned()),
            None if self.is_complete && self.is_vacant(address) && (is_named || was_board) => Place::Gone,
            None => Place::There,
        }
    }

    /// The one address at which the board of a finding is. A driver that shows it twice proves nothing.
    pub(super) fn seen_at(&self, finding: &Finding) -> Option<&str> {
        let mut seen = self.boards.iter().filter(|(_, board)| self.is_of(finding, board)).map(|(at, _)| at.as_str());
        let first = seen.next()?;
        seen.next().is_none().then_some(first)
    }

    /// Whether a finding is about this board. The GPUs of one board may share its serial number, so that it counts alone
    /// only where no other GPU has it.
    fn is_of(&self, finding: &Finding, board: &Identity) -> bool {
        let same = |one: &Option<String>, other: &Option<String>| {
            one.as_ref().zip(other.as_ref()).map(|(one, other)| one == other)
        };
        match (same(&finding.uuid, &board.uuid), same(&finding.serial, &board.serial)) {
            (Some(uuid), serial) => uuid && serial != Some(false),
            (None, Some(true)) => self.boards.values().filter(|other| other.serial == board.serial).count() == 1,
            (None, Some(false) | None) => false,
        }
    }
}

/// The address in a target: of a GPU, or of one of its links (`0000:18:00.0/link3`).
pub(super) fn address_in(target: &str) -> Option<&str> {
    let address = target.split('/').next().unwrap_or(target);
    address.parse::<PciAddress>().is_ok().then_some(address)
}

fn boards(report: &InventoryReport) -> BTreeMap<String, Identity> {
    let named = report.nvml.gpus.iter().filter(|gpu| gpu.uuid.is_some() || gpu.serial.is_some());
    let at = named.filter_map(|gpu| {
        let address = gpu.pci.clone().filter(|text| text.parse::<PciAddress>().is_ok())?;
        Some((address, Identity { uuid: gpu.uuid.clone(), serial: gpu.serial.clone() }))
    });
    at.collect()
}

/// Whether as many boards as the profile declares are on PCI and each of them was read. What the driver shows beside PCI,
/// and what is bound to another driver, proves nothing.
fn is_complete(expected: &Expectation<'_>, report: &InventoryReport, boards: &BTreeMap<String, Identity>) -> bool {
    let Some((gpus, wanted)) = expected.declared_gpus().filter(|(_, wanted)| *wanted > 0) else { return false };
    let answers = reads_all(&report.nvml);
    let is_read = |gpu: &&Accelerator| match gpu.vendor {
        Vendor::Nvidia => {
            answers
                && gpu.config_space != ConfigSpace::AllOnes
                && boards.contains_key(&gpu.address)
                && role(gpu, &report.pci, &report.nvml) == Role::Accelerator
        }
        Vendor::Amd => gpu.config_space == ConfigSpace::Answers,
    };
    let is_bound =
        |gpu: &&Accelerator| gpus.kernel_driver.as_deref().is_none_or(|driver| gpu.driver.as_deref() == Some(driver));
    let count = |vendor: Vendor| {
        report.pci.iter().filter(|gpu| gpu.vendor == vendor).filter(is_bound).filter(is_read).count() >= wanted
    };
    let is_declared = |vendor: Vendor| gpus.vendor.as_deref().is_none_or(|name| name == vendor_name(vendor));
    [Vendor::Nvidia, Vendor::Amd].into_iter().any(|vendor| is_declared(vendor) && count(vendor))
}

/// Whether the library gave a handle for every GPU that it counts, and reports none as lost.
fn reads_all(view: &NvmlView) -> bool {
    let counted = view.count.and_then(|count| usize::try_from(count).ok());
    view.status == NvmlView::OK
        && counted == Some(view.gpus.len())
        && view.errors.iter().all(|error| !error.is_of_handle() && error.means() != Means::Lost)
}

#[cfg(test)]
mod tests;
