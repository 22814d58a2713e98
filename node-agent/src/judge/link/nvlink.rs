//! `nvlink`: how many links of each GPU are up, and which of them replay or lose packets.
//!
//! The count is compared with the profile; without one, with the best this board has shown, or with what most boards of
//! its model on this node have. A board without a bridge, or one that uses 12 of its 18 links, is healthy. Errors are
//! judged by their rise per link. A link that is asleep is up. One that is up but not usable for traffic is not; while
//! the fabric waits for a partition that is as it should be, and not judged.
//!
//! A row lists each GPU whose links could be counted, and the links whose error counters are or were above zero. A node
//! can have 144 links, more than a row holds, and a finding on a link lifts only if the row names that link.

mod errors;
mod rules;
#[cfg(test)]
pub(in crate::judge) mod tests;
mod view;

pub use rules::{PAGE, RULES};

use super::fabric;
use crate::judge::core::rule::{found, judged};
use crate::judge::core::{Found, Ground, Judged, MAX_COVERED, peers};
use crate::readings::sample::{GpuReadings, LinkState, Section};
use crds::reason;
use errors::{errors, keeps_its_error_finding, notable_links};
use view::links;

/// Judges the last readings.
pub fn judge(ground: &Ground<'_>) -> Judged {
    let gpus = match ground.driver(Section::Nvlink) {
        Ok(gpus) => gpus,
        Err(why) => return *why,
    };
    // A GPU in MIG mode has no peer to reach, and its links may not be readable.
    let gpus: Vec<&GpuReadings> = gpus.into_iter().filter(|gpu| !has_mig(gpu) && gpu.nvlink.is_some()).collect();
    if declared(ground).is_none() && gpus.iter().all(|gpu| links(gpu).is_empty()) {
        return Judged::skipped(reason::NOT_APPLICABLE);
    }
    if gpus.iter().all(|gpu| has_no_use_for_links(ground, gpu, &gpus)) {
        let message = "no NVLink is up or was before, and no profile declares any".to_owned();
        return Judged { message: Some(message), ..Judged::skipped(reason::NOT_APPLICABLE) };
    }
    let (mut covered, mut findings) = (Vec::new(), Vec::new());
    for gpu in &gpus {
        if let Some(of_gpu) = count(ground, gpu, &gpus) {
            covered.push(gpu.pci.clone());
            findings.extend(of_gpu);
        }
        findings.extend(errors(ground, gpu));
    }
    covered.extend(notable_links(ground, &gpus, MAX_COVERED.saturating_sub(covered.len())));
    judged(covered, findings)
}

/// Nothing says that any of its links should be up: a board without a bridge.
fn has_no_use_for_links(ground: &Ground<'_>, gpu: &GpuReadings, all: &[&GpuReadings]) -> bool {
    declared(ground).is_none() && up(gpu) == 0 && best(ground, gpu, all).is_none_or(|(links, _)| links == 0)
}

fn has_mig(gpu: &GpuReadings) -> bool {
    gpu.driver.as_ref().is_some_and(|driver| driver.mig == Some(true))
}

fn declared(ground: &Ground<'_>) -> Option<u32> {
    let links = ground.expected.spec?.expected.as_ref()?.gpus.as_ref()?.nvlink_links?;
    u32::try_from(links).ok()
}

fn up(gpu: &GpuReadings) -> u32 {
    number(links(gpu).iter().filter(|link| link.state.is_up()).count())
}

/// As many links as may be up: some whose state could not be read, and those that carry no traffic until the GPU is
/// assigned to a partition.
fn perhaps_up(gpu: &GpuReadings) -> u32 {
    let unread = gpu.nvlink.as_ref().map_or(0, |nvlink| nvlink.unread);
    let waits = gpu.fabric.as_ref().is_some_and(fabric::waits_for_a_partition);
    let waiting = links(gpu).iter().filter(|link| waits && link.state == LinkState::NoTraffic).count();
    up(gpu).saturating_add(unread).saturating_add(number(waiting))
}

fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// Fewer links up than there should be; `None` if that cannot be judged yet.
fn count(ground: &Ground<'_>, gpu: &GpuReadings, all: &[&GpuReadings]) -> Option<Vec<Found>> {
    if keeps_its_error_finding(ground, gpu) {
        return None;
    }
    let up_now = up(gpu);
    let (limit, whose, why) = match declared(ground) {
        // A GPU that reports no link at all may just not report its links, unless it is known to run without MIG.
        Some(_) if links(gpu).is_empty() && !is_whole(gpu) => return None,
        Some(limit) => (limit, "the profile declares", reason::LINKS_BELOW_PROFILE),
        None => match best(ground, gpu, all) {
            Some((limit, whose)) => (limit, whose, reason::LINKS_BELOW_BEST),
            None => return Some(Vec::new()),
        },
    };
    if up_now >= limit {
        return Some(Vec::new());
    }
    let before = ground.before(&gpu.pci).filter(|before| before.nvlink.is_some())?;
    if perhaps_up(gpu) >= limit || perhaps_up(before) >= limit {
        return None;
    }
    let serial = ground.serial(&gpu.pci).unwrap_or("-");
    let message = format!("{up_now} NVLinks of GPU {} (serial {serial}) are up; {whose} {limit}", gpu.pci);
    let listed = |state: LinkState| {
        let links = links(gpu).iter().filter(|link| link.state == state);
        links.map(|link| link.link.to_string()).collect::<Vec<_>>().join(" ")
    };
    let evidence = format!(
        "up={up_now} of {} listed, before={}, down: {}, without traffic: {}",
        links(gpu).len(),
        up(before),
        listed(LinkState::Inactive),
        listed(LinkState::NoTraffic)
    );
    Some(vec![found(RULES, why, &gpu.pci, message, evidence)])
}

/// Known to run without MIG, in this reading and the one before.
fn is_whole(gpu: &GpuReadings) -> bool {
    gpu.driver.as_ref().is_some_and(|driver| driver.mig == Some(false))
}

/// The best of this board in this slot, or the count that most boards of its model on this node have up.
fn best(ground: &Ground<'_>, gpu: &GpuReadings, all: &[&GpuReadings]) -> Option<(u32, &'static str)> {
    let best = ground.memory.board(&gpu.pci).and_then(|board| board.links);
    if let Some(best) = best.filter(|best| up(gpu) < *best) {
        return Some((best, "this board in this slot has shown"));
    }
    let model = |pci: &str| ground.gpus.iter().find(|gpu| gpu.pci_address == pci)?.model.as_deref();
    let own = model(&gpu.pci)?;
    let alike: Vec<u32> = all.iter().filter(|other| model(&other.pci) == Some(own)).map(|other| up(other)).collect();
    peers::majority(&alike).map(|most| (most, "most GPUs of its model on this node have"))
}
