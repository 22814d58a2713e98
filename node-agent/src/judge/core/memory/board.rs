//! The best that a board has shown.

use crate::readings::sample::GpuReadings;

/// The best that a board has shown in its slot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Board {
    /// The serial number, or the UUID where there is none.
    pub serial: String,
    /// The widest PCIe link, in lanes.
    pub width: Option<u32>,
    /// The highest PCIe generation.
    pub generation: Option<u32>,
    /// The most NVLinks that were up.
    pub links: Option<u32>,
}

impl Board {
    pub(super) fn best(&mut self, gpu: &GpuReadings) {
        let better = |known: &mut Option<u32>, seen: Option<u32>| *known = (*known).max(seen);
        if let Some(pcie) = &gpu.pcie {
            better(&mut self.width, pcie.width);
            better(&mut self.generation, pcie.generation);
        }
        if let Some(nvlink) = &gpu.nvlink {
            let up = nvlink.links.iter().filter(|link| link.state.is_up()).count();
            better(&mut self.links, u32::try_from(up).ok().filter(|up| *up > 0));
        }
    }
}
