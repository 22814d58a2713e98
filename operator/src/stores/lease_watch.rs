//! The watch of Leases. It also tells what kube's own watcher hides: bookmarks, the proof that it works while no agent
//! renews its Lease.

use super::{
    guarded::{deleted, guarded},
    observation::Seen,
    projection::Renewal,
};
use crate::key::Kind;
use futures::StreamExt;
use k8s_openapi::api::coordination::v1::Lease;
use kube::{
    Api,
    api::{ListParams, WatchEvent, WatchParams},
    core::DeserializeGuard,
    runtime::watcher::DefaultBackoff,
};
use std::time::Duration;
use tokio::{
    sync::mpsc,
    time::{Instant, timeout},
};
use tracing::{debug, warn};

/// How long one watch request lasts, in seconds. The API server sends a bookmark about 2 s before its end (cacher.go,
/// `bookmarkTimeBuckets`), so a working watch is proven this often.
const WATCH_SECONDS: u32 = 20;
/// How long the watch may deliver nothing, and a page of the list may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(25);
/// How often the watch is begun at most, also if the API server ends each request at once.
const SHORTEST: Duration = Duration::from_secs(1);
/// Leases per page of a list: about 250 kB.
const PAGE: u32 = 500;
/// The API server's answer to a watch from a version that it no longer has: list again.
const GONE: u16 = 410;

type Leases = Api<DeserializeGuard<Lease>>;

/// Why the watch must go on in another way.
enum End {
    /// The request lasted as long as it should: go on from this version.
    Over(String),
    /// List again.
    Gone,
    /// It failed.
    Failed(String),
    /// Nobody listens any more.
    Stopped,
}

/// Sends what the watch of Leases shows until nobody listens any more. A watch that fails is restarted, with growing
/// pauses.
pub(super) async fn watch_leases<T>(leases: Leases, to: mpsc::Sender<T>, wrap: fn(Seen<Renewal>) -> T) {
    let to = To { sender: to, wrap };
    let mut pauses = DefaultBackoff::default();
    let mut version = None;
    loop {
        let end = match version.take() {
            None => list(&leases, &to).await,
            Some(version) => {
                let not_before = Instant::now() + SHORTEST;
                let end = watch(&leases, version, &to).await;
                tokio::time::sleep_until(not_before).await;
                end
            }
        };
        match end {
            End::Over(reached) => {
                version = Some(reached);
                pauses = DefaultBackoff::default();
            }
            End::Gone => debug!("the API server no longer has this version of the Leases; listing them again"),
            End::Failed(error) => {
                warn!(kind = %Kind::Lease, error, "watch failed; restarting it");
                if !to.send(Seen::Broken { error }).await {
                    return;
                }
                tokio::time::sleep(pauses.next().unwrap_or(ANSWER_WITHIN)).await;
            }
            End::Stopped => return,
        }
    }
}

/// Where observations go.
struct To<T> {
    sender: mpsc::Sender<T>,
    wrap: fn(Seen<Renewal>) -> T,
}

impl<T> To<T> {
    /// Returns whether somebody still listens.
    async fn send(&self, seen: Seen<Renewal>) -> bool {
        self.sender.send((self.wrap)(seen)).await.is_ok()
    }
}

/// Lists all Leases, page by page.
async fn list<T>(leases: &Leases, to: &To<T>) -> End {
    if !to.send(Seen::ListBegan).await {
        return End::Stopped;
    }
    let mut parameters = ListParams::default().limit(PAGE);
    loop {
        let page = match timeout(ANSWER_WITHIN, leases.list(&parameters)).await {
            Ok(Ok(page)) => page,
            Ok(Err(error)) => return failed(&error),
            Err(_) => return no_answer(),
        };
        for lease in page.items {
            let seen = guarded(Kind::Lease, lease, true, Seen::Listed);
            if !to.send(seen.map(Renewal::from)).await {
                return End::Stopped;
            }
        }
        parameters.continue_token = page.metadata.continue_.filter(|token| !token.is_empty());
        if parameters.continue_token.is_none() {
            let version = page.metadata.resource_version.unwrap_or_default();
            let alive = Seen::Alive { version: version.clone() };
            let heard = to.send(Seen::ListEnded).await && to.send(alive).await;
            return if heard { End::Over(version) } else { End::Stopped };
        }
    }
}

/// One watch request from this version on.
async fn watch<T>(leases: &Leases, mut version: String, to: &To<T>) -> End {
    let parameters = WatchParams { timeout: Some(WATCH_SECONDS), bookmarks: true, ..WatchParams::default() };
    let mut events = match timeout(ANSWER_WITHIN, leases.watch(&parameters, &version)).await {
        Ok(Ok(events)) => events.boxed(),
        Ok(Err(error)) => return failed(&error),
        Err(_) => return no_answer(),
    };
    loop {
        let seen = match timeout(ANSWER_WITHIN, events.next()).await {
            Ok(Some(Ok(event))) => match event {
                WatchEvent::Added(lease) | WatchEvent::Modified(lease) => {
                    note_version(&lease, &mut version);
                    guarded(Kind::Lease, lease, false, Seen::Applied)
                }
                WatchEvent::Deleted(lease) => {
                    note_version(&lease, &mut version);
                    deleted(lease)
                }
                WatchEvent::Bookmark(bookmark) => {
                    version = bookmark.metadata.resource_version;
                    Seen::Alive { version: version.clone() }
                }
                WatchEvent::Error(status) if status.code == GONE => return End::Gone,
                WatchEvent::Error(status) => return End::Failed(status.to_string()),
            },
            Ok(Some(Err(error))) => return failed(&error),
            Ok(None) => return End::Over(version),
            Err(_) => return no_answer(),
        };
        if !to.send(seen.map(Renewal::from)).await {
            return End::Stopped;
        }
    }
}

fn note_version(lease: &DeserializeGuard<Lease>, version: &mut String) {
    if let Some(of_lease) = &kube::Resource::meta(lease).resource_version {
        version.clone_from(of_lease);
    }
}

fn failed(error: &kube::Error) -> End {
    match error {
        kube::Error::Api(status) if status.code == GONE => End::Gone,
        _ => End::Failed(error.to_string()),
    }
}

fn no_answer() -> End {
    End::Failed(format!("nothing came within {} s", ANSWER_WITHIN.as_secs()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use kube::{Client, Config};
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    /// A load balancer whose API server is gone: it answers every request with 503. Returns its URL.
    async fn unavailable() -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = [0; 4096];
                let _ = stream.read(&mut request).await;
                let answer = "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 60\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        url
    }

    #[tokio::test]
    async fn a_503_is_seen_at_once_and_proves_nothing() {
        let mut config = Config::new(unavailable().await.parse().unwrap());
        config.default_retry = false;
        let client = Client::try_from(config).unwrap();
        let (sender, mut seen) = mpsc::channel(16);
        let watching = tokio::spawn(watch_leases(Api::namespaced(client, "leases"), sender, |seen| seen));
        assert!(matches!(seen.recv().await, Some(Seen::ListBegan)));
        assert!(matches!(seen.recv().await, Some(Seen::Broken { .. })));
        assert!(matches!(seen.recv().await, Some(Seen::ListBegan)), "it is tried again");
        watching.abort();
    }
}
