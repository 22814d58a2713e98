//! The watches: one task per kind, each sends [`Observation`]s to the brain. The only part of the stores that does IO.
//!
//! They are our own, for two reasons. kube's watcher hides bookmarks, which prove that the watch of Leases works while no
//! agent renews. And its `DeserializeGuard` parses each object into a generic tree first; here an object is parsed straight
//! into what is kept of it, and a second time, for its name, only where that fails.

use super::{
    observation::{Observation, Seen},
    projection::{Projection, Renewal},
    wire::{LeaseWire, Unparsed},
};
use crate::{key::Kind, world::Node};
use crds::{HealthCheckResult, HealthCheckRun, NodeHardwareProfile, NodeHealth, NodeHealthPolicy};
use futures::{AsyncBufReadExt as _, StreamExt as _, stream::BoxStream};
use k8s_openapi::{
    api::{coordination::v1::Lease, core::v1 as core},
    apimachinery::pkg::apis::meta::v1::ListMeta,
};
use kube::{
    Client, Resource as _,
    api::{ListParams, WatchParams},
    core::Request,
    runtime::watcher::DefaultBackoff,
};
use serde::{Deserialize, de::DeserializeOwned};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::mpsc,
    time::{Instant, timeout},
};
use tracing::{debug, warn};

/// How long one watch request lasts, in seconds. The API server sends a bookmark about 2 s before its end (cacher.go,
/// `bookmarkTimeBuckets`). A connection that died silently is noticed this much later.
const WATCH_SECONDS: u32 = 60;
/// The same for Leases: an agent is silent only for as long as the watch is proven to work.
const LEASE_WATCH_SECONDS: u32 = 20;
/// How much longer the watch may deliver nothing, and how long a page of a list may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// How often a watch is begun at most, also if the API server ends each request at once.
const SHORTEST: Duration = Duration::from_secs(1);
/// Objects per page of a list. 100 Nodes, with their lists of images, are about 2 MB of text.
const PAGE: u32 = 100;
/// The same for Leases, about 300 bytes each.
const LEASE_PAGE: u32 = 500;
/// How many observations may wait for the brain. When the channel is full the watches wait, so a list of thousands of
/// objects is never in memory twice.
const CAPACITY: usize = 256;
/// The API server's answer to a watch from a version that it no longer has: list again.
const GONE: u16 = 410;

/// The path of a kind's collection.
pub fn path(kind: Kind, lease_namespace: &str) -> String {
    match kind {
        Kind::Node => core::Node::url_path(&(), None),
        Kind::NodeHealth => NodeHealth::url_path(&(), None),
        Kind::Run => HealthCheckRun::url_path(&(), None),
        Kind::Policy => NodeHealthPolicy::url_path(&(), None),
        Kind::Profile => NodeHardwareProfile::url_path(&(), None),
        Kind::Lease => Lease::url_path(&(), Some(lease_namespace)),
        Kind::Result => HealthCheckResult::url_path(&(), None),
    }
}

/// Starts one watch per kind and returns what they show. They end when the receiver is dropped.
pub fn watch_everything(client: &Client, lease_namespace: &str) -> mpsc::Receiver<Observation> {
    let (sender, receiver) = mpsc::channel(CAPACITY);
    watch_kind::<Node>(client, &sender, Observation::Node);
    watch_kind(client, &sender, Observation::NodeHealth);
    watch_kind(client, &sender, Observation::Run);
    watch_kind(client, &sender, Observation::Policy);
    watch_kind(client, &sender, Observation::Profile);
    let leases = Collection {
        client: client.clone(),
        kind: Kind::Lease,
        request: Request::new(path(Kind::Lease, lease_namespace)),
        seconds: LEASE_WATCH_SECONDS,
        page: LEASE_PAGE,
        keep: |lease: LeaseWire| Renewal::from(lease),
        wrap: Observation::Lease,
        sender,
    };
    tokio::spawn(leases.follow());
    receiver
}

