//! What the token of an agent, and of a reservation pod, can do: with their own roles, and with every permission that RBAC
//! can give (bound by mistake), so that only the admission policy can refuse.

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
    almighty_operator, apply, apply_lease, apply_status, assert_denied, assert_forbidden, health, lease, leases,
    merge_node, merge_node_status, merge_status, node_health, nodes, nodes_with_health, refusal, report,
};
use crds::names;
use gpu_health_tests::cluster::{ControlPlane, NodeSpec, Options, shared, until};
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec};
use kube::Client;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use std::time::Duration;

const NO_NODE: &str =
    "this token is not bound to a node: agents and reservation pods must use a token that is bound to their pod";

async fn agent(cluster: &ControlPlane, node: &str) -> Client {
    let token = cluster.token_for_node(names::AGENT_SERVICE_ACCOUNT, names::NAMESPACE, node).await.unwrap();
    cluster.client_with_token(&token).unwrap()
}

async fn probe(cluster: &ControlPlane, node: &str) -> Client {
    let token = cluster.token_for_node(names::PROBE_SERVICE_ACCOUNT, names::NAMESPACE, node).await.unwrap();
    cluster.client_with_token(&token).unwrap()
}

#[tokio::test]
async fn an_agent_reports_its_own_node_and_renews_its_own_lease() {
    let cluster = shared().unwrap();
    nodes_with_health(cluster, &["own-a"]).await;
    let agent = agent(cluster, "own-a").await;
    let reported = apply_status(&agent, "own-a", names::MANAGER_REPORT, &report("1")).await.unwrap();
    assert_eq!(reported.status.unwrap().report.unwrap().agent.version, "1");
    merge_status(&agent, "own-a", report("2")).await.unwrap();

    let api = leases(&agent, names::LEASE_NAMESPACE);
    api.create(&PostParams::default(), &lease("own-a")).await.unwrap();
    let mut held = api.get("own-a").await.unwrap();
    held.spec.as_mut().unwrap().lease_duration_seconds = Some(60);
    api.replace("own-a", &PostParams::default(), &held).await.unwrap();
    apply_lease(&agent, names::LEASE_NAMESPACE, "own-a").await.unwrap();
}

#[tokio::test]
async fn an_agents_first_lease_may_be_made_by_an_apply_and_by_a_token_bound_to_the_node_itself() {
    let cluster = shared().unwrap();
    nodes_with_health(cluster, &["own-b"]).await;
    let token = cluster.node_bound_token(names::AGENT_SERVICE_ACCOUNT, names::NAMESPACE, "own-b").await.unwrap();
    let agent = cluster.client_with_token(&token).unwrap();
    apply_lease(&agent, names::LEASE_NAMESPACE, "own-b").await.unwrap();
    apply_status(&agent, "own-b", names::MANAGER_REPORT, &report("1")).await.unwrap();
}

