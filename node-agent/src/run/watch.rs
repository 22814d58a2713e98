//! The watch on this node's NodeHealth by name, the one selector that the API server indexes.

use super::api;
use super::back_off::BackOff;
use crate::agent::{Event, Order};
use crate::metrics::Metrics;
use crds::NodeHealth;
use futures::StreamExt;
use kube::core::DeserializeGuard;
use kube::runtime::watcher::{self, Event as Seen, watcher};
use kube::{Api, Client, ResourceExt};
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// First and longest pause after a failure.
const PAUSE: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(10));

/// The parts of the object that wake the core. Its own report, which comes back with every write, does not.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Glance {
    uid: String,
    generation: i64,
    has_report: bool,
}

/// Sends every change of the spec to the core, and the uid to the Lease, forever.
pub(super) async fn follow(
    client: Client,
    node: String,
    events: mpsc::Sender<Event>,
    tell_uid: watch::Sender<Option<String>>,
    metrics: Metrics,
) {
    let api: Api<DeserializeGuard<NodeHealth>> = Api::all(client);
    let config = watcher::Config::default().fields(&format!("metadata.name={node}"));
    let mut seen = std::pin::pin!(watcher(api, config));
    let mut back_off = BackOff::new(PAUSE.0, PAUSE.1);
    let mut telling = Telling { events, tell_uid, last: None };
    let mut listed = false;
    while let Some(event) = seen.next().await {
        match event {
            Ok(event) => {
                back_off.succeeded();
                match event {
                    Seen::Init => listed = false,
                    Seen::InitApply(object) | Seen::Apply(object) => {
                        listed = true;
                        telling.tell(object).await;
                    }
                    Seen::InitDone if !listed => telling.gone().await,
                    Seen::InitDone => {}
                    Seen::Delete(_) => telling.gone().await,
                }
            }
            Err(error) => {
                metrics.watch_errors.inc();
                let pause = back_off.pause();
                tracing::warn!(error = api::sentence(&error), again_in = ?pause, "cannot watch this node's NodeHealth");
                tokio::time::sleep(pause).await;
            }
        }
    }
}

struct Telling {
    events: mpsc::Sender<Event>,
    tell_uid: watch::Sender<Option<String>>,
    last: Option<Glance>,
}

impl Telling {
    async fn tell(&mut self, object: DeserializeGuard<NodeHealth>) {
        let object = match object.0 {
            Ok(object) => object,
            Err(error) => {
                tracing::error!(%error, "cannot decode this node's NodeHealth; the agent may be too old for it. Keeping the last spec that was read");
                return;
            }
        };
        let report = object.status.as_ref().and_then(|status| status.report.clone());
        let glance = Glance {
            uid: object.uid().unwrap_or_default(),
            generation: object.metadata.generation.unwrap_or_default(),
            has_report: report.is_some(),
        };
        if self.last.as_ref() == Some(&glance) {
            return;
        }
        let wiped =
            self.last.as_ref().is_some_and(|last| last.uid == glance.uid && last.has_report && !glance.has_report);
        if wiped {
            // Someone removed the report: it must be written again.
            self.send(Event::SpecGone).await;
        }
        let only_own_report = self
            .last
            .as_ref()
            .is_some_and(|last| last.uid == glance.uid && last.generation == glance.generation && glance.has_report);
        self.tell_uid.send_replace(Some(glance.uid.clone()));
        let order = Order {
            uid: glance.uid.clone(),
            generation: glance.generation,
            spec: object.spec,
            report: report.map(Box::new),
        };
        self.last = Some(glance);
        if !only_own_report {
            self.send(Event::SpecChanged(Box::new(order))).await;
        }
    }

    async fn gone(&mut self) {
        self.last = None;
        self.tell_uid.send_replace(None);
        self.send(Event::SpecGone).await;
    }

    async fn send(&self, event: Event) {
        // The core is gone only when the process exits.
        let _ = self.events.send(event).await;
    }
}
