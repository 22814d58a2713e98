//! What follows from an answer: stores and queue take it in, and what failed goes into backoff.

use super::{Back, Brain};
use crate::{
    key::Key,
    plan::{EventNote, Write},
    queue::Ended,
    shell::writer::{Answer, CLAIMS_OF_POLICY, CREATE_RESULT, STATUS_OF_NODE_HEALTH, STATUS_OF_RUN, act},
    stores::{observation::Object, overlay::Settled, store::Change},
    wire::{
        content::content,
        refusal::{Class, RequestError},
    },
};
use std::time::Instant;
use tracing::{debug, error, warn};

impl Brain {
    /// Takes in an answer.
    pub(super) fn returned(&mut self, back: Back) {
        let at = Instant::now();
        self.gauges_are_old = true;
        match back {
            Back::Wrote { id, key, write, before, took, answer } => {
                let act = act(&write);
                self.metrics.write_seconds.observe(took.as_secs_f64());
                let result = answer.as_ref().map_or_else(|error| error.class().label(), |_| "ok");
                let writes = &self.metrics.writes;
                writes.with_label_values(&[act, result]).inc();
                let ended = match answer {
                    Ok(answer) => self.written(&key, &write, before.as_deref(), answer, at),
                    Err(error) => self.failed(&key, &write, &error, at),
                };
                let was_written = matches!(ended, Ended::Written(_));
                for event in self.queue.finished(id, &ended) {
                    self.recorder.record(event);
                }
                if self.queue.freed(&key) || !was_written || leads_on(&write) {
                    self.alarm.soon(at, "written");
                } else {
                    self.alarm.later(at, "written");
                }
            }
            Back::Looked { key, answer } => {
                self.looking -= 1;
                self.looked(key, answer, at);
            }
        }
    }

    fn written(&mut self, key: &Key, write: &Write, before: Option<&str>, answer: Answer, at: Instant) -> Ended {
        let act = act(write);
        let (version, (change, settled)) = match answer {
            Answer::Object(object) => {
                let version = object.resource_version().to_owned();
                (Some(version), self.stores.answered(object))
            }
            Answer::Deleted(uid) => (None, self.stores.deleted(key, &uid)),
            Answer::Created => (None, (Change::None, Settled::Clear)),
        };
        // An apply that changes nothing leaves the version as it is.
        let changed = version.is_none() || version.as_deref() != before;
        if self.backoffs.succeeded(key, act, changed, at, || content(write)) {
            warn!(%key, act, changed, "this write does not satisfy the decision that asked for it; backing off");
        }
        if change == Change::Urgent {
            self.alarm.at_once(at, "urgent");
        }
        match settled {
            Settled::Clear => Ended::Written(version),
            Settled::Doubt => {
                self.backoffs.doubt(key.clone(), at);
                Ended::Stale
            }
        }
    }

    fn failed(&mut self, key: &Key, write: &Write, error: &RequestError, at: Instant) -> Ended {
        let (act, class) = (act(write), error.class());
        if act == CREATE_RESULT && class != Class::Unknown {
            // Whatever is wrong with it (a role, a definition, a text of the agent), the run must end without it.
            error!(%error, remedy = remedy(class), "a result is left out");
            self.stores.refuse_texts(key);
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
                debug!(%key, %error, "the object has changed since the decision");
                self.metrics.conflicts.inc();
                self.backoffs.conflict(key.clone(), at);
                Ended::Stale
            }
            Class::Unknown => {
                warn!(%error, "unknown whether this was written; reading the object");
                self.backoffs.unknown(key, act, content(write), at);
                Ended::Stale
            }
            Class::Forbidden | Class::OldSchema | Class::Invalid => {
                error!(%error, remedy = remedy(class), "the API server refused this write");
                self.backoffs.refused(key, act, content(write), at);
                if class == Class::Invalid && matches!(act, STATUS_OF_NODE_HEALTH | STATUS_OF_RUN | CLAIMS_OF_POLICY) {
                    self.stores.refuse_texts(key);
                }
                self.record_refusal(key, error, class);
                Ended::Refused
            }
        }
    }

    fn record_refusal(&mut self, key: &Key, error: &RequestError, class: Class) {
        let Some(regarding) = self.stores.shown(key).and_then(|object| key.regarding(object.uid())) else {
            return;
        };
        self.recorder.record(EventNote {
            regarding,
            warning: true,
            reason: "WriteRefused".to_owned(),
            series: class.label().to_owned(),
            message: format!("{error}. {}", remedy(class)),
            after: None,
        });
    }

    fn looked(&mut self, key: Key, answer: Result<Option<Object>, RequestError>, at: Instant) {
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
            Err(error) => {
                debug!(%error, "the object still cannot be read");
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

const fn remedy(class: Class) -> &'static str {
    match class {
        Class::Forbidden => {
            "Check that the operator's ClusterRole, admission policies and token are those of its version"
        }
        Class::OldSchema => {
            "The CustomResourceDefinitions on the cluster are older than this operator: apply those of its version"
        }
        Class::Conflict | Class::Gone | Class::Invalid | Class::Unknown => {
            "This is a bug in the operator: please report it together with this message"
        }
    }
}
