//! The two views of one inventory, PCI and the driver, side by side.

use super::rules::RULES;
use crate::judge::core::hardware::{NVIDIA_DRIVER, Role, addresses, driver_addresses, role, vendor_name};
use crate::judge::core::rule;
use crate::judge::{Found, Ground, Judged};
use crate::pci::PciAddress;
use crate::readings::inventory::{Accelerator, ConfigSpace, InventoryReport, NvmlError, NvmlView, Vendor};
use crate::readings::return_codes::Means;
use crds::names::TARGET_NODE;
use crds::reason;
use std::collections::BTreeSet;

/// What the two views show.
pub(super) struct View<'a> {
    pub(super) pci: &'a [Accelerator],
    pub(super) nvml: &'a NvmlView,
    /// Every accelerator that either view shows.
    pub(super) present: BTreeSet<String>,
    in_driver: BTreeSet<&'a str>,
    /// What the driver gave as a GPU's address but is not a valid one.
    no_addresses: Vec<&'a str>,
    /// GPUs that the driver shows without a valid address.
    nameless: usize,
}

/// GPUs that PCI shows and the driver gave no reading of, although nothing is wrong with them as far as is known.
#[derive(Default)]
pub(super) struct Unread {
    pub(super) addresses: Vec<String>,
    /// Why, as sentences.
    pub(super) why: Vec<String>,
}

impl<'a> View<'a> {
    pub(super) fn of(report: &'a InventoryReport) -> Self {
        let reported = report.nvml.gpus.iter().filter_map(|gpu| gpu.pci.as_deref());
        let (named, no_addresses): (Vec<&str>, Vec<&str>) =
            reported.partition(|text| text.parse::<PciAddress>().is_ok());
        let nameless = report.nvml.gpus.len() - named.len();
        let (in_driver, present) = (driver_addresses(report), addresses(report));
        Self { pci: &report.pci, nvml: &report.nvml, present, in_driver, no_addresses, nameless }
    }

    /// How many accelerators there are for sure, and how many there may be: of the vendor, or of the one with the most; leaving
    /// out those bound to another kernel driver than `bound_to`, where the profile names one.
    pub(super) fn count(&self, vendor: Option<&str>, bound_to: Option<&str>) -> (usize, usize) {
        let vendors = [Vendor::Nvidia, Vendor::Amd].into_iter();
        let counts = vendors.filter(|made_by| vendor.is_none_or(|vendor| vendor == vendor_name(*made_by)));
        let counts = counts.map(|made_by| self.count_of(made_by, bound_to));
        counts.fold((0, 0), |(sure, possible), (s, p)| (sure.max(s), possible.max(p)))
    }

    fn count_of(&self, vendor: Vendor, bound_to: Option<&str>) -> (usize, usize) {
        let is_bound = |gpu: &&Accelerator| bound_to.is_none_or(|driver| gpu.driver.as_deref() == Some(driver));
        let of_vendor = self.pci.iter().filter(|gpu| gpu.vendor == vendor).filter(is_bound);
        let roles = of_vendor.map(|gpu| role(gpu, self.pci, self.nvml));
        let beside = if vendor == Vendor::Nvidia { self.only_in_driver().count() } else { 0 };
        roles.fold((beside, beside), |(sure, possible), role| match role {
            Role::Accelerator => (sure + 1, possible + 1),
            Role::Unclear => (sure, possible + 1),
            Role::Display => (sure, possible),
        })
    }

