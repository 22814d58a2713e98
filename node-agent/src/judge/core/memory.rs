//! What must be remembered between samples: counters by difference, and the best that each board has shown.
//!
//! ```text
//!  Sample, TreeReport ─▶ note ─▶ Memory ─▶ increase, last_step ─▶ judges
//!  report.baselines   ─▶ restore ─┘   └─▶ baselines ─▶ report.baselines
//! ```
//!
//! What must stay true:
//! - an increase is counted once: not lost by a restart of the agent, and not twice;
//! - a counter that falls to half or less begins anew: after a boot, a driver load or a reset it counts from zero; one that
//!   falls by less is a driver that lies: what it counted before is not counted again when it comes back;
//! - another serial at an address is another board: nothing of the former one is compared with it;
//! - a rise never moves further in time than the step in which it was seen, and of old steps the length stays a share of
//!   the age;
//! - nothing grows with time.

mod baseline;
mod board;
mod counters;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

pub use board::Board;
pub use counters::Counter;

use crate::readings::Sample;
use crate::readings::TreeReport;
use crate::time::Now;
use crds::Time;
use crds::node_health::Baseline;
use std::collections::{BTreeMap, VecDeque};

/// Steps that are kept of each counter.
const STEPS: usize = 48;
/// The newest steps are never merged: half an hour of minutes, which is as far back as rules look step by step.
const WHOLE_STEPS: usize = 32;
/// Steps older than this are dropped: no rule looks further back. 24 hours, in milliseconds.
const HORIZON_MS: u64 = 24 * 3600 * 1000;

/// Everything that is remembered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// By target: two levels, so that a question by name copies no name.
    tracks: BTreeMap<String, BTreeMap<Counter, Track>>,
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

impl Memory {
    /// Takes a sample of the driver in. Once per sample.
    pub fn note_sample(&mut self, sample: &Sample, now: Now) {
        for gpu in &sample.gpus {
            let serial = counters::serial(&sample.view, &gpu.pci);
            self.recognize(&gpu.pci, serial.as_deref());
            for (counter, value) in counters::of_gpu(gpu) {
                self.note(&gpu.pci, counter, value, now);
            }
            for link in gpu.nvlink.iter().flat_map(|nvlink| &nvlink.links) {
                let target = format!("{}/link{}", gpu.pci, link.link);
                for (counter, value) in counters::of_link(link) {
                    self.note(&target, counter, value, now);
                }
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
        let track = self.track(target, counter)?;
        let begin = now.mono_ms.saturating_sub(window_ms);
        let mut sum = (0_u64, 0_u64);
        for step in track.steps.iter().filter(|step| step.to > begin) {
            sum.0 = sum.0.saturating_add(step.by_since(begin));
            sum.1 = sum.1.saturating_add(step.to.saturating_sub(step.from.max(begin)));
        }
        (!track.steps.is_empty()).then_some(sum)
    }

    /// The steps of a counter, oldest first; the last is that to its last reading.
    pub fn steps(&self, target: &str, counter: Counter) -> impl DoubleEndedIterator<Item = Step> {
        self.track(target, counter).into_iter().flat_map(|track| track.steps.iter().copied())
    }

    fn track(&self, target: &str, counter: Counter) -> Option<&Track> {
        self.tracks.get(target)?.get(&counter)
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
            let is_another =
                |known: &Board| restored.board.as_ref().is_some_and(|board| is_another(&known.serial, &board.serial));
            if self.boards.get(&target).is_some_and(is_another) {
                continue;
            }
            if let Some(board) = restored.board.clone() {
                self.boards.entry(target.clone()).or_insert(board);
            }
            if !self.tracks.contains_key(&target) {
                self.restored.insert(target, restored);
            }
        }
    }

    /// What must survive this process, GPUs first; at most `max` entries of at most 256 bytes of values.
    pub fn baselines(&self, boot_id: &str, at: Time, max: usize) -> Vec<Baseline> {
        let values = |counters: &BTreeMap<Counter, Track>| {
            counters.iter().map(|(counter, track)| (*counter, track.value)).collect::<BTreeMap<_, _>>()
        };
        let counters = self.tracks.iter().map(|(target, counters)| (target.as_str(), values(counters))).collect();
        baseline::Known { boards: &self.boards, counters, restored: &self.restored }.write(boot_id, at, max)
    }

    /// Another board at the address: what was remembered of the former one goes.
    fn recognize(&mut self, pci: &str, serial: Option<&str>) {
        let Some(serial) = serial else { return };
        if self.boards.get(pci).is_some_and(|board| is_another(&board.serial, serial)) {
            self.boards.remove(pci);
            self.restored.remove(pci);
            let links = format!("{pci}/");
            self.tracks.retain(|target, _| target != pci && !target.starts_with(&links));
        }
        match self.boards.get_mut(pci) {
            // The serial number tells more than the UUID that was told before it.
            Some(board) if is_uuid(&board.serial) && !is_uuid(serial) => serial.clone_into(&mut board.serial),
            Some(_) => {}
            None => {
                self.boards.insert(pci.to_owned(), Board { serial: serial.to_owned(), ..Board::default() });
            }
        }
    }

    fn note(&mut self, target: &str, counter: Counter, value: u64, now: Now) {
        if let Some(track) = self.tracks.get_mut(target).and_then(|of| of.get_mut(&counter)) {
            track.rise(value, now.mono_ms);
            return;
        }
        let mut track = Track { value, at: now.mono_ms, steps: VecDeque::new() };
        if let Some(before) = self.restored.get_mut(target).and_then(|restored| restored.take(counter)) {
            let by = if before.same_run { risen(before.value, value) } else { value };
            if before.same_run && is_lie(before.value, value) {
                track.value = before.value;
            }
            track.push(Step { from: now.mono_ms.saturating_sub(before.age_ms), to: now.mono_ms, by });
        }
        self.tracks.entry(target.to_owned()).or_default().insert(counter, track);
    }
}

impl Track {
    fn rise(&mut self, value: u64, at: u64) {
        let by = risen(self.value, value);
        let step = Step { from: self.at, to: at, by };
        self.value = if is_lie(self.value, value) { self.value } else { value };
        self.at = at;
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
        if self.steps.len() > STEPS {
            self.merge();
        }
    }

