//! The accelerators and network devices of the node, from sysfs and from the driver's library.

use super::readings::Readings;
use crate::pci::PciAddress;
use crate::readings::inventory::{Accelerator, DISPLAY_CLASS, InventoryReport, NvmlGpu, NvmlView, Vendor};
use crate::text::bounded;
use crds::node_health::{Gpu, Inventory, MAX_GPUS, MAX_NICS, Nic};
use std::collections::BTreeSet;

/// The kernel driver of NVIDIA's GPUs.
pub(in crate::judge) const NVIDIA_DRIVER: &str = "nvidia";

/// The vendors' own kernel drivers. The inventory names only others.
const VENDOR_DRIVERS: [&str; 2] = [NVIDIA_DRIVER, "amdgpu"];

/// The last inventory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Hardware {
    /// Not measured since the start of the agent.
    #[default]
    NotYet,
    /// Measured.
    Seen(Box<InventoryReport>),
    /// The measurement failed.
    Unknown {
        /// The reason: one word.
        reason: String,
        /// The message: one sentence.
        message: String,
    },
}

impl Hardware {
    /// Combines the last tree with the last answer of the driver's library. If the library cannot be asked, the reason
    /// takes the place of its answer, and the PCI view is still used.
    pub fn of(readings: &Readings) -> Self {
        if let Some((reason, message)) = &readings.tree_failed {
            return Self::Unknown { reason: reason.clone(), message: message.clone() };
        }
        let Some(tree) = readings.tree() else { return Self::NotYet };
        let nvml = match (&readings.trouble, &readings.view) {
            (Some(trouble), _) => NvmlView {
                status: trouble.reason.clone(),
                message: Some(trouble.message.clone()),
                driver: None,
                count: None,
                gpus: Vec::new(),
                errors: Vec::new(),
            },
            (None, Some(view)) => view.clone(),
            (None, None) => return Self::NotYet,
        };
        let is_accelerator = |gpu: &&Accelerator| role(gpu, &tree.pci, &nvml) != Role::Display;
        Self::Seen(Box::new(InventoryReport {
            pci: tree.pci.iter().filter(is_accelerator).cloned().collect(),
            nics: tree.nics.clone(),
            pci_errors: tree.pci_errors.clone(),
            nvml,
        }))
    }
}

/// What a function on PCI is to the count of accelerators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::judge) enum Role {
    /// An accelerator.
    Accelerator,
    /// A display card: none of ours.
    Display,
    /// It may be either.
    Unclear,
}

/// Kernel drivers that only show a picture (`drivers/gpu/drm/nouveau`, `drivers/video/fbdev`, `drivers/gpu/drm/tiny`).
const PICTURE_DRIVERS: [&str; 4] = ["nouveau", "nvidiafb", "efifb", "simple-framebuffer"];

/// The role of a function on PCI. Only NVIDIA's display controllers are in question: a GeForce or RTX board computes, a
/// card for a console does not, and both have PCI class 0x0300. One that NVIDIA's driver has, or of the same device id as
/// one that it has, is an accelerator. Next to boards without display output, one that no other owner has is a display card.
pub(in crate::judge) fn role(gpu: &Accelerator, pci: &[Accelerator], nvml: &NvmlView) -> Role {
    let is_served = |other: &&Accelerator| {
        let is_shown = || nvml.gpus.iter().any(|shown| shown.pci.as_deref() == Some(other.address.as_str()));
        other.vendor == Vendor::Nvidia && (other.driver.as_deref() == Some(NVIDIA_DRIVER) || is_shown())
    };
    if gpu.vendor != Vendor::Nvidia || gpu.class != DISPLAY_CLASS || is_served(&gpu) {
        return Role::Accelerator;
    }
    if pci.iter().filter(is_served).any(|other| other.device == gpu.device) {
        return Role::Accelerator;
    }
    let has_other_owner = gpu.driver.as_deref().is_some_and(|driver| !PICTURE_DRIVERS.contains(&driver));
    let beside_compute_boards = pci.iter().filter(is_served).any(|other| other.class != DISPLAY_CLASS);
    if beside_compute_boards && !has_other_owner { Role::Display } else { Role::Unclear }
}

