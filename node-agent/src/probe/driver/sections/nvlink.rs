//! The section of the NVLinks.

use nvml_wrapper_sys::bindings::nvmlPciInfo_t;

use super::super::raw::{Answer, FUNCTION_NOT_FOUND, Failure, text_of};
use super::{INVALID_ARGUMENT, NOT_SUPPORTED, Reader, count, unless_sentinel};
use crate::pci::PciAddress;
use crate::readings::sample::{ErrorRate, LinkReading, LinkState, NewerCounters, NvlinkReading};

/// `NVML_NVLINK_MAX_LINKS` (18 before nvml.h 13.4.92)
const LINKS: usize = 36;
/// `NVML_FI_DEV_NVLINK_GET_STATE`, `_GET_VERSION`; the scope is the link.
const STATE: u32 = 165;
const VERSION: u32 = 166;
/// `NVML_NVLINK_VERSION_5_0`: from here on links have other counters.
const VERSION_5: u64 = 7;
/// `NVML_FI_DEV_NVLINK_ERROR_DL_REPLAY`, `_RECOVERY`, `_CRC`; the scope is the link.
const LINK_ERRORS: [u32; 3] = [161, 162, 163];
/// `NVML_FI_DEV_NVLINK_COUNT_LINK_RECOVERY_EVENTS`, `_LINK_RECOVERY_FAILED_EVENTS` (times), `_RCV_ERRORS`,
/// `_BUFFER_OVERRUN_ERRORS` (packets), `_LOCAL_LINK_INTEGRITY_ERRORS` (times), `_XMIT_DISCARDS` (packets),
/// `_EFFECTIVE_ERRORS`, `_SYMBOL_ERRORS` (errors), `_EFFECTIVE_BER`, `_SYMBOL_BER` ([`ErrorRate`]); the scope is the link.
const NEWER_ERRORS: [u32; 10] = [215, 214, 208, 207, 211, 212, 219, 221, 220, 222];
/// `NVML_FI_DEV_C2C_LINK_COUNT`, `_C2C_LINK_GET_STATUS` (0 inactive, 1 active; the scope is the link)
const C2C_COUNT: u32 = 170;
const C2C_STATUS: u32 = 171;
/// More chip-to-chip links than any GPU has (nvml.h names at most 14).
const C2C_LINKS: u32 = 16;

