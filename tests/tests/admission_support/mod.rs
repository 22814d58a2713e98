//! What the admission tests share: raw attempts by a token, and what the API server answered.

#![allow(dead_code, reason = "each test binary uses a part of it")]

use crds::names;
use gpu_health_tests::cluster::{ControlPlane, NodeSpec};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Node;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use serde_json::{Value, json};

/// The refusal of a request: HTTP status and the API server's own words.
pub(crate) fn refusal<T: std::fmt::Debug>(result: kube::Result<T>) -> (u16, String) {
    match result {
        Err(kube::Error::Api(status)) => (status.code, status.message),
        other => panic!("not refused: {other:?}"),
    }
}

/// The request was refused by an admission policy, in these words.
#[track_caller]
pub(crate) fn assert_denied<T: std::fmt::Debug>(result: kube::Result<T>, words: &str) {
    let (code, message) = refusal(result);
    assert_eq!(code, 403, "{message}");
    assert!(
        message.contains("ValidatingAdmissionPolicy 'gpu-health-") && message.contains(words),
        "said: {message}\nwanted: {words}"
    );
}

/// The request was refused by RBAC because this verb is missing.
#[track_caller]
pub(crate) fn assert_forbidden<T: std::fmt::Debug>(result: kube::Result<T>, words: &str) {
    let (code, message) = refusal(result);
    assert_eq!(code, 403, "{message}");
    assert!(message.contains(" cannot ") && message.contains(words), "said: {message}\nwanted: {words}");
}

/// The operator, by its ServiceAccount's name and with its roles.
pub(crate) fn operator(cluster: &ControlPlane) -> Client {
    cluster.client_as(&service_account(names::OPERATOR_SERVICE_ACCOUNT), &[]).unwrap()
}

/// The operator, with every permission that RBAC can give: only the policy is left to refuse.
pub(crate) fn almighty_operator(cluster: &ControlPlane) -> Client {
    cluster.client_as(&service_account(names::OPERATOR_SERVICE_ACCOUNT), &["system:masters"]).unwrap()
}

fn service_account(name: &str) -> String {
    format!("system:serviceaccount:{}:{name}", names::NAMESPACE)
}

/// Nodes, each with a NodeHealth that holds a decision.
pub(crate) async fn nodes_with_health(cluster: &ControlPlane, nodes: &[&str]) {
    let specs: Vec<NodeSpec> = nodes.iter().map(|name| NodeSpec::new(*name)).collect();
    cluster.create_nodes(&specs).await.unwrap();
    let operator = operator(cluster);
    for node in nodes {
        let spec = json!({"node": {"uid": "u"}, "monitors": [{"name": "inventory"}]});
        health(&operator)
            .patch(node, &apply(names::MANAGER_SPEC), &Patch::Apply(node_health(node, &json!({"spec": spec}))))
            .await
            .unwrap();
        let status = json!({"decision": {"state": "Healthy", "since": "2026-11-21T09:30:00Z", "reason": "AllChecksPassed"}, "summary": {"gpus": "8/8"}});
        apply_status(&operator, node, names::MANAGER_DECISION, &status).await.unwrap();
    }
}

pub(crate) fn health(client: &Client) -> Api<crds::NodeHealth> {
    Api::all(client.clone())
}

pub(crate) fn nodes(client: &Client) -> Api<Node> {
    Api::all(client.clone())
}

pub(crate) fn leases(client: &Client, namespace: &str) -> Api<Lease> {
    Api::namespaced(client.clone(), namespace)
}

pub(crate) fn apply(manager: &str) -> PatchParams {
    PatchParams::apply(manager).force()
}

pub(crate) fn node_health(name: &str, more: &Value) -> Value {
    let mut object = json!({"apiVersion": "gpuhealth.dev/v1alpha1", "kind": "NodeHealth", "metadata": {"name": name}});
    object.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    object
}

pub(crate) fn report(version: &str) -> Value {
    json!({"report": {"agent": {"version": version}}})
}

/// Applies a status, as the agents and the operator do.
pub(crate) async fn apply_status(
    client: &Client,
    name: &str,
    manager: &str,
    status: &Value,
) -> kube::Result<crds::NodeHealth> {
    let object = node_health(name, &json!({"status": status}));
    health(client).patch_status(name, &apply(manager), &Patch::Apply(object)).await
}

/// A merge patch of a NodeHealth's status.
pub(crate) async fn merge_status(client: &Client, name: &str, status: Value) -> kube::Result<crds::NodeHealth> {
    health(client).patch_status(name, &PatchParams::default(), &Patch::Merge(json!({"status": status}))).await
}

pub(crate) fn lease(name: &str) -> Lease {
    serde_json::from_value(
        json!({"metadata": {"name": name}, "spec": {"holderIdentity": name, "leaseDurationSeconds": 150}}),
    )
    .unwrap()
}

pub(crate) async fn apply_lease(client: &Client, namespace: &str, name: &str) -> kube::Result<Lease> {
    let object = json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": name}, "spec": {"holderIdentity": name},
    });
    leases(client, namespace).patch(name, &apply(names::MANAGER_REPORT), &Patch::Apply(object)).await
}

/// A merge patch of a Node.
pub(crate) async fn merge_node(client: &Client, name: &str, patch: Value) -> kube::Result<Node> {
    nodes(client).patch(name, &PatchParams::default(), &Patch::Merge(patch)).await
}

/// A merge patch of a Node's status.
pub(crate) async fn merge_node_status(client: &Client, name: &str, status: Value) -> kube::Result<Node> {
    nodes(client).patch_status(name, &PatchParams::default(), &Patch::Merge(json!({"status": status}))).await
}
