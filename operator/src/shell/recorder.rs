//! Sends Events: through one recorder, which aggregates repeated ones, at most 10 a second, without blocking the brain.

use super::metrics::Metrics;
use crate::{
    key::Key,
    plan::{EventNote, Regarding},
};
use crds::{condition::truncate, names};
use k8s_openapi::api::core::v1::ObjectReference;
use kube::{
    Client,
    runtime::events::{Event, EventType, Recorder, Reporter},
};
use std::{
    hash::{DefaultHasher, Hash, Hasher},
    time::{Duration, Instant},
};
use tokio::sync::mpsc;
use tracing::{debug, warn};

/// Events per second in the long run.
const RATE: u32 = 10;
/// The most Events at once: enough for a rack of eight nodes that fail together.
const BURST: u32 = 50;
/// How many Events may wait to be sent.
const CAPACITY: usize = 256;
/// How long sending one Event may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// The longest note that we send. events.k8s.io/v1 accepts 1,024 bytes (its API reference).
const NOTE_BYTES: usize = 1000;
/// The longest action that events.k8s.io/v1 accepts, in bytes (its API reference).
const ACTION_BYTES: usize = 128;

/// Lets through `RATE` Events per second and `BURST` at once.
#[derive(Debug)]
pub struct TokenBucket {
    tokens: f64,
    filled_at: Instant,
}

impl TokenBucket {
    /// A full bucket.
    pub fn full(now: Instant) -> Self {
        Self { tokens: f64::from(BURST), filled_at: now }
    }

    /// Takes a token. Returns whether there was one.
    pub fn take(&mut self, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.filled_at).as_secs_f64();
        self.filled_at = now;
        self.tokens = passed.mul_add(f64::from(RATE), self.tokens).min(f64::from(BURST));
        let has_token = self.tokens >= 1.0;
        if has_token {
            self.tokens -= 1.0;
        }
        has_token
    }
}

/// Hands Events to the task that sends them, without waiting.
#[derive(Debug)]
pub struct EventRecorder {
    bucket: TokenBucket,
    queue: mpsc::Sender<EventNote>,
    metrics: Metrics,
}

impl EventRecorder {
    /// Starts the task that sends.
    pub fn start(client: Client, metrics: Metrics) -> Self {
        let (queue, notes) = mpsc::channel(CAPACITY);
        tokio::spawn(send(client, notes, metrics.clone()));
        Self { bucket: TokenBucket::full(Instant::now()), queue, metrics }
    }

    /// Sends the Event, or drops and counts it if there are too many.
    pub fn record(&mut self, note: EventNote) {
        if !self.bucket.take(Instant::now()) || self.queue.try_send(note).is_err() {
            self.metrics.events.with_label_values(&["dropped"]).inc();
        }
    }
}

async fn send(client: Client, mut notes: mpsc::Receiver<EventNote>, metrics: Metrics) {
    let reporter = Reporter { controller: names::OPERATOR_SERVICE_ACCOUNT.to_owned(), instance: None };
    let recorder = Recorder::new(client, reporter);
    while let Some(note) = notes.recv().await {
        let (event, regarding) = (event(&note), reference(&note.regarding));
        let published = recorder.publish(&event, &regarding);
        let result = match tokio::time::timeout(ANSWER_WITHIN, published).await {
            Ok(Ok(())) => "sent",
            Ok(Err(error)) => {
                warn!(%error, reason = note.reason, "could not send an Event");
                "failed"
            }
            Err(_) => "failed",
        };
        debug!(reason = note.reason, result, "Event");
        metrics.events.with_label_values(&[result]).inc();
    }
}

fn event(note: &EventNote) -> Event {
    Event {
        type_: if note.warning { EventType::Warning } else { EventType::Normal },
        reason: note.reason.clone(),
        note: Some(truncate(&note.message, NOTE_BYTES)),
        action: series(note),
        secondary: None,
    }
}

/// kube's recorder counts Events of one action as a series, which keeps the text of the first: one about another cause, or
/// whose text differs («GPU5» instead of «GPU3»), begins a series of its own.
fn series(note: &EventNote) -> String {
    let mut hasher = DefaultHasher::new();
    note.message.hash(&mut hasher);
    let about = if note.series.is_empty() { &note.reason } else { &note.series };
    format!("{}-{:08x}", truncate(about, ACTION_BYTES - 9), hasher.finish() & 0xffff_ffff)
}

/// No namespace is given: kube's recorder puts Events about cluster-scoped objects into the namespace `default`.
fn reference(regarding: &Regarding) -> ObjectReference {
    let (key, uid) = Key::regarded(regarding);
    ObjectReference {
        api_version: Some(key.kind.api_version()),
        kind: Some(key.kind.to_string()),
        name: Some(key.name),
        uid: Some(uid.to_owned()),
        ..ObjectReference::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_then_ten_a_second() {
        let start = Instant::now();
        let mut bucket = TokenBucket::full(start);
        let passed = |bucket: &mut TokenBucket, now| (0..200).filter(|_| bucket.take(now)).count();
        assert_eq!(passed(&mut bucket, start), 50);
        assert_eq!(passed(&mut bucket, start + Duration::from_secs(1)), 10);
        assert_eq!(passed(&mut bucket, start + Duration::from_secs(3600)), 50);
    }

    #[test]
    fn a_series_has_one_text() {
        let note = |message: &str| EventNote {
            regarding: Regarding::Node("n1".into(), "u1".into()),
            warning: true,
            reason: "Unhealthy".into(),
            message: message.into(),
            series: "Unhealthy/xid".into(),
            after: None,
        };
        assert_eq!(event(&note("GPU3 fell off the bus")).action, event(&note("GPU3 fell off the bus")).action);
        assert_ne!(event(&note("GPU3 fell off the bus")).action, event(&note("GPU5 fell off the bus")).action);
    }

    #[test]
    fn a_long_message_is_cut_to_what_the_api_accepts() {
        let note = EventNote {
            regarding: Regarding::Node("n1".into(), "u1".into()),
            warning: true,
            reason: "Unhealthy".into(),
            series: "xid/node/Xid79".into(),
            message: "x".repeat(5000),
            after: None,
        };
        assert_eq!(event(&note).note.unwrap().len(), NOTE_BYTES);
        assert!(event(&note).action.starts_with("xid/node/Xid79-"), "{}", event(&note).action);
        assert_eq!(reference(&note.regarding).namespace, None);
    }
}
