//! How large objects get: every bound of a NodeHealth and of a HealthCheckRun filled, written by their real writers through
//! the real admission policies, and measured as stored, managedFields included.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::needless_pass_by_value,
    clippy::type_complexity,
    clippy::too_many_lines,
    reason = "test code: its helpers fail the test that calls them"
)]

mod schema_fill;

use crds::names;
use crds::node_health::{Decision, Exclusive, MAX_NODE_HEALTH_BYTES, Report, fit_decision, fit_exclusive, fit_report};
use gpu_health_tests::cluster::{ControlPlane, shared};
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// etcd refuses 1.5 MiB; a third is reserved for what later versions add.
const MAX_RUN_BYTES: usize = 1024 * 1024;

fn schema_of(kind: &str) -> Value {
    let definitions = crds::custom_resource_definitions();
    let definition = definitions.iter().find(|definition| definition.spec.names.kind == kind).unwrap();
    serde_json::to_value(definition.spec.versions[0].schema.as_ref().unwrap().open_api_v3_schema.as_ref().unwrap())
        .unwrap()
}

/// The largest spec and status of a kind.
fn filled(kind: &str) -> (Value, Value) {
    let properties = &schema_of(kind)["properties"];
    (schema_fill::fill(&properties["spec"], 0), schema_fill::fill(&properties["status"], 0))
}

fn bytes(value: &Value) -> usize {
    value.to_string().len()
}

/// A member as its writer writes it: read into its type, cut to its budget.
fn fitted<T: DeserializeOwned + Serialize>(member: &Value, fit: impl FnOnce(&mut T)) -> Value {
    let mut typed: T = serde_json::from_value(member.clone()).unwrap();
    fit(&mut typed);
    serde_json::to_value(typed).unwrap()
}

/// The object as the API server stores it: compact JSON.
fn stored(cluster: &ControlPlane, resource: &str, name: &str) -> Value {
    let json = cluster.kubectl_ok(&["get", resource, name, "-o", "json", "--show-managed-fields"]).unwrap();
    serde_json::from_str(&json).unwrap()
}

async fn apply_status(client: &Client, name: &str, manager: &str, status: Value) -> kube::Result<()> {
    let api: Api<crds::NodeHealth> = Api::all(client.clone());
    let object = json!({"apiVersion": "gpuhealth.dev/v1alpha1", "kind": "NodeHealth", "metadata": {"name": name}, "status": status});
    api.patch_status(name, &PatchParams::apply(manager).force(), &Patch::Apply(object)).await.map(drop)
}

/// Spec, report, exclusive, decision and the rest, each by its own writer.
async fn write_node_health(cluster: &ControlPlane, name: &str, spec: &Value, status: &Value) {
    let user = format!("system:serviceaccount:{}:{}", names::NAMESPACE, names::OPERATOR_SERVICE_ACCOUNT);
    let operator = cluster.client_as(&user, &[]).unwrap();
    let api: Api<crds::NodeHealth> = Api::all(operator.clone());
    let owners =
        json!([{"apiVersion": "v1", "kind": "Node", "name": name, "uid": "3f2b1c7e-0000-4000-8000-123456789012"}]);
    let object = json!({
        "apiVersion": "gpuhealth.dev/v1alpha1", "kind": "NodeHealth", "metadata": {"name": name, "ownerReferences": owners}, "spec": spec,
    });
    api.patch(name, &PatchParams::apply(names::MANAGER_SPEC).force(), &Patch::Apply(object)).await.unwrap();

    for (account, manager, member) in [
        (names::AGENT_SERVICE_ACCOUNT, names::MANAGER_REPORT, "report"),
        (names::PROBE_SERVICE_ACCOUNT, names::PROBE_SERVICE_ACCOUNT, "exclusive"),
    ] {
        let token = cluster.token_for_node(account, names::NAMESPACE, name).await.unwrap();
        let client = cluster.client_with_token(&token).unwrap();
        apply_status(&client, name, manager, json!({member: status[member]})).await.unwrap();
    }
    let mut decided = status.as_object().unwrap().clone();
    decided.retain(|member, _| !["report", "exclusive"].contains(&member.as_str()));
    apply_status(&operator, name, names::MANAGER_DECISION, Value::Object(decided)).await.unwrap();
}

#[tokio::test]
async fn a_node_health_with_every_bound_full_stays_under_64_kib_with_managed_fields() {
    let cluster = shared().unwrap();
    let (spec, raw) = filled("NodeHealth");
    let mut status = raw.clone();
    status["report"] = fitted::<Report>(&raw["report"], fit_report);
    status["exclusive"] = fitted::<Exclusive>(&raw["exclusive"], fit_exclusive);
    status["decision"] = fitted::<Decision>(&raw["decision"], fit_decision);
    write_node_health(cluster, "bounds-fitted", &spec, &status).await;

    let stored = stored(cluster, "nodehealth", "bounds-fitted");
    println!("NodeHealth, every bound full, as its writers cut it: {} bytes", bytes(&stored));
    println!("  spec {}, managedFields {}", bytes(&stored["spec"]), bytes(&stored["metadata"]["managedFields"]));
    for member in ["report", "exclusive", "decision", "gpus", "certifications", "summary", "conditions"] {
        println!("  status.{member} {} (uncut {})", bytes(&stored["status"][member]), bytes(&raw[member]));
        assert!(bytes(&stored["status"][member]) > 2, "status.{member} was not written");
    }
    assert!(bytes(&stored) < MAX_NODE_HEALTH_BYTES, "{} bytes", bytes(&stored));
}

