//! The operator as a process, with its own token, under its own roles and admission policies: what it does around its
//! decisions. One test, one control plane, because it is killed on the way.

use std::time::Duration;

use crds::NodeHealth;
use gpu_health_tests::cluster::{ControlPlane, NodeSpec, Options, until};
use gpu_health_tests::product::{Operator, binary_folder};
use kube::api::DeleteParams;
use kube::{Api, ResourceExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const SOON: Duration = Duration::from_secs(30);
const STOP_WITHIN: Duration = Duration::from_secs(7);

/// The status line's code and the body.
async fn get(address: &str, path: &str) -> (u16, String) {
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let code = head.split(' ').nth(1).unwrap().parse().unwrap();
    (code, body.to_owned())
}

async fn metric(operator: &Operator, line: &str) -> Option<u64> {
    let (_, text) = get(&operator.http, "/metrics").await;
    let value = text.lines().find_map(|l| l.strip_prefix(line)).map(str::to_owned)?;
    value.trim().parse().ok()
}

async fn node_health(cluster: &ControlPlane, name: &str) -> NodeHealth {
    let healths: Api<NodeHealth> = Api::all(cluster.admin().unwrap());
    until(&format!("NodeHealth {name}"), SOON, || async {
        healths.get(name).await.map_err(|error| error.to_string())
    })
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
    let options = Options {
        fsync: true,
        ..Options::default()
    };
    let cluster = ControlPlane::start(options).unwrap();
    cluster.install_product().await.unwrap();
    let nodes = [
        NodeSpec::new("gpu-1").gpus(8),
        NodeSpec::new("gpu-2").gpus(8),
        NodeSpec::new("cpu-1").gpus(0),
    ];
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

async fn restarted_it_writes_nothing_that_is_there_already(
    cluster: &ControlPlane,
    operator: Operator,
) -> Operator {
    // It has come to rest before it ends: nothing waits, nothing is unseen.
    nothing_is_left_open(&operator).await;
    let status = operator.child.terminate(STOP_WITHIN).unwrap();
    assert_eq!(status.code(), Some(0));
    let before = node_health(cluster, "gpu-2").await;
    // A name of its own: its log tells one address only.
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
    until("nothing to wait, nothing unseen", SOON, || async {
        for gauge in ["steps_open", "overlay_entries", "held_objects"] {
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
