//! What NVIDIA's kernel driver tells in procfs about the GPUs that it is bound to.

use std::collections::BTreeMap;

use super::bus::MAX_ACCELERATORS;
use super::root::Root;
use crate::pci::PciAddress;

const GPUS: &str = "driver/nvidia/gpus";

/// The device minors by PCI address.
pub(super) fn minors(proc: &Root) -> Option<BTreeMap<String, u32>> {
    let names = proc.names(GPUS).ok()?;
    let minor = |name: &String| {
        let address = name.parse::<PciAddress>().ok()?.to_string();
        Some((address, proc.read(format!("{GPUS}/{name}/information"), device_minor)?))
    };
    Some(names.iter().take(MAX_ACCELERATORS).filter_map(minor).collect())
}

/// `Device Minor: \t 3`
fn device_minor(text: &str) -> Option<u32> {
    let mut lines = text.lines().filter_map(|line| line.split_once(':'));
    lines.find(|(name, _)| name.trim() == "Device Minor").and_then(|(_, minor)| minor.trim().parse().ok())
}
