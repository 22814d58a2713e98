//! Who may write a NodeHealth: the operator, agents, probes, and Kubernetes' own garbage collector. A person may delete it.

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

use std::time::Duration;

use admission_support::{
    apply, apply_status, assert_denied, assert_forbidden, health, node_health, nodes, nodes_with_health, operator,
    report,
};
use crds::names;
use gpu_health_tests::cluster::{ControlPlane, Options, shared, until};
use kube::ResourceExt;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams, PropagationPolicy};
use serde_json::json;

const REMEDY: &str = "may be written only by the operator and the agent of its node: create a HealthCheckRun to test the node, or set spec.releaseAll in a NodeHealthPolicy of mode Observe to remove its marks";

#[tokio::test]
async fn a_person_is_refused_with_the_way_out_even_as_cluster_admin() {
    let cluster = shared().unwrap();
    nodes_with_health(cluster, &["person-a"]).await;
    let person = cluster.admin().unwrap();
    let words = format!("NodeHealth person-a {REMEDY}");
    let healthy = json!({"decision": {"state": "Healthy", "since": "2026-11-21T09:30:00Z", "reason": "ISaySo"}});
    assert_denied(apply_status(&person, "person-a", "kubectl", &healthy).await, &words);
    let patch = Patch::Merge(json!({"spec": {"monitors": []}}));
    assert_denied(health(&person).patch("person-a", &PatchParams::default(), &patch).await, &words);
    let label = Patch::Merge(json!({"metadata": {"labels": {"a": "b"}}}));
    assert_denied(health(&person).patch("person-a", &PatchParams::default(), &label).await, &words);
    let another: crds::NodeHealth = serde_json::from_value(node_health("person-b", &json!({"spec": {}}))).unwrap();
    assert_denied(
        health(&person).create(&PostParams::default(), &another).await,
        &format!("NodeHealth person-b {REMEDY}"),
    );

    let said = cluster.kubectl(&["label", "nodehealth", "person-a", "a=b"]).unwrap();
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(said.contains(&words), "{said}");
}

/// What keeps the creation that a deposed leader sends late from replacing the work orders of its successor.
#[tokio::test]
async fn an_apply_that_names_version_1_creates_a_node_health_and_changes_none_that_exists() {
    let cluster = shared().unwrap();
    let operator = health(&operator(cluster));
    let apply_as_new = |monitor: &str| {
        let spec = json!({"node": {"uid": "u"}, "monitors": [{"name": monitor}]});
        let mut object = node_health("late-a", &json!({"spec": spec}));
        object["metadata"]["resourceVersion"] = json!("1");
        Patch::Apply(object)
    };
    operator.patch("late-a", &apply(names::MANAGER_SPEC), &apply_as_new("inventory")).await.unwrap();
    let late = operator.patch("late-a", &apply(names::MANAGER_SPEC), &apply_as_new("xid")).await;
    let (code, message) = admission_support::refusal(late);
    assert_eq!(code, 409, "{message}");
    assert_eq!(operator.get("late-a").await.unwrap().spec.monitors[0].name, "inventory");
}

#[tokio::test]
async fn a_person_may_delete_one_and_the_operator_makes_it_again() {
    let cluster = shared().unwrap();
    nodes_with_health(cluster, &["person-c"]).await;
    health(&cluster.admin().unwrap()).delete("person-c", &DeleteParams::default()).await.unwrap();
    let again = node_health("person-c", &json!({"spec": {}}));
    health(&operator(cluster)).patch("person-c", &apply(names::MANAGER_SPEC), &Patch::Apply(again)).await.unwrap();
}

