//! What is told of an answer, in logs, metrics and Events, before the engine takes it in.

use super::{Back, Brain};
use crate::{
    engine::Wrote,
    key::Key,
    plan::EventNote,
    wire::{
        act::{CREATE_RESULT, act},
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
                self.metrics.writes.with_label_values(&[act, result]).inc();
                if let Err(error) = &answer {
                    self.tell_failure(&key, act, error);
                }
                let answer = answer.map_err(|error| error.class());
                let told = key.clone();
                let outcome = self.engine.wrote(Wrote { id, key, write: *write, before, answer }, at);
                if outcome.is_futile {
                    warn!(key = %told, act, "this write does not satisfy the decision that asked for it; backing off");
                }
                for event in outcome.events {
                    self.recorder.record(event);
                }
            }
            Back::Looked { key, answer } => {
                if let Err(error) = &answer {
                    debug!(%error, "the object still cannot be read");
                }
                self.engine.looked(key, answer.map_err(|error| error.class()), at);
            }
        }
    }

    fn tell_failure(&mut self, key: &Key, act: &'static str, error: &RequestError) {
        let class = error.class();
        match class {
            Class::Unknown => warn!(%error, "unknown whether this was written; reading the object"),
            _ if act == CREATE_RESULT => {
                error!(%error, remedy = remedy(class), "a result is refused; without it the run ends some minutes later");
            }
            Class::Conflict | Class::Gone => {
                debug!(%key, %error, "the object has changed since the decision");
                self.metrics.conflicts.inc();
            }
            Class::Forbidden | Class::OldSchema | Class::Invalid => {
                error!(%error, remedy = remedy(class), "the API server refused this write");
                self.record_refusal(key, error, class);
            }
        }
    }

    fn record_refusal(&mut self, key: &Key, error: &RequestError, class: Class) {
        let Some(regarding) = self.engine.stores().shown(key).and_then(|object| key.regarding(object.uid())) else {
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
