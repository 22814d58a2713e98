//! `pcieLink`: width, generation and errors of each GPU's PCIe link.
//!
//! The driver's library is asked first. sysfs gives width and generation where the library does not (AMD, no library, a
//! hang), and always the AER counters. The maximum that a device reports for itself is not used: clouds wire boards to
//! narrower slots on purpose, and some platforms report meaningless maxima.

mod rules;
#[cfg(test)]
pub(in crate::judge) mod tests;

pub use rules::{PAGE, RULES};

use crate::judge::core::rates::{per_minute, rise_since_boot};
use crate::judge::core::rule::{found, judged};
use crate::judge::core::{Counter, Found, Ground, Judged, peers};
use crate::readings::sample::{GpuReadings, Section};
use crds::check::Check;
use crds::node_hardware_profile::ExpectedPcie;
use crds::reason;
use std::collections::BTreeMap;

/// A GPU is working from this utilization on, in percent; the lower generation of an idle link is then no explanation.
/// Our estimate: a GPU that runs kernels half of the time keeps its performance state.
const AT_WORK_PERCENT: u32 = 50;
/// A greater width comes from a broken device or a virtual machine (PCI Express: x1 to x32).
const WIDEST: u32 = 32;
/// The highest PCIe generation.
const NEWEST: u32 = 7;
/// How long errors are remembered, in milliseconds.
const ERRORS_WINDOW_MS: u64 = 3_600_000;
/// Over how long rates are taken, in milliseconds.
const RATE_WINDOW_MS: u64 = 600_000;
/// Replays per minute allowed on a generation 3 link (`DCGM_LIMIT_MAX_PCIREPLAY_RATE` 8). This is the bit error rate of
/// 1e-12 on sixteen lanes, so it doubles with each generation: the same limit on generation 5 condemned healthy boards
/// (NVIDIA/DCGM issue 184).
const REPLAYS_PER_MINUTE_GENERATION_3: u64 = 8;
/// Corrected errors per minute. Our estimate: twenty times the errors allowed on a generation 5 link of sixteen lanes.
const CORRECTED_PER_MINUTE: u64 = 600;

/// One reading of a link from one source.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Reading {
    width: Option<u32>,
    generation: Option<u32>,
}

/// One GPU's link, in this reading and the one before.
struct Link<'a> {
    pci: &'a str,
    now: Reading,
    /// `None` if the source keeps no previous reading.
    before: Option<Reading>,
    /// Working in both readings.
    at_work: bool,
    by: &'static str,
}

/// Judges the last readings.
pub fn judge(ground: &Ground<'_>) -> Judged {
    if ground.expected.spec.is_some_and(|spec| spec.maintenance.is_some()) {
        return Judged::skipped(reason::MAINTENANCE);
    }
    let (driver, tree) = (ground.driver(Section::Pcie), ground.tree());
    let no_tree = tree.as_ref().map_or(true, |tree| tree.links.is_empty());
    let read = match (&driver, no_tree) {
        (Err(why), true) => return why.as_ref().clone(),
        (Err(_), false) => &[][..],
        (Ok(read), _) => read.as_slice(),
    };
    let mut links: BTreeMap<&str, Link<'_>> = BTreeMap::new();
    for (pci, link) in tree.iter().flat_map(|tree| &tree.links) {
        let now = Reading::of(link.width, link.generation);
        links.insert(pci, Link { pci, now, before: None, at_work: false, by: "sysfs" });
    }
    for gpu in read.iter().filter(|gpu| Reading::of_driver(gpu) != Reading::default()) {
        links.insert(&gpu.pci, Link::of_driver(ground, gpu));
    }
    let (mut covered, mut findings) = (Vec::new(), Vec::new());
    for link in links.values() {
        if let Some(of_link) = link.judge(ground, &links) {
            covered.push(link.pci.to_owned());
            findings.extend(of_link);
        }
        findings.extend(errors(ground, link));
    }
    // Neither source reports anything about any link: that is not a pass.
    if findings.is_empty() && links.values().all(|link| link.now == Reading::default()) {
        return driver.map_or_else(|why| *why, |_| Judged::skipped(reason::NOT_SUPPORTED));
    }
    judged(covered, findings)
}

impl Reading {
    fn of(width: Option<u32>, generation: Option<u32>) -> Self {
        Self {
            width: width.filter(|width| (1..=WIDEST).contains(width)),
            generation: generation.filter(|generation| (1..=NEWEST).contains(generation)),
        }
    }

