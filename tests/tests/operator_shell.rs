//! The operator as a process, with its own token, under its own roles and admission policies: what it does around its
//! decisions. Each test has a control plane of its own: one is killed, and both count what the operator writes.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests, too")]

use std::time::{Duration, Instant};

use crds::node_health::{Finding, Report};
use crds::{NodeHealth, Outcome, Severity, Time, names};
use gpu_health_tests::cluster::{ControlPlane, NodeSpec, Options, until};
use gpu_health_tests::product::seen::{self, resident_kib};
use gpu_health_tests::product::{Operator, binary_folder};
use k8s_openapi::api::core::v1::{Node, NodeCondition};
use k8s_openapi::api::events::v1::Event;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use kube::runtime::wait::await_condition;
use kube::{Api, ResourceExt};
use serde_json::json;

/// Only a failing test waits this long.
const SOON: Duration = Duration::from_secs(120);
const STOP_WITHIN: Duration = Duration::from_secs(7);

/// The status line's code and the body.
async fn get(address: &str, path: &str) -> (u16, String) {
    seen::get(address, path).await.unwrap()
}

async fn metric(operator: &Operator, line: &str) -> Option<u64> {
    let (_, text) = get(&operator.http, "/metrics").await;
    let value = text.lines().find_map(|l| l.strip_prefix(line)).map(str::to_owned)?;
    value.trim().parse().ok()
}

async fn node_health(cluster: &ControlPlane, name: &str) -> NodeHealth {
    let healths: Api<NodeHealth> = Api::all(cluster.admin().unwrap());
    until(&format!("NodeHealth {name}"), SOON, || async { healths.get(name).await.map_err(|error| error.to_string()) })
        .await
        .unwrap()
}

