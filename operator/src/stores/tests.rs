use super::{observation::Seen, projection::Projection, *};
use crate::world::Taint;
use crds::{
    Outcome, Severity, Time,
    node_health::{Finding, NodeHealthStatus, Report},
};
use serde_json::json;
use std::sync::Arc;

fn now() -> Instant {
    Instant::now()
}

fn stores() -> Stores {
    Stores::new(false)
}

fn node(version: u32) -> Arc<Node> {
    Arc::new(Node { name: "n1".into(), uid: "u1".into(), resource_version: version.to_string(), ..Node::default() })
}

fn node_health(version: u32, failures: &[(&str, Severity)]) -> Arc<NodeHealth> {
    let findings = failures.iter().map(|(check, severity)| Finding {
        check: (*check).to_owned(),
        target: "0000:83:00.0".into(),
        outcome: Outcome::Fail,
        severity: severity.clone(),
        ..Finding::default()
    });
    let report = Report { findings: findings.collect(), ..Report::default() };
    let mut object = NodeHealth::new("n1", crds::node_health::NodeHealthSpec::default());
    object.metadata.resource_version = Some(version.to_string());
    object.status = Some(NodeHealthStatus { report: Some(report), ..NodeHealthStatus::default() });
    Arc::new(object)
}

#[test]
fn a_node_is_projected_to_what_a_decision_needs() {
    let wire = json!({
        "metadata": {"name": "n1", "uid": "u1", "resourceVersion": "7", "labels": {"a": "b"},
            "annotations": {"gpuhealth.dev/summary": "{}", "foreign": "x"}, "managedFields": [{"manager": "kubelet"}]},
        "spec": {"unschedulable": true, "taints": [
            {"key": "k", "effect": "NoExecute", "timeAdded": "2026-11-21T09:30:00Z"}]},
        "status": {
            "allocatable": {"nvidia.com/gpu": "8", "cpu": "4", "memory": "1Gi"},
            "addresses": [{"type": "InternalIP", "address": "10.0.0.1"}, {"type": "Hostname", "address": "n1"}],
            "nodeInfo": {"architecture": "", "bootID": "b1", "containerRuntimeVersion": "", "kernelVersion": "",
                "kubeProxyVersion": "", "kubeletVersion": "", "machineID": "", "operatingSystem": "", "osImage": "",
                "systemUUID": ""},
            "conditions": [
                {"type": "Ready", "status": "True"},
                {"type": "GPUHealthy", "status": "False", "reason": "R", "message": "m",
                    "lastTransitionTime": "2026-11-21T09:30:00Z"}]}
    });
    let node = Node::project(serde_json::from_value(wire).unwrap());
    assert_eq!(node.accelerators, [("nvidia.com/gpu".to_owned(), 8)].into());
    assert_eq!(node.addresses, ["10.0.0.1"]);
    assert_eq!(node.summary.as_deref(), Some("{}"));
    assert!(node.ready && node.unschedulable);
    assert_eq!(node.boot_id, "b1");
    assert_eq!(node.taints[0].time_added.as_deref(), Some("2026-11-21T09:30:00Z"));
    let condition = node.condition.unwrap();
    assert_eq!((condition.status.as_str(), condition.last_transition_time), ("False", Time::from_unix(1_795_253_400)));
}

#[test]
fn a_new_version_without_other_changes_is_stored_and_needs_no_decision() {
    let mut stores = stores();
    let applied = |version| Observation::Node(Seen::Applied(node(version)));
    assert_eq!(stores.observe(applied(1), now()), Change::Changed);
    assert_eq!(stores.observe(applied(2), now()), Change::None);
    assert_eq!(stores.world().nodes["n1"].resource_version, "2");
}

#[test]
fn a_deletion_during_a_disconnect_is_noticed_at_the_end_of_the_list() {
    let mut stores = stores();
    let mut see = |seen| stores.observe(Observation::Node(seen), now());
    assert_eq!(see(Seen::Applied(node(1))), Change::Changed);
    assert_eq!(see(Seen::ListBegan), Change::None);
    assert_eq!(see(Seen::ListEnded), Change::Changed);
    assert!(stores.world().nodes.is_empty());
}

#[test]
fn stores_are_complete_when_every_first_list_has_ended() {
    let mut stores = stores();
    let _ = stores.observe(Observation::Node(Seen::ListEnded), now());
    let _ = stores.observe(Observation::NodeHealth(Seen::ListEnded), now());
    let _ = stores.observe(Observation::Run(Seen::ListEnded), now());
    let _ = stores.observe(Observation::Policy(Seen::ListEnded), now());
    let _ = stores.observe(Observation::Profile(Seen::ListEnded), now());
    assert_eq!(stores.incomplete(), [Kind::Lease]);
    assert!(!stores.are_complete());
    let last = stores.observe(Observation::Lease(Seen::ListEnded), now());
    assert_eq!(last, Change::Changed);
    assert!(stores.are_complete());
}

