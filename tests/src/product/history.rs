//! Every change of one object, recorded from before a test acts: a state that ends by itself cannot be missed, however busy
//! the machine is.

use super::Error;
use crate::cluster::until;
use futures::StreamExt as _;
use kube::runtime::watcher::{self, Event};
use kube::{Api, Resource};
use serde::de::DeserializeOwned;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::task::JoinHandle;

/// The first list of a watch takes milliseconds on an idle machine.
const STARTED_WITHIN: Duration = Duration::from_secs(60);

/// What was seen so far, and whether the watch has begun.
#[derive(Debug)]
struct Seen<K> {
    versions: Vec<K>,
    is_watching: bool,
}

/// The versions of one object since [`History::of`] returned, oldest first. Dropping it ends the watch.
///
/// The API server sends every version to a watch. Only a watch that breaks off and starts over with a list may skip some;
/// use a history over seconds to minutes, on an API server that is not restarted meanwhile.
#[derive(Debug)]
pub struct History<K> {
    name: String,
    seen: Arc<Mutex<Seen<K>>>,
    watching: JoinHandle<()>,
}

impl<K> History<K>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + 'static,
{
    /// Starts to record the object of this name. Whatever changes after this has returned is recorded.
    pub async fn of(api: Api<K>, name: &str) -> Result<Self, Error> {
        let seen = Arc::new(Mutex::new(Seen { versions: Vec::new(), is_watching: false }));
        let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
        let watching = tokio::spawn(record(api, config, seen.clone()));
        let history = Self { name: name.to_owned(), seen, watching };
        until(&format!("the watch of {name} to begin"), STARTED_WITHIN, || {
            let is_watching = history.seen.lock().unwrap_or_else(PoisonError::into_inner).is_watching;
            async move { is_watching.then_some(()).ok_or_else(|| "not yet".to_owned()) }
        })
        .await?;
        Ok(history)
    }

    /// All versions so far.
    pub fn versions(&self) -> Vec<K> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).versions.clone()
    }

    /// Waits until one of the versions, past ones included, is as `wanted` says; gives the first.
    pub async fn until(&self, what: &str, within: Duration, wanted: impl Fn(&K) -> bool) -> Result<K, Error> {
        let what = format!("{} to have been {what} at some time", self.name);
        let found = until(&what, within, || {
            let versions = self.versions();
            let found = versions.iter().find(|version| wanted(version)).cloned();
            async move { found.ok_or_else(|| format!("{} versions, the last one {:?}", versions.len(), versions.last())) }
        });
        Ok(found.await?)
    }
}

impl<K> Drop for History<K> {
    fn drop(&mut self) {
        self.watching.abort();
    }
}

async fn record<K>(api: Api<K>, config: watcher::Config, seen: Arc<Mutex<Seen<K>>>)
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + 'static,
{
    let mut events = std::pin::pin!(watcher::watcher(api, config));
    while let Some(event) = events.next().await {
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Ok(Event::Apply(object) | Event::InitApply(object)) => seen.versions.push(object),
            Ok(Event::InitDone) => seen.is_watching = true,
            // A watch that breaks off starts over by itself.
            Ok(Event::Init | Event::Delete(_)) | Err(_) => {}
        }
    }
}
