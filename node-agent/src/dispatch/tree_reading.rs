//! When sysfs is read, and the result.

use super::probe::{Measured, Probe};
use super::turn::Turn;
use crate::judge::Readings;
use crate::judge::registry;
use crate::readings::TreeReport;
use crds::node_health::Monitor;

/// The time limit for reading the tree, in milliseconds. It takes well under a second, but sysfs files may block on a
/// driver that hangs.
pub const TREE_DEADLINE_MS: u64 = 30_000;
/// The longest pause after a failed reading, in milliseconds.
const RETRY_MS: u64 = 10_000;
/// The shortest pause after a failed reading, in milliseconds.
const PAUSE_MS: u64 = 2_000;
/// How often the tree is read, in milliseconds.
pub(super) fn interval_ms(monitors: &[Monitor]) -> u64 {
    u64::try_from(registry::tree_seconds(monitors)).unwrap_or(1).saturating_mul(1000)
}

/// The reading in progress, and when the next one is due.
#[derive(Clone, Debug, Default)]
pub(super) struct TreeReading {
    probe: Option<u64>,
    began: u64,
    due: u64,
    /// No reading before this moment, because the last one failed.
    not_before: u64,
    /// When the last successful reading began.
    read: Option<u64>,
}

impl TreeReading {
    /// Whether a reading that began at this moment or later has succeeded.
    pub(super) fn was_read(&self, since: u64) -> bool {
        self.read.is_some_and(|began| began >= since)
    }

    /// Reads at once, unless a reading has begun since.
    pub(super) fn want(&mut self, since: u64) {
        if self.probe.is_none() || self.began < since {
            self.due = 0;
        }
    }

    /// Reads the tree again, if it was read before.
    pub(super) fn read_again(&mut self) {
        if self.read.is_some() {
            self.due = 0;
        }
    }

    /// Starts a reading that is due.
    pub(super) fn look(&mut self, interval_ms: u64, turn: &mut Turn<'_>) {
        let now = turn.now.mono_ms;
        // A shortened interval takes effect now.
        self.due = self.due.min(now.saturating_add(interval_ms));
        let due = self.due.max(self.not_before);
        if self.probe.is_none() && now >= due {
            self.probe = Some(turn.probes.start(Probe::Tree, TREE_DEADLINE_MS, turn.commands));
            self.began = now;
            self.due = now.saturating_add(interval_ms);
        }
        // A reading in progress is awaited anyway.
        if self.probe.is_none() {
            turn.wake_at(due);
        }
    }

    /// Processes the end of the reading; returns the measurement if the probe is not ours.
    pub(super) fn ended(
        &mut self,
        probe: u64,
        measured: Measured,
        readings: &mut Readings,
        now: u64,
    ) -> Result<Option<Box<TreeReport>>, Measured> {
        if self.probe.take_if(|running| *running == probe).is_none() {
            return Err(measured);
        }
        let (reason, message) = match measured {
            Measured::Tree(report) => {
                self.read = Some(self.began);
                readings.tree_failed = None;
                return Ok(Some(report));
            }
            Measured::Unknown { reason, message } => (reason, message),
            Measured::Report(_) | Measured::Iperf(_) => (
                crds::reason::UNKNOWN_OUTPUT.to_owned(),
                "the tree probe returned the report of another probe".to_owned(),
            ),
        };
        readings.tree_failed = Some((reason, message));
        self.due = self.due.min(now.saturating_add(RETRY_MS));
        self.not_before = now.saturating_add(PAUSE_MS);
        Ok(None)
    }
}
