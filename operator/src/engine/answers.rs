//! What follows from an answer: stores and queue take it in, and what failed goes into backoff.

use super::{Engine, Outcome, Wrote};
use crate::{
    key::Key,
    plan::Write,
    queue::{Ended, Freed},
    stores::{
        observation::{Answer, Object},
        overlay::Settled,
        store::Change,
    },
    wire::{
        act::{CLAIMS_OF_POLICY, CREATE_RESULT, STATUS_OF_NODE_HEALTH, STATUS_OF_RUN, TAINTS_OF_NODE, act},
        content::content,
        refusal::Class,
    },
};
use std::time::Instant;

/// A mark whose write fails so often, without a word why, counts as refused.
const FAILURES_OF_REFUSED: u32 = 3;

impl Engine {
    /// Takes in the answer to a write.
    pub fn wrote(&mut self, wrote: Wrote, at: Instant) -> Outcome {
        let Wrote { id, key, write, before, answer } = wrote;
        let (ended, is_futile) = match answer {
            Ok(answer) => self.written(&key, &write, before.as_deref(), answer, at),
            Err(class) => (self.failed(&key, &write, class, at), false),
        };
        let was_written = matches!(ended, Ended::Written(_));
        let events = self.queue.finished(id, &ended);
        match self.queue.freed(&key) {
            // It was decided a while ago, and must not wait for a rest as well.
            Freed::Mark => self.alarm.at_once(at, "freed"),
            Freed::Order => self.alarm.soon(at, "written"),
            Freed::Nothing if !was_written || leads_on(&write) => self.alarm.soon(at, "written"),
            Freed::Nothing => self.alarm.later(at, "written"),
        }
        Outcome { events, is_futile }
    }

    fn written(
        &mut self,
        key: &Key,
        write: &Write,
        before: Option<&str>,
        answer: Answer,
        at: Instant,
    ) -> (Ended, bool) {
        let (version, (change, settled)) = match answer {
            Answer::Object(object) => {
                let version = object.resource_version().to_owned();
                (Some(version), self.stores.answered(object))
            }
            Answer::Deleted(uid) => (None, self.stores.deleted(key, &uid)),
            Answer::Created => {
                self.patience.restore();
                (None, (Change::None, Settled::Clear))
            }
        };
        if matches!(act(write), TAINTS_OF_NODE | CLAIMS_OF_POLICY) {
            self.stores.keep_refused_marks(|refused| refused != key);
        }
        // An apply that changes nothing leaves the version as it is.
        let changed = version.is_none() || version.as_deref() != before;
        let is_futile = self.backoffs.succeeded(key, act(write), changed, at, || content(write));
        if change == Change::Urgent {
            self.alarm.at_once(at, "urgent");
        }
        let ended = match settled {
            Settled::Clear => Ended::Written(version),
            Settled::Doubt => {
                self.backoffs.doubt(key.clone(), at);
                Ended::Stale
            }
        };
        (ended, is_futile)
    }

    fn failed(&mut self, key: &Key, write: &Write, class: Class, at: Instant) -> Ended {
        let ended = self.back_off(key, write, class, at);
        // A webhook that is down makes a write fail like an API server that is.
        let is_refused = match class {
            Class::Conflict | Class::Gone => false,
            Class::Unknown => self.backoffs.failures(key, act(write)) >= FAILURES_OF_REFUSED,
            Class::Forbidden | Class::OldSchema | Class::Invalid => true,
        };
        if is_refused && matches!(act(write), TAINTS_OF_NODE | CLAIMS_OF_POLICY) {
            self.stores.refuse_mark(key);
        }
        ended
    }

    fn back_off(&mut self, key: &Key, write: &Write, class: Class, at: Instant) -> Ended {
        let act = act(write);
        if act == CREATE_RESULT && class != Class::Unknown {
            let may_pass = matches!(class, Class::Forbidden | Class::OldSchema | Class::Gone);
            if may_pass && self.patience.lasts(at) {
                self.backoffs.refused(key, act, content(write), at);
            } else {
                // Whatever is wrong with it (a role, a definition, a text of the agent), the run must end without it.
                self.stores.refuse_texts(key, at);
            }
            return Ended::Refused;
        }
        if class == Class::Gone {
            let change = self.stores.gone(key);
            self.wake_for(change, at);
        } else {
            self.stores.ended(key);
        }
        match class {
            Class::Conflict | Class::Gone => {
                self.backoffs.conflict(key, act, || content(write), at);
                Ended::Stale
            }
            Class::Unknown => {
                self.backoffs.unknown(key, act, content(write), at);
                Ended::Stale
            }
            Class::Forbidden | Class::OldSchema | Class::Invalid => {
                self.backoffs.refused(key, act, content(write), at);
                if class == Class::Invalid && matches!(act, STATUS_OF_NODE_HEALTH | STATUS_OF_RUN | CLAIMS_OF_POLICY) {
                    self.stores.refuse_texts(key, at);
                }
                Ended::Refused
            }
        }
    }

    /// Takes in the answer to a GET: the object, none of this name, or an error.
    pub fn looked(&mut self, key: Key, answer: Result<Option<Object>, Class>, at: Instant) {
        self.looking -= 1;
        let settled = match answer {
            Ok(Some(object)) => {
                let (change, settled) = self.stores.answered(object);
                self.wake_for(change, at);
                settled
            }
            Ok(None) => {
                let change = self.stores.gone(&key);
                self.wake_for(change, at);
                Settled::Clear
            }
            Err(_) => {
                self.stores.ended(&key);
                Settled::Doubt
            }
        };
        match settled {
            Settled::Clear => {
                self.backoffs.settled(&key);
                self.alarm.soon(at, "free");
            }
            Settled::Doubt => self.backoffs.doubt(key, at),
        }
    }
}

/// Whether more is to be decided once this is written: a claim ends once its taint is seen gone, and the next node gets its
/// slot. A plan holds everything that follows from the other writes.
const fn leads_on(write: &Write) -> bool {
    match write {
        Write::NodeHealthSpec(_)
        | Write::DeleteNodeHealth { .. }
        | Write::NodeTaints { .. }
        | Write::RunStatus { .. }
        | Write::DeleteRun { .. }
        | Write::PolicyClaims { .. } => true,
        Write::PolicyStatus { .. }
        | Write::RunObserved { .. }
        | Write::ResultCreate(_)
        | Write::NodeMarks { .. }
        | Write::NodeCondition { .. }
        | Write::NodeHealthStatus(_) => false,
    }
}
