//! The section of the NVLinks.

use nvml_wrapper_sys::bindings::nvmlPciInfo_t;

use super::super::raw::{FUNCTION_NOT_FOUND, Failure, text_of};
use super::{INVALID_ARGUMENT, NOT_SUPPORTED, Reader, count, unless_sentinel};
use crate::pci::PciAddress;
use crate::readings::sample::{LinkReading, NvlinkReading};

/// `NVML_NVLINK_MAX_LINKS`
const LINKS: u32 = 18;
/// `NVML_FI_DEV_NVLINK_ERROR_DL_REPLAY`, `_RECOVERY`, `_CRC`; the scope is the link.
const LINK_ERRORS: [u32; 3] = [161, 162, 163];

impl Reader<'_> {
    pub(super) fn nvlink(&mut self) -> NvlinkReading {
        let mut links = Vec::new();
        for link in 0..LINKS {
            let answer = self.library.nvlink_state(self.gpu, link);
            if !answer.is_ok_and(is_on) {
                self.remotes.remove(&link);
            }
            match answer {
                Ok(active) => links.push(self.link(link, is_on(active))),
                // If the first link is not supported, none is; a later one does not exist.
                Err(Failure { code: NOT_SUPPORTED | FUNCTION_NOT_FOUND, .. }) if link == 0 => break,
                Err(Failure { code: NOT_SUPPORTED | INVALID_ARGUMENT, .. }) => {}
                failed @ Err(_) => drop(self.keep(failed)),
            }
            if self.lost {
                break;
            }
        }
        NvlinkReading { links }
    }

    fn link(&mut self, link: u32, active: bool) -> LinkReading {
        // A link that is down has no remote end and counts nothing.
        let remote = active.then(|| self.remote(link)).flatten();
        let [replays, recoveries, crc_flit, crc_data] = [0, 1, 2, 3].map(|counter| {
            self.get(|library, gpu| library.nvlink_errors(gpu, link, counter)).and_then(unless_sentinel)
        });
        let mut reading = LinkReading { link, active, remote, replays, recoveries, crc_flit, crc_data };
        if reading.replays.is_none() {
            let [replays, recoveries, crc] = self.fields(LINK_ERRORS.map(|field| (field, link))).map(count);
            reading.replays = replays;
            reading.recoveries = reading.recoveries.or(recoveries);
            reading.crc_flit = reading.crc_flit.or(crc);
        }
        reading
    }

    fn remote(&mut self, link: u32) -> Option<String> {
        if let Some(known) = self.remotes.get(&link) {
            return Some(known.clone());
        }
        let info = self.get(|library, gpu| library.nvlink_remote(gpu, link))?;
        let remote = address(&info)?;
        self.remotes.insert(link, remote.clone());
        Some(remote)
    }
}

const fn is_on(state: u32) -> bool {
    state != 0
}

fn address(info: &nvmlPciInfo_t) -> Option<String> {
    text_of(&info.busId).parse::<PciAddress>().ok().map(|address| address.to_string())
}