async fn ready(operator: &Operator) {
    until("the operator to be ready", SOON, || async {
        match get(&operator.http, "/readyz").await {
            (200, _) => Ok(()),
            (_, why) => Err(why),
        }
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn the_operator_keeps_node_healths_through_restarts_of_its_own_and_of_the_api_server() {
    let options = Options { fsync: true, ..Options::default() };
    let cluster = ControlPlane::start(options).unwrap();
    cluster.install_product().await.unwrap();
    let nodes = [NodeSpec::new("gpu-1").gpus(8), NodeSpec::new("gpu-2").gpus(8), NodeSpec::new("cpu-1").gpus(0)];
    let nodes = cluster.create_nodes(&nodes).await.unwrap();

    let operator = Operator::start(&cluster, &binary_folder()).await.unwrap();
    let made = node_health(&cluster, "gpu-1").await;
    let owner = &made.owner_references()[0];
    assert_eq!((owner.kind.as_str(), Some(&owner.uid)), ("Node", nodes[0].metadata.uid.as_ref()));
    node_health(&cluster, "gpu-2").await;
    let healths: Api<NodeHealth> = Api::all(cluster.admin().unwrap());
    assert!(healths.get_opt("cpu-1").await.unwrap().is_none());
    ready(&operator).await;
    assert_eq!(get(&operator.http, "/healthz").await, (200, "ok\n".to_owned()));

    deleted_by_hand_it_is_made_again(&cluster, &made).await;
    let operator = restarted_it_writes_nothing_that_is_there_already(&cluster, operator).await;

    cluster.kill9_api_server_and_etcd().unwrap();
    cluster.restart_api_server_and_etcd().unwrap();
    cluster.create_nodes(&[NodeSpec::new("gpu-3").gpus(8)]).await.unwrap();
    node_health(&cluster, "gpu-3").await;
    assert_eq!(get(&operator.http, "/healthz").await.0, 200);
    nothing_is_left_open(&operator).await;

    let status = operator.child.terminate(STOP_WITHIN).unwrap();
    assert_eq!(status.code(), Some(0));
}

async fn deleted_by_hand_it_is_made_again(cluster: &ControlPlane, made: &NodeHealth) {
    let healths: Api<NodeHealth> = Api::all(cluster.admin().unwrap());
    healths.delete("gpu-1", &DeleteParams::default()).await.unwrap();
    until("NodeHealth gpu-1 to be made again", SOON, || async {
        let again = healths.get("gpu-1").await.map_err(|error| error.to_string())?;
        if again.uid() == made.uid() {
            return Err("it is the old one".to_owned());
        }
        Ok(())
    })
    .await
    .unwrap();
}

async fn restarted_it_writes_nothing_that_is_there_already(cluster: &ControlPlane, operator: Operator) -> Operator {
    // It is idle before it is stopped: its last decisions are written, nothing waits, nothing is unseen.
    for name in ["gpu-1", "gpu-2"] {
        let decided = |health: &NodeHealth| seen::decided(health).is_some();
        seen::until_health(cluster, name, "decided about", SOON, decided).await.unwrap();
    }
    nothing_is_left_open(&operator).await;
    let status = operator.child.terminate(STOP_WITHIN).unwrap();
    assert_eq!(status.code(), Some(0));
    let before = node_health(cluster, "gpu-2").await;
    // A name of its own, so that its log has only one address.
    let again = Operator::start_with(cluster, &binary_folder(), "operator-again", &[]).await;
    let operator = again.unwrap();
    ready(&operator).await;
    until("its first decision", SOON, || async {
        let decided = metric(&operator, "gpu_health_operator_decide_seconds_count").await;
        decided.filter(|count| *count > 0).ok_or_else(|| format!("{decided:?}"))
    })
    .await
    .unwrap();
    let after = node_health(cluster, "gpu-2").await;
    assert_eq!(after.resource_version(), before.resource_version());
    let (_, text) = get(&operator.http, "/metrics").await;
    let written = text.lines().filter(|l| l.starts_with("gpu_health_operator_writes_total"));
    assert_eq!(written.collect::<Vec<_>>(), Vec::<&str>::new());
    operator
}

async fn nothing_is_left_open(operator: &Operator) {
    until("nothing to be queued or unseen", SOON, || async {
        for gauge in ["steps_open", "overlay_entries", "objects_in_backoff"] {
            match metric(operator, &format!("gpu_health_operator_{gauge}")).await {
                Some(0) => {}
                other => return Err(format!("{gauge}: {other:?}")),
            }
        }
        Ok(())
    })
    .await
    .unwrap();
}

const ENFORCE: &str = "
apiVersion: gpuhealth.dev/v1alpha1
kind: NodeHealthPolicy
metadata: {name: enforce}
spec: {mode: Enforce, nodeSelector: {}, bootGraceSeconds: 0, budget: {maxUnavailable: 2}}
";

/// What an agent reports of a node whose fourth GPU fell off the bus.
fn fallen_off_the_bus() -> serde_json::Value {
    let finding = Finding {
        check: "xid".to_owned(),
        target: "0000:83:00.0".to_owned(),
        outcome: Outcome::Fail,
        severity: Severity::Reboot,
        reason: "FallenOffTheBus".to_owned(),
        since: Time::from_unix(1_795_253_400),
        last_seen: Time::from_unix(1_795_253_400),
        count: 1,
        ..Finding::default()
    };
    let report = Report { findings: vec![finding], ..Report::default() };
    json!({
        "apiVersion": "gpuhealth.dev/v1alpha1", "kind": "NodeHealth",
        "metadata": {"name": "gpu-1"}, "status": {"report": report},
    })
}

fn has_our_taint(node: &Node) -> bool {
    let taints = node.spec.iter().flat_map(|s| s.taints.iter().flatten());
    taints.into_iter().any(|t| t.key == names::TAINT_UNHEALTHY)
}

fn our_condition(node: &Node) -> Option<&NodeCondition> {
    node.status.as_ref()?.conditions.as_ref()?.iter().find(|condition| condition.type_ == names::NODE_CONDITION)
}

/// The moment at which a watcher sees the taint.
async fn tainted(nodes: Api<Node>) -> Instant {
    let is_tainted = |node: Option<&Node>| node.is_some_and(has_our_taint);
    let seen = await_condition(nodes, "gpu-1", is_tainted);
    tokio::time::timeout(SOON, seen).await.unwrap().unwrap();
    Instant::now()
}

#[tokio::test]
async fn a_failure_that_an_agent_reports_becomes_a_taint_label_condition_and_event_and_nothing_foreign_moves() {
    let cluster = ControlPlane::start(Options::default()).unwrap();
    cluster.install_product().await.unwrap();
    let specs = ["gpu-1", "gpu-2", "gpu-3"].map(|name| NodeSpec::new(name).gpus(8).label("example.com/rack", "r7"));
    cluster.create_nodes(&specs).await.unwrap();
    let nodes: Api<Node> = Api::all(cluster.admin().unwrap());
    let foreign =
        json!({"spec": {"taints": [{"key": "example.com/owned", "value": "team-a", "effect": "PreferNoSchedule"}]}});
    nodes.patch("gpu-1", &PatchParams::default(), &Patch::Merge(foreign)).await.unwrap();
    cluster.apply_yaml(ENFORCE).await.unwrap();
    let operator = Operator::start(&cluster, &binary_folder()).await.unwrap();
    node_health(&cluster, "gpu-1").await;
    ready(&operator).await;
    nothing_is_left_open(&operator).await;

    let token = cluster.token_for_node(names::AGENT_SERVICE_ACCOUNT, names::NAMESPACE, "gpu-1").await.unwrap();
    let agent: Api<NodeHealth> = Api::all(cluster.client_with_token(&token).unwrap());
    let seen = tokio::spawn(tainted(nodes.clone()));
    let apply = PatchParams::apply(names::MANAGER_REPORT).force();
    let sent = Instant::now();
    agent.patch_status("gpu-1", &apply, &Patch::Apply(fallen_off_the_bus())).await.unwrap();
    let reported = Instant::now();
    let seen = seen.await.unwrap();
    println!(
        "report sent to taint seen: {:?}, of it after the report's answer: {:?}",
        seen - sent,
        seen.saturating_duration_since(reported)
    );
    let marked = |node: &Node| our_condition(node).is_some() && node.labels().contains_key(names::LABEL_HEALTH);
    let node = seen::until_node(&cluster, "gpu-1", "label and condition", SOON, marked).await.unwrap();
    let taints = node.spec.as_ref().unwrap().taints.clone().unwrap();
    let kept = taints.iter().find(|t| t.key == "example.com/owned").unwrap();
    assert_eq!((kept.value.as_deref(), kept.effect.as_str()), (Some("team-a"), "PreferNoSchedule"));
    assert_eq!(node.labels()["example.com/rack"], "r7");
    assert_eq!(node.labels()[names::LABEL_HEALTH], "unhealthy");
    assert_eq!(our_condition(&node).unwrap().status, "False");
    let conditions = node.status.as_ref().unwrap().conditions.clone().unwrap();
    assert!(conditions.iter().any(|c| c.type_ == "Ready" && c.status == "True"));
    an_event_reports_it(&cluster).await;
    let memory = resident_kib(operator.child.pid()).unwrap();
    println!("resident: {memory} KiB");
    assert!(memory <= 32 * 1024, "the promise is 32 MiB");
}

async fn an_event_reports_it(cluster: &ControlPlane) {
    let events: Api<Event> = Api::namespaced(cluster.admin().unwrap(), "default");
    until("an Event about Node gpu-1", SOON, || async {
        let all = events.list(&ListParams::default()).await.map_err(|error| error.to_string())?;
        let about = |e: &Event| {
            e.regarding
                .as_ref()
                .is_some_and(|r| r.kind.as_deref() == Some("Node") && r.name.as_deref() == Some("gpu-1"))
        };
        all.items.iter().any(about).then_some(()).ok_or_else(|| format!("{} events", all.items.len()))
    })
    .await
    .unwrap();
}