    fn of_driver(gpu: &GpuReadings) -> Self {
        gpu.pcie.as_ref().map(|pcie| Self::of(pcie.width, pcie.generation)).unwrap_or_default()
    }
}

impl<'a> Link<'a> {
    fn of_driver(ground: &Ground<'a>, gpu: &'a GpuReadings) -> Self {
        let before = ground.before(&gpu.pci);
        Self {
            pci: &gpu.pci,
            now: Reading::of_driver(gpu),
            before: Some(before.map(Reading::of_driver).unwrap_or_default()),
            at_work: is_at_work(gpu) && before.is_some_and(is_at_work),
            by: "driver",
        }
    }

    /// What is wrong with its current state; `None` if that cannot be judged yet.
    fn judge(&self, ground: &Ground<'_>, all: &BTreeMap<&str, Link<'_>>) -> Option<Vec<Found>> {
        if self.needs_counters(ground) && !has_aer(ground, self.pci) {
            return None;
        }
        let declared = declared(ground);
        let width = self.now.width?;
        let (width_limit, width_reason) = match declared.and_then(|pcie| u32::try_from(pcie.width?).ok()) {
            Some(width) => (Some((width, "the profile declares")), reason::WIDTH_BELOW_PROFILE),
            None => (self.best_width(ground, all), reason::WIDTH_BELOW_BEST),
        };
        let mut found_here = Vec::new();
        if let Some((limit, whose)) = width_limit.filter(|(limit, _)| width < *limit) {
            // One low reading is not enough. sysfs keeps no previous reading, and its width comes from the link's
            // registers.
            if self.before.is_some_and(|before| before.width.is_none_or(|width| width >= limit)) {
                return None;
            }
            found_here.push(self.found(ground, width_reason, &format!("runs on {width} lanes; {whose} {limit}")));
        }
        if self.at_work {
            found_here.extend(self.generation(ground, declared)?);
        }
        Some(found_here)
    }

    /// Below its limit twice in a row while working; `None` after the first time.
    fn generation(&self, ground: &Ground<'_>, declared: Option<&ExpectedPcie>) -> Option<Vec<Found>> {
        let declared = declared.and_then(|pcie| u32::try_from(pcie.generation?).ok());
        let (limit, whose, why) = match declared {
            Some(limit) => (limit, "the profile declares", reason::GENERATION_BELOW_PROFILE),
            None => match ground.memory.board(self.pci).and_then(|board| board.generation) {
                Some(best) if best <= NEWEST => {
                    (best, "this board in this slot has shown", reason::GENERATION_BELOW_BEST)
                }
                _ => return Some(Vec::new()),
            },
        };
        let Some(generation) = self.now.generation.filter(|generation| *generation < limit) else {
            return Some(Vec::new());
        };
        let twice = self.before.and_then(|before| before.generation).is_some_and(|before| before < limit);
        let text = format!("runs at generation {generation} under load; {whose} {limit}");
        twice.then(|| vec![self.found(ground, why, &text)])
    }

    /// The best of this board in this slot, or what most boards of its model on this node have.
    fn best_width(&self, ground: &Ground<'_>, all: &BTreeMap<&str, Link<'_>>) -> Option<(u32, &'static str)> {
        let best = ground.memory.board(self.pci).and_then(|board| board.width).filter(|best| *best <= WIDEST);
        if let Some(best) = best.filter(|best| self.now.width < Some(*best)) {
            return Some((best, "this board in this slot has shown"));
        }
        let model = model(ground, self.pci)?;
        let alike = all.values().filter(|other| model == self::model(ground, other.pci).unwrap_or_default());
        let widths: Vec<u32> = alike.filter_map(|other| other.now.width).collect();
        peers::majority(&widths).map(|width| (width, "most GPUs of its model on this node have"))
    }

    fn found(&self, ground: &Ground<'_>, why: &str, text: &str) -> Found {
        let show = |value: Option<u32>| value.map_or_else(|| "-".to_owned(), |value| value.to_string());
        let serial = ground.serial(self.pci).unwrap_or("-");
        let line = |who: &str, width, generation| format!("{who} width={} gen={}", show(width), show(generation));
        let tree = ground.readings.tree().and_then(|tree| tree.links.get(self.pci));
        let lines = [
            Some(line(self.by, self.now.width, self.now.generation)),
            self.before.map(|before| line("before", before.width, before.generation)),
            tree.map(|tree| line("sysfs", tree.width, tree.generation)),
        ];
        let evidence = lines.into_iter().flatten().collect::<Vec<_>>().join(", ");
        let message = format!("the PCIe link of GPU {} (serial {serial}) {text}", self.pci);
        found(RULES, why, self.pci, message, evidence)
    }

