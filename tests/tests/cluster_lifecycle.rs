//! The control plane itself: it starts, knows tokens that name nodes, survives kill -9, and leaves nothing behind.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests, too")]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use gpu_health_tests::cluster::{self, ControlPlane, NodeSpec, Options, until};
use gpu_health_tests::process::{Identity, spawn_bound};
use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use k8s_openapi::api::core::v1::{ConfigMap, Node, Pod};
use kube::api::PostParams;
use kube::{Api, Client, ResourceExt};
use serde_json::json;

/// Only a failing test waits this long.
const SOON: Duration = Duration::from_secs(120);
const NODE_NAME_CLAIM: &str = "authentication.kubernetes.io/node-name";
/// Set in the copy of this test binary that plays the owner of a control plane.
const OWNER: &str = "GPU_HEALTH_TEST_CLUSTER_OWNER";

fn shared() -> &'static ControlPlane {
    cluster::shared().unwrap_or_else(|error| panic!("{error}"))
}

/// The node to which the API server assigns the bearer of a token.
async fn node_of(client: Client) -> Option<String> {
    let reviews: Api<SelfSubjectReview> = Api::all(client);
    let review = reviews.create(&PostParams::default(), &SelfSubjectReview::default()).await.unwrap();
    let user = review.status.unwrap().user_info.unwrap();
    user.extra.unwrap_or_default().remove(NODE_NAME_CLAIM).map(|values| values.concat())
}

#[tokio::test]
async fn a_token_bound_to_a_pod_names_the_pods_node_and_an_unbound_one_names_none() {
    let cluster = shared();
    cluster.create_nodes(&[NodeSpec::new("token-a"), NodeSpec::new("token-b")]).await.unwrap();
    let of_pod = cluster.token_for_node("some-agent", "tokens", "token-a").await.unwrap();
    assert_eq!(node_of(cluster.client_with_token(&of_pod).unwrap()).await.as_deref(), Some("token-a"));
    let again = cluster.token_for_node("some-agent", "tokens", "token-a").await.unwrap();
    assert_eq!(node_of(cluster.client_with_token(&again).unwrap()).await.as_deref(), Some("token-a"));
    let of_node = cluster.node_bound_token("some-agent", "tokens", "token-b").await.unwrap();
    assert_eq!(node_of(cluster.client_with_token(&of_node).unwrap()).await.as_deref(), Some("token-b"));
    let unbound = cluster.unbound_token("some-agent", "tokens").await.unwrap();
    assert_eq!(node_of(cluster.client_with_token(&unbound).unwrap()).await, None);
}

#[tokio::test]
async fn a_kubeconfig_with_a_token_file_works_for_the_client_library() {
    let cluster = shared();
    let folder = tempfile::tempdir().unwrap();
    let (config, token_file) = (folder.path().join("kubeconfig"), folder.path().join("token"));
    let token = cluster.token_for_node("file-agent", "tokens", "no-such-node").await.unwrap();
    cluster::write_token_file(&token_file, &token).unwrap();
    cluster.kubeconfig_with_token_file(&config, &token_file).unwrap();
    let config = kube::config::Kubeconfig::read_from(&config).unwrap();
    let config =
        kube::Config::from_custom_kubeconfig(config, &kube::config::KubeConfigOptions::default()).await.unwrap();
    assert_eq!(node_of(Client::try_from(config).unwrap()).await.as_deref(), Some("no-such-node"));
}

#[tokio::test]
async fn nodes_have_what_a_kubelet_would_report() {
    let cluster = shared();
    let specs = [NodeSpec::new("made-a").gpus(4).label("zone", "z1"), NodeSpec::new("made-b").gpus(0).not_ready()];
    let made = cluster.create_nodes(&specs).await.unwrap();
    let status = made[0].status.clone().unwrap();
    assert_eq!(status.allocatable.unwrap()["nvidia.com/gpu"].0, "4");
    assert_eq!(status.node_info.unwrap().boot_id, specs[0].boot_id);
    assert_eq!(made[0].labels()["zone"], "z1");
    assert!(made[0].spec.as_ref().unwrap().taints.is_none(), "no controller would ever take a taint off");
    assert_eq!(made[1].status.as_ref().unwrap().conditions.as_ref().unwrap()[0].status, "False");

    cluster.set_boot_id("made-a", "after-the-reboot").await.unwrap();
    cluster.set_ready("made-b", true).await.unwrap();
    let nodes: Api<Node> = Api::all(cluster.admin().unwrap());
    let rebooted = nodes.get("made-a").await.unwrap().status.unwrap();
    assert_eq!(rebooted.node_info.unwrap().boot_id, "after-the-reboot");
    assert_eq!(rebooted.capacity.unwrap()["nvidia.com/gpu"].0, "4");
    assert_eq!(nodes.get("made-b").await.unwrap().status.unwrap().conditions.unwrap()[0].status, "True");
}