#[tokio::test]
async fn an_agent_can_touch_no_other_node_and_nothing_of_its_own_but_its_report() {
    let cluster = shared().unwrap();
    nodes_with_health(cluster, &["strict-a", "strict-b"]).await;
    let agent = agent(cluster, "strict-a").await;

    let other = apply_status(&agent, "strict-b", names::MANAGER_REPORT, &report("1")).await;
    assert_denied(other, "the agent of node strict-a may not write NodeHealth strict-b");
    let decision = json!({"decision": {"state": "Healthy", "since": "2026-11-21T09:30:00Z", "reason": "Mine"}});
    let only_report =
        "the agent of node strict-a may change only status.report: the other members of the status have other writers";
    assert_denied(apply_status(&agent, "strict-a", names::MANAGER_REPORT, &decision).await, only_report);
    assert_denied(merge_status(&agent, "strict-a", json!({"conditions": []})).await, only_report);
    assert_denied(merge_status(&agent, "strict-a", json!({"decision": null})).await, only_report);
    assert_denied(
        merge_status(&agent, "strict-a", json!({"exclusive": {"podUid": "x", "assignment": "y", "state": "Done"}}))
            .await,
        only_report,
    );

    // Its own spec: RBAC on the object itself; through /status the API server takes the request and ignores the spec.
    let spec = json!({"spec": {"monitors": []}});
    let direct = health(&agent).patch("strict-a", &PatchParams::default(), &Patch::Merge(spec.clone())).await;
    assert_forbidden(
        direct,
        r#"cannot patch resource "nodehealths" in API group "gpuhealth.dev" at the cluster scope"#,
    );
    let before = health(&agent).get("strict-a").await.unwrap();
    let around = health(&agent).patch_status("strict-a", &PatchParams::default(), &Patch::Merge(spec)).await.unwrap();
    assert_eq!(around.spec, before.spec);
    assert_eq!(around.metadata.generation, before.metadata.generation);
    assert_eq!(before.spec.monitors.len(), 1);

    // A status request cannot create, either.
    let (code, message) = refusal(apply_status(&agent, "strict-none", names::MANAGER_REPORT, &report("1")).await);
    assert_eq!((code, message.as_str()), (404, r#"nodehealths.gpuhealth.dev "strict-none" not found"#));
}

#[tokio::test]
async fn an_agent_can_write_no_node_and_no_lease_but_its_own() {
    let cluster = shared().unwrap();
    nodes_with_health(cluster, &["lease-a", "lease-b"]).await;
    let agent = agent(cluster, "lease-a").await;
    for node in ["lease-a", "lease-b"] {
        let labels = json!({"metadata": {"labels": {"gpuhealth.dev/health": "healthy"}}});
        assert_forbidden(merge_node(&agent, node, labels).await, r#"cannot patch resource "nodes" in API group """#);
        assert_forbidden(
            merge_node_status(&agent, node, json!({"conditions": []})).await,
            r#"cannot patch resource "nodes/status""#,
        );
    }
    assert_forbidden(nodes(&agent).get("lease-a").await, r#"cannot get resource "nodes""#);

    let only_own = "the agent of node lease-a may only create and update Lease gpu-health-leases/lease-a";
    let api = leases(&agent, names::LEASE_NAMESPACE);
    assert_denied(api.create(&PostParams::default(), &lease("lease-b")).await, only_own);
    assert_denied(apply_lease(&agent, names::LEASE_NAMESPACE, "lease-b").await, only_own);
    let mut generated = lease("");
    (generated.metadata.name, generated.metadata.generate_name) = (None, Some("lease-a".to_owned()));
    assert_denied(api.create(&PostParams::default(), &generated).await, only_own);
    apply_lease(&agent, names::LEASE_NAMESPACE, "lease-a").await.unwrap();
    assert_forbidden(api.delete("lease-a", &DeleteParams::default()).await, r#"cannot delete resource "leases""#);
    for namespace in ["kube-node-lease", "kube-system", "default", names::NAMESPACE] {
        assert_forbidden(
            apply_lease(&agent, namespace, "lease-a").await,
            &format!(
                r#"cannot patch resource "leases" in API group "coordination.k8s.io" in the namespace "{namespace}""#
            ),
        );
    }
}

#[tokio::test]
async fn a_token_that_names_no_node_can_write_nothing() {
    let cluster = shared().unwrap();
    nodes_with_health(cluster, &["unbound-a"]).await;
    let token = cluster.unbound_token(names::AGENT_SERVICE_ACCOUNT, names::NAMESPACE).await.unwrap();
    let agent = cluster.client_with_token(&token).unwrap();
    assert_denied(apply_status(&agent, "unbound-a", names::MANAGER_REPORT, &report("1")).await, NO_NODE);
    assert_denied(apply_lease(&agent, names::LEASE_NAMESPACE, "unbound-a").await, NO_NODE);
}

#[tokio::test]
async fn a_reservation_pod_writes_status_exclusive_of_its_node_and_nothing_else() {
    let cluster = shared().unwrap();
    nodes_with_health(cluster, &["probe-a", "probe-b"]).await;
    let probe = probe(cluster, "probe-a").await;
    let exclusive = json!({"exclusive": {"podUid": "x", "assignment": "run/1", "state": "Done"}});
    apply_status(&probe, "probe-a", "gpu-health-probe", &exclusive).await.unwrap();
    let other = apply_status(&probe, "probe-b", "gpu-health-probe", &exclusive).await;
    assert_denied(other, "a reservation pod on node probe-a may not write NodeHealth probe-b");
    let as_agent = merge_status(&probe, "probe-a", report("1")).await;
    assert_denied(as_agent, "a reservation pod on node probe-a may change only status.exclusive");
    assert_forbidden(apply_lease(&probe, names::LEASE_NAMESPACE, "probe-a").await, r#"cannot patch resource "leases""#);
    assert_forbidden(health(&probe).list(&ListParams::default()).await, r#"cannot list resource "nodehealths""#);
}

/// A control plane of its own, on which agents, probes and the operator are cluster-admin.
async fn everybody_is_admin() -> ControlPlane {
    let cluster = ControlPlane::start(Options::default()).unwrap();
    cluster.install_product().await.unwrap();
    let subjects: Vec<_> =
        [names::AGENT_SERVICE_ACCOUNT, names::PROBE_SERVICE_ACCOUNT, names::OPERATOR_SERVICE_ACCOUNT]
            .map(|name| json!({"kind": "ServiceAccount", "name": name, "namespace": names::NAMESPACE}))
            .into();
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "by-mistake"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"}, "subjects": subjects,
    });
    cluster.apply_yaml(&serde_json::to_string(&binding).unwrap()).await.unwrap();
    // The authorizer reads bindings through a watch: for a moment it would refuse what the policies are to refuse.
    for account in [names::AGENT_SERVICE_ACCOUNT, names::PROBE_SERVICE_ACCOUNT, names::OPERATOR_SERVICE_ACCOUNT] {
        let what = format!("{account} to be cluster-admin");
        until(&what, Duration::from_secs(20), || may_do_anything(&cluster, account)).await.unwrap();
    }
    cluster
}

async fn may_do_anything(cluster: &ControlPlane, account: &str) -> Result<(), String> {
    let attributes = ResourceAttributes {
        group: Some("*".into()),
        resource: Some("*".into()),
        verb: Some("*".into()),
        ..ResourceAttributes::default()
    };
    let review = SubjectAccessReview {
        spec: SubjectAccessReviewSpec {
            user: Some(format!("system:serviceaccount:{}:{account}", names::NAMESPACE)),
            resource_attributes: Some(attributes),
            ..SubjectAccessReviewSpec::default()
        },
        ..SubjectAccessReview::default()
    };
    let reviews: kube::Api<SubjectAccessReview> = kube::Api::all(cluster.admin().map_err(|error| error.to_string())?);
    let review = reviews.create(&PostParams::default(), &review).await.map_err(|error| error.to_string())?;
    review.status.filter(|status| status.allowed).map(drop).ok_or_else(|| "not yet".to_owned())
}

#[tokio::test]
async fn with_every_permission_the_policy_alone_still_keeps_agents_to_their_node() {
    let cluster = everybody_is_admin().await;
    nodes_with_health(&cluster, &["node-a", "node-b"]).await;
    let agent = agent(&cluster, "node-a").await;
    apply_status(&agent, "node-a", names::MANAGER_REPORT, &report("1")).await.unwrap();

    let only_status = "the agent of node node-a may only update the status of its NodeHealth";
    let spec = json!({"spec": {"monitors": []}});
    assert_denied(health(&agent).patch("node-a", &PatchParams::default(), &Patch::Merge(spec)).await, only_status);
    assert_denied(health(&agent).delete("node-a", &DeleteParams::default()).await, only_status);
    let all = health(&agent).delete_collection(&DeleteParams::default(), &ListParams::default()).await;
    assert_denied(all, "the agent of node node-a may not write NodeHealth");
    let another = node_health("node-c", &json!({"spec": {}}));
    assert_denied(
        health(&agent).patch("node-c", &apply("x"), &Patch::Apply(another)).await,
        "the agent of node node-a may not write NodeHealth node-c",
    );

    let no_nodes = "the agent of node node-a may not modify Nodes: only the operator marks them";
    let label = json!({"metadata": {"labels": {"gpuhealth.dev/health": "healthy"}}});
    for node in ["node-a", "node-b"] {
        assert_denied(merge_node(&agent, node, label.clone()).await, no_nodes);
        assert_denied(merge_node_status(&agent, node, json!({"conditions": []})).await, no_nodes);
        assert_denied(nodes(&agent).delete(node, &DeleteParams::default()).await, no_nodes);
    }
    let run = json!({"apiVersion": "gpuhealth.dev/v1alpha1", "kind": "HealthCheckRun", "metadata": {"name": "r"}, "spec": {"targets": {"nodeSelector": {}}, "level": "basic"}});
    let runs: kube::Api<crds::HealthCheckRun> = kube::Api::all(agent.clone());
    let created = runs.create(&PostParams::default(), &serde_json::from_value(run).unwrap()).await;
    assert_denied(
        created,
        "the agent of node node-a may write only the status of its NodeHealth in API group gpuhealth.dev",
    );
}

#[tokio::test]
async fn with_every_permission_the_policy_alone_still_keeps_agents_and_probes_off_leases() {
    let cluster = everybody_is_admin().await;
    nodes_with_health(&cluster, &["node-a"]).await;
    let agent = agent(&cluster, "node-a").await;
    let only_own = "the agent of node node-a may only create and update Lease gpu-health-leases/node-a";
    apply_lease(&agent, names::LEASE_NAMESPACE, "node-a").await.unwrap();
    let own = leases(&agent, names::LEASE_NAMESPACE);
    assert_denied(own.delete("node-a", &DeleteParams::default()).await, only_own);
    cluster.ensure_namespace("kube-node-lease").await.unwrap();
    for namespace in ["kube-node-lease", "kube-system", "default", names::NAMESPACE] {
        assert_denied(leases(&agent, namespace).create(&PostParams::default(), &lease("node-a")).await, only_own);
    }
    let probe = probe(&cluster, "node-a").await;
    assert_denied(
        apply_lease(&probe, names::LEASE_NAMESPACE, "node-a").await,
        "a reservation pod on node node-a may not modify Leases",
    );
    let unbound = cluster.unbound_token(names::AGENT_SERVICE_ACCOUNT, names::NAMESPACE).await.unwrap();
    let unbound = cluster.client_with_token(&unbound).unwrap();
    assert_denied(merge_node(&unbound, "node-a", json!({"metadata": {"labels": {"a": "b"}}})).await, NO_NODE);
}

#[tokio::test]
async fn an_agent_puts_no_more_into_its_lease_than_it_needs() {
    let cluster = shared().unwrap();
    nodes_with_health(cluster, &["modest"]).await;
    let agent = agent(cluster, "modest").await;
    let own = leases(&agent, names::LEASE_NAMESPACE);
    let owner =
        |kind: &str, api: &str, name: &str| json!([{"apiVersion": api, "kind": kind, "name": name, "uid": "u-1"}]);
    let with = |metadata: Value, spec: Value| {
        let mut lease =
            json!({"metadata": {"name": "modest"}, "spec": {"holderIdentity": "modest", "leaseDurationSeconds": 150}});
        lease["metadata"].as_object_mut().unwrap().extend(metadata.as_object().unwrap().clone());
        lease["spec"].as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
        serde_json::from_value::<k8s_openapi::api::coordination::v1::Lease>(lease).unwrap()
    };
    let refused = [
        (json!({"annotations": {"x": "y".repeat(200_000)}}), json!({}), "may add no annotations, labels or finalizers"),
        (json!({"labels": {"x": "y"}}), json!({}), "may add no annotations, labels or finalizers"),
        (json!({"finalizers": ["gpuhealth.dev/stay"]}), json!({}), "may add no annotations, labels or finalizers"),
        (json!({"ownerReferences": owner("Node", "v1", "modest")}), json!({}), "may name only its NodeHealth"),
        (
            json!({"ownerReferences": owner("NodeHealth", "gpuhealth.dev/v1alpha1", "other")}),
            json!({}),
            "may name only its NodeHealth",
        ),
        (json!({}), json!({"holderIdentity": "x".repeat(100_000)}), "must be the holder of its Lease"),
    ];
    for (metadata, spec, words) in &refused {
        assert_denied(own.create(&PostParams::default(), &with(metadata.clone(), spec.clone())).await, words);
    }
    let modest = json!({"ownerReferences": owner("NodeHealth", "gpuhealth.dev/v1alpha1", "modest")});
    own.create(&PostParams::default(), &with(modest, json!({}))).await.unwrap();
    for (metadata, spec, words) in &refused {
        let patch = json!({"metadata": metadata, "spec": spec});
        assert_denied(own.patch("modest", &PatchParams::default(), &Patch::Merge(patch)).await, words);
    }
    // Nobody else writes there, whatever RBAC allows; a Lease that is not needed any more may be deleted.
    let admin = leases(&cluster.admin().unwrap(), names::LEASE_NAMESPACE);
    let words = "may be written only by the agent of its node";
    let renewal = json!({"spec": {"leaseDurationSeconds": 7}});
    assert_denied(admin.patch("modest", &PatchParams::default(), &Patch::Merge(renewal)).await, words);
    assert_denied(admin.create(&PostParams::default(), &lease("somebody")).await, words);
    let almighty = leases(&almighty_operator(cluster), names::LEASE_NAMESPACE);
    assert_denied(almighty.create(&PostParams::default(), &lease("somebody")).await, words);
    let mut renewed = own.get("modest").await.unwrap();
    renewed.spec.as_mut().unwrap().lease_duration_seconds = Some(151);
    own.replace("modest", &PostParams::default(), &renewed).await.unwrap();
    admin.delete("modest", &kube::api::DeleteParams::default()).await.unwrap();
}

#[tokio::test]
async fn a_report_that_is_too_large_or_has_control_characters_is_refused_with_a_sentence() {
    let cluster = shared().unwrap();
    nodes_with_health(cluster, &["large"]).await;
    let agent = agent(cluster, "large").await;
    let row = |n: usize| json!({"check": format!("c{n}"), "outcome": "Pass", "covered": vec!["\u{10348}".repeat(64); 49], "message": "\u{10348}".repeat(256)});
    let report = |rows: usize| json!({"report": {"checks": (0..rows).map(row).collect::<Vec<_>>()}});
    let (code, message) = refusal(merge_status(&agent, "large", report(24)).await);
    assert_eq!(code, 422, "{message}");
    assert!(message.contains("status.report is too large (at least") && message.contains("at most 24576"), "{message}");
    merge_status(&agent, "large", report(1)).await.unwrap();
    let control = json!({"report": {"agent": {"version": "1"}, "checks": [{"check": "x", "outcome": "Pass", "message": "a\u{1}b"}]}});
    let (code, message) = refusal(merge_status(&agent, "large", control).await);
    assert!(code == 422 && message.contains("has control characters"), "{code} {message}");
}

/// How often the API server has evaluated a policy's match conditions, by its own count.
async fn evaluations(admin: &Client) -> u64 {
    let metrics = admin.request_text(http::Request::get("/metrics").body(Vec::new()).unwrap()).await.unwrap();
    let counts = metrics.lines().filter(|line| {
        line.starts_with("apiserver_admission_match_condition_evaluation_seconds_count")
            && line.contains("gpu-health-agent")
    });
    counts.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
}

#[tokio::test]
async fn kubelets_renewing_their_leases_cost_no_evaluation_of_our_policy() {
    let cluster = ControlPlane::start(Options::default()).unwrap();
    cluster.install_product().await.unwrap();
    cluster.create_nodes(&[NodeSpec::new("node-a")]).await.unwrap();
    cluster.ensure_namespace("kube-node-lease").await.unwrap();
    let admin = cluster.admin().unwrap();
    leases(&admin, "kube-node-lease").create(&PostParams::default(), &lease("node-a")).await.unwrap();
    let kubelet = cluster.client_as("system:node:node-a", &["system:nodes"]).unwrap();
    let renew = |seconds: u32| {
        let kubelet = kubelet.clone();
        async move {
            let patch = json!({"spec": {"leaseDurationSeconds": seconds}});
            leases(&kubelet, "kube-node-lease")
                .patch("node-a", &PatchParams::default(), &Patch::Merge(patch))
                .await
                .unwrap();
        }
    };
    let before = evaluations(&admin).await;
    for seconds in 1..=20 {
        renew(seconds).await;
    }
    assert_eq!(evaluations(&admin).await, before, "renewals were evaluated");
    // The counter works: a Lease elsewhere is evaluated.
    leases(&admin, "default").create(&PostParams::default(), &lease("x")).await.unwrap();
    assert!(evaluations(&admin).await > before, "this test counts nothing");
}
