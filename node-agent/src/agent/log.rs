//! The kernel log, entry by entry: what was told already, what repeats, and what is a new fault.

use super::{State, carry, event::LogEntry};
use crate::judge::{self, xid as judge_xid};
use crate::kernel_log::Cursor;
use crate::time::Now;
use crate::xid::{XidDetail, XidObservation, judge as judge_fault};
use crds::check::Check;

/// Log entries that wait for the agent's own last report; the oldest are folded in beyond it.
const WAITING_MAX: usize = 1_024;
/// Two lines that tell the same fault within this many microseconds are one sighting.
const BURST_USEC: u64 = 1_000_000;
/// How many faults are remembered to know their repetitions.
const RECENT_FAULTS: usize = 64;

/// Takes entries in; until the agent's own last report was read they wait.
pub(super) fn take(state: &mut State, entries: Vec<LogEntry>, cursor: Option<Cursor>, now: Now) {
    if entries.iter().any(|entry| matches!(entry, LogEntry::Fault { .. })) {
        state.fault_read_at.get_or_insert(now.mono_ms);
    }
    for entry in entries {
        if state.carried {
            state.fold(&entry, now);
        } else {
            state.waiting.push_back(entry);
            if let Some(oldest) = (state.waiting.len() > WAITING_MAX).then(|| state.waiting.pop_front()).flatten() {
                state.fold(&oldest, now);
            }
        }
    }
    if cursor.is_some() {
        state.cursor = cursor;
    }
}

impl State {
    pub(super) fn fold(&mut self, entry: &LogEntry, now: Now) {
        match entry {
            LogEntry::Overrun => self.log.overrun_at = Some(now.mono_ms),
            LogEntry::Rotated => self.told = None,
            LogEntry::Fault { .. } if carry::was_told(entry, self.told.as_ref()) => {}
            LogEntry::Fault { observed, at, usec, .. } => {
                let target = observed.pci.to_string();
                let known = self.standing.findings.get(Check::Xid.name(), &target).is_some();
                if self.is_repetition(observed, *usec) && known {
                    return;
                }
                if judge_xid::is_switch(observed) && !self.log.switches.contains(&target) {
                    self.log.switches.push(target);
                    self.log.switches.truncate(judge::MAX_COVERED);
                }
                let verdict = judge_fault(observed, self.driver_major());
                let at = at.unwrap_or(now.wall()).min(now.wall());
                judge_xid::observe(&mut self.standing.findings, observed, &verdict, at);
            }
        }
    }

    /// One fault yields many lines. Without a time stamp every line counts. Each Xid 154 is a state of its own.
    fn is_repetition(&mut self, observed: &XidObservation, usec: u64) -> bool {
        let key = observed.dedupe_key();
        let again = usec != 0
            && self.recent_faults.iter().any(|(known, at)| *known == key && usec.abs_diff(*at) < BURST_USEC)
            && !matches!(observed.detail, XidDetail::Recovery { .. });
        if !again {
            self.recent_faults.push_back((key, usec));
            if self.recent_faults.len() > RECENT_FAULTS {
                self.recent_faults.pop_front();
            }
        }
        again
    }

    fn driver_major(&self) -> Option<u32> {
        self.inventory.driver.as_deref()?.split('.').next()?.parse().ok()
    }
}
