//! Merges the two sources of a fault, so that each fault counts once: a line in the kernel log, and an event from the
//! driver's library.
//!
//! The line has more detail (links, registers, process, RST), so an event waits for it briefly. If no log can be read,
//! an event is reported at once. A fault known only from an event has no detail: only the row of its code judges it.
//!
//! An Xid 45 may name the Xid that caused it. That one is waited for in the same way: its own line has the detail, and if
//! the line is missing, the row of its code judges it.
//!
//! ```text
//!  kernel log ─▶ log_fault ───────────────▶ reported as it is        (the caller folds it)
//!                    │ ends the wait of
//!  event ─────▶ driver_event ─▶ just reported? ─▶ nothing
//!                    │              │ no
//!                    ▼              ▼
//!               no log: at once   waits 2 s ─▶ due ─▶ reported without detail
//! ```
//!
//! What must stay true: an event is reported through its log line, or by itself, or was already reported less than
//! [`SAME_FAULT_MS`] ago. Nothing is reported twice unless the line comes after the wait, and then [`Merge::log_fault`]
//! says so. An Xid 154 is a state whose value the event does not contain: it is never reported from an event, and
//! [`reads_recovery_action`] says what to do instead.

use super::observation::{XidDetail, XidEvent, XidObservation};
use crate::pci::PciAddress;

/// An event is the same fault as a log line at most this much older, in milliseconds. The library's thread and the log
/// reader are milliseconds apart; a hung child or a busy node may add seconds.
pub const SAME_FAULT_MS: u64 = 10_000;
/// How long an event waits for the line in the log, in milliseconds.
pub const WAIT_MS: u64 = 2_000;
/// How long lines are remembered, in milliseconds. The programs of a job may be killed, and their Xid 45 name the cause, long
/// after its own line: a pod's end may take minutes. What that line was judged as stays so.
const LINES_KEPT_MS: u64 = 600_000;
/// How long reported events are remembered, in milliseconds: the longest pause before an unreadable log is retried (60
/// s) plus a margin.
const EVENTS_KEPT_MS: u64 = 90_000;
/// The limit of each list: 16 GPUs with 16 codes each.
const KEPT: usize = 256;
/// The limit of waiting events; beyond it the oldest is reported at once.
const WAITING: usize = 64;

/// The message of a fault known only from an event.
pub const BY_EVENT: &str = "reported by the driver's event, not by the kernel log";

/// The message of a fault known only from an Xid 45 that names it.
pub const BY_CONSEQUENCE: &str = "named by an Xid 45 as its cause; its own line is missing";

/// The Xid of the recovery action.
const RECOVERY_ACTION_CHANGED: u32 = 154;
/// The Xid of a GPU that left the bus, which the log may report without a code.
const FALLEN_OFF: u32 = 79;

type Fault = (PciAddress, u32);

/// Recent faults, and those waiting to be reported.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Merge {
    /// Reported from the log: the fault and the time of its last line.
    lines: Vec<(Fault, u64)>,
    /// Reported from an event, with no line since.
    events: Vec<(Fault, u64)>,
    /// Lines older than the agent, which are judged by other means.
    history: Vec<(Fault, u64)>,
    /// Not reported yet, in the order in which their waits end.
    waiting: Vec<Waiting>,
}

/// A fault that waits for its line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Waiting {
    fault: Fault,
    ends: u64,
    /// What is said about it if no line comes.
    message: &'static str,
}

/// Whether an event with this code only says that the recovery action has changed: the caller then has the sampler read
/// that section at once, and its value is judged.
pub const fn reads_recovery_action(code: u32) -> bool {
    code == RECOVERY_ACTION_CHANGED
}

impl Merge {
    /// Processes a fault from a line of the kernel log. Returns true if it was already reported from an event: the line
    /// then adds detail and is no second sighting. An SXid never matches an event.
    pub fn log_fault(&mut self, observed: &XidObservation, now_ms: u64) -> bool {
        let code = match observed.event {
            XidEvent::Xid(code) => code,
            XidEvent::FallenOffTheBus => FALLEN_OFF,
            XidEvent::SXid(_) => return false,
        };
        self.forget(now_ms);
        let fault = (observed.pci.device_address(), code);
        self.waiting.retain(|waiting| waiting.fault != fault);
        remember(&mut self.lines, fault, now_ms);
        let event = self.events.iter().position(|(event, _)| *event == fault);
        event.map(|at| self.events.remove(at)).is_some()
    }

    /// Whether the driver has just announced this fault by itself: a second witness for a line that is not proven.
    pub fn announced(&self, observed: &XidObservation, now_ms: u64) -> bool {
        let XidEvent::Xid(code) = observed.event else { return false };
        let fault = (observed.pci.device_address(), code);
        let reported =
            self.events.iter().any(|(event, at)| *event == fault && now_ms.saturating_sub(*at) < EVENTS_KEPT_MS);
        reported || self.waiting.iter().any(|waiting| waiting.fault == fault && waiting.message == BY_EVENT)
    }