fn watch_kind<T: Projection>(
    client: &Client,
    sender: &mpsc::Sender<Observation>,
    wrap: fn(Seen<Arc<T>>) -> Observation,
) {
    let collection = Collection {
        client: client.clone(),
        kind: T::KIND,
        request: Request::new(path(T::KIND, "")),
        seconds: WATCH_SECONDS,
        page: PAGE,
        keep: |wire: T::Wire| Arc::new(T::project(wire)),
        wrap,
        sender: sender.clone(),
    };
    tokio::spawn(collection.follow());
}

/// The objects of one kind, and where what is seen of them goes.
struct Collection<W, T> {
    client: Client,
    kind: Kind,
    request: Request,
    seconds: u32,
    page: u32,
    keep: fn(W) -> T,
    wrap: fn(Seen<T>) -> Observation,
    sender: mpsc::Sender<Observation>,
}

/// Why the watch must go on in another way.
enum End {
    /// The request lasted as long as it should: go on from the version that it reached.
    Over,
    /// List again.
    Gone,
    /// It failed.
    Failed(String),
    /// Nobody listens any more.
    Stopped,
}

#[derive(Deserialize)]
struct Page<T> {
    #[serde(default)]
    metadata: ListMeta,
    items: Vec<T>,
}

/// One line of a watch.
#[derive(Deserialize)]
struct Line<T> {
    #[serde(rename = "type")]
    type_: String,
    object: T,
}

/// The object of a bookmark or an error.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Notice {
    code: u16,
    message: String,
}