#[tokio::test]
async fn what_an_agent_has_not_cut_is_refused_and_whatever_passes_stays_under_64_kib() {
    let cluster = shared().unwrap();
    let (spec, status) = filled("NodeHealth");
    let mut fitted_status = status.clone();
    fitted_status["report"] = fitted::<Report>(&status["report"], fit_report);
    fitted_status["exclusive"] = fitted::<Exclusive>(&status["exclusive"], fit_exclusive);
    fitted_status["decision"] = fitted::<Decision>(&status["decision"], fit_decision);
    write_node_health(cluster, "bounds-uncut", &spec, &fitted_status).await;
    for (account, member) in [(names::AGENT_SERVICE_ACCOUNT, "report"), (names::PROBE_SERVICE_ACCOUNT, "exclusive")] {
        let token = cluster.token_for_node(account, names::NAMESPACE, "bounds-uncut").await.unwrap();
        let client = cluster.client_with_token(&token).unwrap();
        let uncut = apply_status(&client, "bounds-uncut", account, json!({member: status[member]})).await;
        let kube::Error::Api(refused) = uncut.unwrap_err() else { panic!("{member}: no answer of the API server") };
        println!("uncut {member}, {} bytes: {} {}", bytes(&status[member]), refused.code, refused.message);
        assert!(refused.code == 422 && refused.message.contains("gpu-health-agent"), "{}", refused.message);
        // One kind of entry after the other grows until it is refused: texts whose JSON is longest, and as many entries
        // as there may be.
        for (list, most) in members_of(&status[member]) {
            let mut largest = 0;
            for count in 1..=most {
                let mut part = json!({});
                for (name, value) in status[member].as_object().unwrap() {
                    if !value.is_array() && name != "inventory" {
                        part[name] = fitted_status[member][name].clone();
                    }
                }
                part[&list] = quoted(&status[member][&list], count);
                if apply_status(&client, "bounds-uncut", account, json!({member: part})).await.is_err() {
                    break;
                }
                largest = bytes(&stored(cluster, "nodehealth", "bounds-uncut")["status"][member]);
            }
            println!("  {member}.{list}: {largest} bytes pass");
            assert!(largest < 64 * 1024, "{member}.{list}: {largest}");
        }
    }
}

/// The lists of a member, and how many entries each may have.
fn members_of(member: &Value) -> Vec<(String, usize)> {
    let lists = member.as_object().unwrap().iter();
    lists.filter_map(|(name, value)| Some((name.clone(), value.as_array()?.len()))).collect()
}

/// The first entries of a list, each text without a pattern made of quotes, which take two bytes in JSON.
fn quoted(list: &Value, count: usize) -> Value {
    fn quote(value: &mut Value) {
        match value {
            Value::String(text) if text.starts_with("aaa") => *text = text.replace('a', "\""),
            Value::Array(all) => all.iter_mut().for_each(quote),
            Value::Object(members) => members.values_mut().for_each(quote),
            _ => {}
        }
    }
    let mut first = Value::Array(list.as_array().unwrap().iter().take(count).cloned().collect());
    quote(&mut first);
    first
}

#[tokio::test]
async fn a_run_with_a_thousand_targets_and_every_bound_full_stays_under_one_mib() {
    let cluster = shared().unwrap();
    let (mut spec, status) = filled("HealthCheckRun");
    spec["cancel"] = json!(false);
    let person = cluster.admin().unwrap();
    let runs: Api<crds::HealthCheckRun> = Api::all(person);
    let run = json!({"apiVersion": "gpuhealth.dev/v1alpha1", "kind": "HealthCheckRun", "metadata": {"name": "bounds"}, "spec": spec, "status": status});
    let run: crds::HealthCheckRun = serde_json::from_value(run).unwrap();
    assert_eq!(run.spec.targets.node_names.as_ref().unwrap().len(), crds::health_check_run::MAX_TARGETS);
    runs.create(&PostParams { field_manager: Some("kubectl".to_owned()), ..PostParams::default() }, &run)
        .await
        .unwrap();

    let user = format!("system:serviceaccount:{}:{}", names::NAMESPACE, names::OPERATOR_SERVICE_ACCOUNT);
    let operator: Api<crds::HealthCheckRun> = Api::all(cluster.client_as(&user, &[]).unwrap());
    let apply = json!({"apiVersion": "gpuhealth.dev/v1alpha1", "kind": "HealthCheckRun", "metadata": {"name": "bounds"}, "status": status});
    operator
        .patch_status("bounds", &PatchParams::apply(names::MANAGER_STATUS).force(), &Patch::Apply(apply))
        .await
        .unwrap();

    let stored = stored(cluster, "healthcheckrun", "bounds");
    println!("HealthCheckRun, every bound full: {} bytes", bytes(&stored));
    println!(
        "  spec {}, status {}, managedFields {}",
        bytes(&stored["spec"]),
        bytes(&stored["status"]),
        bytes(&stored["metadata"]["managedFields"])
    );
    assert_eq!(stored["status"]["targets"].as_array().unwrap().len(), crds::health_check_run::MAX_TARGETS);
    assert!(bytes(&stored) < MAX_RUN_BYTES, "{} bytes", bytes(&stored));
}
