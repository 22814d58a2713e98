//! What follows from an answer: the world takes it in, the schedule goes on, what went wrong is left alone for a while.

use super::{Back, Brain};
use crate::{
    key::Key,
    plan::EventNote,
    queue::Ended,
    shell::writer::Answer,
    stores::{observation::Object, overlay::Settled, store::Change},
    wire::refusal::{Class, Error},
};
use std::time::Instant;
use tracing::{debug, error, warn};

impl Brain {
    /// Takes in what came back, and what follows from it.
    pub(super) fn returned(&mut self, back: Back) {
        let at = Instant::now();
        match back {
            Back::Wrote { id, key, act, before, took, answer } => {
                self.metrics.write_seconds.observe(took.as_secs_f64());
                let result = answer.as_ref().map_or_else(Error::category, |_| "ok");
                let writes = &self.metrics.writes;
                writes.with_label_values(&[act, result]).inc();
                let ended = match answer {
                    Ok(answer) => self.written(&key, act, before.as_deref(), answer, at),
                    Err(error) => self.failed(&key, act, &error, at),
                };
                for event in self.queue.finished(id, &ended) {
                    self.teller.tell(event);
                }
                self.alarm.soon(at, "written");
            }
            Back::Looked { key, answer } => {
                self.looking -= 1;
                self.looked(key, answer, at);
            }
        }
    }

    fn written(&mut self, key: &Key, act: &'static str, before: Option<&str>, answer: Answer, at: Instant) -> Ended {
        let (version, (change, settled)) = match answer {
            Answer::Object(object) => {
                let version = object.resource_version().to_owned();
                (Some(version), self.stores.answered(object))
            }
            Answer::Deleted(uid) => (None, self.stores.deleted(key, &uid)),
        };
        // An apply of what is there already leaves the version as it is.
        let changed = version.is_none() || version.as_deref() != before;
        if self.backoffs.succeeded(key, act, changed, at) {
            warn!(%key, act, changed, "this write does not satisfy the decision that asked for it");
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

    fn failed(&mut self, key: &Key, act: &'static str, error: &Error, at: Instant) -> Ended {
        let class = error.class();
        if class == Class::Gone {
            let change = self.stores.gone(key);
            self.wake_for(change, at);
        } else {
            self.stores.ended(key);
        }
        match class {
            Class::Conflict | Class::Gone => {
                debug!(%key, %error, "the object changed under us");
                self.metrics.conflicts.inc();
                self.backoffs.conflict(key.clone(), at);
                Ended::Stale
            }
            Class::Unknown => {
                warn!(%error, "it is not known whether this was written; looking");
                self.backoffs.doubt(key.clone(), at);
                Ended::Stale
            }
            Class::Forbidden | Class::OldSchema | Class::Invalid => {
                error!(%error, remedy = remedy(class), "a write was refused");
                self.backoffs.refused(key.clone(), act, at);
                self.tell_refusal(key, error, class);
                Ended::Refused
            }
        }
    }

    fn tell_refusal(&mut self, key: &Key, error: &Error, class: Class) {
        let Some(regarding) = self.stores.shown(key).and_then(|object| key.regarding(object.uid())) else {
            return;
        };
        self.teller.tell(EventNote {
            regarding,
            warning: true,
            reason: "WriteRefused".to_owned(),
            message: format!("{error}. {}", remedy(class)),
            after: None,
        });
    }

    fn looked(&mut self, key: Key, answer: Result<Option<Object>, Error>, at: Instant) {
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
                debug!(%error, "still not known");
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

const fn remedy(class: Class) -> &'static str {
    match class {
        Class::Forbidden => "Compare the operator's ClusterRole, admission policy and token with those of this version",
        Class::OldSchema => {
            "The CustomResourceDefinitions on the cluster are older than this operator: apply those of this version"
        }
        Class::Conflict | Class::Gone | Class::Invalid | Class::Unknown => {
            "This is a defect of the operator: please report it with this message"
        }
    }
}