    fn nvidia_on_pci(&self) -> impl Iterator<Item = &'a Accelerator> {
        self.pci.iter().filter(|gpu| gpu.vendor == Vendor::Nvidia)
    }

    /// Whether sysfs shows which kernel drivers are bound. A copy of a tree may have no such links.
    fn shows_drivers(&self) -> bool {
        self.nvidia_on_pci().any(|gpu| gpu.driver.is_some())
    }

    /// Whether NVIDIA's driver should show the GPU: one that is bound to vfio-pci or to nothing it cannot show.
    fn is_for_the_driver(&self, gpu: &Accelerator) -> bool {
        gpu.driver.as_deref() == Some(NVIDIA_DRIVER) || !self.shows_drivers()
    }

    fn only_in_driver(&self) -> impl Iterator<Item = &'a str> + '_ {
        let on_pci: BTreeSet<&str> = self.pci.iter().map(|gpu| gpu.address.as_str()).collect();
        self.in_driver.iter().copied().filter(move |address| !on_pci.contains(address))
    }

    /// Whether the library knows of GPUs, whatever PCI shows.
    pub(super) fn library_counts_some(&self) -> bool {
        self.nvml.count.is_some_and(|count| count > 0) || self.errors(Means::Lost).next().is_some()
    }

    fn errors(&self, means: Means) -> impl Iterator<Item = &'a NvmlError> {
        self.nvml.errors.iter().filter(move |error| error.means() == means)
    }

    /// Why the library's view is not about the NVIDIA GPUs on PCI, if it is not.
    pub(super) fn library_silent(&self, ground: &Ground<'_>) -> Option<Judged> {
        self.nvidia_on_pci().next()?;
        match &ground.readings.trouble {
            Some(trouble) => Some(Judged::unknown(&trouble.reason, trouble.message.clone())),
            None => ground.silent(self.nvml),
        }
    }

    /// GPUs without a handle, of which the address is known from an earlier answer.
    fn unread_at(&self) -> Vec<(&'a str, &'a NvmlError)> {
        let of_handle = self.nvml.errors.iter().filter(|error| error.is_of_handle() && counts_as_there(error.means()));
        of_handle.filter_map(|error| Some((error.pci.as_deref()?, error))).collect()
    }

    /// How many GPUs the library counts that it gave no handle for, and of which nothing else is known.
    fn unread_somewhere(&self) -> usize {
        let counted = self.nvml.count.map_or(0, |count| usize::try_from(count).unwrap_or(usize::MAX));
        let lost = self.errors(Means::Lost).filter(|error| error.is_of_handle()).count();
        counted.saturating_sub(self.nvml.gpus.len()).saturating_sub(lost).saturating_sub(self.unread_at().len())
    }

    fn lost_at(&self) -> BTreeSet<&'a str> {
        self.errors(Means::Lost).filter_map(|error| error.pci.as_deref()).collect()
    }

    fn lost_somewhere(&self) -> usize {
        let lost = self.errors(Means::Lost).filter(|error| error.pci.is_none());
        lost.map(|error| error.index).collect::<BTreeSet<_>>().len()
    }

    /// GPUs that the driver should show and does not, and of which nothing else is known.
    fn absent(&self) -> Vec<&'a str> {
        let (lost, unread) = (self.lost_at(), self.unread_at());
        self.nvidia_on_pci()
            .filter(|gpu| self.is_for_the_driver(gpu))
            .map(|gpu| gpu.address.as_str())
            .filter(|address| !self.in_driver.contains(address) && !lost.contains(address))
            .filter(|address| unread.iter().all(|(known, _)| known != address))
            .collect()
    }

    /// GPUs that the driver on the host has and our container does not show: their device node is missing here, or their
    /// entry in procfs, which every GPU that is bound to the driver has.
    pub(super) fn hidden(&self, ground: &Ground<'_>) -> Vec<&'a str> {
        let minors = ground.readings.tree().and_then(|tree| tree.minors.as_ref());
        let (Some(minors), Some(nodes)) = (minors, &ground.readings.device_nodes) else { return Vec::new() };
        let is_hidden = |address: &&str| minors.get(*address).is_none_or(|minor| !nodes.contains(minor));
        self.absent().into_iter().filter(is_hidden).collect()
    }

    /// What was not read, and why. `hidden` has the GPUs whose device node is missing here.
    pub(super) fn unread(&self, hidden: &[&str]) -> Unread {
        let mut unread = Unread::default();
        for (address, error) in self.unread_at() {
            unread.add(address, format!("GPU {address} was not read: {}", error.in_words()));
        }
        let absent: Vec<&str> = self.absent().into_iter().filter(|address| !hidden.contains(address)).collect();
        if self.nameless + self.unread_somewhere() > 0 {
            let said = self.nvml.errors.iter().find(|error| error.is_of_handle() && error.pci.is_none());
            let said = said.map_or_else(|| "the library gives no address for a GPU".to_owned(), NvmlError::in_words);
            for address in absent {
                unread.add(address, format!("GPU {address} may not have been read: {said}"));
            }
        }
        let elsewhere = self.nvidia_on_pci().filter(|gpu| !self.is_for_the_driver(gpu));
        for gpu in elsewhere.filter(|gpu| !self.in_driver.contains(gpu.address.as_str())) {
            let address = gpu.address.as_str();
            if let Some(driver) = &gpu.driver {
                unread.add(address, format!("GPU {address} is bound to {driver}"));
            }
        }
        unread
    }

    /// GPUs that are lost, dead on the bus, or shown by one view only.
    pub(super) fn not_well(&self, hidden: &[&str]) -> Vec<Found> {
        let mut all = Vec::new();
        for address in self.lost_at() {
            all.push(found(reason::GPU_LOST, address, format!("the driver reports GPU {address} as lost")));
        }
        all.extend(self.not_in_driver(hidden));
        for gpu in self.pci.iter().filter(|gpu| gpu.config_space == ConfigSpace::AllOnes) {
            all.push(found(
                reason::GPU_LOST,
                &gpu.address,
                format!("GPU {} does not answer on the bus: its configuration space reads all ones", gpu.address),
            ));
        }
        for gpu in self.nvidia_on_pci().filter(|gpu| gpu.driver.is_none() && !self.is_for_the_driver(gpu)) {
            let message = format!("GPU {} is bound to no kernel driver", gpu.address);
            all.push(found(reason::NO_KERNEL_DRIVER, &gpu.address, message));
        }
        for address in self.only_in_driver() {
            all.push(found(reason::NOT_ON_PCI, address, format!("GPU {address} is in the driver but not on PCI")));
        }
        if let Some(text) = self.no_addresses.first() {
            let message = format!("the driver shows a GPU at `{text}`, which is not a PCI address");
            all.push(found(reason::NOT_ON_PCI, TARGET_NODE, message));
        }
        all
    }

    /// Absent GPUs, unless as many were counted without being read: then those are the absent ones.
    fn not_in_driver(&self, hidden: &[&str]) -> Vec<Found> {
        let absent: Vec<&str> = self.absent().into_iter().filter(|address| !hidden.contains(address)).collect();
        let lost = self.lost_somewhere();
        let unknown = self.nameless + self.unread_somewhere();
        // A lost GPU may no longer have an address: it is then one of those that the driver does not show.
        if !absent.is_empty() && lost >= absent.len() {
            let message = |address| format!("the driver reports GPU {address} as lost");
            return absent.iter().map(|address| found(reason::GPU_LOST, address, message(address))).collect();
        }
        let mut all = Vec::new();
        if unknown == 0 {
            let message = |address| format!("GPU {address} is on PCI but not in the driver");
            all.extend(absent.iter().map(|address| found(reason::NOT_IN_DRIVER, address, message(address))));
        } else if let Some(gone) = absent.len().checked_sub(unknown + lost).filter(|gone| *gone > 0) {
            let message = format!("{gone} of these GPUs are on PCI but not in the driver: {}", absent.join(" "));
            all.push(found(reason::NOT_IN_DRIVER, TARGET_NODE, message));
        }
        if lost > 0 && (absent.is_empty() || unknown > 0) {
            let message = format!("the driver reports {lost} GPU(s) without an address as lost");
            all.push(found(reason::GPU_LOST, TARGET_NODE, message));
        }
        all
    }
}

impl Unread {
    pub(super) fn add(&mut self, address: &str, why: String) {
        self.addresses.push(address.to_owned());
        self.why.push(why);
    }
}

pub(super) fn found(reason: &str, target: &str, message: String) -> Found {
    rule::found(RULES, reason, target, message, String::new())
}

/// Whether a GPU without a handle is there all the same: the library counts it.
fn counts_as_there(means: Means) -> bool {
    match means {
        Means::Lost | Means::Hole => false,
        Means::ResetRequired
        | Means::CorruptedInforom
        | Means::Trouble
        | Means::NotLoaded
        | Means::Mismatch
        | Means::Absent
        | Means::Withheld
        | Means::Unclear => true,
    }
}
