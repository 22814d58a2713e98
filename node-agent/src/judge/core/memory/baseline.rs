//! Memory as the report carries it: `s=SERIAL;w=16;g=5;l=18;eu=0;ec=12;…`, at most 256 bytes per target.

use super::board::Board;
use super::counters::Counter;
use crate::text::bounded;
use crate::time::Now;
use crds::Time;
use crds::node_health::Baseline;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// The bound of a baseline's values, in bytes.
const VALUES_MAX: usize = 256;

/// What a previous process of the agent knew about one target.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Restored {
    pub(super) board: Option<Board>,
    counters: BTreeMap<Counter, u64>,
    same_boot: bool,
    age_ms: u64,
}

/// The last value of a counter in a previous process.
pub(super) struct Before {
    pub(super) value: u64,
    /// How long ago, in milliseconds.
    pub(super) age_ms: u64,
    /// Whether the counter may have continued from there; otherwise it has restarted from zero.
    pub(super) same_run: bool,
}

impl Restored {
    /// The counters not read since, as they must be reported again: zero for those that have restarted.
    fn unread(&self) -> impl Iterator<Item = (Counter, u64)> {
        let goes_on = |counter: Counter| self.same_boot || counter.outlives_boot();
        self.counters.iter().map(move |(counter, value)| (*counter, if goes_on(*counter) { *value } else { 0 }))
    }

    pub(super) fn take(&mut self, counter: Counter) -> Option<Before> {
        let value = self.counters.remove(&counter)?;
        let same_run = self.same_boot || counter.outlives_boot();
        Some(Before { value, age_ms: self.age_ms, same_run })
    }
}

/// Parses a baseline; `None` if it is not about counters.
pub(super) fn read(baseline: &Baseline, boot_id: &str, now: Now) -> Option<(String, Restored)> {
    let mut board = Board::default();
    let mut counters = BTreeMap::new();
    for (key, value) in baseline.values.split(';').filter_map(|part| part.split_once('=')) {
        match (key, value.parse::<u64>()) {
            ("s", _) => value.clone_into(&mut board.serial),
            ("w", Ok(number)) => board.width = u32::try_from(number).ok(),
            ("g", Ok(number)) => board.generation = u32::try_from(number).ok(),
            ("l", Ok(number)) => board.links = u32::try_from(number).ok(),
            (code, Ok(number)) => {
                if let Some(counter) = Counter::ALL.iter().find(|counter| counter.code() == code) {
                    counters.insert(*counter, number);
                }
            }
            _ => {}
        }
    }
    if counters.is_empty() && board.serial.is_empty() {
        return None;
    }
    let age = now.wall().unix().saturating_sub(baseline.at.unix());
    let restored = Restored {
        board: (!board.serial.is_empty()).then_some(board),
        counters,
        same_boot: baseline.boot_id == boot_id,
        age_ms: u64::try_from(age).unwrap_or(0).saturating_mul(1000),
    };
    Some((baseline.target.clone(), restored))
}

/// What is known of all targets.
pub(super) struct Known<'m> {
    pub(super) boards: &'m BTreeMap<String, Board>,
    /// The counters that this process has read.
    pub(super) counters: BTreeMap<&'m str, BTreeMap<Counter, u64>>,
    /// The counters that a previous process has read and this one has not yet.
    pub(super) restored: &'m BTreeMap<String, Restored>,
}

impl Known<'_> {
    /// GPUs first, then ports. Links have no baseline of their own: the sums of their GPU show that something rose.
    pub(super) fn write(&self, boot_id: &str, at: Time, max: usize) -> Vec<Baseline> {
        let mut targets: Vec<&str> = self.boards.keys().map(String::as_str).collect();
        let others: BTreeSet<&str> =
            self.counters.keys().copied().chain(self.restored.keys().map(String::as_str)).collect();
        let others =
            others.into_iter().filter(|target| !target.contains("/link") && !self.boards.contains_key(*target));
        targets.extend(others);
        targets.into_iter().take(max).map(|target| self.one(target, boot_id, at)).collect()
    }

    fn one(&self, target: &str, boot_id: &str, at: Time) -> Baseline {
        let mut values = String::new();
        let mut put = |key: &str, value: &dyn std::fmt::Display| {
            let before = values.len();
            let comma = if values.is_empty() { "" } else { ";" };
            // Writing to a String cannot fail.
            let _ = write!(values, "{comma}{key}={value}");
            if values.len() > VALUES_MAX {
                values.truncate(before);
            }
        };
        if let Some(board) = self.boards.get(target) {
            let serial: String = board.serial.chars().filter(|c| !matches!(c, ';' | '=')).take(64).collect();
            put("s", &serial);
            for (key, value) in [("w", board.width), ("g", board.generation), ("l", board.links)] {
                if let Some(value) = value {
                    put(key, &value);
                }
            }
        }
        let read = self.counters.get(target).into_iter().flatten().map(|(counter, value)| (*counter, *value));
        let unread = self.restored.get(target).into_iter().flat_map(Restored::unread);
        // In the order of the variants, most important first.
        for (counter, value) in unread.chain(read).collect::<BTreeMap<_, _>>() {
            put(counter.code(), &value);
        }
        Baseline { target: bounded(target, 64), boot_id: boot_id.to_owned(), at, values }
    }
}
