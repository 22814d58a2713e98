//! `syslog(2)`: the kernel log for a process that may not open the device. It has no wake-up and no sequence numbers,
//! so it is read every second, and the position is found again by the last lines seen.

use super::sink::{Progress, Sink};
use super::{KernelRecord, klogctl};
use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::time::Duration;
use tokio::time::Instant;

const INTERVAL: Duration = Duration::from_secs(1);

/// The first read asks for this many of the newest bytes; the window grows fourfold until it has the last lines seen.
const FIRST_WINDOW: usize = 16 * 1024;

/// The widest window, in bytes, whatever the size of the kernel's buffer: it bounds the agent's memory.
const WIDEST_WINDOW: usize = 4 * 1024 * 1024;

/// How many of the last lines are remembered, as hashes: a single line may occur more than once.
const REMEMBERED: usize = 32;

#[derive(Debug)]
pub(super) struct SyslogPoll {
    next_look: Instant,
    widest: usize,
    seen: Seen,
    /// Bytes read but not yet delivered, and how many of them were.
    pending: Vec<u8>,
    delivered: usize,
    /// Lines were lost since the previous read; reported before the next record.
    overrun: bool,
}

impl SyslogPoll {
    pub(super) fn open() -> io::Result<Self> {
        // Reading one byte only checks the permission.
        klogctl::read_newest(&mut [0])?;
        // The buffer does not store the prefix of each line, so the text is longer than the buffer.
        let widest = klogctl::buffer_bytes()?.saturating_mul(2).clamp(FIRST_WINDOW, WIDEST_WINDOW);
        Ok(Self {
            next_look: Instant::now(),
            widest,
            seen: Seen::default(),
            pending: Vec::new(),
            delivered: 0,
            overrun: false,
        })
    }

    pub(super) fn read(&mut self, sink: &mut Sink<'_>) -> io::Result<Progress> {
        if self.delivered == self.pending.len() {
            let now = Instant::now();
            if now < self.next_look {
                return Ok(Progress::Drained);
            }
            self.next_look = now + INTERVAL;
            self.look()?;
        }
        if std::mem::take(&mut self.overrun) {
            sink.overrun(None);
        }
        while !sink.is_full() {
            let rest = self.pending.get(self.delivered..).unwrap_or_default();
            let Some(line) = rest.split_inclusive(|byte| *byte == b'\n').next() else {
                // A quiet log uses no memory between reads.
                self.pending = Vec::new();
                self.delivered = 0;
                return Ok(Progress::Drained);
            };
            self.delivered += line.len();
            if let Some(record) = KernelRecord::from_syslog(line) {
                sink.record(record);
            }
        }
        Ok(Progress::More)
    }

    pub(super) async fn wait(&self) {
        tokio::time::sleep_until(self.next_look).await;
    }

    /// Reads the newest lines, no more than needed to include the last lines seen.
    fn look(&mut self) -> io::Result<()> {
        let mut size = if self.seen.is_empty() { self.widest } else { FIRST_WINDOW.min(self.widest) };
        loop {
            let mut window = vec![0; size];
            let length = klogctl::read_newest(&mut window)?;
            window.truncate(length);
            let whole = size >= self.widest;
            match self.seen.first_unseen(&window, whole) {
                Some(start) => {
                    window.drain(..start);
                    break self.hold(window);
                }
                // Cleared (`dmesg -C`) or completely overwritten.
                None if whole => {
                    self.overrun = !window.is_empty();
                    break self.hold(window);
                }
                None => size = size.saturating_mul(4).min(self.widest),
            }
        }
        Ok(())
    }

    fn hold(&mut self, fresh: Vec<u8>) {
        self.seen.remember(&fresh);
        self.pending = fresh;
        self.delivered = 0;
    }
}

/// The last lines seen, to find the position again in a later read.
#[derive(Debug, Default)]
struct Seen {
    hashes: VecDeque<u64>,
}

impl Seen {
    fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }

    /// Where the unseen lines begin in `window`; None if the last lines seen are not in it. All remembered lines must
    /// be in the window, unless it is the complete log (`whole`).
    fn first_unseen(&self, window: &[u8], whole: bool) -> Option<usize> {
        let Some(last) = self.hashes.back() else {
            return Some(0);
        };
        let mut end = 0;
        let lines: Vec<(u64, usize)> = lines(window)
            .map(|line| {
                end += line.len();
                (hash(line), end)
            })
            .collect();
        // The latest position that matches: if lines without times repeat, missing one is better than a false report.
        (1..=lines.len()).rev().find_map(|count| {
            let (line, end) = lines.get(count - 1)?;
            let enough = whole || count >= self.hashes.len();
            let fits = line == last && enough && {
                let before = lines.get(..count)?.iter().rev().map(|(hash, _)| hash);
                self.hashes.iter().rev().zip(before).all(|(seen, now)| seen == now)
            };
            fits.then_some(*end)
        })
    }

    fn remember(&mut self, fresh: &[u8]) {
        for line in lines(fresh) {
            if self.hashes.len() == REMEMBERED {
                self.hashes.pop_front();
            }
            self.hashes.push_back(hash(line));
        }
    }
}

fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split_inclusive(|byte| *byte == b'\n')
}

/// The last line may have no line feed until the next one arrives.
fn hash(line: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    line.strip_suffix(b"\n").unwrap_or(line).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(numbers: std::ops::Range<u32>) -> Vec<u8> {
        numbers.flat_map(|number| format!("<6>[    0.{number:06}] line {number}\n").into_bytes()).collect()
    }

    fn seen(numbers: std::ops::Range<u32>) -> Seen {
        let mut seen = Seen::default();
        seen.remember(&log(numbers));
        seen
    }

    #[test]
    fn lines_after_the_last_seen_one_are_new_and_none_before() {
        let window = log(0..50);
        assert_eq!(seen(0..50).first_unseen(&window, false), Some(window.len()));
        assert_eq!(seen(0..40).first_unseen(&window, false), Some(log(0..40).len()));
        assert_eq!(Seen::default().first_unseen(&window, true), Some(0));
    }

    #[test]
    fn the_place_is_found_although_older_lines_were_overwritten() {
        // Of the 32 remembered lines only the last 5 are left.
        assert_eq!(seen(0..40).first_unseen(&log(35..60), true), Some(log(35..40).len()));
        assert_eq!(seen(0..40).first_unseen(&log(35..60), false), None, "a narrow look asks for a wider one first");
    }

    #[test]
    fn an_overrun_is_seen_by_the_last_line_being_gone() {
        assert_eq!(seen(0..40).first_unseen(&log(41..60), true), None);
        assert_eq!(seen(0..40).first_unseen(b"", true), None);
    }

    #[test]
    fn a_line_that_repeats_with_the_same_stamp_is_counted_once_more() {
        let mut before = log(0..40);
        before.extend_from_slice(b"<4>[    1.000000] NVRM: again\n");
        let mut seen = Seen::default();
        seen.remember(&before);
        let mut after = before.clone();
        after.extend_from_slice(b"<4>[    1.000000] NVRM: again\n<4>[    1.000000] NVRM: other\n");
        assert_eq!(seen.first_unseen(&after, true), Some(before.len()));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        assert_eq!(seen(0..100_000).hashes.len(), REMEMBERED);
    }
}
