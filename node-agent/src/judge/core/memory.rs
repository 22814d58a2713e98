//! What is remembered between samples: counter increases, and the best that each board has shown.
//!
//! ```text
//!  Sample, TreeReport ─▶ note ─▶ Memory ─▶ increase, last_step ─▶ judges
//!  report.baselines   ─▶ restore ─┘   └─▶ baselines ─▶ report.baselines
//! ```
//!
//! What must stay true:
//! - An increase is counted exactly once, also across a restart of the agent.
//! - A counter that falls to half or less was reset (boot, driver load, GPU reset) and counts from zero. A smaller fall
//!   is a wrong reading: the counter's return to its earlier value is not counted again.
//! - Another serial number at an address is another board: it is not compared with the previous one.
//! - A rise never moves in time beyond the step in which it was seen, and the length of an old step stays a bounded
//!   share of its age.
//! - Memory use does not grow with time.

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

/// Steps kept for each counter.
const STEPS: usize = 48;
/// The newest steps are never merged: at one reading per minute this is half an hour, as far back as rules look step by
/// step.
const WHOLE_STEPS: usize = 32;
/// Steps older than this are dropped, because no rule looks further back. 24 hours, in milliseconds.
const HORIZON_MS: u64 = 24 * 3600 * 1000;

/// How many targets have counters: 72 GPUs with 36 links each, and ports. Beyond it, the one that was not read for the
/// longest time is forgotten: a driver that names new targets for ever displaces none that is there.
const MAX_TARGETS: usize = 3_072;
/// How many boards are remembered; as many GPUs as a node can have, and again as many that have left.
const MAX_BOARDS: usize = 144;

/// Everything that is remembered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// By target: nested maps, so that a lookup by name copies no name.
    tracks: BTreeMap<String, BTreeMap<Counter, Track>>,
    boards: BTreeMap<String, Board>,
    /// Counters from the report of a previous process, until the target is first read again.
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
    /// When the later reading was taken.
    pub to: u64,
    /// How much the counter rose.
    pub by: u64,
}

impl Memory {
    /// Records a sample of the driver. Call once per sample.
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

    /// Records a reading of sysfs. Call once per reading.
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

    /// How much a counter rose within the last `window_ms`, and the milliseconds over which that was observed. `None`
    /// until there are two readings. A step that began before the window counts in proportion.
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

    /// The steps of a counter, oldest first; the last one ends at its last reading.
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

    /// Forgets all counters: after maintenance, counting starts over. What boards have shown stays.
    pub fn begin_anew(&mut self) {
        self.tracks.clear();
        self.restored.clear();
    }

    /// Restores what a previous process of the agent reported.
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

    /// If the address has another board, forgets what was remembered of the previous one.
    fn recognize(&mut self, pci: &str, serial: Option<&str>) {
        let Some(serial) = serial else { return };
        if self.boards.get(pci).is_some_and(|board| is_another(&board.serial, serial)) {
            self.boards.remove(pci);
            self.restored.remove(pci);
            let links = format!("{pci}/");
            self.tracks.retain(|target, _| target != pci && !target.starts_with(&links));
        }
        match self.boards.get_mut(pci) {
            // A serial number identifies the board better than the UUID recorded before it.
            Some(board) if is_uuid(&board.serial) && !is_uuid(serial) => serial.clone_into(&mut board.serial),
            Some(_) => {}
            None => {
                self.make_room_for_a_board();
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
        if self.tracks.len() > MAX_TARGETS {
            self.forget_stalest();
        }
    }

    fn forget_stalest(&mut self) {
        let last_read = |counters: &BTreeMap<Counter, Track>| counters.values().map(|track| track.at).max();
        let stalest =
            self.tracks.iter().min_by_key(|(_, counters)| last_read(counters)).map(|(target, _)| target.clone());
        if let Some(target) = stalest {
            self.tracks.remove(&target);
        }
    }

    /// Makes room for another board: one that is not read any more leaves first.
    fn make_room_for_a_board(&mut self) {
        if self.boards.len() < MAX_BOARDS {
            return;
        }
        let last_read = |pci: &str| self.tracks.get(pci)?.values().map(|track| track.at).max();
        if let Some(pci) = self.boards.keys().min_by_key(|pci| last_read(pci)).cloned() {
            self.boards.remove(&pci);
        }
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

    /// Joins quiet steps, so that the limit covers hours of a healthy counter and still every rise of a faulty one.
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

    /// Merges the two neighbouring steps that are shortest for their age, so that the length of a step stays a bounded
    /// share of its age and the step can expire at the horizon.
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
    /// How much the counter rose since `begin`, assuming a constant rate; rounded up, so that no rise is lost.
    pub fn by_since(&self, begin: u64) -> u64 {
        let whole = self.to.saturating_sub(self.from);
        let inside = self.to.saturating_sub(self.from.max(begin));
        // Two readings at the same moment: their age came from a clock that was set back.
        if inside >= whole {
            return if self.to > begin { self.by } else { 0 };
        }
        let by = (u128::from(self.by) * u128::from(inside)).div_ceil(u128::from(whole));
        u64::try_from(by).unwrap_or(u64::MAX)
    }
}

/// The rise from one reading to the next. A fall to half or less is a reset: the counter counts from zero. A smaller
/// fall is not explained by a reset and is not a rise.
fn risen(before: u64, value: u64) -> u64 {
    if is_lie(before, value) { 0 } else { value.checked_sub(before).unwrap_or(value) }
}

/// Whether the counter fell by less than half, which no reset explains.
const fn is_lie(before: u64, value: u64) -> bool {
    value < before && value > before / 2
}

/// Whether the two identities are of different boards. A UUID and a serial number cannot be compared: a driver may not
/// report the serial number for a while.
fn is_another(known: &str, seen: &str) -> bool {
    known != seen && is_uuid(known) == is_uuid(seen)
}

fn is_uuid(text: &str) -> bool {
    text.starts_with("GPU-")
}
