use super::*;
use crate::{
    plan::{NodeHealthSpecWrite, NodeHealthStatusWrite, Write},
    world::Taint,
};
use crds::{
    Condition, Time, names,
    node_health::{Decision, NodeHealthSpec, NodeSummary},
    node_health_policy::{BudgetStatus, Claim},
};
use serde_json::json;

fn body_of(write: &Write, version: Option<&str>) -> serde_json::Value {
    match request(write, version).unwrap() {
        Request::Apply { body, .. }
        | Request::ApplyStatus { body, .. }
        | Request::Merge { body, .. }
        | Request::MergeStatus { body, .. }
        | Request::Create { body, .. } => body,
        Request::Delete { uid } => json!({ "uid": uid }),
    }
}

#[test]
fn foreign_taints_are_sent_as_they_were_read() {
    let foreign = Taint {
        key: "node.kubernetes.io/unreachable".into(),
        effect: "NoExecute".into(),
        time_added: Some("2026-11-21T09:30:00Z".into()),
        ..Taint::default()
    };
    let ours = Taint {
        key: names::TAINT_UNHEALTHY.into(),
        value: "reboot".into(),
        effect: "NoSchedule".into(),
        time_added: None,
    };
    let write = Write::NodeTaints {
        node: "n1".into(),
        uid: "u1".into(),
        resource_version: "7".into(),
        taints: vec![foreign, ours],
    };
    // The version of another step would hide a change that the list does not contain.
    let body = body_of(&write, Some("9"));
    let expected = json!({
        "metadata": {"uid": "u1", "resourceVersion": "7"},
        "spec": {"taints": [
            {"key": "node.kubernetes.io/unreachable", "effect": "NoExecute", "timeAdded": "2026-11-21T09:30:00Z"},
            {"key": "gpuhealth.dev/unhealthy", "value": "reboot", "effect": "NoSchedule"},
        ]},
    });
    assert_eq!(body, expected);
}

#[test]
fn marks_and_condition_touch_nothing_but_themselves() {
    let marks = Write::NodeMarks {
        node: "n1".into(),
        uid: "u1".into(),
        resource_version: "7".into(),
        labels: [("gpuhealth.dev/health".to_owned(), "healthy".to_owned())].into(),
        summary: Some("{}".into()),
        drop_labels: Vec::new(),
    };
    let expected = json!({
        "apiVersion": "v1", "kind": "Node",
        "metadata": {"name": "n1", "uid": "u1", "resourceVersion": "7", "labels": {"gpuhealth.dev/health": "healthy"},
            "annotations": {"gpuhealth.dev/summary": "{}"}},
    });
    assert_eq!(body_of(&marks, None), expected);
    let condition = Write::NodeCondition {
        node: "n1".into(),
        uid: "u1".into(),
        resource_version: "7".into(),
        condition: Some(Condition {
            type_: names::NODE_CONDITION.into(),
            status: "False".into(),
            reason: "R".into(),
            message: "m".into(),
            last_transition_time: Time::from_unix(0),
            observed_generation: Some(3),
        }),
    };
    let expected = json!({
        "apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1", "uid": "u1", "resourceVersion": "9"},
        "status": {"conditions": [{"type": "GPUHealthy", "status": "False", "reason": "R", "message": "m",
            "lastHeartbeatTime": "1970-01-01T00:00:00Z", "lastTransitionTime": "1970-01-01T00:00:00Z"}]},
    });
    assert_eq!(body_of(&condition, Some("9")), expected, "the version that the labels left");
}

#[test]
fn a_node_health_is_owned_by_its_node_and_created_by_the_same_apply_that_changes_it() {
    let mut write =
        NodeHealthSpecWrite { name: "n1".into(), read: None, node_uid: "u1".into(), spec: NodeHealthSpec::default() };
    let made = body_of(&Write::NodeHealthSpec(Box::new(write.clone())), None);
    let owner = json!([{"apiVersion": "v1", "kind": "Node", "name": "n1", "uid": "u1"}]);
    assert_eq!(made["metadata"], json!({"name": "n1", "ownerReferences": owner, "resourceVersion": "1"}));
    write.read = Some(("h1".into(), "7".into()));
    let changed = body_of(&Write::NodeHealthSpec(Box::new(write)), None);
    assert_eq!((&changed["metadata"]["uid"], &changed["metadata"]["resourceVersion"]), (&json!("h1"), &json!("7")));
}

