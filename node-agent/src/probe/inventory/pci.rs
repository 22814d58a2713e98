//! Accelerators and network cards in the PCI tree of sysfs.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::pci::PciAddress;

/// The most sentences about what could not be read.
const MAX_ERRORS: usize = 16;

/// Who makes accelerators that we know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Vendor {
    /// NVIDIA
    Nvidia,
    /// AMD
    Amd,
}

/// PCI vendor, PCI classes (base class and subclass) of its accelerators. Source: the PCI code and id assignment
/// specification (0x0300 VGA, 0x0302 3D controller, 0x0380 other display, 0x1200 processing accelerator). NVIDIA's
/// data-centre GPUs are 0x0302, those with a display 0x0300; AMD's Instinct are 0x0380, 0x0302 or 0x1200, and AMD's
/// 0x0300 are the graphics of its CPUs.
const ACCELERATORS: &[(u16, Vendor, &[u16])] =
    &[(0x10de, Vendor::Nvidia, &[0x0302, 0x0300]), (0x1002, Vendor::Amd, &[0x0380, 0x0302, 0x1200])];

/// Ethernet and InfiniBand controllers, of any vendor. EFA is 0x0200.
const NIC_CLASSES: &[u16] = &[0x0200, 0x0207];

/// Whether the device answers on the bus.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ConfigSpace {
    /// Its vendor id can be read.
    Answers,
    /// All ones: nothing answers at that address any more, the device fell off the bus.
    AllOnes,
    /// We could not read it.
    Unreadable,
}

/// An accelerator on PCI.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Accelerator {
    /// As sysfs writes it: `0000:18:00.0`.
    pub address: String,
    /// Who made it.
    pub vendor: Vendor,
    /// PCI device id.
    pub device: u16,
    /// NUMA node; absent where the platform tells none.
    pub numa_node: Option<u32>,
    /// The kernel driver that is bound.
    pub driver: Option<String>,
    /// The physical slot, where the platform tells it.
    pub slot: Option<String>,
    /// Whether it answers.
    pub config_space: ConfigSpace,
}

/// A network card on PCI.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Nic {
    /// As sysfs writes it.
    pub address: String,
    /// PCI vendor id.
    pub vendor: u16,
    /// PCI device id.
    pub device: u16,
    /// NUMA node; absent where the platform tells none.
    pub numa_node: Option<u32>,
    /// The kernel driver that is bound.
    pub driver: Option<String>,
    /// RDMA devices that it carries, `mlx5_0`, in order.
    pub rdma_devices: Vec<String>,
    /// Network interfaces that it carries, `eth0`, in order.
    pub interfaces: Vec<String>,
}

/// What the tree holds.
pub(super) struct PciView {
    pub(super) accelerators: Vec<Accelerator>,
    pub(super) nics: Vec<Nic>,
    pub(super) errors: Vec<String>,
}

/// Reads `bus/pci`, and `class/infiniband` where there is one, below `root`.
pub(super) fn read_tree(root: &Path) -> PciView {
    let mut view = PciView { accelerators: Vec::new(), nics: Vec::new(), errors: Vec::new() };
    let devices = root.join("bus/pci/devices");
    let mut found = match names_in(&devices) {
        Ok(names) => names.into_iter().filter_map(|name| Some((name.parse::<PciAddress>().ok()?, name))).collect(),
        Err(error) => {
            view.errors.push(format!("{}: {error}", devices.display()));
            Vec::new()
        }
    };
    found.sort();
    let slots = slots(root);
    let rdma = rdma_devices(root);
    for (address, name) in found {
        if let Err(error) = read_device(&devices.join(&name), address, &slots, &rdma, &mut view)
            && view.errors.len() < MAX_ERRORS
        {
            view.errors.push(format!("{name}: {error}"));
        }
    }
    view
}

