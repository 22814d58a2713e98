//! Each fault once, although two tell of it: the kernel log by a line, the driver's library by an event.
//!
//! The line is the richer of the two (links, registers, process, RST), so an event waits for it for a moment. Where no log
//! can be read an event is told at once. What is told by an event alone has no detail: only the row of its code judges it.
//!
//! ```text
//!  kernel log ─▶ log_fault ───────────────▶ told as it is            (the caller folds it)
//!                    │ ends the wait of
//!  event ─────▶ driver_event ─▶ told lately? ─▶ nothing
//!                    │              │ no
//!                    ▼              ▼
//!               no log: at once   waits 2 s ─▶ due ─▶ told without detail
//! ```
//!
//! What must stay true: an event is told by the log, or by itself, or was told less than [`SAME_FAULT_MS`] ago; nothing is
//! told by both unless the line comes after the wait, and then [`Merge::log_fault`] says so. An Xid 154 is a state whose
//! value the event does not bear: it is never told from an event, and [`reads_recovery_action`] says what to do instead.

use super::observation::{XidDetail, XidEvent, XidObservation};
use crate::pci::PciAddress;

/// An event whose fault the log told so recently is that fault, in milliseconds. The library's thread and the log's reader
/// are apart by milliseconds; a hung child or a busy node may add seconds.
pub const SAME_FAULT_MS: u64 = 10_000;
/// How long an event waits for the line in the log, in milliseconds.
pub const WAIT_MS: u64 = 2_000;
/// How long lines are remembered, in milliseconds.
const LINES_KEPT_MS: u64 = 30_000;
/// How long events that were told are remembered, in milliseconds: the longest pause before an unreadable log is tried
/// again (60 s) and a margin.
const EVENTS_KEPT_MS: u64 = 90_000;
/// The bound of each memory: 16 GPUs with 16 codes each.
const KEPT: usize = 256;
/// The bound of what waits; beyond it the oldest waits no longer.
const WAITING: usize = 64;

/// The message of a fault of which only the event told.
pub const BY_EVENT: &str = "told by the driver's event, not by the kernel log";

/// The Xid of the recovery action.
const RECOVERY_ACTION_CHANGED: u32 = 154;
/// The Xid of a GPU that left the bus, which the log may tell without a code.
const FALLEN_OFF: u32 = 79;

type Fault = (PciAddress, u32);

/// What was told lately and what waits to be told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Merge {
    /// Told by the log: the fault and its last line.
    lines: Vec<(Fault, u64)>,
    /// Told from an event, and no line came since.
    events: Vec<(Fault, u64)>,
    /// Not told yet: the fault and when its wait ends, in that order.
    waiting: Vec<(Fault, u64)>,
}

/// Whether an event with this code says no more than that the recovery action has changed: the caller asks the sampler for
/// the section of the recovery action at once, which judges the value.
pub const fn reads_recovery_action(code: u32) -> bool {
    code == RECOVERY_ACTION_CHANGED
}

impl Merge {
    /// A line of the kernel log tells a fault. True if an event was told for it already: then the line adds detail, and is
    /// no second sighting. An SXid is no event's.
    pub fn log_fault(&mut self, observed: &XidObservation, now_ms: u64) -> bool {
        let code = match observed.event {
            XidEvent::Xid(code) => code,
            XidEvent::FallenOffTheBus => FALLEN_OFF,
            XidEvent::SXid(_) => return false,
        };
        self.forget(now_ms);
        let fault = (observed.pci.device_address(), code);
        self.waiting.retain(|(waits, _)| *waits != fault);
        remember(&mut self.lines, fault, now_ms);
        let told = self.events.iter().position(|(event, _)| *event == fault);
        told.map(|at| self.events.remove(at)).is_some()
    }

    /// The driver announces an Xid. What is given back is to be folded now: this fault, or, if too many wait, the one that
    /// has waited for longest.
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
        let within = |told: &[(Fault, u64)], window: u64| {
            told.iter().any(|(known, at)| *known == fault && now_ms.saturating_sub(*at) < window)
        };
        let told = within(&self.lines, SAME_FAULT_MS) || within(&self.events, WAIT_MS);
        if told || self.waiting.iter().any(|(waits, _)| *waits == fault) {
            return None;
        }
        if !log_readable {
            return Some(self.tell(fault, now_ms));
        }
        self.waiting.push((fault, now_ms.saturating_add(WAIT_MS)));
        (self.waiting.len() > WAITING).then(|| self.waiting.remove(0)).map(|(oldest, _)| self.tell(oldest, now_ms))
    }

    /// The events whose wait is over and of which no line came.
    pub fn due(&mut self, now_ms: u64) -> Vec<XidObservation> {
        let (over, waiting) = std::mem::take(&mut self.waiting).into_iter().partition(|(_, ends)| *ends <= now_ms);
        self.waiting = waiting;
        let over: Vec<(Fault, u64)> = over;
        over.into_iter().map(|(fault, _)| self.tell(fault, now_ms)).collect()
    }

    /// When [`Merge::due`] has something next, in the milliseconds of the monotonic clock.
    pub fn next_due(&self) -> Option<u64> {
        self.waiting.iter().map(|(_, ends)| *ends).min()
    }

    fn tell(&mut self, fault: Fault, now_ms: u64) -> XidObservation {
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
            message: BY_EVENT.to_owned(),
        }
    }

    fn forget(&mut self, now_ms: u64) {
        self.lines.retain(|(_, at)| now_ms.saturating_sub(*at) < LINES_KEPT_MS);
        self.events.retain(|(_, at)| now_ms.saturating_sub(*at) < EVENTS_KEPT_MS);
    }

    #[cfg(test)]
    fn held(&self) -> usize {
        self.lines.len() + self.events.len() + self.waiting.len()
    }
}

/// One entry per fault, the latest last; the oldest goes when there are too many.
fn remember(told: &mut Vec<(Fault, u64)>, fault: Fault, now_ms: u64) {
    told.retain(|(known, _)| *known != fault);
    told.push((fault, now_ms));
    if told.len() > KEPT {
        told.remove(0);
    }
}

#[cfg(test)]
mod tests;
