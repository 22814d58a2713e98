//! Links that replay or lose packets, by what their counters rise. Totals say nothing: a healthy link that has worked for a
//! year has counted errors.

use super::rules::RULES;
use super::view::{links, target};
use crate::judge::core::rates::{per_minute, rise_since_boot, rising_ms};
use crate::judge::core::rule::found;
use crate::judge::core::{Counter, Found, Ground};
use crate::readings::sample::{GpuReadings, LinkReading};
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
/// Effective bit error rates up to this are no finding (Azure/cyclecloud-healthagent, `healthagent/defaults.yaml`: above
/// 1e-6 is a warning; DCGM's own limit is 1e-12).
const EFFECTIVE_BER: f64 = 1e-6;
const OF_ERRORS: [&str; 3] = [reason::LINK_ERRORS, reason::LINK_ERRORS_PERSISTENT, reason::LINK_BIT_ERRORS];
/// The counters of a link.
const COUNTERS: [Counter; 5] = [
    Counter::NvlinkRecoveries,
    Counter::NvlinkReplays,
    Counter::NvlinkCrc,
    Counter::NvlinkPacketErrors,
    Counter::NvlinkEffectiveErrors,
];

/// A link that replays or loses packets.
struct Sick {
    link: u32,
    why: &'static str,
    evidence: String,
}

/// The faulty links of a GPU: one finding each, or one for all of them if there are many.
pub(super) fn errors(ground: &Ground<'_>, gpu: &GpuReadings) -> Vec<Found> {
    let sick: Vec<Sick> = links(gpu).iter().filter_map(|link| errors_of(ground, gpu, link)).collect();
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
    let why = if is_persistent { reason::LINK_ERRORS_PERSISTENT } else { sick.first().map_or("", |sick| sick.why) };
    let numbers = sick.iter().map(|sick| sick.link.to_string()).collect::<Vec<_>>().join(" ");
    let worst = sick.iter().find(|sick| sick.why == why).map_or("", |sick| sick.evidence.as_str());
    let message =
        format!("errors of {} NVLinks of GPU {} (serial {serial}) {}: {worst}", sick.len(), gpu.pci, say(why));
    vec![found(RULES, why, &gpu.pci, message, format!("links {numbers}; {worst}"))]
}

fn errors_of(ground: &Ground<'_>, gpu: &GpuReadings, link: &LinkReading) -> Option<Sick> {
    let pci = &gpu.pci;
    let target = target(pci, link.link);
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
    let packets = per_minute(ground, &target, Counter::NvlinkPacketErrors, CRC_WINDOW_MS).unwrap_or_default();
    let why = if rising > PERSISTENT_MS || crc >= CRC_PER_MINUTE_BAD || goes_on {
        reason::LINK_ERRORS_PERSISTENT
    } else if recoveries > 0 || replays >= REPLAYS_PER_HOUR || crc.max(packets) >= CRC_PER_MINUTE_ODD {
        reason::LINK_ERRORS
    } else if let Some(evidence) = bit_errors(ground, gpu, link) {
        return Some(Sick { link: link.link, why: reason::LINK_BIT_ERRORS, evidence });
    } else {
        return None;
    };
    let evidence = format!(
        "+{recoveries} recoveries and +{replays} replays in 1 h, rising in {} of 30 min, {} CRC errors/s, {} bad packets/s",
        rising / 60_000,
        crc / 60,
        packets / 60
    );
    Some(Sick { link: link.link, why, evidence })
}

/// A bit error rate above the limit in this reading and the one before, while errors rise: the driver's rate is over a time
/// that nobody tells, and may be of errors that are long past.
fn bit_errors(ground: &Ground<'_>, gpu: &GpuReadings, link: &LinkReading) -> Option<String> {
    let is_high = |link: &LinkReading| link.newer.effective_ber.is_some_and(|rate| rate.per_bit() > EFFECTIVE_BER);
    let before = ground.before(&gpu.pci).and_then(|before| links(before).iter().find(|old| old.link == link.link));
    let rise = rise_since_boot(ground, &target(&gpu.pci, link.link), Counter::NvlinkEffectiveErrors, HOUR_MS);
    let rate = link.newer.effective_ber.filter(|_| rise > 0 && is_high(link) && before.is_some_and(is_high))?;
    Some(format!(
        "effective bit error rate {:.1e}, +{rise} errors in 1 h; {EFFECTIVE_BER:.0e} is allowed",
        rate.per_bit()
    ))
}

/// The reason of the standing finding on a link, or on all links of its GPU together.
fn standing<'a>(ground: &Ground<'a>, pci: &str, target: &str) -> Option<&'a str> {
    let of = |target| ground.findings.get(Check::Nvlink.name(), target).map(|known| known.reason.as_str());
    of(target).or_else(|| of(pci))
}

/// The links to list: those with a finding first, then those with the most errors. A link stays listed while its
/// counters are above zero or rose within the last day, so that a reader of a later report still sees that it is clean.
pub(super) fn notable_links(ground: &Ground<'_>, gpus: &[&GpuReadings], room: usize) -> Vec<String> {
    let mut notable = Vec::new();
    for gpu in gpus {
        for link in links(gpu) {
            let target = target(&gpu.pci, link.link);
            let finding = ground.findings.get(Check::Nvlink.name(), &target);
            let has_finding = finding.is_some();
            if finding.is_some_and(|known| !can_be_judged(link, &known.reason)) {
                continue;
            }
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

/// The counters that the rules use. Symbol errors are not among them: links correct these all the time.
fn counts(link: &LinkReading) -> [Option<u64>; 6] {
    let LinkReading { recoveries, replays, crc_flit, crc_data, newer, .. } = link;
    [*recoveries, *replays, *crc_flit, *crc_data, newer.receive_errors, newer.effective_errors]
}

fn has_counters(link: &LinkReading) -> bool {
    counts(link).iter().any(Option::is_some)
}

/// Whether a finding with this reason on the link can be judged again: its counters were read.
fn can_be_judged(link: &LinkReading, why: &str) -> bool {
    let is_of_bits = why == reason::LINK_BIT_ERRORS;
    has_counters(link) && (!is_of_bits || (link.newer.effective_errors.is_some() && link.newer.effective_ber.is_some()))
}

/// Whether the GPU itself has a standing finding about errors on many links, and nothing to judge it by.
pub(super) fn keeps_its_error_finding(ground: &Ground<'_>, gpu: &GpuReadings) -> bool {
    let known = ground.findings.get(Check::Nvlink.name(), &gpu.pci).map(|known| known.reason.as_str());
    let of_errors = known.filter(|why| OF_ERRORS.contains(why));
    of_errors.is_some_and(|why| !links(gpu).iter().any(|link| can_be_judged(link, why)))
}

fn has_risen(ground: &Ground<'_>, target: &str) -> bool {
    COUNTERS.into_iter().any(|counter| ground.memory.steps(target, counter).any(|step| step.by > 0))
}