fn read_device(
    folder: &Path,
    address: PciAddress,
    slots: &BTreeMap<String, String>,
    rdma: &BTreeMap<PciAddress, Vec<String>>,
    view: &mut PciView,
) -> Result<(), String> {
    // Six digits: base class, subclass, programming interface.
    let class = hexadecimal(folder, "class")? >> 8;
    let vendor = hexadecimal(folder, "vendor")?;
    let is = |classes: &[u16]| classes.iter().any(|known| u32::from(*known) == class);
    let maker = ACCELERATORS.iter().find(|(id, _, classes)| u32::from(*id) == vendor && is(classes));
    if maker.is_none() && !is(NIC_CLASSES) {
        return Ok(());
    }
    let device = sixteen_bits(folder, "device")?;
    let numa_node = fs::read_to_string(folder.join("numa_node")).ok().and_then(|text| text.trim().parse().ok());
    let driver = fs::read_link(folder.join("driver")).ok().and_then(|link| last_part(&link));
    if let Some((_, maker, _)) = maker {
        let slot = slots.get(&slot_address(address)).cloned();
        let config_space = config_space(folder);
        let address = address.to_string();
        view.accelerators.push(Accelerator { address, vendor: *maker, device, numa_node, driver, slot, config_space });
    } else {
        view.nics.push(Nic {
            address: address.to_string(),
            vendor: sixteen_bits(folder, "vendor")?,
            device,
            numa_node,
            driver,
            rdma_devices: rdma.get(&address).cloned().unwrap_or_default(),
            interfaces: names_in(&folder.join("net")).map(sorted).unwrap_or_default(),
        });
    }
    Ok(())
}

/// `bus/pci/slots/NAME/address` holds an address without its function. Most platforms have none.
fn slots(root: &Path) -> BTreeMap<String, String> {
    let folder = root.join("bus/pci/slots");
    let names = names_in(&folder).unwrap_or_default();
    names
        .into_iter()
        .filter_map(|name| Some((fs::read_to_string(folder.join(&name).join("address")).ok()?.trim().to_owned(), name)))
        .collect()
}

fn slot_address(address: PciAddress) -> String {
    let full = address.to_string();
    full.rsplit_once('.').map_or_else(|| full.clone(), |(device, _)| device.to_owned())
}

/// The PCI device that each RDMA device belongs to. No `class/infiniband`, no RDMA.
fn rdma_devices(root: &Path) -> BTreeMap<PciAddress, Vec<String>> {
    let folder = root.join("class/infiniband");
    let mut by_address: BTreeMap<PciAddress, Vec<String>> = BTreeMap::new();
    for name in names_in(&folder).map(sorted).unwrap_or_default() {
        let device = fs::canonicalize(folder.join(&name).join("device"));
        if let Some(address) = device.ok().and_then(|path| last_part(&path)).and_then(|text| text.parse().ok()) {
            by_address.entry(address).or_default().push(name);
        }
    }
    by_address
}

fn config_space(folder: &Path) -> ConfigSpace {
    let mut first = [0; 4];
    match fs::File::open(folder.join("config")).and_then(|mut file| file.read_exact(&mut first)) {
        Ok(()) if first == [0xff; 4] => ConfigSpace::AllOnes,
        Ok(()) => ConfigSpace::Answers,
        Err(_) => ConfigSpace::Unreadable,
    }
}

fn hexadecimal(folder: &Path, file: &str) -> Result<u32, String> {
    let text = fs::read_to_string(folder.join(file)).map_err(|error| format!("{file}: {error}"))?;
    let digits = text.trim().trim_start_matches("0x");
    u32::from_str_radix(digits, 16).map_err(|error| format!("{file}: {error}"))
}

fn sixteen_bits(folder: &Path, file: &str) -> Result<u16, String> {
    u16::try_from(hexadecimal(folder, file)?).map_err(|error| format!("{file}: {error}"))
}

fn names_in(folder: &Path) -> std::io::Result<Vec<String>> {
    let entries = fs::read_dir(folder)?;
    entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
}

fn sorted(mut names: Vec<String>) -> Vec<String> {
    names.sort();
    names
}

fn last_part(path: &Path) -> Option<String> {
    Some(path.file_name()?.to_string_lossy().into_owned())
}
