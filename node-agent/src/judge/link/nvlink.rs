//! `nvlink`: how many links of each GPU are up, and which of them replay or lose packets.
//!
//! The count is compared with the profile; without one, with the best this board has shown, or with what most boards of
//! its model on this node have. A board without a bridge, or one that uses 12 of its 18 links, is healthy. Errors are
//! judged by their rise per link.
//!
//! A row lists each GPU whose links could be counted, and the links whose error counters are or were above zero. A node
//! can have 144 links, more than a row holds, and a finding on a link lifts only if the row names that link.

mod rules;
#[cfg(test)]
pub(in crate::judge) mod tests;

pub use rules::{PAGE, RULES};

use crate::judge::core::rates::{per_minute, rise_since_boot, rising_ms};
use crate::judge::core::rule::{found, judged};
use crate::judge::core::{Counter, Found, Ground, Judged, MAX_COVERED, peers};
use crate::readings::sample::{GpuReadings, LinkReading, Section};
use crds::check::Check;
use crds::reason;

const HOUR_MS: u64 = 3_600_000;
/// The window for persistent errors, in milliseconds. More than 15 of its 30 one-minute windows must show errors
/// (`NVLinkWindowHealthCheck`, NVIDIA/nvidia-resiliency-ext pull request 302).
const PERSISTENT_WINDOW_MS: u64 = 1_800_000;
const PERSISTENT_MS: u64 = 900_000;
/// Replays per hour that give a warning. Our estimate: a link may replay one packet now and then; DCGM 4 fails at 1.
const REPLAYS_PER_HOUR: u64 = 10;
/// The window of CRC rates, in milliseconds.
const CRC_WINDOW_MS: u64 = 300_000;
/// CRC errors are a fault from 100 per second (`DCGM_LIMIT_MAX_NVLINK_CRC_ERROR`), and a warning from one per second
/// (our estimate; DCGM warns at the first).
const CRC_PER_MINUTE_BAD: u64 = 6_000;
const CRC_PER_MINUTE_ODD: u64 = 60;
/// If a GPU has more faulty links than this, they become one finding on the GPU: a report holds 24 findings.
const MAX_LINKS: usize = 3;

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

fn links(gpu: &GpuReadings) -> &[LinkReading] {
    gpu.nvlink.as_ref().map_or(&[], |nvlink| &nvlink.links)
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
    u32::try_from(links(gpu).iter().filter(|link| link.active).count()).unwrap_or(u32::MAX)
}

