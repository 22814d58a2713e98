//! What must be remembered between samples: counters by difference, and the best that each board has shown.
//!
//! ```text
//!  Sample, TreeReport ─▶ note ─▶ Memory ─▶ increase, last_step ─▶ judges
//!  report.baselines   ─▶ restore ─┘   └─▶ baselines ─▶ report.baselines
//! ```
//!
//! What must stay true:
//! - an increase is counted once: not lost by a restart of the agent, and not twice;
//! - a counter that falls begins anew: after a boot, a driver load or a reset it counts from zero; a counter that falls by
//!   less than half within one boot is a driver that lies, and is only taken as the new base;
//! - another serial at an address is another board: nothing of the former one is compared with it;
//! - nothing grows with time.

mod baseline;
mod counters;
#[cfg(test)]
mod tests;

pub use counters::Counter;

use crate::probe::tree::TreeReport;
use crate::sampler::Sample;
use crate::time::Now;
use crds::Time;
use crds::node_health::Baseline;
use std::collections::{BTreeMap, VecDeque};

/// Steps that are kept of each counter; older ones are merged into the oldest.
const STEPS: usize = 32;
/// Steps older than this are dropped: no rule looks further back. 24 hours, in milliseconds.
const HORIZON_MS: u64 = 24 * 3600 * 1000;

/// Everything that is remembered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    tracks: BTreeMap<(String, Counter), Track>,
    boards: BTreeMap<String, Board>,
    /// Counters of the report of a former process, until the first reading of the same target.
    restored: BTreeMap<String, baseline::Restored>,
}

/// One counter.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Track {
    value: u64,
    at: u64,
    steps: VecDeque<Step>,
}

/// From one reading to a later one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// When the earlier reading was taken, by the monotonic clock in milliseconds.
    pub from: u64,
    /// When the later one was.
    pub to: u64,
    /// By how much the counter rose.
    pub by: u64,
}

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

impl Memory {
    /// Takes a sample of the driver in. Once per sample.
    pub fn note_sample(&mut self, sample: &Sample, now: Now) {
        for gpu in &sample.gpus {
            let serial = counters::serial(&sample.view, &gpu.pci);
            self.recognize(&gpu.pci, serial.as_deref());
            for (counter, value) in counters::of_gpu(gpu) {
                self.note(&gpu.pci, counter, value, now);
            }
            for (link, counter, value) in counters::of_links(gpu) {
                self.note(&format!("{}/link{link}", gpu.pci), counter, value, now);
            }
            if let Some(board) = self.boards.get_mut(&gpu.pci) {
                board.best(gpu);
            }
        }
    }

    /// Takes what sysfs told in. Once per reading.
    pub fn note_tree(&mut self, tree: &TreeReport, now: Now) {
        for (pci, link) in &tree.links {
            for (counter, value) in counters::of_pci(link) {
                self.note(pci, counter, value, now);
            }
        }
        for port in &tree.rdma {
            for (counter, value) in counters::of_port(port) {
                self.note(&port.name, counter, value, now);
            }
        }
    }

    /// By how much a counter rose within the last `window_ms`, and over how many milliseconds that was seen. `None` until
    /// there are two readings. A step that began before the window counts with its share.
    pub fn increase(&self, target: &str, counter: Counter, window_ms: u64, now: Now) -> Option<(u64, u64)> {
        let track = self.tracks.get(&(target.to_owned(), counter))?;
        let begin = now.mono_ms.saturating_sub(window_ms);
        let mut sum = (0_u64, 0_u64);
        for step in track.steps.iter().filter(|step| step.to > begin) {
            let whole = step.to.saturating_sub(step.from).max(1);
            let inside = step.to.saturating_sub(step.from.max(begin));
            let by = u128::from(step.by) * u128::from(inside) / u128::from(whole);
            sum.0 = sum.0.saturating_add(u64::try_from(by).unwrap_or(u64::MAX));
            sum.1 = sum.1.saturating_add(inside);
        }
        (!track.steps.is_empty()).then_some(sum)
    }

    /// The steps of a counter, oldest first; the last is that to its last reading.
    pub fn steps(&self, target: &str, counter: Counter) -> impl DoubleEndedIterator<Item = Step> {
        let track = self.tracks.get(&(target.to_owned(), counter));
        track.into_iter().flat_map(|track| track.steps.iter().copied())
    }