/// The addresses of every accelerator that PCI or the driver shows.
pub fn addresses(report: &InventoryReport) -> BTreeSet<String> {
    let on_pci = report.pci.iter().map(|gpu| gpu.address.clone());
    on_pci.chain(driver_addresses(report).into_iter().map(str::to_owned)).collect()
}

/// The addresses of the GPUs that the driver shows, if they are valid PCI addresses.
pub fn driver_addresses(report: &InventoryReport) -> BTreeSet<&str> {
    let reported = report.nvml.gpus.iter().filter_map(|gpu| gpu.pci.as_deref());
    reported.filter(|text| text.parse::<PciAddress>().is_ok()).collect()
}

/// The inventory as the report shows it, within its bounds.
pub fn as_reported(report: &InventoryReport) -> Inventory {
    let present = addresses(report);
    let gpus = present.iter().take(MAX_GPUS).map(|address| gpu(address, report));
    let nics = report.nics.iter().take(MAX_NICS).map(|nic| Nic {
        pci_address: bounded(&nic.address, 32),
        interface: nic.interfaces.first().map(|name| bounded(name, 32)),
        rdma: nic.rdma_devices.first().map(|name| bounded(name, 64)),
    });
    let vendor = report.pci.first().map(|gpu| gpu.vendor).or_else(|| report.nvml.gpus.first().map(|_| Vendor::Nvidia));
    Inventory {
        vendor: vendor.map(|vendor| vendor_name(vendor).to_owned()),
        driver: report.nvml.driver.as_deref().map(|text| bounded(text, 64)),
        gpus: gpus.collect(),
        nics: nics.collect(),
    }
}

/// A GPU that the driver does not show now keeps its previous identity, so that an operator can tell which board it is;
/// unless the driver shows that board at another address.
pub fn named_as_before(inventory: &mut Inventory, before: &Inventory) {
    let (named, mut nameless): (Vec<&mut Gpu>, Vec<&mut Gpu>) =
        inventory.gpus.iter_mut().partition(|gpu| gpu.uuid.is_some() || gpu.serial.is_some());
    let is_elsewhere = |known: &Gpu| named.iter().any(|gpu| is_same_board(known, gpu));
    for gpu in &mut nameless {
        let known = before.gpus.iter().find(|known| known.pci_address == gpu.pci_address);
        if let Some(known) = known.filter(|known| !is_elsewhere(known)) {
            **gpu = Gpu { index: gpu.index, kernel_driver: gpu.kernel_driver.take(), ..known.clone() };
        }
    }
}

/// Whether both are the same GPU: by UUID, or by serial number if one of them has no UUID. (Several GPUs of one board may
/// share its serial number.)
fn is_same_board(one: &Gpu, other: &Gpu) -> bool {
    match (&one.uuid, &other.uuid) {
        (Some(one), Some(other)) => one == other,
        _ => one.serial.is_some() && one.serial == other.serial,
    }
}

fn gpu(address: &str, report: &InventoryReport) -> Gpu {
    let bound = report.pci.iter().find(|gpu| gpu.address == address).and_then(|gpu| gpu.driver.as_deref());
    let driver = report.nvml.gpus.iter().find(|gpu| gpu.pci.as_deref() == Some(address));
    let text = |pick: fn(&NvmlGpu) -> Option<&String>, bytes: usize| {
        driver.and_then(pick).map(|text| bounded(text, bytes).into())
    };
    Gpu {
        pci_address: bounded(address, 32).into(),
        index: driver.map(|gpu| i64::from(gpu.index)),
        uuid: text(|gpu| gpu.uuid.as_ref(), 96),
        serial: text(|gpu| gpu.serial.as_ref(), 64),
        model: text(|gpu| gpu.name.as_ref(), 96),
        vbios: text(|gpu| gpu.vbios.as_ref(), 64),
        memory_mib: driver
            .and_then(|gpu| gpu.memory_mib)
            .and_then(|mib| i64::try_from(mib).ok())
            .filter(|mib| *mib <= 16_777_216),
        kernel_driver: bound.filter(|bound| !VENDOR_DRIVERS.contains(bound)).map(|bound| bounded(bound, 32).into()),
    }
}

/// The vendor as profiles spell it.
pub(crate) fn vendor_name(vendor: Vendor) -> &'static str {
    match vendor {
        Vendor::Nvidia => "nvidia",
        Vendor::Amd => "amd",
    }
}