#[tokio::test]
async fn manifests_are_applied_in_an_order_that_works() {
    let cluster = shared();
    let manifest = "
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: applied}
data: {a: b}
---
apiVersion: v1
kind: Namespace
metadata: {name: applied}
";
    let applied = cluster.apply_yaml(manifest).await.unwrap();
    assert_eq!(applied.len(), 2);
    let shown =
        cluster.kubectl_ok(&["get", "configmap", "-n", "applied", "settings", "-o", "jsonpath={.data.a}"]).unwrap();
    assert_eq!(shown, "b");
    let error = cluster.kubectl_ok(&["get", "configmap", "-n", "applied", "absent"]).unwrap_err().to_string();
    assert!(error.contains(r#"configmaps "absent" not found"#), "{error}");
}

#[tokio::test]
async fn the_audit_log_has_every_write() {
    let cluster = ControlPlane::start(Options { audit: true, ..Options::default() }).unwrap();
    cluster.ensure_namespace("audited").await.unwrap();
    let log = cluster.audit_log().unwrap();
    let written = || async {
        let text = std::fs::read_to_string(&log).map_err(|error| error.to_string())?;
        let found = text.lines().any(|line| line.contains(r#""verb":"patch""#) && line.contains("namespaces/audited"));
        found.then_some(()).ok_or(text)
    };
    until("the write in the audit log", SOON, written).await.unwrap();
}

#[tokio::test]
async fn objects_and_tokens_survive_kill_9_of_api_server_and_etcd() {
    let cluster = ControlPlane::start(Options { fsync: true, ..Options::default() }).unwrap();
    cluster.ensure_namespace("kept").await.unwrap();
    let token = cluster.unbound_token("kept", "kept").await.unwrap();
    let maps: Api<ConfigMap> = Api::namespaced(cluster.admin().unwrap(), "kept");
    let before = cluster.pids();
    for round in 0..3 {
        let map = json!({"metadata": {"name": format!("round-{round}")}, "data": {"x": "y"}});
        let written = maps.create(&PostParams::default(), &serde_json::from_value(map).unwrap()).await.unwrap();
        cluster.kill9_api_server_and_etcd().unwrap();
        assert_eq!(cluster.pids(), []);
        cluster.restart_api_server_and_etcd().unwrap();
        // The first request on an old connection may only find it closed.
        let name = format!("round-{round}");
        let read = || async { maps.get(&name).await.map_err(|error| error.to_string()) };
        let found = until("the object after the restart", SOON, read).await.unwrap();
        assert_eq!(found.resource_version(), written.resource_version());
    }
    assert!(cluster.pids().iter().all(|process| !before.contains(process)));
    assert_eq!(node_of(cluster.client_with_token(&token).unwrap()).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_everything_on_a_pod_is_scheduled_to_a_kwok_node_and_runs_and_stop_leaves_nothing() {
    let options = Options { kcm: true, scheduler: true, kwok: true, ..Options::default() };
    let cluster = ControlPlane::start(options).unwrap();
    cluster.create_nodes(&[NodeSpec::new("gpu-a").gpus(2), NodeSpec::new("gpu-b").gpus(8)]).await.unwrap();
    let pod = "
apiVersion: v1
kind: Pod
metadata: {name: job, namespace: default}
spec:
  containers:
  - name: train
    image: any
    resources: {limits: {nvidia.com/gpu: 4}}
";
    // Until the controller manager has made the namespace's default ServiceAccount, pods are refused.
    let apply = || async { cluster.apply_yaml(pod).await.map_err(|error| error.to_string()) };
    until("the pod to be accepted", SOON, apply).await.unwrap();
    let pods: Api<Pod> = Api::default_namespaced(cluster.admin().unwrap());
    let running = || async {
        let pod = pods.get("job").await.map_err(|error| error.to_string())?;
        let (spec, status) = (pod.spec.unwrap_or_default(), pod.status.unwrap_or_default());
        let running = status.phase.as_deref() == Some("Running");
        running.then_some(spec.node_name).ok_or_else(|| format!("{status:?}"))
    };
    let node = until("the pod to run", SOON, running).await.unwrap();
    assert_eq!(node.as_deref(), Some("gpu-b"));

    // Components that only talk to the API server survive its absence and continue.
    cluster.restart_api_server_and_etcd().unwrap();
    cluster.kubectl_ok(&["delete", "pod", "job", "--timeout=120s"]).unwrap();

    let processes: Vec<Identity> = cluster.pids().iter().map(|(_, pid)| Identity::of(*pid).unwrap()).collect();
    assert_eq!(processes.len(), 5);
    let state = cluster.state_path().to_owned();
    cluster.stop().unwrap();
    assert!(processes.iter().all(|process| !process.is_alive()));
    assert!(!state.exists(), "{}", state.display());
}

#[test]
fn a_panic_keeps_the_logs_and_nothing_else() {
    let (sender, state) = std::sync::mpsc::channel();
    let panicked = std::thread::spawn(move || {
        let cluster = ControlPlane::start(Options::default()).unwrap();
        let pids: Vec<Identity> = cluster.pids().iter().filter_map(|(_, pid)| Identity::of(*pid)).collect();
        sender.send((cluster.state_path().to_owned(), pids)).unwrap();
        panic!("as a failing test does");
    });
    assert!(panicked.join().is_err());
    let (state, processes) = state.recv().unwrap();
    assert_eq!(processes.len(), 2);
    assert!(processes.iter().all(|process| !process.is_alive()));
    assert!(state.join("logs/kube-apiserver.log").exists());
    assert!(!state.join("etcd").exists());
    std::fs::remove_dir_all(state).unwrap();
}

/// In the copies of this binary that the next test starts, has a control plane until its stdin ends. Otherwise does
/// nothing.
#[test]
fn play_the_owner_when_asked() {
    if std::env::var_os(OWNER).is_none() {
        return;
    }
    let cluster = ControlPlane::start(Options::default()).unwrap();
    let pids: Vec<Identity> = cluster.pids().iter().filter_map(|(_, pid)| Identity::of(*pid)).collect();
    println!("owned {}", serde_json::to_string(&(pids, cluster.state_path())).unwrap());
    std::io::stdin().read_line(&mut String::new()).unwrap();
}

/// A copy of this binary whose control plane keeps its state in `folder`; the control plane's processes, and its state.
fn owner_in(folder: &Path) -> (Child, Vec<Identity>, PathBuf) {
    let mut owner = Command::new(std::env::current_exe().unwrap());
    owner.args(["--exact", "play_the_owner_when_asked", "--nocapture"]).env(OWNER, "1").env("TMPDIR", folder);
    owner.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut owner = spawn_bound(owner).unwrap();
    let mut lines = BufReader::new(owner.stdout.take().unwrap()).lines();
    // libtest writes the test's name on the same line.
    let line = lines.find_map(|line| Some(line.unwrap().split_once("owned ")?.1.to_owned())).unwrap();
    let (pids, state) = serde_json::from_str(&line).unwrap();
    // Closing the pipe would kill the copy when it writes its last line.
    std::thread::spawn(move || lines.for_each(drop));
    (owner, pids, state)
}

#[test]
fn a_control_plane_dies_with_its_killed_owner_and_the_next_start_removes_its_folder() {
    // A folder of its own: in the common one, every test that starts removes folders without an owner.
    let folder = tempfile::tempdir().unwrap();
    let (mut owner, pids, state) = owner_in(folder.path());
    assert_eq!(pids.len(), 2);
    assert!(pids.iter().all(|process| process.is_alive()));
    owner.kill().unwrap();
    owner.wait().unwrap();
    let deadline = Instant::now() + SOON;
    while pids.iter().any(|process| process.is_alive()) {
        assert!(Instant::now() < deadline, "{pids:?} outlive their owner");
        std::thread::yield_now();
    }
    assert!(state.exists());
    let (mut next, _, of_next) = owner_in(folder.path());
    assert!(!state.exists(), "{}", state.display());
    drop(next.stdin.take());
    assert!(next.wait().unwrap().success());
    assert!(!of_next.exists(), "{}", of_next.display());
}