/// Fewer links up than there should be; `None` if that cannot be judged yet.
fn count(ground: &Ground<'_>, gpu: &GpuReadings, all: &[&GpuReadings]) -> Option<Vec<Found>> {
    if has_error_finding(ground, &gpu.pci) && !links(gpu).iter().any(has_counters) {
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
    let before = ground.before(&gpu.pci).filter(|before| before.nvlink.is_some()).map(up)?;
    if before >= limit {
        return None;
    }
    let down: Vec<_> = links(gpu).iter().filter(|link| !link.active).map(|link| link.link.to_string()).collect();
    let serial = ground.serial(&gpu.pci).unwrap_or("-");
    let message = format!("{up_now} NVLinks of GPU {} (serial {serial}) are up; {whose} {limit}", gpu.pci);
    let evidence = format!("up={up_now} of {} listed, before={before}, down: {}", links(gpu).len(), down.join(" "));
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

/// A link that replays or loses packets.
struct Sick {
    link: u32,
    why: &'static str,
    evidence: String,
}

/// The faulty links of a GPU: one finding each, or one for all of them if there are many.
fn errors(ground: &Ground<'_>, gpu: &GpuReadings) -> Vec<Found> {
    let sick: Vec<Sick> = links(gpu).iter().filter_map(|link| errors_of(ground, &gpu.pci, link.link)).collect();
    let serial = ground.serial(&gpu.pci).unwrap_or("-");
    let say = |why| if why == reason::LINK_ERRORS_PERSISTENT { "persist" } else { "are worth a look" };
    if sick.len() <= MAX_LINKS {
        let one = |sick: Sick| {
            let of = format!("NVLink {} of GPU {} (serial {serial})", sick.link, gpu.pci);
            let message = format!("errors of {of} {}: {}", say(sick.why), sick.evidence);
            found(RULES, sick.why, &target(&gpu.pci, sick.link), message, sick.evidence)
        };
        return sick.into_iter().map(one).collect();
    }
    let is_persistent = sick.iter().any(|sick| sick.why == reason::LINK_ERRORS_PERSISTENT);
    let why = if is_persistent { reason::LINK_ERRORS_PERSISTENT } else { reason::LINK_ERRORS };
    let numbers = sick.iter().map(|sick| sick.link.to_string()).collect::<Vec<_>>().join(" ");
    let worst = sick.iter().find(|sick| sick.why == why).map_or("", |sick| sick.evidence.as_str());
    let message =
        format!("errors of {} NVLinks of GPU {} (serial {serial}) {}: {worst}", sick.len(), gpu.pci, say(why));
    vec![found(RULES, why, &gpu.pci, message, format!("links {numbers}; {worst}"))]
}

fn errors_of(ground: &Ground<'_>, pci: &str, link: u32) -> Option<Sick> {
    let target = target(pci, link);
    if !has_risen(ground, &target) {
        return None;
    }
    let rise = |counter, window| rise_since_boot(ground, &target, counter, window);
    let rising = [Counter::NvlinkRecoveries, Counter::NvlinkReplays]
        .map(|counter| rising_ms(ground, &target, counter, PERSISTENT_WINDOW_MS));
    let rising = rising.into_iter().max().unwrap_or_default();
    let crc = per_minute(ground, &target, Counter::NvlinkCrc, CRC_WINDOW_MS).unwrap_or_default();
    let (recoveries, replays) = (rise(Counter::NvlinkRecoveries, HOUR_MS), rise(Counter::NvlinkReplays, HOUR_MS));
    let stands = standing(ground, pci, &target).is_some_and(|why| why == reason::LINK_ERRORS_PERSISTENT);
    let goes_on = stands && (rising > 0 || crc >= CRC_PER_MINUTE_ODD);
    let why = if rising > PERSISTENT_MS || crc >= CRC_PER_MINUTE_BAD || goes_on {
        reason::LINK_ERRORS_PERSISTENT
    } else if recoveries > 0 || replays >= REPLAYS_PER_HOUR || crc >= CRC_PER_MINUTE_ODD {
        reason::LINK_ERRORS
    } else {
        return None;
    };
    let evidence = format!(
        "+{recoveries} recoveries and +{replays} replays in 1 h, rising in {} of 30 min, {} CRC errors/s",
        rising / 60_000,
        crc / 60
    );
    Some(Sick { link, why, evidence })
}

/// The reason of the standing finding on a link, or on all links of its GPU together.
fn standing<'a>(ground: &Ground<'a>, pci: &str, target: &str) -> Option<&'a str> {
    let of = |target| ground.findings.get(Check::Nvlink.name(), target).map(|known| known.reason.as_str());
    of(target).or_else(|| of(pci))
}

fn target(pci: &str, link: u32) -> String {
    format!("{pci}/link{link}")
}

/// The links to list: those with a finding first, then those with the most errors. A link stays listed while its
/// counters are above zero or rose within the last day, so that a reader of a later report still sees that it is clean.
fn notable_links(ground: &Ground<'_>, gpus: &[&GpuReadings], room: usize) -> Vec<String> {
    let mut notable = Vec::new();
    for gpu in gpus {
        for link in links(gpu) {
            let target = target(&gpu.pci, link.link);
            let has_finding = ground.findings.get(Check::Nvlink.name(), &target).is_some();
            let errors = counts(link).into_iter().flatten().fold(0, u64::saturating_add);
            if has_counters(link) && (has_finding || errors > 0 || has_risen(ground, &target)) {
                notable.push((!has_finding, u64::MAX - errors, target));
            }
        }
    }
    notable.sort();
    let mut targets: Vec<String> = notable.into_iter().take(room).map(|(_, _, target)| target).collect();
    targets.sort();
    targets
}

fn counts(link: &LinkReading) -> [Option<u64>; 4] {
    [link.recoveries, link.replays, link.crc_flit, link.crc_data]
}

fn has_counters(link: &LinkReading) -> bool {
    counts(link).iter().any(Option::is_some)
}

/// Whether the GPU itself has a standing finding about errors on many links.
fn has_error_finding(ground: &Ground<'_>, pci: &str) -> bool {
    let known = ground.findings.get(Check::Nvlink.name(), pci);
    known.is_some_and(|known| [reason::LINK_ERRORS, reason::LINK_ERRORS_PERSISTENT].contains(&known.reason.as_str()))
}

fn has_risen(ground: &Ground<'_>, target: &str) -> bool {
    [Counter::NvlinkRecoveries, Counter::NvlinkReplays, Counter::NvlinkCrc]
        .into_iter()
        .any(|counter| ground.memory.steps(target, counter).any(|step| step.by > 0))
}