impl Reader<'_> {
    pub(super) fn nvlink(&mut self) -> NvlinkReading {
        let mut reading = NvlinkReading::default();
        let told = self.told_states();
        let knows_the_field = told.iter().any(Result::is_ok);
        let mut counters = None;
        for (link, told) in (0..).zip(told) {
            let state = match self.state(link, told, knows_the_field) {
                Ok(state) => state,
                // If the first link is not supported, none is; a later one does not exist.
                Err(Failure { code: NOT_SUPPORTED | FUNCTION_NOT_FOUND, .. }) if link == 0 => break,
                Err(Failure { code: NOT_SUPPORTED | INVALID_ARGUMENT, .. }) => continue,
                failed @ Err(_) => {
                    self.keep(failed);
                    reading.unread += 1;
                    if self.lost {
                        break;
                    }
                    continue;
                }
            };
            let counters = *counters.get_or_insert_with(|| self.counters_of(link));
            reading.links.push(self.link(link, state, counters));
            if self.lost {
                break;
            }
        }
        (reading.c2c_links, reading.c2c_active) = self.c2c();
        reading
    }

    /// What the field of the state says of each link; a driver that refuses the whole question knows the field of none.
    fn told_states(&mut self) -> [Answer<i128>; LINKS] {
        let mut scope = 0..;
        let ids = [(); LINKS].map(|()| (STATE, scope.next().unwrap_or_default()));
        let unknown = Failure { symbol: "nvmlDeviceGetFieldValues", code: NOT_SUPPORTED };
        self.get(|library, gpu| library.fields(gpu, ids)).unwrap_or([Err(unknown); LINKS])
    }

    /// By the field, which tells more, or by the call that only says yes or no.
    fn state(&mut self, link: u32, told: Answer<i128>, knows_the_field: bool) -> Answer<LinkState> {
        match told.map(state_of) {
            Ok(Some(state)) => Ok(state),
            Err(absent @ Failure { code: INVALID_ARGUMENT, .. }) if knows_the_field => Err(absent),
            Ok(None) | Err(Failure { code: NOT_SUPPORTED | INVALID_ARGUMENT | FUNCTION_NOT_FOUND, .. }) => {
                let answer = self.library.nvlink_state(self.gpu, link);
                answer.map(|on| if on == 0 { LinkState::Inactive } else { LinkState::Active })
            }
            Err(failure) => Err(failure),
        }
    }

    fn link(&mut self, link: u32, state: LinkState, counters: Counters) -> LinkReading {
        // A link that is down has no remote end and counts nothing.
        let remote = match state {
            LinkState::Active | LinkState::Asleep | LinkState::NoTraffic => self.remote(link),
            LinkState::Inactive => {
                self.remotes.remove(&link);
                None
            }
        };
        let mut reading = LinkReading { link, state, remote, ..LinkReading::default() };
        match counters {
            Counters::Newer => self.newer_counters(&mut reading),
            Counters::Older => {
                let [replays, recoveries, crc_flit, crc_data] = [0, 1, 2, 3].map(|counter| {
                    self.get(|library, gpu| library.nvlink_errors(gpu, link, counter)).and_then(unless_sentinel)
                });
                reading = LinkReading { replays, recoveries, crc_flit, crc_data, ..reading };
                if reading.replays.is_none() {
                    self.older_fields(&mut reading);
                }
            }
        }
        reading
    }

    fn older_fields(&mut self, reading: &mut LinkReading) {
        let [replays, recoveries, crc] = self.fields(LINK_ERRORS.map(|field| (field, reading.link))).map(count);
        reading.replays = replays;
        reading.recoveries = reading.recoveries.or(recoveries);
        reading.crc_flit = reading.crc_flit.or(crc);
        if (reading.replays, reading.recoveries) == (None, None) {
            self.newer_counters(reading);
        }
    }

    fn newer_counters(&mut self, reading: &mut LinkReading) {
        let values = self.fields(NEWER_ERRORS.map(|field| (field, reading.link))).map(count);
        let [recoveries, failed_recoveries, receive_errors, buffer_overruns, integrity_errors, ..] = values;
        let [.., send_discards, effective_errors, symbol_errors, effective_ber, symbol_ber] = values;
        reading.recoveries = recoveries;
        reading.newer = NewerCounters {
            failed_recoveries,
            receive_errors,
            buffer_overruns,
            integrity_errors,
            send_discards,
            effective_errors,
            symbol_errors,
            effective_ber: effective_ber.and_then(ErrorRate::decode),
            symbol_ber: symbol_ber.and_then(ErrorRate::decode),
        };
    }

    /// All links of a GPU are of one version.
    fn counters_of(&mut self, link: u32) -> Counters {
        let [version] = self.fields([(VERSION, link)]).map(count);
        if version.is_some_and(|version| version >= VERSION_5) { Counters::Newer } else { Counters::Older }
    }

    /// How many chip-to-chip links there are, and how many are active.
    fn c2c(&mut self) -> (Option<u32>, Option<u32>) {
        let [links] = self.fields([(C2C_COUNT, 0)]).map(count);
        let Some(links) =
            links.and_then(|links| u32::try_from(links).ok()).filter(|links| (1..=C2C_LINKS).contains(links))
        else {
            return (None, None);
        };
        let mut active = Some(0);
        for link in 0..links {
            let [is_active] = self.fields([(C2C_STATUS, link)]).map(count);
            active = active.zip(is_active.filter(|value| *value <= 1)).map(|(sum, one)| sum + u32::from(one == 1));
        }
        (Some(links), active)
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

/// Which counters a link has.
#[derive(Clone, Copy)]
enum Counters {
    /// Before NVLink 5.
    Older,
    /// NVLink 5 and later, which do not support the older ones.
    Newer,
}

/// `NVML_NVLINK_STATE_*`
fn state_of(value: i128) -> Option<LinkState> {
    match value {
        0 => Some(LinkState::Inactive),
        1 => Some(LinkState::Active),
        2 => Some(LinkState::Asleep),
        3 => Some(LinkState::NoTraffic),
        _ => None,
    }
}

fn address(info: &nvmlPciInfo_t) -> Option<String> {
    text_of(&info.busId).parse::<PciAddress>().ok().map(|address| address.to_string())
}