    /// Merges the two neighbours that together are the shortest for their age, so that a step is never much longer than a
    /// share of its age, and goes with the horizon.
    fn merge(&mut self) {
        let pairs = self.steps.iter().zip(self.steps.iter().skip(1)).take(STEPS - WHOLE_STEPS);
        let coarseness = |(one, next): &(&Step, &Step)| {
            let (length, age) = (next.to.saturating_sub(one.from), self.at.saturating_sub(one.from));
            u128::from(length) * u128::from(u32::MAX) / u128::from(age.max(1))
        };
        let finest = pairs.enumerate().min_by_key(|(_, pair)| coarseness(pair)).map(|(index, _)| index);
        if let Some(index) = finest
            && let Some(one) = self.steps.remove(index)
            && let Some(next) = self.steps.get_mut(index)
        {
            *next = Step { from: one.from, to: next.to, by: one.by.saturating_add(next.by) };
        }
    }
}

impl Step {
    /// By how much the counter rose since this moment, if it rose evenly; rounded up, so that no rise goes lost.
    pub fn by_since(&self, begin: u64) -> u64 {
        let whole = self.to.saturating_sub(self.from);
        let inside = self.to.saturating_sub(self.from.max(begin));
        // Two readings at one moment: an age by a clock that was set back.
        if inside >= whole {
            return if self.to > begin { self.by } else { 0 };
        }
        let by = (u128::from(self.by) * u128::from(inside)).div_ceil(u128::from(whole));
        u64::try_from(by).unwrap_or(u64::MAX)
    }
}

/// The rise from one reading to the next of the same run of the driver. A fall to half or less is a reset: the counter
/// counts from zero. A smaller fall no reset explains; it is no rise.
fn risen(before: u64, value: u64) -> u64 {
    if is_lie(before, value) { 0 } else { value.checked_sub(before).unwrap_or(value) }
}

/// Whether it fell, and by less than half.
const fn is_lie(before: u64, value: u64) -> bool {
    value < before && value > before / 2
}

/// Whether these are the numbers of two boards. A UUID and a serial number tell nothing about each other: a driver may
/// keep the serial number to itself for a while.
fn is_another(known: &str, seen: &str) -> bool {
    known != seen && is_uuid(known) == is_uuid(seen)
}

fn is_uuid(text: &str) -> bool {
    text.starts_with("GPU-")
}
