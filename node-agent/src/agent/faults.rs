//! The kernel log, entry by entry: already reported, repeated, or a new fault.

use super::carry;
use super::event::LogEntry;
use super::state::State;
use crate::dispatch::{Turn, concerned_by_xid};
use crate::judge::{self, xid as judge_xid};
use crate::kernel_log::Cursor;
use crate::pci::PciAddress;
use crate::readings::talk::DriverEvent;
use crate::time::Now;
use crate::xid::merge::BY_CONSEQUENCE;
use crate::xid::{XidDetail, XidEvent, XidObservation, catalogue};
use crds::Time;
use crds::check::Check;

/// Log entries that may wait until the agent's own last report was read; beyond this the oldest are processed early.
const WAITING_MAX: usize = 1_024;
/// Two lines about the same fault within this many microseconds are one sighting.
const BURST_USEC: u64 = 1_000_000;
/// How many recent faults are remembered to recognize repetitions.
const RECENT_FAULTS: usize = 64;

/// Processes entries; they wait until the agent's own last report was read.
pub(super) fn take(state: &mut State, entries: Vec<LogEntry>, cursor: Option<Cursor>, now: Now) {
    if entries.iter().any(|entry| matches!(entry, LogEntry::Fault { .. } | LogEntry::Message { .. })) {
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

/// Takes an Xid that the driver announced, and waits for the line of the log, which has more detail.
pub(super) fn take_event(state: &mut State, event: &DriverEvent, now: Now) {
    let pci = event.pci.as_deref().and_then(|pci| pci.parse::<PciAddress>().ok());
    let (Some(pci), Some(code)) = (pci, event.xid) else { return };
    state.fault_read_at.get_or_insert(now.mono_ms);
    let log_readable = state.log.source.is_some() && state.log.unreadable.is_none();
    if let Some(observed) = state.merge.driver_event(pci, code, log_readable, now.mono_ms) {
        state.tell(&observed, now.wall(), now);
    }
}

/// Processes what the driver announced if the log has not shown it in time.
pub(super) fn fold_due(state: &mut State, turn: &mut Turn<'_>) {
    for observed in state.merge.due(turn.now.mono_ms) {
        state.tell(&observed, turn.now.wall(), turn.now);
    }
    if let Some(at) = state.merge.next_due() {
        turn.wake_at(at);
    }
}

impl State {
    pub(super) fn fold(&mut self, entry: &LogEntry, now: Now) {
        match entry {
            LogEntry::Overrun => self.log.overrun_at = Some(now.mono_ms),
            LogEntry::Rotated => self.reported_up_to = None,
            LogEntry::DriverLoaded { at } => {
                let at = (*at).min(now.wall());
                self.log.driver_loaded_at = Some(self.log.driver_loaded_at.map_or(at, |known| known.max(at)));
            }
            LogEntry::Fault { .. } if carry::was_reported(entry, self.reported_up_to.as_ref()) => {}
            LogEntry::Message { message, at, .. } => self.hear(message, *at, now),
            LogEntry::Fault { observed, at, usec, .. } => {
                let printed = at.unwrap_or(now.wall()).min(now.wall());
                if let Some(doubt) = self.doubt(observed, *at, now) {
                    self.hold(observed, doubt, printed, now);
                    return;
                }
                self.doubt_no_more(observed);
                if self.verdict(observed).clears {
                    self.clear_old(&observed.pci.to_string());
                }
                let known = self.standing.findings.get(Check::Xid.name(), &observed.pci.to_string()).is_some();
                let told_by_event = self.merge.log_fault(observed, now.mono_ms) && !self.raises(observed, printed);
                let again = self.is_repetition(observed, *usec) || told_by_event;
                if !(again && known) {
                    self.tell(observed, printed, now);
                }
                self.name_the_suspect(observed, now);
                self.take_root(observed, *at, now);
            }
        }
    }

    /// An Xid 45 that names its root: the root is judged even if its own line is missing. Only the driver's own words count: the
    /// event of an Xid 45 confirms the line of one, but not what that line names.
    fn take_root(&mut self, observed: &XidObservation, at: Option<Time>, now: Now) {
        let root = observed.caused_by.filter(|code| observed.proven && catalogue::condemns_by_row(*code));
        let Some(code) = root else { return };
        let root = XidObservation {
            event: XidEvent::Xid(code),
            caused_by: None,
            detail: XidDetail::Plain,
            message: BY_CONSEQUENCE.to_owned(),
            ..observed.clone()
        };
        if let Some(doubt) = self.doubt(&root, at, now) {
            let wall = now.wall();
            self.hold(&root, doubt, at.unwrap_or(wall).min(wall), now);
        } else if let Some(due) = self.merge.named(observed.pci, code, now.mono_ms) {
            self.tell(&due, now.wall(), now);
        }
    }

    /// Judges one fault and adds it to the findings. Also has the related driver readings taken again.
    pub(super) fn tell(&mut self, observed: &XidObservation, at: Time, now: Now) {
        let target = observed.pci.to_string();
        self.read_what_concerns(observed, now);
        if judge_xid::is_switch(observed) && !self.log.switches.contains(&target) {
            self.log.switches.push(target);
            self.log.switches.truncate(judge::MAX_COVERED);
        }
        let verdict = self.verdict(observed);
        judge_xid::observe(&mut self.standing.findings, observed, &verdict, at);
    }

    /// Has the driver readings that such a fault concerns taken again.
    pub(super) fn read_what_concerns(&mut self, observed: &XidObservation, now: Now) {
        if let XidEvent::Xid(code) = observed.event {
            for section in concerned_by_xid(code) {
                self.senses.want(section, now.mono_ms);
            }
        }
    }

    /// Whether the fault is more severe than the standing finding on its target: a line may have more detail than the
    /// event before it.
    fn raises(&self, observed: &XidObservation, at: Time) -> bool {
        let verdict = self.verdict(observed);
        judge_xid::raises(&self.standing.findings, observed, &verdict, at)
    }

    /// Board or job: adds which of the two the day's evidence points to.
    fn name_the_suspect(&mut self, observed: &XidObservation, now: Now) {
        let target = observed.pci.to_string();
        let board = self.senses.inventory.gpus.iter().find(|gpu| gpu.pci_address == target);
        let board = board.and_then(|gpu| gpu.serial.as_deref()).unwrap_or(&target).to_owned();
        if let (XidEvent::Xid(code), Some(suspect)) = (observed.event, self.owners.sight(observed, &board, now.mono_ms))
        {
            judge_xid::remark(&mut self.standing.findings, &target, &suspect.says(code));
        }
    }

    /// One fault yields many lines. Without a timestamp every line counts. Each Xid 154 is a state of its own.
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

    pub(super) fn driver_major(&self) -> Option<u32> {
        self.senses.inventory.driver.as_deref()?.split('.').next()?.parse().ok()
    }
}
