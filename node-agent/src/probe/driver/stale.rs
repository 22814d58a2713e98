//! A library that the driver was upgraded under.
//!
//! A container keeps the library that was mounted into it when it was made, so loading it again changes nothing. The
//! sampler ends with a status of its own: as a plain process it is started again, with what is on disk then; the runner
//! of a container ends too, and its container is made anew, with the library of the new driver.

use std::path::Path;

use crate::readings::Sample;
use crate::readings::mismatch::Mismatch;
use crate::readings::return_codes::{Means, at_init};

/// The sampler's exit status for a library that is older than the kernel module. `EX_CONFIG` of sysexits.h.
pub const STALE_EXIT: i32 = 78;

/// How often in a row the library, loaded anew each time, must be found too old: an upgrade replaces it within seconds.
const TIMES: u32 = 2;

/// How often in a row it was.
#[derive(Debug, Default)]
pub(super) struct Stale(u32);

impl Stale {
    /// Whether, with this sample, the library that can be loaded here is known to be too old.
    pub(super) fn is_after(&mut self, sample: &Sample, sysfs_root: &Path) -> bool {
        let is_stale = at_init(&sample.view.status) == Means::Mismatch
            && is_older(sample.library_version.as_deref(), module_version(sysfs_root).as_deref());
        self.0 = if is_stale { self.0.saturating_add(1) } else { 0 };
        self.0 >= TIMES
    }
}

fn is_older(library: Option<&str>, module: Option<&str>) -> bool {
    match Mismatch::of(library, module) {
        Mismatch::LibraryOlder { .. } => true,
        Mismatch::ModuleOlder | Mismatch::Unknown => false,
    }
}

fn module_version(sysfs_root: &Path) -> Option<String> {
    let text = std::fs::read_to_string(sysfs_root.join("module/nvidia/version")).ok()?;
    Some(text.trim().to_owned())
}
