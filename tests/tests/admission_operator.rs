//! What the operator's token can do to a Node: set its own marks, and nothing else. With its own roles, and with every
//! permission that RBAC can give, so that only the admission policy can refuse.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::needless_pass_by_value,
    clippy::type_complexity,
    clippy::too_many_lines,
    reason = "test code: its helpers fail the test that calls them"
)]

mod admission_support;

use admission_support::{
    almighty_operator, apply, apply_lease, assert_denied, assert_forbidden, merge_node, merge_node_status, nodes,
    operator,
};
use crds::names;
use gpu_health_tests::cluster::{NodeSpec, shared};
use k8s_openapi::api::core::v1::Node;
use kube::Client;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

const LABELS: &str = "on a Node the operator may change only labels that start with gpuhealth.dev/ or are in this policy's list okLabels";
const ANNOTATIONS: &str = "on a Node the operator may change only annotations that start with gpuhealth.dev/ or are in this policy's list okAnnotations";
const TAINTS: &str = "on a Node the operator may add, change and remove only taints whose key starts with gpuhealth.dev/ or is in this policy's list okTaints";
const SPEC: &str = "in a Node's spec the operator may change only taints, and never unschedulable";
const CONDITIONS: &str = "on a Node the operator may change only the conditions in this policy's list okConditions";
const STATUS: &str = "in a Node's status the operator may change only conditions";

fn foreign_taint() -> Value {
    json!({"key": "example.com/theirs", "value": "x", "effect": "NoSchedule"})
}

/// A Node with a foreign label, annotation and taint.
async fn node(name: &str) {
    let cluster = shared().unwrap();
    cluster
        .create_nodes(&[NodeSpec::new(name).label("example.com/theirs", "x").annotation("example.com/theirs", "x")])
        .await
        .unwrap();
    merge_node(&cluster.admin().unwrap(), name, json!({"spec": {"taints": [foreign_taint()]}})).await.unwrap();
}

fn condition(type_: &str, status: &str) -> Value {
    json!({"type": type_, "status": status, "reason": "R", "message": "m", "lastHeartbeatTime": null, "lastTransitionTime": "2026-11-21T09:30:00Z"})
}

async fn apply_to_status(client: &Client, name: &str, condition: Value) -> kube::Result<Node> {
    let object =
        json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}, "status": {"conditions": [condition]}});
    nodes(client).patch_status(name, &apply(names::MANAGER_NODE_CONDITION), &Patch::Apply(object)).await
}

#[tokio::test]
async fn the_operator_sets_and_takes_back_its_own_marks() {
    node("marks").await;
    let operator = operator(shared().unwrap());
    let marks = |labels: Value, annotations: Value| json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "marks", "labels": labels, "annotations": annotations}});
    let params = apply(names::MANAGER_NODE_MARKS);
    let set = marks(
        json!({names::LABEL_HEALTH: "unhealthy", names::LABEL_SEVERITY: "reboot"}),
        json!({names::ANNOTATION_SUMMARY: "{}"}),
    );
    nodes(&operator).patch("marks", &params, &Patch::Apply(set)).await.unwrap();
    nodes(&operator).patch("marks", &params, &Patch::Apply(marks(json!({}), json!({})))).await.unwrap();

    let ours = |value: &str, effect: &str| json!({"key": names::TAINT_UNHEALTHY, "value": value, "effect": effect});
    for taints in [
        json!([foreign_taint(), ours("reboot", "NoSchedule")]),
        json!([ours("isolate", "NoSchedule"), ours("isolate", "NoExecute"), foreign_taint()]),
        json!([foreign_taint()]),
    ] {
        merge_node(&operator, "marks", json!({"spec": {"taints": taints}})).await.unwrap();
    }
    apply_to_status(&operator, "marks", condition(names::NODE_CONDITION, "False")).await.unwrap();
    let node = apply_to_status(&operator, "marks", condition(names::NODE_CONDITION, "True")).await.unwrap();
    assert_eq!(node.status.unwrap().conditions.unwrap().len(), 2, "Ready stays");
}

#[tokio::test]
async fn the_operator_is_refused_foreign_labels_and_annotations() {
    node("words").await;
    let operator = operator(shared().unwrap());
    for labels in [
        json!({"example.com/new": "x"}),
        json!({"example.com/theirs": "y"}),
        json!({"example.com/theirs": null}),
        json!({"gpuhealth.device/like": "x"}),
    ] {
        assert_denied(merge_node(&operator, "words", json!({"metadata": {"labels": labels}})).await, LABELS);
    }
    for annotations in
        [json!({"example.com/new": "x"}), json!({"example.com/theirs": "y"}), json!({"example.com/theirs": null})]
    {
        assert_denied(
            merge_node(&operator, "words", json!({"metadata": {"annotations": annotations}})).await,
            ANNOTATIONS,
        );
    }
    // The status subresource of a Node takes metadata, too.
    let patch = Patch::Merge(json!({"metadata": {"labels": {"example.com/new": "x"}}}));
    assert_denied(nodes(&operator).patch_status("words", &PatchParams::default(), &patch).await, LABELS);
    let finalizer = json!({"metadata": {"finalizers": ["example.com/stay"]}});
    assert_denied(
        merge_node(&operator, "words", finalizer).await,
        "the operator may not change finalizers or owners of a Node",
    );
}