#[test]
fn a_status_carries_only_our_own_members_and_the_version_of_the_previous_step() {
    let write = Write::NodeHealthStatus(Box::new(NodeHealthStatusWrite {
        name: "n1".into(),
        uid: "h1".into(),
        resource_version: "7".into(),
        decision: Decision::default(),
        gpus: Vec::new(),
        certifications: Vec::new(),
        gpu_count: None,
        summary: NodeSummary::default(),
        conditions: Vec::new(),
    }));
    let body = body_of(&write, None);
    assert_eq!(body["metadata"]["resourceVersion"], "7");
    let members: Vec<&String> = body["status"].as_object().unwrap().keys().collect();
    let ours = ["certifications", "conditions", "decision", "gpus", "summary"];
    assert_eq!(members, ours);
    assert_eq!(body_of(&write, Some("9"))["metadata"]["resourceVersion"], "9");
}

#[test]
fn what_an_apply_could_not_remove_is_removed_by_name() {
    let labels = [("gpuhealth.dev/health", "x")].into_iter().collect();
    let drop = ["gpuhealth.dev/health".to_owned(), "gpuhealth.dev/severity".to_owned()];
    let body = leftovers("u1", "7", &drop, &labels, true).unwrap();
    let expected = json!({"metadata": {"uid": "u1", "resourceVersion": "7", "labels": {"gpuhealth.dev/health": null},
        "annotations": {"gpuhealth.dev/summary": null}}});
    assert_eq!(body, expected);
    assert_eq!(leftovers("u1", "7", &drop[1..], &labels, false), None);
}

#[test]
fn a_deletion_names_the_uid() {
    let write = Write::DeleteRun { run: "r".into(), uid: "u1".into() };
    let uid = "u1".to_owned();
    assert_eq!(request(&write, None).unwrap(), Request::Delete { uid });
}

#[test]
fn claims_and_counts_of_a_policy_are_applied_by_two_managers_and_neither_carries_the_other() {
    let (policy, uid, resource_version) = ("p".to_owned(), "p1".to_owned(), "7".to_owned());
    let claim = Claim { node: "n1".into(), uid: "u1".into(), node_version: "6".into(), ..Claim::default() };
    let status = NodeHealthPolicyStatus {
        budget: BudgetStatus { limit: 2, used: 1, claims: vec![claim.clone()], per_domain: Vec::new() },
        ..NodeHealthPolicyStatus::default()
    };
    let counts = Write::PolicyStatus {
        policy: policy.clone(),
        uid: uid.clone(),
        resource_version: resource_version.clone(),
        status: Box::new(status),
    };
    assert_eq!(body_of(&counts, None)["status"]["budget"], json!({"limit": 2, "used": 1}));
    for claims in [vec![claim], Vec::new()] {
        let write = Write::PolicyClaims {
            policy: policy.clone(),
            uid: uid.clone(),
            resource_version: resource_version.clone(),
            claims: claims.clone(),
        };
        assert_eq!(body_of(&write, None)["status"], json!({"budget": {"claims": claims}}));
        assert_eq!(body_of(&write, None)["metadata"]["resourceVersion"], "7");
    }
}

#[test]
fn what_is_observed_of_an_ended_run_leaves_the_rest_of_its_status_alone() {
    let write = Write::RunObserved {
        run: "r".into(),
        uid: "u".into(),
        resource_version: "7".into(),
        generation: Some(3),
        conditions: Vec::new(),
    };
    assert!(matches!(request(&write, None).unwrap(), Request::MergeStatus { .. }), "an apply drops what it leaves out");
    let expected = json!({
        "metadata": {"uid": "u", "resourceVersion": "7"},
        "status": {"observedGeneration": 3, "conditions": []},
    });
    assert_eq!(body_of(&write, None), expected);
}