#[test]
fn only_a_new_or_worse_failure_is_urgent() {
    let mut stores = stores();
    let mut report = |version, failures: &[(&str, Severity)]| {
        let seen = Seen::Applied(node_health(version, failures));
        stores.observe(Observation::NodeHealth(seen), now())
    };
    assert_eq!(report(1, &[]), Change::Changed);
    assert_eq!(report(2, &[("xid", Severity::Monitor)]), Change::Urgent);
    assert_eq!(report(3, &[("xid", Severity::Monitor)]), Change::None);
    assert_eq!(report(4, &[("xid", Severity::Reboot)]), Change::Urgent);
    assert_eq!(report(5, &[]), Change::Changed);
}

#[test]
fn a_malformed_object_keeps_its_last_good_state_and_is_left_alone() {
    let mut stores = stores();
    let key = Key::new(Kind::Node, "n1");
    let _ = stores.observe(Observation::Node(Seen::Applied(node(1))), now());
    let malformed = || Seen::Malformed { name: "n1".into(), error: "missing field".into(), listed: false };
    assert_eq!(
        stores.observe(Observation::Node(malformed()), now()),
        Change::Changed,
        "it counts as out of service now"
    );
    assert_eq!(stores.observe(Observation::Node(malformed()), now()), Change::None);
    assert!(stores.is_malformed(&key) && stores.world().nodes.contains_key("n1"));
    assert!(stores.world().malformed.contains(&key));
    let mended = stores.observe(Observation::Node(Seen::Applied(node(3))), now());
    assert_eq!(mended, Change::Changed);
    assert!(!stores.is_malformed(&key) && stores.world().malformed.is_empty());
}

#[test]
fn the_answer_to_a_write_is_in_the_world_at_once_and_its_watch_event_needs_no_decision() {
    let mut stores = stores();
    let _ = stores.observe(Observation::Node(Seen::Applied(node(1))), now());
    let mut tainted = (*node(2)).clone();
    tainted.taints.push(Taint { key: "gpuhealth.dev/unhealthy".into(), ..Taint::default() });
    let tainted = Arc::new(tainted);
    stores.begin(&Key::new(Kind::Node, "n1"));
    let (change, settled) = stores.answered(Object::Node(tainted.clone()));
    assert_eq!((change, settled), (Change::Changed, Settled::Clear));
    assert_eq!(stores.world().nodes["n1"].taints.len(), 1);
    assert_eq!(stores.unseen(), 1);
    let echo = stores.observe(Observation::Node(Seen::Applied(tainted)), now());
    assert_eq!((echo, stores.unseen()), (Change::None, 0));
}

#[test]
fn a_run_that_has_ended_is_kept_thin_and_no_decision_walks_over_it() {
    let run = |version: u32, phase: &str| {
        let run = json!({
            "apiVersion": "gpuhealth.dev/v1alpha1", "kind": "HealthCheckRun",
            "metadata": {"name": "r", "uid": "u", "resourceVersion": version.to_string(), "generation": 1},
            "spec": {"targets": {"nodeNames": ["n1"]}, "level": "basic"},
            "status": {"phase": phase, "observedGeneration": 1, "completionTime": "2026-11-21T09:30:00Z",
                "counts": {"total": 1, "pending": 0, "waiting": 0, "running": 0, "passed": 1, "warned": 0, "failed": 0,
                    "inconclusive": 0, "skipped": 0},
                "targets": [{"node": "n1", "uid": "u1", "state": "Done", "outcome": "Pass", "since": "2026-11-21T09:30:00Z"}]},
        });
        Arc::new(serde_json::from_value::<HealthCheckRun>(run).unwrap())
    };
    let mut stores = stores();
    let _ = stores.observe(Observation::Run(Seen::Applied(run(1, "Running"))), now());
    assert_eq!(stores.world().runs.open().count(), 1);
    let change = stores.observe(Observation::Run(Seen::Applied(run(2, "Passed"))), now());
    assert_eq!(change, Change::Changed);
    let runs = &stores.world().runs;
    assert_eq!((runs.open().count(), runs.expiring().count(), runs.unobserved().count()), (0, 0, 0));
    assert!(runs["r"].status.as_ref().unwrap().targets.is_empty());
    assert!(runs.tested_at("n1", "u1").is_some());
    let _ = stores.observe(Observation::Node(Seen::Deleted(node(9))), now());
    assert_eq!(stores.world().runs.tested_at("n1", "u1"), None, "its node is gone");
    // The same again, as after a relist, changes nothing.
    let change = stores.observe(Observation::Run(Seen::Applied(run(2, "Passed"))), now());
    assert_eq!(change, Change::None);
}
