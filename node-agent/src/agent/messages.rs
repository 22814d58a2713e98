//! What the kernel says besides Xids: each message waits for a reading of the driver that was taken after it.
//!
//! ```text
//!  hear ─▶ only a warning by its rule? ─▶ told
//!       ─▶ held ─▶ the driver is read ─▶ it reads the GPU:      a warning
//!                                     ├▶ it confirms the loss:  the verdict
//!                                     └▶ nobody can tell:       the verdict; a warning, if the line is old or not proven
//! ```
//!
//! A process that starts again hears the whole log again: a message that still waited when the process before it ended
//! was told by nobody. One that is told already is not counted twice.
//!
//! While the driver is not read on purpose (maintenance, boot grace, a run that has the driver to itself) nothing is
//! decided: the messages wait.

use super::held::HeldMessage;
use super::state::State;
use crate::dispatch::Turn;
use crate::judge::kernel_log::{self, Target, Worth, ask, locate};
use crate::judge::registry;
use crate::judge::xid::Present;
use crate::kernel_messages::{Message, Says};
use crate::readings::Section;
use crate::time::Now;
use crds::check::Check;
use crds::names::TARGET_NODE;
use crds::{Outcome, Time};

/// The most messages that wait; the oldest that may be forged is dropped first.
const HELD: usize = 64;
/// A reading that has not come within this time cannot tell, in milliseconds.
const PATIENCE_MS: u64 = 10_000;
/// A line that a program may have written is held for this long, in milliseconds.
const NOT_PROVEN_MS: u64 = 600_000;
/// Messages have the driver read at most this often, in milliseconds: a flood of them must not make it work, and to read a
/// GPU that cannot be initialised may print the next one.
const READ_AGAIN_MS: u64 = 10_000;

impl State {
    /// Takes a message from the log. `at`: when it was printed, where that is known.
    pub(super) fn hear(&mut self, message: &Message, at: Option<Time>, now: Now) {
        let reason = match message.says {
            Says::Reason(reason) => reason,
            Says::Recovered => {
                self.recovered(message);
                return;
            }
        };
        let is_wanted = registry::wanted(&self.expectation()).iter().any(|one| one.name == Check::KernelLog.name());
        if !is_wanted {
            return;
        }
        let is_old = self.is_old(at);
        let at = at.map_or_else(|| now.wall(), |at| at.min(now.wall()));
        if message.proven
            && let Some(target) = self.already_condemned(message, reason)
        {
            kernel_log::observe(&mut self.standing.findings, &target, reason, message, Worth::Verdict, at);
            return;
        }
        let known = self.messages.iter_mut().find(|held| {
            (held.reason, held.message.place, held.message.proven, held.is_old)
                == (reason, message.place, message.proven, is_old)
        });
        if let Some(known) = known {
            known.at = at;
            return;
        }
        self.make_room_for_a_message();
        let held = HeldMessage { message: message.clone(), reason, is_old, at, since_ms: now.mono_ms, warned: false };
        self.messages.push(held);
        if kernel_log::severity(reason).condemns() {
            let asked = self.driver_asked_ms;
            if asked.is_none_or(|asked| now.mono_ms.saturating_sub(asked) >= READ_AGAIN_MS) {
                self.driver_asked_ms = Some(now.mono_ms);
                self.senses.want(Section::Driver, now.mono_ms);
                self.senses.want(Section::RecoveryAction, now.mono_ms);
            }
        }
    }

    /// The target of a message that says again what is condemned there already.
    fn already_condemned(&self, message: &Message, reason: &str) -> Option<String> {
        let Target::Is(target) = locate(message.place, &self.senses.readings, &self.log.known_gpus) else {
            return None;
        };
        let known = self.standing.findings.get(Check::KernelLog.name(), &target)?;
        (known.outcome == Outcome::Fail && known.reason == reason).then_some(target)
    }

    fn make_room_for_a_message(&mut self) {
        if self.messages.len() >= HELD {
            let forged = self.messages.iter().position(|held| !held.message.proven);
            self.messages.remove(forged.unwrap_or(0));
        }
    }

    /// The kernel recovered a device: what it said before about this device is over.
    fn recovered(&mut self, message: &Message) {
        if !message.proven {
            return;
        }
        let target = locate(message.place, &self.senses.readings, &self.log.known_gpus);
        if let Target::Is(target) = target {
            kernel_log::recovered(&mut self.standing.findings, &target);
        }
        let place = message.place;
        self.messages.retain(|held| held.reason != crds::reason::PCIE_LOSS || held.message.place != place);
    }

    /// Asks the present about every message that waits. Returns whether a finding has changed.
    pub(super) fn settle_messages(&mut self, turn: &mut Turn<'_>) -> bool {
        if self.messages.is_empty() {
            return false;
        }
        let before = self.standing.findings.clone();
        for held in std::mem::take(&mut self.messages) {
            let held = self.settle_message(held, turn);
            self.messages.extend(held);
        }
        self.standing.findings != before
    }

    /// Returns the message if it still waits.
    fn settle_message(&mut self, mut held: HeldMessage, turn: &mut Turn<'_>) -> Option<HeldMessage> {
        let now = turn.now;
        let waited = now.mono_ms.saturating_sub(held.since_ms);
        let target = match locate(held.message.place, &self.senses.readings, &self.log.known_gpus) {
            Target::Is(target) => target,
            Target::NoGpu => return None,
            Target::NotYet if waited >= PATIENCE_MS => return None,
            Target::NotYet => {
                turn.wake_at(held.since_ms.saturating_add(PATIENCE_MS));
                return Some(held);
            }
        };
        if !held.message.proven && target != TARGET_NODE && !self.knows_gpu(&target) {
            return None;
        }
        let severity = kernel_log::severity(held.reason);
        if !severity.condemns() {
            // A program must not be able to raise a warning about nothing.
            if held.message.proven {
                self.say(&target, &held, Worth::Verdict);
            }
            return None;
        }
        let readings = &self.senses.readings;
        let is_paused = self.expectation().pause(now).is_some() || readings.is_lent;
        let is_fresh = self.senses.has_read(Section::Driver, held.since_ms);
        let worth = match ask(&target, &severity, is_fresh, &self.standing.findings, readings) {
            Present::Confirms => Worth::Verdict,
            Present::Refutes if held.message.proven => Worth::Over,
            Present::Refutes => return None,
            Present::NotYet | Present::CannotTell if is_paused => return Some(held),
            Present::NotYet if waited < PATIENCE_MS => {
                turn.wake_at(held.since_ms.saturating_add(PATIENCE_MS));
                return Some(held);
            }
            Present::NotYet | Present::CannotTell => match (held.message.proven, held.is_old) {
                (true, false) => Worth::Verdict,
                (true, true) => Worth::Old,
                (false, _) => Worth::NotProven,
            },
        };
        if !held.warned {
            self.say(&target, &held, worth);
        }
        match worth {
            // A reading to come may still say more.
            Worth::Old | Worth::NotProven if waited < NOT_PROVEN_MS => {
                held.warned = true;
                Some(held)
            }
            Worth::Old | Worth::NotProven | Worth::Verdict | Worth::Over => None,
        }
    }

    fn say(&mut self, target: &str, held: &HeldMessage, worth: Worth) {
        kernel_log::observe(&mut self.standing.findings, target, held.reason, &held.message, worth, held.at);
    }
}