impl<W: DeserializeOwned, T: Send + 'static> Collection<W, T> {
    /// Sends what the watch shows until nobody listens any more. A watch that fails is restarted, with growing pauses.
    async fn follow(self) {
        let mut pauses = DefaultBackoff::default();
        let mut version = None;
        loop {
            let end = if let Some(version) = &mut version {
                let not_before = Instant::now() + SHORTEST;
                let end = self.watch(version).await;
                tokio::time::sleep_until(not_before).await;
                end
            } else {
                self.list(&mut version).await
            };
            match end {
                End::Over => pauses = DefaultBackoff::default(),
                End::Gone => {
                    debug!(kind = %self.kind, "the API server no longer has this version; listing again");
                    version = None;
                }
                End::Failed(error) => {
                    warn!(kind = %self.kind, error, "watch failed; restarting it");
                    if !self.send(Seen::Broken { error }).await {
                        return;
                    }
                    tokio::time::sleep(pauses.next().unwrap_or(ANSWER_WITHIN)).await;
                }
                End::Stopped => return,
            }
        }
    }

    /// Returns whether somebody still listens.
    async fn send(&self, seen: Seen<T>) -> bool {
        self.sender.send((self.wrap)(seen)).await.is_ok()
    }

    /// Lists all objects, page by page, and tells the version of the list.
    async fn list(&self, reached: &mut Option<String>) -> End {
        if !self.send(Seen::ListBegan).await {
            return End::Stopped;
        }
        let mut parameters = ListParams::default().limit(self.page);
        loop {
            let request = match self.request.list(&parameters) {
                Ok(request) => self.client.request_text(request),
                Err(error) => return End::Failed(error.to_string()),
            };
            let text = match timeout(ANSWER_WITHIN, request).await {
                Ok(Ok(text)) => text,
                Ok(Err(error)) => return failed(&error),
                Err(_) => return no_answer(ANSWER_WITHIN),
            };
            let (metadata, objects) = match self.objects(&text) {
                Ok(page) => page,
                Err(error) => return End::Failed(error.to_string()),
            };
            drop(text);
            for seen in objects {
                if !self.send(seen).await {
                    return End::Stopped;
                }
            }
            parameters.continue_token = metadata.continue_.filter(|token| !token.is_empty());
            if parameters.continue_token.is_none() {
                let version = metadata.resource_version.unwrap_or_default();
                let alive = Seen::Alive { version: version.clone() };
                let heard = self.send(Seen::ListEnded).await && self.send(alive).await;
                *reached = Some(version);
                return if heard { End::Over } else { End::Stopped };
            }
        }
    }

    /// The objects of a page. One that does not parse is told by its name, and takes no other with it.
    fn objects(&self, text: &str) -> Result<(ListMeta, Vec<Seen<T>>), serde_json::Error> {
        if let Ok(Page { metadata, items }) = serde_json::from_str::<Page<W>>(text) {
            let listed = items.into_iter().map(|wire| Seen::Listed((self.keep)(wire)));
            return Ok((metadata, listed.collect()));
        }
        let Page { metadata, items } = serde_json::from_str::<Page<serde_json::Value>>(text)?;
        let listed = items.into_iter().map(|item| {
            let name = item.pointer("/metadata/name").and_then(|name| name.as_str()).unwrap_or_default().to_owned();
            match serde_json::from_value::<W>(item) {
                Ok(wire) => Seen::Listed((self.keep)(wire)),
                Err(error) => self.malformed(name, &error, true),
            }
        });
        Ok((metadata, listed.collect()))
    }

    fn malformed(&self, name: String, error: &serde_json::Error, listed: bool) -> Seen<T> {
        let error = error.to_string();
        warn!(kind = %self.kind, name, error, "cannot parse this object; leaving it alone until it parses");
        Seen::Malformed { name, error, listed }
    }

    /// One watch request from this version on, which moves with what is seen. If the request fails, the next one goes on
    /// from there: nothing is lost.
    async fn watch(&self, version: &mut String) -> End {
        let idle = Duration::from_secs(u64::from(self.seconds)) + ANSWER_WITHIN;
        let mut lines = match self.lines(version).await {
            Ok(lines) => lines,
            Err(end) => return end,
        };
        loop {
            let line = match timeout(idle, lines.next()).await {
                Ok(Some(Ok(line))) => line,
                Ok(Some(Err(error))) => return End::Failed(error.to_string()),
                Ok(None) => return End::Over,
                Err(_) => return no_answer(idle),
            };
            match self.seen(&line, version) {
                Ok(seen) => {
                    if !self.send(seen).await {
                        return End::Stopped;
                    }
                }
                Err(end) => return end,
            }
        }
    }

    async fn lines(&self, version: &str) -> Result<BoxStream<'static, std::io::Result<String>>, End> {
        let parameters = WatchParams { timeout: Some(self.seconds), bookmarks: true, ..WatchParams::default() };
        let request = self.request.watch(&parameters, version).map_err(|error| End::Failed(error.to_string()))?;
        match timeout(ANSWER_WITHIN, self.client.request_stream(request)).await {
            Ok(Ok(reader)) => Ok(reader.lines().boxed()),
            Ok(Err(error)) => Err(failed(&error)),
            Err(_) => Err(no_answer(ANSWER_WITHIN)),
        }
    }

    /// What a line of the watch shows.
    fn seen(&self, line: &str, version: &mut String) -> Result<Seen<T>, End> {
        let broken = |error: serde_json::Error| End::Failed(format!("a line of the watch cannot be read: {error}"));
        let Line { type_, object } = serde_json::from_str::<Line<Unparsed>>(line).map_err(broken)?;
        let is_deletion = match type_.as_str() {
            "ADDED" | "MODIFIED" => false,
            "DELETED" => true,
            "BOOKMARK" => {
                version.clone_from(&object.metadata.resource_version);
                return Ok(Seen::Alive { version: object.metadata.resource_version });
            }
            _ => {
                let notice = serde_json::from_str::<Line<Notice>>(line).map_err(broken)?.object;
                let gone = notice.code == GONE;
                return Err(if gone { End::Gone } else { End::Failed(notice.message) });
            }
        };
        version.clone_from(&object.metadata.resource_version);
        match serde_json::from_str::<Line<W>>(line) {
            Ok(Line { object, .. }) if is_deletion => Ok(Seen::Deleted((self.keep)(object))),
            Ok(Line { object, .. }) => Ok(Seen::Applied((self.keep)(object))),
            Err(_) if is_deletion => Ok(Seen::MalformedDeleted { name: object.metadata.name }),
            Err(error) => Ok(self.malformed(object.metadata.name, &error, false)),
        }
    }
}

fn failed(error: &kube::Error) -> End {
    match error {
        kube::Error::Api(status) if status.code == GONE => End::Gone,
        _ => End::Failed(error.to_string()),
    }
}

fn no_answer(within: Duration) -> End {
    End::Failed(format!("nothing came within {} s", within.as_secs()))
}

#[cfg(test)]
mod tests;
