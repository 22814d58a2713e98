//! Accelerators and network cards in the PCI tree of sysfs, their links and the bridges above them.

use std::collections::BTreeMap;
use std::io::ErrorKind;

use super::root::{Place, Root};
use super::values;
use crate::pci::PciAddress;
use crate::readings::inventory::{Accelerator, ConfigSpace, DISPLAY_CLASS, Nic, Vendor};
use crate::readings::sysfs::PciLink;
use crate::text::{EVIDENCE_CHARS, bounded};

/// The most errors that are listed.
pub(super) const MAX_ERRORS: usize = 16;
/// Four times the largest node that is built.
pub(super) const MAX_ACCELERATORS: usize = 64;
/// Physical ones; the largest nodes have 40.
const MAX_NICS: usize = 256;
/// No machine has this many bridges between root and device.
const MAX_BRIDGES: usize = 16;

/// PCI vendor, PCI classes (base class and subclass) of its accelerators. Source: the PCI code and id assignment
/// specification (0x0300 VGA, 0x0302 3D controller, 0x0380 other display, 0x1200 processing accelerator). NVIDIA's
/// data-centre GPUs are 0x0302, those with a display 0x0300, as are its display cards: which of the two it is, is judged.
/// AMD's Instinct are 0x0380, 0x0302 or 0x1200, and AMD's 0x0300 are the graphics of its CPUs.
const ACCELERATORS: &[(u16, Vendor, &[u16])] =
    &[(0x10de, Vendor::Nvidia, &[0x0302, DISPLAY_CLASS]), (0x1002, Vendor::Amd, &[0x0380, 0x0302, 0x1200])];

/// Ethernet and InfiniBand controllers, of any vendor. EFA is 0x0200.
const NIC_CLASSES: &[u16] = &[0x0200, 0x0207];

/// The content of the PCI tree.
#[derive(Default)]
pub(super) struct PciView {
    pub(super) accelerators: Vec<Accelerator>,
    pub(super) nics: Vec<Nic>,
    pub(super) errors: Vec<String>,
    pub(super) links: BTreeMap<String, PciLink>,
    pub(super) bridges: BTreeMap<String, Vec<String>>,
    /// How many network cards were left out.
    pub(super) nics_left_out: usize,
}

/// Reads `bus/pci`, and the names in `class/infiniband` where there is one.
pub(super) fn read(root: &Root) -> PciView {
    let mut view = PciView::default();
    let mut found: Vec<(PciAddress, String)> = match root.names(DEVICES) {
        Ok(names) => names.into_iter().filter_map(|name| Some((sysfs_address(&name)?, name))).collect(),
        Err(error) => {
            view.errors.push(format!("{}: {error}", root.shown(DEVICES)));
            Vec::new()
        }
    };
    found.sort();
    let reading = Reading { root, slots: slots(root), rdma: rdma_devices(root) };
    for (address, name) in found {
        let here = || root.place(format!("{DEVICES}/{name}"));
        let read = match here() {
            Ok(place) => reading.device(&place, address, &mut view),
            Err(error) => Err(error.to_string()),
        };
        // A device that disappeared after the listing is not an error.
        let gone = || here().is_err_and(|error| error.kind() == ErrorKind::NotFound);
        if let Err(error) = read
            && view.errors.len() < MAX_ERRORS
            && !gone()
        {
            view.errors.push(format!("{name}: {error}"));
        }
    }
    view
}

const DEVICES: &str = "bus/pci/devices";

/// What all devices need.
struct Reading<'a> {
    root: &'a Root,
    slots: BTreeMap<String, String>,
    rdma: BTreeMap<PciAddress, Vec<String>>,
}

