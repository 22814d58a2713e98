//! Faults of the kernel log that need a second witness: those that a program may have written, and those printed before
//! the agent first ran on this boot.
//!
//! ```text
//!  fold ─▶ in doubt? ─▶ held ─▶ witnesses are read ─▶ confirmed: told as any fault
//!                                                  ├▶ refuted:   dropped
//!                                                  └▶ neither:   a warning, and held on
//! ```
//!
//! Neither kind lifts anything, with one exception: a line of the driver that is merely old lifts what is older still.

use super::held::Held;
use super::state::State;
use crate::dispatch::Turn;
use crate::judge::xid::{Doubt, Present, ask, refute, warn};
use crate::readings::Section;
use crate::time::Now;
use crate::xid::{XidObservation, judge as judge_fault};
use crds::Time;

/// The most faults in doubt; the oldest that may be forged is dropped first.
const HELD: usize = 64;
/// A line that a program may have written is held for this long, in milliseconds.
const NOT_PROVEN_MS: u64 = 600_000;
/// Witnesses that have not answered for this long cannot tell, in milliseconds.
const PATIENCE_MS: u64 = 10_000;
/// Lines that a program may have written have the witnesses read at most this often, whatever they say, in milliseconds:
/// whoever forges them must not make the driver work.
const ASK_AGAIN_MS: u64 = 10_000;

impl State {
    /// Why the fault needs a second witness, if it does. `at`: when it was printed, where that is known.
    pub(super) fn doubt(&self, observed: &XidObservation, at: Option<Time>, now: Now) -> Option<Doubt> {
        if !observed.proven {
            return (!self.merge.announced(observed, now.mono_ms)).then_some(Doubt::NotProven);
        }
        (self.is_old(at) && self.verdict(observed).severity.condemns()).then_some(Doubt::BeforeUs)
    }

    /// Whether what was printed at this time is history that the present state has to confirm.
    pub(super) fn is_old(&self, at: Option<Time>) -> bool {
        let condemns_old = self.order.as_ref().is_some_and(|order| order.spec.condemn_old_log == Some(true));
        !condemns_old && at.is_some_and(|at| at.unix() < self.first_ran.unix())
    }

    /// Holds a fault in doubt, and has its witnesses read.
    pub(super) fn hold(&mut self, observed: &XidObservation, doubt: Doubt, at: Time, now: Now) {
        if doubt == Doubt::BeforeUs {
            self.merge.note_history(observed, now.mono_ms);
        }
        // An unproven end of a recovery is held by nobody: only the driver's own reading of the action can say so.
        if !self.verdict(observed).clears {
            let key = observed.dedupe_key();
            let known = self.doubts.iter_mut().find(|held| held.key() == key && held.doubt == doubt);
            if let Some(known) = known {
                (known.at, known.since_ms) = (at, now.mono_ms);
            } else if doubt == Doubt::BeforeUs || self.knows(observed) {
                self.make_room();
                let (observed, since_ms) = (observed.clone(), now.mono_ms);
                self.doubts.push(Held { observed, doubt, at, since_ms, asked_ms: since_ms, warned: false });
            } else {
                return;
            }
        }
        self.have_witnesses_read(observed, doubt, now);
    }

    fn have_witnesses_read(&mut self, observed: &XidObservation, doubt: Doubt, now: Now) {
        if doubt == Doubt::NotProven {
            if self.witnesses_asked_ms.is_some_and(|asked| now.mono_ms.saturating_sub(asked) < ASK_AGAIN_MS) {
                return;
            }
            self.witnesses_asked_ms = Some(now.mono_ms);
        }
        self.read_what_concerns(observed, now);
        self.senses.want(Section::RecoveryAction, now.mono_ms);
    }

    /// A line that nobody proves may name any address; only those of this node's GPUs and switches count.
    fn knows(&self, observed: &XidObservation) -> bool {
        let target = observed.pci.to_string();
        self.knows_gpu(&target) || self.log.switches.contains(&target)
    }

    /// Whether this is the address of one of this node's GPUs.
    pub(super) fn knows_gpu(&self, target: &str) -> bool {
        self.senses.inventory.gpus.iter().any(|gpu| gpu.pci_address == target)
            || self.log.known_gpus.iter().any(|known| known == target)
    }

    fn make_room(&mut self) {
        if self.doubts.len() >= HELD {
            let forged = self.doubts.iter().position(|held| held.doubt == Doubt::NotProven);
            self.doubts.remove(forged.unwrap_or(0));
        }
    }

    /// The driver's own lines that are older than the agent, and what an even older line said.
    pub(super) fn clear_old(&mut self, target: &str) {
        self.doubts.retain(|held| held.doubt != Doubt::BeforeUs || held.observed.pci.to_string() != target);
    }

    /// Asks the present about everything that is held. Returns whether a finding has changed.
    pub(super) fn settle_doubts(&mut self, turn: &mut Turn<'_>) -> bool {
        if self.doubts.is_empty() {
            return false;
        }
        let now = turn.now;
        let before = self.standing.findings.clone();
        for mut held in std::mem::take(&mut self.doubts) {
            let measured = self.senses.measured(&self.log);
            let witnesses = (&self.standing.findings, measured.readings, measured.hardware);
            let waited = now.mono_ms.saturating_sub(held.since_ms);
            let verdict = self.verdict(&held.observed);
            let present = match ask((&held.observed, &verdict.severity), held.doubt, held.asked_ms, witnesses) {
                Present::NotYet if waited >= PATIENCE_MS => Present::CannotTell,
                Present::NotYet => {
                    turn.wake_at(held.since_ms.saturating_add(PATIENCE_MS));
                    Present::NotYet
                }
                present => present,
            };
            let target = held.observed.pci.to_string();
            match present {
                Present::Confirms => {
                    self.tell(&XidObservation { proven: true, ..held.observed }, held.at, now);
                    continue;
                }
                Present::Refutes => {
                    refute(&mut self.standing.findings, &target);
                    continue;
                }
                Present::CannotTell if !held.warned => {
                    warn(&mut self.standing.findings, &held.observed, &verdict, held.doubt, held.at, now.wall());
                    held.warned = true;
                }
                Present::CannotTell | Present::NotYet => {}
            }
            if held.doubt == Doubt::BeforeUs || waited < NOT_PROVEN_MS {
                self.doubts.push(held);
            }
        }
        self.standing.findings != before
    }

    /// Whether a fault still waits for its witnesses.
    pub(crate) fn has_open_doubts(&self) -> bool {
        self.doubts.iter().any(|held| !held.warned) || self.messages.iter().any(|held| !held.warned)
    }

    /// Drops the doubts about a fault that the driver itself has now reported.
    pub(super) fn doubt_no_more(&mut self, observed: &XidObservation) {
        let key = observed.dedupe_key();
        self.doubts.retain(|held| held.key() != key);
    }

    pub(super) fn verdict(&self, observed: &XidObservation) -> crate::xid::XidVerdict {
        judge_fault(observed, self.driver_major())
    }
}
