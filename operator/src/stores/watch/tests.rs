use super::*;
use kube::Config;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

/// A server that answers each request with this status line and body. Returns its URL.
async fn answering(status: &'static str, body: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await;
            let head = format!("HTTP/1.1 {status}\r\nRetry-After: 60\r\nContent-Length: {}\r\n", body.len());
            let answer = format!("{head}Connection: close\r\n\r\n{body}");
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    url
}

fn client(url: &str) -> Client {
    let mut config = Config::new(url.parse().unwrap());
    config.default_retry = false;
    Client::try_from(config).unwrap()
}

/// The Leases of a server that cannot be reached: for what is pure.
fn leases() -> Collection<LeaseWire, Renewal> {
    Collection {
        client: client("http://127.0.0.1:1"),
        kind: Kind::Lease,
        request: Request::new(path(Kind::Lease, "leases")),
        seconds: LEASE_WATCH_SECONDS,
        page: LEASE_PAGE,
        keep: |lease: LeaseWire| Renewal::from(lease),
        wrap: Observation::Lease,
        sender: mpsc::channel(1).0,
    }
}

/// What the next observation of Leases is.
async fn next(seen: &mut mpsc::Receiver<Observation>) -> Seen<Renewal> {
    loop {
        if let Observation::Lease(seen) = seen.recv().await.unwrap() {
            return seen;
        }
    }
}

#[tokio::test]
async fn a_503_is_seen_at_once_and_proves_nothing() {
    let url = answering("503 Service Unavailable", String::new()).await;
    let mut seen = watch_everything(&client(&url), "leases");
    assert!(matches!(next(&mut seen).await, Seen::ListBegan));
    assert!(matches!(next(&mut seen).await, Seen::Broken { .. }));
    assert!(matches!(next(&mut seen).await, Seen::ListBegan), "it is tried again");
}

#[tokio::test]
async fn one_malformed_object_in_a_list_takes_no_other_with_it() {
    let lease = |name: &str, time: &str| {
        format!(r#"{{"metadata":{{"name":"{name}","resourceVersion":"7"}},"spec":{{"renewTime":{time}}}}}"#)
    };
    let items = [lease("a", "\"t\""), lease("b", "[]")].join(",");
    let page = format!(r#"{{"metadata":{{"resourceVersion":"9"}},"items":[{items}]}}"#);
    let url = answering("200 OK", page).await;
    let mut seen = watch_everything(&client(&url), "leases");
    assert!(matches!(next(&mut seen).await, Seen::ListBegan));
    assert!(matches!(next(&mut seen).await, Seen::Listed(renewal) if renewal.node == "a" && renewal.stamp == "t"));
    assert!(matches!(next(&mut seen).await, Seen::Malformed { name, listed: true, .. } if name == "b"));
    assert!(matches!(next(&mut seen).await, Seen::ListEnded));
    assert!(matches!(next(&mut seen).await, Seen::Alive { version } if version == "9"));
}

#[tokio::test]
async fn each_line_of_a_watch_is_told_and_moves_the_version() {
    let (leases, mut version) = (leases(), "1".to_owned());
    let object = |rest: &str| format!(r#"{{"metadata":{{"name":"a","resourceVersion":"8"}}{rest}}}"#);
    let line = |type_: &str, object: String| format!(r#"{{"type":"{type_}","object":{object}}}"#);
    let mut see = |line: String| leases.seen(&line, &mut version).map(|seen| (seen, version.clone()));
    let renewed = object(r#","spec":{"renewTime":"2026-11-27T09:30:00.000000Z"}"#);
    assert!(matches!(see(line("MODIFIED", renewed)), Ok((Seen::Applied(r), v)) if r.stamp.len() == 27 && v == "8"));
    assert!(matches!(see(line("DELETED", object(""))), Ok((Seen::Deleted(r), _)) if r.node == "a"));
    let odd = object(r#","spec":5"#);
    assert!(matches!(see(line("ADDED", odd.clone())), Ok((Seen::Malformed { name, .. }, _)) if name == "a"));
    assert!(matches!(see(line("DELETED", odd)), Ok((Seen::MalformedDeleted { .. }, _))));
    let bookmark = r#"{"metadata":{"resourceVersion":"30","creationTimestamp":null}}"#.to_owned();
    assert!(
        matches!(see(line("BOOKMARK", bookmark)), Ok((Seen::Alive { version }, v)) if version == "30" && v == "30")
    );
    let gone = r#"{"kind":"Status","code":410,"message":"too old resource version"}"#.to_owned();
    assert!(matches!(see(line("ERROR", gone)), Err(End::Gone)));
    let other = r#"{"kind":"Status","code":500,"message":"etcd"}"#.to_owned();
    assert!(matches!(see(line("ERROR", other)), Err(End::Failed(why)) if why == "etcd"));
    assert!(matches!(see("not json".to_owned()), Err(End::Failed(_))));
}