#[tokio::test]
async fn the_operator_is_refused_foreign_taints_and_everything_else_in_the_spec() {
    node("taints").await;
    let operator = operator(shared().unwrap());
    let mut changed = foreign_taint();
    changed["value"] = json!("y");
    for taints in
        [json!([]), json!([changed]), json!([foreign_taint(), {"key": "example.com/new", "effect": "NoSchedule"}])]
    {
        assert_denied(merge_node(&operator, "taints", json!({"spec": {"taints": taints}})).await, TAINTS);
    }
    let ours = json!({"key": names::TAINT_UNHEALTHY, "effect": "NoSchedule"});
    let object =
        json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "taints"}, "spec": {"taints": [ours]}});
    assert_denied(
        nodes(&operator).patch("taints", &apply(names::MANAGER_NODE_TAINTS), &Patch::Apply(object)).await,
        TAINTS,
    );
    assert_denied(merge_node(&operator, "taints", json!({"spec": {"unschedulable": true}})).await, SPEC);
    merge_node(&shared().unwrap().admin().unwrap(), "taints", json!({"spec": {"unschedulable": true}})).await.unwrap();
    assert_denied(merge_node(&operator, "taints", json!({"spec": {"unschedulable": null}})).await, SPEC);
}

#[tokio::test]
async fn the_operator_is_refused_foreign_conditions_and_everything_else_in_the_status() {
    node("conditions").await;
    let operator = operator(shared().unwrap());
    for foreign in ["Ready", "MemoryPressure"] {
        assert_denied(apply_to_status(&operator, "conditions", condition(foreign, "False")).await, CONDITIONS);
    }
    let only_ours = json!({"conditions": [condition(names::NODE_CONDITION, "True")]});
    assert_denied(merge_node_status(&operator, "conditions", only_ours).await, CONDITIONS);
    assert_denied(
        merge_node_status(&operator, "conditions", json!({"capacity": {"nvidia.com/gpu": "0"}})).await,
        STATUS,
    );
}

#[tokio::test]
async fn the_operator_can_neither_create_nor_delete_a_node() {
    node("lasting").await;
    let cluster = shared().unwrap();
    let another: Node = serde_json::from_value(json!({"metadata": {"name": "another"}})).unwrap();
    let by_role = operator(cluster);
    assert_forbidden(
        nodes(&by_role).create(&PostParams::default(), &another).await,
        r#"cannot create resource "nodes""#,
    );
    assert_forbidden(
        nodes(&by_role).delete("lasting", &DeleteParams::default()).await,
        r#"cannot delete resource "nodes""#,
    );
    let object = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "another", "labels": {names::LABEL_HEALTH: "healthy"}}});
    let applied = nodes(&by_role).patch("another", &apply(names::MANAGER_NODE_MARKS), &Patch::Apply(object)).await;
    assert_forbidden(applied, r#"cannot create resource "nodes""#);

    let almighty = almighty_operator(cluster);
    let never = "the operator may not create, delete or connect to Nodes";
    assert_denied(nodes(&almighty).create(&PostParams::default(), &another).await, never);
    assert_denied(nodes(&almighty).delete("lasting", &DeleteParams::default()).await, never);
    assert_denied(
        merge_node(&almighty, "lasting", json!({"metadata": {"labels": {"example.com/theirs": "y"}}})).await,
        LABELS,
    );
}

#[tokio::test]
async fn the_operators_roles_reach_no_further_than_its_writes() {
    node("reach").await;
    let operator = operator(shared().unwrap());
    let agents_lease = apply_lease(&operator, names::LEASE_NAMESPACE, "reach").await;
    assert_forbidden(
        agents_lease,
        r#"cannot patch resource "leases" in API group "coordination.k8s.io" in the namespace "gpu-health-leases""#,
    );
    apply_lease(&operator, names::NAMESPACE, names::OPERATOR_SERVICE_ACCOUNT).await.unwrap();
    assert_forbidden(apply_lease(&operator, names::NAMESPACE, "another").await, "cannot patch resource");
    let secrets: kube::Api<k8s_openapi::api::core::v1::Secret> =
        kube::Api::namespaced(operator.clone(), names::NAMESPACE);
    assert_forbidden(secrets.list(&kube::api::ListParams::default()).await, r#"cannot list resource "secrets""#);
}

#[tokio::test]
async fn nobody_else_is_held_to_the_operators_policy() {
    node("others").await;
    let cluster = shared().unwrap();
    let admin = cluster.admin().unwrap();
    merge_node(&admin, "others", json!({"metadata": {"labels": {"example.com/new": "x"}}, "spec": {"taints": []}}))
        .await
        .unwrap();
    let kubelet = cluster.client_as("system:node:others", &["system:nodes"]).unwrap();
    apply_to_status(&kubelet, "others", condition("Ready", "False")).await.unwrap();
}
