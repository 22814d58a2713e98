//! Events: told by one recorder, so that what repeats is aggregated; at most 10 a second; never in anybody's way.

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
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tracing::{debug, warn};

/// Events a second in the long run.
const RATE: u32 = 10;
/// Events at once: a rack of eight nodes that fails together is told completely.
const BURST: u32 = 50;
/// Events that may wait to be sent.
const QUEUE: usize = 256;
/// How long the API server may take for one.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// The longest note that events.k8s.io/v1 takes is 1,024 bytes (its API reference).
const NOTE_BYTES: usize = 1000;

/// Lets `RATE` through per second, and `BURST` at once.
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

    /// Takes a token, if there is one.
    pub fn take(&mut self, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.filled_at).as_secs_f64();
        self.filled_at = now;
        self.tokens = passed.mul_add(f64::from(RATE), self.tokens).min(f64::from(BURST));
        let there_is_one = self.tokens >= 1.0;
        if there_is_one {
            self.tokens -= 1.0;
        }
        there_is_one
    }
}

/// Hands Events to the task that sends them; never waits.
#[derive(Debug)]
pub struct Teller {
    bucket: TokenBucket,
    queue: mpsc::Sender<EventNote>,
    metrics: Metrics,
}

impl Teller {
    /// Starts the task that sends.
    pub fn start(client: Client, metrics: Metrics) -> Self {
        let (queue, notes) = mpsc::channel(QUEUE);
        tokio::spawn(send(client, notes, metrics.clone()));
        Self { bucket: TokenBucket::full(Instant::now()), queue, metrics }
    }

    /// Tells, unless too much is told already.
    pub fn tell(&mut self, note: EventNote) {
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
                warn!(%error, reason = note.reason, "an Event could not be sent");
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
        action: note.reason.clone(),
        secondary: None,
    }
}

/// Events about cluster-scoped objects live in the namespace `default`: the recorder puts those without a namespace there.
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
    fn a_burst_is_told_and_then_ten_a_second() {
        let start = Instant::now();
        let mut bucket = TokenBucket::full(start);
        let told = |bucket: &mut TokenBucket, now| (0..200).filter(|_| bucket.take(now)).count();
        assert_eq!(told(&mut bucket, start), 50);
        assert_eq!(told(&mut bucket, start + Duration::from_secs(1)), 10);
        assert_eq!(told(&mut bucket, start + Duration::from_secs(3600)), 50);
    }

    #[test]
    fn a_long_message_is_cut_to_what_the_api_takes() {
        let note = EventNote {
            regarding: Regarding::Node("n1".into(), "u1".into()),
            warning: true,
            reason: "Quarantined".into(),
            message: "x".repeat(5000),
            after: None,
        };
        assert_eq!(event(&note).note.unwrap().len(), NOTE_BYTES);
        assert_eq!(reference(&note.regarding).namespace, None);
    }
}
