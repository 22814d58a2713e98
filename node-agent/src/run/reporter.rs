//! Writes `status.report` by server-side apply: whole, as its one owner.

use super::api;
use crate::agent::{Event, Refusal};
use crate::metrics::Metrics;
use crds::NodeHealth;
use crds::names::MANAGER_REPORT;
use crds::node_health::Report;
use crds::reason;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client, Error, Resource};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::timeout;

/// The longest that one call may take. Nothing else is written meanwhile.
const CALL: Duration = Duration::from_secs(10);
/// How many fields that the API server does not know are left out one after the other in one go.
const UNKNOWN_FIELDS_MAX: usize = 16;
/// What the API server says of a field that its CRD does not have (HTTP 500).
const UNKNOWN_FIELD: &str = ": field not declared in schema";

/// Writes reports of one node.
#[derive(Clone)]
pub(super) struct Reporter {
    api: Api<NodeHealth>,
    node: String,
    events: mpsc::Sender<Event>,
    metrics: Metrics,
    /// Paths that the API server's CRD does not have: it is older than we are. They are left out.
    unknown: Arc<Mutex<Vec<Vec<String>>>>,
}

impl Reporter {
    pub(super) fn new(client: Client, node: String, events: mpsc::Sender<Event>, metrics: Metrics) -> Self {
        Self { api: Api::all(client), node, events, metrics, unknown: Arc::default() }
    }

    /// Writes it as a task of its own; the core is told how it ended.
    pub(super) fn apply(&self, report: Report) {
        let own = self.clone();
        tokio::spawn(async move {
            let outcome = own.write(&report).await;
            let _ = own.events.send(Event::ReportApplied(outcome)).await;
        });
    }

    async fn write(&self, report: &Report) -> Result<(), Refusal> {
        let _timer = self.metrics.report_seconds.start_timer();
        for _ in 0..UNKNOWN_FIELDS_MAX {
            let error = match timeout(CALL, self.call(report)).await {
                Ok(Ok(())) => {
                    self.metrics.reports_written.inc();
                    self.metrics.report_without_texts.set(report.agent.refused.is_some().into());
                    return Ok(());
                }
                Ok(Err(error)) => error,
                Err(_) => {
                    tracing::warn!(after = ?CALL, "no answer to the write of a report");
                    return Err(self.refused(Refusal::Transient, "timeout"));
                }
            };
            if self.learn(&error) {
                continue;
            }
            let (refusal, label) = refusal(&error);
            let is_full = report.agent.refused.is_none();
            if is_full && refusal == Refusal::Schema {
                tracing::error!(
                    reason = reason::REPORT_REFUSED,
                    error = api::sentence(&error),
                    "the API server refuses the report; it is sent without texts"
                );
            } else {
                tracing::warn!(error = api::sentence(&error), reason = label, "could not write the report");
            }
            return Err(self.refused(refusal, label));
        }
        Err(self.refused(Refusal::Schema, "schema"))
    }

    fn refused(&self, refusal: Refusal, label: &str) -> Refusal {
        self.metrics.report_refused.with_label_values(&[label]).inc();
        refusal
    }

    async fn call(&self, report: &Report) -> Result<(), Error> {
        let mut value = serde_json::to_value(report).map_err(Error::SerdeError)?;
        for path in self.unknown.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            leave_out(&mut value, path);
        }
        let object = json!({
            "apiVersion": NodeHealth::api_version(&()),
            "kind": NodeHealth::kind(&()),
            "metadata": { "name": self.node },
            "status": { "report": value },
        });
        let params = PatchParams::apply(MANAGER_REPORT).force();
        self.api.patch_status(&self.node, &params, &Patch::Apply(object)).await.map(drop)
    }

    /// Whether the error names fields that can be left out, so that the rest is written.
    fn learn(&self, error: &Error) -> bool {
        let Error::Api(status) = error else {
            return false;
        };
        let found: Vec<_> = unknown_fields(&status.message);
        let mut unknown = self.unknown.lock().unwrap_or_else(PoisonError::into_inner);
        let new: Vec<_> = found.into_iter().filter(|path| !unknown.contains(path)).collect();
        for path in &new {
            self.metrics.report_refused.with_label_values(&["unknown_field"]).inc();
            tracing::error!(
                field = path.join("."),
                "the API server does not know this field of the report, so it is left out; update the CRDs"
            );
        }
        unknown.extend(new.iter().cloned());
        !new.is_empty()
    }
}

fn refusal(error: &Error) -> (Refusal, &'static str) {
    let Error::Api(status) = error else {
        return (Refusal::Transient, "unreachable");
    };
    match status.code {
        404 => (Refusal::NotFound, "not_found"),
        401 | 403 => (Refusal::Forbidden, "forbidden"),
        400 | 422 => (Refusal::Schema, "schema"),
        500 if status.message.contains(UNKNOWN_FIELD) => (Refusal::Schema, "schema"),
        409 => (Refusal::Transient, "conflict"),
        _ => (Refusal::Transient, "server"),
    }
}

/// The paths below `report` that the message names: `.status.report.findings[0].colour: field not declared in schema`.
fn unknown_fields(message: &str) -> Vec<Vec<String>> {
    let named = message.match_indices(UNKNOWN_FIELD).filter_map(|(end, _)| {
        let path = message[..end].rsplit(char::is_whitespace).next()?;
        path.strip_prefix(".status.report.")
    });
    named.map(|path| path.split('.').map(|part| part.split('[').next().unwrap_or(part).to_owned()).collect()).collect()
}

/// Takes a field out, in every element of the lists on its way.
fn leave_out(value: &mut Value, path: &[String]) {
    match (value, path) {
        (Value::Array(all), _) => all.iter_mut().for_each(|one| leave_out(one, path)),
        (Value::Object(fields), [last]) => {
            fields.remove(last);
        }
        (Value::Object(fields), [first, rest @ ..]) => {
            if let Some(value) = fields.get_mut(first) {
                leave_out(value, rest);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_that_the_server_does_not_know_is_left_out_wherever_it_stands() {
        let message = "failed to create typed patch object (/n1; gpuhealth.dev/v1alpha1, Kind=NodeHealth): errors:\n  .status.report.agent.mood: field not declared in schema\n  .status.report.findings[1].colour: field not declared in schema";
        let paths = unknown_fields(message);
        assert_eq!(paths, [vec!["agent", "mood"], vec!["findings", "colour"]]);
        let mut report = json!({"agent": {"mood": "good", "version": "1"}, "findings": [{"colour": "red"}, {"colour": "blue", "check": "xid"}]});
        for path in &paths {
            leave_out(&mut report, path);
        }
        assert_eq!(report, json!({"agent": {"version": "1"}, "findings": [{}, {"check": "xid"}]}));
    }

    #[test]
    fn a_message_about_another_member_teaches_nothing() {
        assert!(unknown_fields(".status.decision.x: field not declared in schema").is_empty());
        assert!(unknown_fields("etcdserver: request timed out").is_empty());
    }
}