#[tokio::test]
async fn who_may_only_write_overrides_can_write_neither_runs_nor_node_healths() {
    let cluster = shared().unwrap();
    nodes_with_health(cluster, &["person-d"]).await;
    let role = r"
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: overrides-only}
rules: [{apiGroups: [gpuhealth.dev], resources: [nodehealthoverrides], verbs: [create, patch]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: overrides-only}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: overrides-only}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: jane}]
";
    cluster.apply_yaml(role).await.unwrap();
    let jane = cluster.client_as("jane", &[]).unwrap();
    let word: crds::NodeHealthOverride = serde_json::from_value(json!({
        "apiVersion": "gpuhealth.dev/v1alpha1", "kind": "NodeHealthOverride", "metadata": {"name": "person-d"},
        "spec": {"targets": {"nodeNames": ["person-d"]}, "action": "ForceHealthy", "until": "2999-01-01T00:00:00Z", "reason": "seen by eye"},
    }))
    .unwrap();
    let overrides: kube::Api<crds::NodeHealthOverride> = kube::Api::all(jane.clone());
    until_allowed(|| async { overrides.create(&PostParams::default(), &word).await.map(drop) }).await;
    let refused = apply_status(&jane, "person-d", "kubectl", &report("1")).await;
    assert_forbidden(refused, r#"cannot patch resource "nodehealths/status""#);
}

/// RBAC takes a moment to see a new role.
async fn until_allowed<F: Future<Output = kube::Result<()>>>(mut attempt: impl FnMut() -> F) {
    until("the role to be in force", Duration::from_secs(60), || {
        let attempt = attempt();
        async move { attempt.await.map_err(|error| error.to_string()) }
    })
    .await
    .unwrap();
}

/// With kube-controller-manager: its garbage collector takes owners and finalizers off a NodeHealth, and deletes it.
#[tokio::test]
async fn the_garbage_collector_still_does_its_work_on_node_healths() {
    let cluster = ControlPlane::start(Options { kcm: true, ..Options::default() }).unwrap();
    cluster.install_product().await.unwrap();
    nodes_with_health(&cluster, &["gone", "waited-for", "orphaned"]).await;
    let admin = cluster.admin().unwrap();
    for name in ["gone", "waited-for", "orphaned"] {
        let uid = nodes(&admin).get(name).await.unwrap().uid().unwrap();
        let owner = json!([{"apiVersion": "v1", "kind": "Node", "name": name, "uid": uid}]);
        let object = json!({"apiVersion": "gpuhealth.dev/v1alpha1", "kind": "NodeHealth", "metadata": {"name": name, "ownerReferences": owner}, "spec": {"node": {"uid": uid}}});
        health(&operator(&cluster)).patch(name, &apply(names::MANAGER_SPEC), &Patch::Apply(object)).await.unwrap();
    }
    // The Node is deleted, then its NodeHealth. This also waits until the collector knows the kind: it looks for new kinds
    // every 30 s, and finds no dependents of an owner that is orphaned before that.
    nodes(&admin).delete("gone", &DeleteParams::default()).await.unwrap();
    until_left(&admin, &[("orphaned", 1), ("waited-for", 1)]).await;
    // Foreground deletion of the NodeHealth itself: the collector removes the finalizer, which is an update.
    let foreground =
        DeleteParams { propagation_policy: Some(PropagationPolicy::Foreground), ..DeleteParams::default() };
    health(&admin).delete("waited-for", &foreground).await.unwrap();
    until_left(&admin, &[("orphaned", 1)]).await;
    // The Node is deleted and orphans its NodeHealth: the collector removes the owner, which is an update, too.
    let orphan = DeleteParams { propagation_policy: Some(PropagationPolicy::Orphan), ..DeleteParams::default() };
    nodes(&admin).delete("orphaned", &orphan).await.unwrap();
    until_left(&admin, &[("orphaned", 0)]).await;

    result_goes_with_its_run(&cluster, &admin).await;
    assert_types_check(&admin).await;
}

/// A result of this run, as the operator writes it.
fn result_of(run: &crds::HealthCheckRun) -> crds::HealthCheckResult {
    let (name, uid) = (run.name_any(), run.uid().unwrap());
    let owner = json!([{"apiVersion": "gpuhealth.dev/v1alpha1", "kind": "HealthCheckRun", "name": name, "uid": uid}]);
    let of = json!({"run": {"name": name, "uid": uid}, "node": {"name": "n", "uid": "n-uid"}, "outcome": "Pass"});
    let name = crds::health_check_result::name_of(&name, "n");
    let metadata = json!({"name": name, "ownerReferences": owner});
    serde_json::from_value(json!({
        "apiVersion": "gpuhealth.dev/v1alpha1", "kind": "HealthCheckResult", "metadata": metadata, "spec": of,
    }))
    .unwrap()
}

