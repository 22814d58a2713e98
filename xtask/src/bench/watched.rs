//! What a watcher of the API server sees, and when.

use super::scene::Problem;
use futures::{StreamExt as _, stream::BoxStream};
use gpu_health_tests::product::seen::unhealthy_taints;
use k8s_openapi::api::core::v1::Node;
use kube::{
    Api, Client, Resource,
    runtime::watcher::{self, Event},
};
use serde::de::DeserializeOwned;
use std::{
    fmt::Debug,
    time::{Duration, Instant},
};

/// What a watch shows.
pub(super) type Events<K> = BoxStream<'static, Result<Event<K>, watcher::Error>>;

/// A fault that takes longer than this to be marked is lost, and the bench has failed.
const LOST_AFTER: Duration = Duration::from_secs(120);

/// Watches one object.
pub(super) fn named<K>(client: Client, name: &str) -> Events<K>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
    watcher::watcher(Api::all(client), config).boxed()
}

/// Whether our taint keeps pods away from the Node.
pub(super) fn is_tainted(node: &Node) -> bool {
    unhealthy_taints(node).iter().any(|taint| taint.effect == "NoSchedule")
}

/// When an event first showed an object as wanted.
pub(super) async fn until_seen<K>(events: &mut Events<K>, wanted: impl Fn(&K) -> bool) -> Result<Instant, Problem> {
    Ok(first(events, wanted).await?.0)
}

/// The first object that an event shows as wanted, and when.
pub(super) async fn first<K>(events: &mut Events<K>, wanted: impl Fn(&K) -> bool) -> Result<(Instant, K), Problem> {
    let seeing = async {
        loop {
            match events.next().await {
                Some(Ok(Event::Apply(object) | Event::InitApply(object))) if wanted(&object) => {
                    return Ok((Instant::now(), object));
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(Problem::from(error)),
                None => return Err("a watch ended".into()),
            }
        }
    };
    let lost = format!("a change was not seen within {} s", LOST_AFTER.as_secs());
    tokio::time::timeout(LOST_AFTER, seeing).await.map_err(|_| Problem::from(lost))?
}