    /// Processes an Xid announced by the driver. Returns the fault to report now: this one, or, if too many wait, the
    /// one that has waited longest.
    pub fn driver_event(
        &mut self,
        pci: PciAddress,
        code: u32,
        log_readable: bool,
        now_ms: u64,
    ) -> Option<XidObservation> {
        if reads_recovery_action(code) {
            return None;
        }
        self.forget(now_ms);
        let fault = (pci.device_address(), code);
        let within = |reported: &[(Fault, u64)], window: u64| {
            reported.iter().any(|(known, at)| *known == fault && now_ms.saturating_sub(*at) < window)
        };
        let is_known = within(&self.lines, SAME_FAULT_MS) || within(&self.events, WAIT_MS);
        if let Some(waiting) = self.waiting.iter_mut().find(|waiting| waiting.fault == fault) {
            waiting.message = BY_EVENT;
            return None;
        }
        if is_known {
            return None;
        }
        if !log_readable {
            return Some(self.report(fault, BY_EVENT, now_ms));
        }
        self.wait(fault, BY_EVENT, now_ms)
    }

    /// Processes an Xid that the driver names as the cause of an Xid 45. Returns the fault to report now, as
    /// [`Merge::driver_event`]. A fault whose own line was read is not raised again.
    pub fn named(&mut self, pci: PciAddress, code: u32, now_ms: u64) -> Option<XidObservation> {
        self.forget(now_ms);
        let fault = (pci.device_address(), code);
        let mut known = self.lines.iter().chain(&self.events).chain(&self.history).map(|(known, _)| *known);
        let is_known = known.any(|known| known == fault) || self.waiting.iter().any(|waiting| waiting.fault == fault);
        if is_known { None } else { self.wait(fault, BY_CONSEQUENCE, now_ms) }
    }

    /// Takes note of a line that is older than the agent.
    pub fn note_history(&mut self, observed: &XidObservation, now_ms: u64) {
        if let XidEvent::Xid(code) = observed.event {
            remember(&mut self.history, (observed.pci.device_address(), code), now_ms);
        }
    }

    fn wait(&mut self, fault: Fault, message: &'static str, now_ms: u64) -> Option<XidObservation> {
        self.waiting.push(Waiting { fault, ends: now_ms.saturating_add(WAIT_MS), message });
        let oldest = (self.waiting.len() > WAITING).then(|| self.waiting.remove(0))?;
        Some(self.report(oldest.fault, oldest.message, now_ms))
    }

    /// The events whose wait is over without a line.
    pub fn due(&mut self, now_ms: u64) -> Vec<XidObservation> {
        let all = std::mem::take(&mut self.waiting).into_iter();
        let (over, waiting): (Vec<Waiting>, Vec<Waiting>) = all.partition(|waiting| waiting.ends <= now_ms);
        self.waiting = waiting;
        over.into_iter().map(|over| self.report(over.fault, over.message, now_ms)).collect()
    }

    /// When [`Merge::due`] next has something, in milliseconds of the monotonic clock.
    pub fn next_due(&self) -> Option<u64> {
        self.waiting.iter().map(|waiting| waiting.ends).min()
    }

    fn report(&mut self, fault: Fault, message: &str, now_ms: u64) -> XidObservation {
        remember(&mut self.events, fault, now_ms);
        let (pci, code) = fault;
        XidObservation {
            pci,
            event: XidEvent::Xid(code),
            mig: None,
            pid: None,
            process: None,
            owner: None,
            caused_by: None,
            detail: XidDetail::Plain,
            message: message.to_owned(),
            proven: true,
        }
    }

    fn forget(&mut self, now_ms: u64) {
        self.lines.retain(|(_, at)| now_ms.saturating_sub(*at) < LINES_KEPT_MS);
        self.events.retain(|(_, at)| now_ms.saturating_sub(*at) < EVENTS_KEPT_MS);
        self.history.retain(|(_, at)| now_ms.saturating_sub(*at) < LINES_KEPT_MS);
    }

    #[cfg(test)]
    fn held(&self) -> usize {
        self.lines.len() + self.events.len() + self.history.len() + self.waiting.len()
    }
}

/// Keeps one entry per fault, the latest last; the oldest is dropped if there are too many.
fn remember(list: &mut Vec<(Fault, u64)>, fault: Fault, now_ms: u64) {
    list.retain(|(known, _)| *known != fault);
    list.push((fault, now_ms));
    if list.len() > KEPT {
        list.remove(0);
    }
}

#[cfg(test)]
mod tests;