    /// Whether the GPU's standing finding is about AER, so that only AER counters can lift it.
    fn needs_counters(&self, ground: &Ground<'_>) -> bool {
        let known = ground.findings.get(Check::PcieLink.name(), self.pci);
        known.is_some_and(|known| [reason::PCIE_ERRORS, reason::PCIE_NONFATAL_ERRORS].contains(&known.reason.as_str()))
    }
}

fn declared<'a>(ground: &Ground<'a>) -> Option<&'a ExpectedPcie> {
    ground.expected.spec?.expected.as_ref()?.gpus.as_ref()?.pcie.as_ref()
}

fn model<'a>(ground: &Ground<'a>, pci: &str) -> Option<&'a str> {
    ground.gpus.iter().find(|gpu| gpu.pci_address == pci)?.model.as_deref()
}

/// `nvmlClocksEventReasonGpuIdle` of nvml.h.
const GPU_IDLE: u64 = 0x1;

/// Uses the utilization. If it is not reported (MIG), uses the highest performance state, unless the GPU says that it
/// is idle: some GPUs keep that state while idle.
fn is_at_work(gpu: &GpuReadings) -> bool {
    gpu.clocks.as_ref().is_some_and(|clocks| match clocks.utilization_percent {
        Some(percent) => percent >= AT_WORK_PERCENT,
        None => clocks.performance_state == Some(0) && clocks.reasons.is_some_and(|reasons| reasons & GPU_IDLE == 0),
    })
}

fn has_aer(ground: &Ground<'_>, pci: &str) -> bool {
    let link = ground.readings.tree().and_then(|tree| tree.links.get(pci));
    link.is_some_and(|link| link.aer_fatal.is_some() && link.aer_nonfatal.is_some())
}

/// What the link's error counters show.
fn errors(ground: &Ground<'_>, link: &Link<'_>) -> Vec<Found> {
    let (pci, serial) = (link.pci, ground.serial(link.pci).unwrap_or("-"));
    let found = |why: &str, text: String, evidence: String| {
        found(RULES, why, pci, format!("the PCIe link of GPU {pci} (serial {serial}) {text}"), evidence)
    };
    let mut all = Vec::new();
    let fatal = rise_since_boot(ground, pci, Counter::AerFatal, ERRORS_WINDOW_MS);
    if fatal > 0 {
        let text = format!("had {fatal} fatal AER errors within the last hour");
        all.push(found(reason::PCIE_ERRORS, text, format!("aer_dev_fatal +{fatal} in 3600 s")));
    }
    let nonfatal = rise_since_boot(ground, pci, Counter::AerNonfatal, ERRORS_WINDOW_MS);
    if nonfatal > 0 {
        let text = format!("had {nonfatal} uncorrected non-fatal AER errors within the last hour");
        all.push(found(reason::PCIE_NONFATAL_ERRORS, text, format!("aer_dev_nonfatal +{nonfatal} in 3600 s")));
    }
    let best = ground.memory.board(pci).and_then(|board| board.generation);
    let rates = [
        (Counter::PcieReplays, "replays", replays_allowed(best.max(link.now.generation))),
        (Counter::AerCorrectable, "corrected errors", CORRECTED_PER_MINUTE),
    ];
    for (counter, what, limit) in rates {
        if let Some(rate) = per_minute(ground, pci, counter, RATE_WINDOW_MS).filter(|rate| *rate > limit) {
            let text = format!("has {rate} {what} per minute; up to {limit} is normal");
            all.push(found(reason::PCIE_REPLAYS, text, format!("{what} {rate}/min over 600 s")));
        }
    }
    all
}

/// The limit of this generation; that of the newest if it is unknown.
fn replays_allowed(generation: Option<u32>) -> u64 {
    let above_3 = generation.unwrap_or(NEWEST).min(NEWEST).saturating_sub(3);
    REPLAYS_PER_MINUTE_GENERATION_3 << above_3
}