    /// The targets that have this counter.
    pub fn targets(&self, counter: Counter) -> impl Iterator<Item = &str> {
        self.tracks.keys().filter(move |(_, known)| *known == counter).map(|(target, _)| target.as_str())
    }

    /// The best that the board at this address has shown.
    pub fn board(&self, pci: &str) -> Option<&Board> {
        self.boards.get(pci)
    }

    /// Forgets all counters: after a maintenance everything begins anew. What boards have shown stays.
    pub fn begin_anew(&mut self) {
        self.tracks.clear();
        self.restored.clear();
    }

    /// Takes over what a former process of the agent reported.
    pub fn restore(&mut self, baselines: &[Baseline], boot_id: &str, now: Now) {
        for (target, restored) in baselines.iter().filter_map(|one| baseline::read(one, boot_id, now)) {
            if let Some(board) = restored.board.clone() {
                self.boards.entry(target.clone()).or_insert(board);
            }
            if self.tracks.keys().all(|(known, _)| *known != target) {
                self.restored.insert(target, restored);
            }
        }
    }

    /// What must survive this process, GPUs first; at most `max` entries of at most 256 bytes of values.
    pub fn baselines(&self, boot_id: &str, at: Time, max: usize) -> Vec<Baseline> {
        baseline::write(self, boot_id, at, max)
    }

    /// Another board at the address: what was remembered of the former one goes.
    fn recognize(&mut self, pci: &str, serial: Option<&str>) {
        let Some(serial) = serial else { return };
        if self.boards.get(pci).is_some_and(|board| board.serial != serial) {
            self.boards.remove(pci);
            self.restored.remove(pci);
            let links = format!("{pci}/");
            self.tracks.retain(|(target, _), _| target != pci && !target.starts_with(&links));
        }
        self.boards.entry(pci.to_owned()).or_insert_with(|| Board { serial: serial.to_owned(), ..Board::default() });
    }

    fn note(&mut self, target: &str, counter: Counter, value: u64, now: Now) {
        let key = (target.to_owned(), counter);
        if let Some(track) = self.tracks.get_mut(&key) {
            track.rise(value, now.mono_ms);
            return;
        }
        let mut track = Track { value, at: now.mono_ms, steps: VecDeque::new() };
        if let Some(before) = self.restored.get_mut(target).and_then(|restored| restored.take(counter)) {
            let by = if before.same_run { risen(before.value, value) } else { value };
            track.push(Step { from: now.mono_ms.saturating_sub(before.age_ms), to: now.mono_ms, by });
        }
        self.tracks.insert(key, track);
    }
}

impl Track {
    fn rise(&mut self, value: u64, at: u64) {
        let by = risen(self.value, value);
        let step = Step { from: self.at, to: at, by };
        (self.value, self.at) = (value, at);
        self.push(step);
        while self.steps.front().is_some_and(|oldest| oldest.to.saturating_add(HORIZON_MS) < at) {
            self.steps.pop_front();
        }
    }

    /// Quiet steps are joined, so that the bound holds hours of a healthy counter and every rise of a sick one.
    fn push(&mut self, step: Step) {
        let quiet_before = self.steps.iter().rev().take(2).filter(|last| last.by == 0).count() == 2;
        match self.steps.back_mut() {
            Some(last) if step.by == 0 && quiet_before => last.to = step.to,
            _ => self.steps.push_back(step),
        }
        if self.steps.len() > STEPS
            && let Some(oldest) = self.steps.pop_front()
            && let Some(next) = self.steps.front_mut()
        {
            *next = Step { from: oldest.from, to: next.to, by: oldest.by.saturating_add(next.by) };
        }
    }
}

impl Board {
    fn best(&mut self, gpu: &crate::sampler::sample::GpuReadings) {
        let better = |known: &mut Option<u32>, seen: Option<u32>| *known = (*known).max(seen);
        if let Some(pcie) = &gpu.pcie {
            better(&mut self.width, pcie.width);
            better(&mut self.generation, pcie.generation);
        }
        if let Some(nvlink) = &gpu.nvlink {
            let up = nvlink.links.iter().filter(|link| link.active).count();
            better(&mut self.links, u32::try_from(up).ok().filter(|up| *up > 0));
        }
    }
}

/// The rise from one reading to the next of the same run of the driver. A fall to half or less is a reset: the counter
/// counts from zero. A smaller fall no reset explains; it is no rise.
fn risen(before: u64, value: u64) -> u64 {
    match value.checked_sub(before) {
        Some(by) => by,
        None if value <= before / 2 => value,
        None => 0,
    }
}