async fn a_run(admin: &kube::Client, name: &str) -> crds::HealthCheckRun {
    let run = json!({
        "apiVersion": "gpuhealth.dev/v1alpha1", "kind": "HealthCheckRun", "metadata": {"name": name},
        "spec": {"targets": {"nodeNames": ["n"]}, "level": "basic"},
    });
    let run: crds::HealthCheckRun = serde_json::from_value(run).unwrap();
    kube::Api::all(admin.clone()).create(&PostParams::default(), &run).await.unwrap()
}

async fn result_goes_with_its_run(cluster: &ControlPlane, admin: &kube::Client) {
    let run = a_run(admin, "measured").await;
    let results: kube::Api<crds::HealthCheckResult> = kube::Api::all(operator(cluster));
    results.create(&PostParams::default(), &result_of(&run)).await.unwrap();
    let runs: kube::Api<crds::HealthCheckRun> = kube::Api::all(admin.clone());
    runs.delete("measured", &DeleteParams::default()).await.unwrap();
    until("the result to go with its run", Duration::from_secs(180), || async {
        let standing = results.get_opt("measured-n").await.map_err(|error| error.to_string())?;
        standing.is_none().then_some(()).ok_or_else(|| "still there".to_owned())
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn nobody_but_the_operator_writes_a_result_and_it_writes_each_once() {
    let cluster = shared().unwrap();
    let admin = cluster.admin().unwrap();
    let run = a_run(&admin, "forged").await;
    let words =
        "HealthCheckResult forged-n may be written only by the operator: create a HealthCheckRun to measure a node";
    let by_person: kube::Api<crds::HealthCheckResult> = kube::Api::all(admin);
    assert_denied(by_person.create(&PostParams::default(), &result_of(&run)).await, words);
    let by_operator: kube::Api<crds::HealthCheckResult> = kube::Api::all(operator(cluster));
    by_operator.create(&PostParams::default(), &result_of(&run)).await.unwrap();
    let again = by_operator.create(&PostParams::default(), &result_of(&run)).await.unwrap_err();
    assert!(matches!(&again, kube::Error::Api(status) if status.code == 409), "{again}");
    let label = Patch::Merge(json!({"metadata": {"labels": {"a": "b"}}}));
    assert_denied(by_person.patch("forged-n", &PatchParams::default(), &label).await, words);
}

/// Waits until exactly these NodeHealths are left, each with so many owners.
async fn until_left(admin: &kube::Client, wanted: &[(&str, usize)]) {
    let api = health(admin);
    until("the garbage collector to finish", Duration::from_secs(180), || async {
        let list = api.list(&kube::api::ListParams::default()).await.map_err(|error| error.to_string())?;
        let left: Vec<(String, usize)> =
            list.items.iter().map(|item| (item.name_any(), item.owner_references().len())).collect();
        let as_wanted = left.iter().map(|(name, owners)| (name.as_str(), *owners)).eq(wanted.iter().copied());
        if as_wanted { Ok(()) } else { Err(format!("{left:?}")) }
    })
    .await
    .unwrap();
}

/// kube-controller-manager checks the types of every policy's expressions against the schemas, and found nothing.
async fn assert_types_check(admin: &kube::Client) {
    use k8s_openapi::api::admissionregistration::v1::ValidatingAdmissionPolicy;
    let api: kube::Api<ValidatingAdmissionPolicy> = kube::Api::all(admin.clone());
    for name in [
        "gpu-health-agent",
        "gpu-health-operator",
        "gpu-health-nodehealth-writers",
        "gpu-health-healthcheckresult-writers",
    ] {
        until("the types of the policies to be checked", Duration::from_secs(60), || async {
            let policy = api.get(name).await.map_err(|error| error.to_string())?;
            let checking = policy.status.and_then(|status| status.type_checking).ok_or("not checked yet")?;
            checking.expression_warnings.is_none().then_some(()).ok_or_else(|| "has warnings".to_owned())
        })
        .await
        .unwrap();
    }
}