impl Reading<'_> {
    fn device(&self, place: &Place, address: PciAddress, view: &mut PciView) -> Result<(), String> {
        // Six digits: base class, subclass, programming interface.
        let class = self.hexadecimal(place, "class")? >> 8;
        let class = u16::try_from(class).map_err(|error| format!("class: {error}"))?;
        let vendor = self.hexadecimal(place, "vendor")?;
        let is = |classes: &[u16]| classes.contains(&class);
        let maker = ACCELERATORS.iter().find(|(id, _, classes)| u32::from(*id) == vendor && is(classes));
        if let Some((_, maker, _)) = maker {
            // A virtual function (vGPU on SR-IOV) is a slice of a GPU that is itself listed.
            if !is_virtual_function(self.root, place) {
                self.accelerator(place, (address, class), *maker, view)?;
            }
        } else if is(NIC_CLASSES) {
            self.nic(place, address, view)?;
        }
        Ok(())
    }

    fn accelerator(
        &self,
        place: &Place,
        (address, class): (PciAddress, u16),
        vendor: Vendor,
        view: &mut PciView,
    ) -> Result<(), String> {
        if view.accelerators.len() == MAX_ACCELERATORS {
            return Err(format!("more than {MAX_ACCELERATORS} accelerators"));
        }
        let name = address.to_string();
        view.links.insert(name.clone(), link(self.root, place));
        view.bridges.insert(name.clone(), bridges_above(place));
        view.accelerators.push(Accelerator {
            vendor,
            device: self.sixteen_bits(place, "device")?,
            class,
            numa_node: self.root.read(place.join("numa_node"), values::numa_node),
            driver: self.driver(place),
            slot: self.slots.get(&slot_address(&name)).cloned(),
            config_space: self.config_space(place),
            address: name,
        });
        Ok(())
    }

    fn nic(&self, place: &Place, address: PciAddress, view: &mut PciView) -> Result<(), String> {
        // A virtual function is a part of a card that is itself listed, and a host may have hundreds of them.
        if is_virtual_function(self.root, place) {
            return Ok(());
        }
        if view.nics.len() == MAX_NICS {
            view.nics_left_out += 1;
            return Ok(());
        }
        let rdma_devices = self.rdma.get(&address).cloned().unwrap_or_default();
        if !rdma_devices.is_empty() {
            view.bridges.insert(address.to_string(), bridges_above(place));
        }
        view.nics.push(Nic {
            address: address.to_string(),
            vendor: self.sixteen_bits(place, "vendor")?,
            device: self.sixteen_bits(place, "device")?,
            numa_node: self.root.read(place.join("numa_node"), values::numa_node),
            driver: self.driver(place),
            rdma_devices,
            interfaces: self.root.names(place.join("net")).unwrap_or_default(),
        });
        Ok(())
    }

    /// The last part of the target of `driver`; the folder itself may be missing (a bundle without `bus/pci/drivers`).
    fn driver(&self, place: &Place) -> Option<String> {
        let target = self.root.link_target(place.join("driver")).ok()?;
        Some(target.file_name()?.to_str()?.to_owned())
    }

    fn config_space(&self, place: &Place) -> ConfigSpace {
        match self.root.first_bytes::<4>(place.join("config")) {
            Ok([0xff, 0xff, 0xff, 0xff]) => ConfigSpace::AllOnes,
            Ok(_) => ConfigSpace::Answers,
            Err(_) => ConfigSpace::Unreadable,
        }
    }

    fn hexadecimal(&self, place: &Place, file: &str) -> Result<u32, String> {
        let text = self.root.text(place.join(file)).map_err(|error| format!("{file}: {error}"))?;
        values::hexadecimal(&text)
            .ok_or_else(|| format!("{file}: no hexadecimal number: {}", bounded(text.trim(), EVIDENCE_CHARS)))
    }

    fn sixteen_bits(&self, place: &Place, file: &str) -> Result<u16, String> {
        u16::try_from(self.hexadecimal(place, file)?).map_err(|error| format!("{file}: {error}"))
    }
}

/// SR-IOV: a virtual function has a link to its physical one (Documentation/ABI/testing/sysfs-bus-pci, `physfn`).
pub(super) fn is_virtual_function(root: &Root, place: &Place) -> bool {
    root.link_target(place.join("physfn")).is_ok()
}

fn link(root: &Root, place: &Place) -> PciLink {
    let aer = |file: &str| root.read(place.join(file), values::aer_total);
    PciLink {
        generation: root.read(place.join("current_link_speed"), values::link_generation),
        width: root.read(place.join("current_link_width"), values::link_width),
        max_generation: root.read(place.join("max_link_speed"), values::link_generation),
        max_width: root.read(place.join("max_link_width"), values::link_width),
        aer_correctable: aer("aer_dev_correctable"),
        aer_nonfatal: aer("aer_dev_nonfatal"),
        aer_fatal: aer("aer_dev_fatal"),
    }
}

/// The bridges in the path of a device: `devices/pci0000:00/0000:00:01.0/0000:18:00.0` has one. A tree of plain folders
/// shows none.
fn bridges_above(place: &Place) -> Vec<String> {
    let mut above: Vec<String> =
        place.parts().filter(|part| sysfs_address(part).is_some()).map(str::to_owned).collect();
    above.pop();
    above.truncate(MAX_BRIDGES);
    above
}

/// A PCI address in exactly the form that sysfs writes.
fn sysfs_address(name: &str) -> Option<PciAddress> {
    name.parse::<PciAddress>().ok().filter(|address| address.to_string() == name)
}

/// `bus/pci/slots/NAME/address` holds an address without its function. Most platforms have none.
fn slots(root: &Root) -> BTreeMap<String, String> {
    let folder = "bus/pci/slots";
    let names = root.names(folder).unwrap_or_default();
    names
        .into_iter()
        .filter_map(|name| Some((root.read(format!("{folder}/{name}/address"), values::word)?, name)))
        .collect()
}

fn slot_address(address: &str) -> String {
    address.rsplit_once('.').map_or(address, |(device, _)| device).to_owned()
}

/// The PCI device that each RDMA device belongs to. No `class/infiniband`, no RDMA.
fn rdma_devices(root: &Root) -> BTreeMap<PciAddress, Vec<String>> {
    let mut by_address: BTreeMap<PciAddress, Vec<String>> = BTreeMap::new();
    for name in root.names("class/infiniband").unwrap_or_default() {
        if let Some(address) = rdma_address(root, &name) {
            by_address.entry(address).or_default().push(name);
        }
    }
    by_address
}

/// The PCI address of an RDMA device; software devices (rxe, siw) have none.
pub(super) fn rdma_address(root: &Root, device: &str) -> Option<PciAddress> {
    root.place(format!("class/infiniband/{device}/device")).ok()?.name().and_then(sysfs_address)
}
