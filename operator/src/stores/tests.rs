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
    assert_eq!(*node.accelerators, [("nvidia.com/gpu".to_owned(), 8)].into());
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

/// A NodeHealth with a report of one row, which the check reached at this time.
fn reporting(name: &str, version: u32, last_run: &str) -> Arc<NodeHealth> {
    let wire = json!({
        "metadata": {"name": name, "uid": format!("{name}-uid"), "resourceVersion": version.to_string()},
        "spec": {"monitors": [{"name": "xid"}], "node": {"uid": "u", "allocatable": {"nvidia.com/gpu": 8}}},
        "status": {
            "gpus": [{"pciAddress": "0000:10:00.0", "uuid": format!("GPU-{name}"), "state": "Healthy"}],
            "conditions": [{"type": "Healthy", "status": "True", "reason": "AllChecksPassed", "message": "",
                "lastTransitionTime": "2026-11-21T09:30:00Z"}],
            "report": {
                "inventory": {"gpus": [{"pciAddress": "0000:10:00.0", "uuid": format!("GPU-{name}"), "model": "H100"}]},
                "checks": [{"check": "xid", "outcome": "Pass", "covered": ["0000:10:00.0", "node"],
                    "since": last_run, "lastRun": last_run}]}},
    });
    Arc::new(NodeHealth::project(serde_json::from_value(wire).unwrap()))
}

#[test]
fn a_refusal_is_forgotten_with_its_object_and_survives_what_is_seen_of_others() {
    let key = |name| Key::new(Kind::NodeHealth, name);
    let report = |name| Observation::NodeHealth(Seen::Applied(reporting(name, 1, "2026-11-21T09:30:00Z")));
    let mut stores = stores();
    for name in ["a", "b", "c"] {
        let _ = stores.observe(report(name), now());
        stores.refuse_texts(&key(name), now());
    }
    let _ = stores.observe(Observation::Node(Seen::ListBegan), now());
    let _ = stores.observe(Observation::Node(Seen::ListEnded), now());
    let _ = stores.observe(report("a"), now());
    assert_eq!(stores.world().refused_texts.len(), 3);
    let gone = Seen::Deleted(reporting("a", 2, "2026-11-21T09:30:00Z"));
    let _ = stores.observe(Observation::NodeHealth(gone), now());
    let _ = stores.look(now());
    assert_eq!(stores.world().refused_texts, [key("b"), key("c")].into());
    // Gone while nobody watched.
    let _ = stores.observe(Observation::NodeHealth(Seen::ListBegan), now());
    let listed = Seen::Listed(reporting("c", 1, "2026-11-21T09:30:00Z"));
    let _ = stores.observe(Observation::NodeHealth(listed), now());
    let _ = stores.observe(Observation::NodeHealth(Seen::ListEnded), now());
    let _ = stores.look(now());
    assert_eq!(stores.world().refused_texts, [key("c")].into());
}

#[test]
fn what_two_nodes_report_alike_is_held_once() {
    let mut stores = stores();
    let reports = [reporting("a", 1, "2026-11-21T09:30:00Z"), reporting("b", 2, "2026-11-21T09:31:00Z")];
    for report in reports {
        let _ = stores.observe(Observation::NodeHealth(Seen::Applied(report)), now());
    }
    // What an answer brings is no exception.
    let _ = stores.answered(Object::NodeHealth(reporting("c", 3, "2026-11-21T09:32:00Z")));
    let healths: Vec<&NodeHealth> = stores.world().node_healths.values().map(|health| &**health).collect();
    let status = |health: usize| healths[health].status.as_ref().unwrap();
    let report = |health: usize| status(health).report.as_ref().unwrap();
    for other in 1..3 {
        assert!(report(0).checks.is_same(&report(other).checks));
        assert!(healths[0].spec.monitors.is_same(&healths[other].spec.monitors));
        assert!(healths[0].spec.node.allocatable.is_same(&healths[other].spec.node.allocatable));
        assert!(status(0).conditions[0].reason.is_same(&status(other).conditions[0].reason));
        assert!(status(0).gpus[0].pci_address.is_same(&report(other).inventory.gpus[0].pci_address));
        let (verdict, gpu) = (&status(other).gpus[0], &report(other).inventory.gpus[0]);
        assert!(verdict.uuid.as_ref().unwrap().is_same(gpu.uuid.as_ref().unwrap()));
        assert_ne!(verdict.uuid, status(0).gpus[0].uuid);
    }
}

#[test]
fn a_check_that_ran_again_and_found_the_same_needs_no_decision() {
    let mut stores = stores();
    let mut see = |version, last_run| {
        stores.observe(Observation::NodeHealth(Seen::Applied(reporting("a", version, last_run))), now())
    };
    assert_eq!(see(1, "2026-11-21T09:30:00Z"), Change::Changed);
    assert_eq!(see(2, "2026-11-21T09:31:00Z"), Change::None);
}
