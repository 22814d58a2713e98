//! The watches: one task per kind, each sends [`Observation`]s to the brain. The only part of the stores that does IO.

use super::{
    guarded::{deleted, guarded},
    lease_watch::watch_leases,
    observation::{Observation, Seen},
    projection::Projection,
};
use crate::key::Kind;
use futures::{Stream, StreamExt};
use kube::{
    Api, Client, Resource,
    core::DeserializeGuard,
    runtime::{
        WatchStreamExt,
        watcher::{self, Event, watcher},
    },
};
use serde::de::DeserializeOwned;
use std::{fmt::Debug, sync::Arc};
use tokio::sync::mpsc;
use tracing::warn;

/// How long one watch request lasts, in seconds. A connection that died silently is noticed 5 s later (by kube's
/// `watcher`).
const WATCH_SECONDS: u32 = 60;

/// Objects per page of a list. 100 Nodes, with their lists of images, take about 2 MB while they are parsed.
const PAGE: u32 = 100;

/// How many observations may wait for the brain. When the channel is full the watches wait, so a list of thousands of
/// objects is never in memory twice.
const CAPACITY: usize = 256;

/// Starts one watch per kind and returns what they show. They end when the receiver is dropped.
pub fn watch_everything(client: &Client, lease_namespace: &str) -> mpsc::Receiver<Observation> {
    let (sender, receiver) = mpsc::channel(CAPACITY);
    watch::<crate::world::Node>(client, &sender, Observation::Node);
    watch(client, &sender, Observation::NodeHealth);
    watch(client, &sender, Observation::Run);
    watch(client, &sender, Observation::Policy);
    watch(client, &sender, Observation::Profile);
    let leases = Api::namespaced(client.clone(), lease_namespace);
    tokio::spawn(watch_leases(leases, sender, Observation::Lease));
    receiver
}

fn watch<T>(client: &Client, to: &mpsc::Sender<Observation>, wrap: fn(Seen<Arc<T>>) -> Observation)
where
    T: Projection,
    T::Wire: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let objects: Api<DeserializeGuard<T::Wire>> = Api::all(client.clone());
    let projected = seen(T::KIND, objects).map(move |s| wrap(s.map(|w| Arc::new(T::project(w)))));
    tokio::spawn(forward(projected, to.clone()));
}

async fn forward(observations: impl Stream<Item = Observation>, to: mpsc::Sender<Observation>) {
    let mut observations = std::pin::pin!(observations);
    while let Some(observation) = observations.next().await {
        if to.send(observation).await.is_err() {
            return;
        }
    }
}

/// What the watch of one kind shows. It never ends: a watch that fails is restarted, with growing pauses.
fn seen<W>(kind: Kind, objects: Api<DeserializeGuard<W>>) -> impl Stream<Item = Seen<W>>
where
    W: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let config = watcher::Config::default().timeout(WATCH_SECONDS).page_size(PAGE);
    watcher(objects, config).default_backoff().map(move |event| match event {
        Ok(Event::Init) => Seen::ListBegan,
        Ok(Event::InitApply(object)) => guarded(kind, object, true, Seen::Listed),
        Ok(Event::InitDone) => Seen::ListEnded,
        Ok(Event::Apply(object)) => guarded(kind, object, false, Seen::Applied),
        Ok(Event::Delete(object)) => deleted(object),
        Err(error) => {
            let error = error.to_string();
            warn!(%kind, %error, "watch failed; restarting it");
            Seen::Broken { error }
        }
    })
}
