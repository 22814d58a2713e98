//! The links of a reading, and their names.

use crate::readings::sample::{GpuReadings, LinkReading};

pub(super) fn links(gpu: &GpuReadings) -> &[LinkReading] {
    gpu.nvlink.as_ref().map_or(&[], |nvlink| &nvlink.links)
}

/// The target of findings about a link.
pub(super) fn target(pci: &str, link: u32) -> String {
    format!("{pci}/link{link}")
}
