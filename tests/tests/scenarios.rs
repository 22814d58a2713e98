//! From the kernel log to the taint and back, with real processes on a real API server.

#![allow(clippy::unwrap_used, reason = "a test may fail anywhere, in its helpers too")]

use crds::{HealthCheckRun, NodeHealth, NodeHealthPolicy, Outcome, Quarantine, State, names};
use gpu_health_tests::{
    cluster::{NodeSpec, Options},
    product::{
        Scene,
        seen::{allocated_kib, unhealthy_taints},
    },
};
use k8s_openapi::api::{admissionregistration::v1::ValidatingAdmissionPolicyBinding, core::v1::Node};
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams},
};
use serde_json::json;

const FELL_OFF: &str = "pid='<unknown>', name=<unknown>, GPU has fallen off the bus.";

fn policy(mode: &str) -> String {
    format!(
        "apiVersion: gpuhealth.dev/v1alpha1\nkind: NodeHealthPolicy\nmetadata: {{name: all}}\nspec: {{mode: {mode}, nodeSelector: {{}}, bootGraceSeconds: 0, budget: {{maxUnavailable: 1}}}}\n"
    )
}

async fn scene(names: &[&str], mode: &str) -> Scene {
    let mut scene = Scene::set(Options::default(), names).await.unwrap();
    scene.start_agents().await.unwrap();
    scene.cluster.apply_yaml(&policy(mode)).await.unwrap();
    for name in names {
        scene.until_state(name, State::Healthy).await.unwrap();
    }
    scene
}

fn label(node: &Node, key: &str) -> Option<String> {
    node.metadata.labels.as_ref().and_then(|l| l.get(key).cloned())
}

fn condition(node: &Node) -> Option<(String, String)> {
    let conditions = node.status.as_ref()?.conditions.as_ref()?;
    let ours = conditions.iter().find(|c| c.type_ == names::NODE_CONDITION)?;
    Some((ours.status.clone(), ours.reason.clone().unwrap_or_default()))
}

async fn taint_with(scene: &Scene, node: &str, effect: &str) -> Node {
    let wanted = |n: &Node| matches!(unhealthy_taints(n).as_slice(), [one] if one.effect == effect);
    scene.until_node(node, &format!("the taint {effect}"), wanted).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fatal_xid_marks_the_node_and_a_reboot_unmarks_it_while_a_second_waits_for_budget() {
    let mut scene = scene(&["a1", "a2"], "Enforce").await;
    // A foreign taint and a foreign label must survive all of it.
    let nodes: Api<Node> = Api::all(scene.cluster.admin().unwrap());
    let foreign = json!({"metadata": {"labels": {"team": "x"}}, "spec": {"taints": [{"key": "team", "value": "x", "effect": "NoSchedule"}]}});
    nodes.patch("a1", &PatchParams::default(), &Patch::Merge(foreign)).await.unwrap();

    scene.nodes["a1"].xid(3, 79, FELL_OFF).unwrap();
    taint_with(&scene, "a1", "NoSchedule").await;
    let marked = |n: &Node| {
        condition(n).is_some_and(|(status, _)| status == "False")
            && label(n, names::LABEL_HEALTH).as_deref() == Some("unhealthy")
    };
    let node = scene.until_node("a1", "condition and label", marked).await.unwrap();
    assert_eq!(label(&node, names::LABEL_SEVERITY).as_deref(), Some("reboot"));
    assert_eq!(label(&node, "team").as_deref(), Some("x"));

    scene.nodes["a2"].xid(0, 95, "pid=7, name=train, Uncontained: LTC TAG (0x2, 0x1). RST: Yes, D-RST: No").unwrap();
    taint_with(&scene, "a2", "PreferNoSchedule").await;
    let waits = |h: &NodeHealth| {
        let decision = h.status.as_ref().and_then(|s| s.decision.as_ref());
        decision.is_some_and(|d| d.state == State::Unhealthy && d.quarantine == Quarantine::Waiting)
    };
    scene.until_health("a2", "quarantined and waiting", waits).await.unwrap();

    // Repair: a new boot.
    scene.agents.remove("a1");
    scene.nodes["a1"].reboot().unwrap();
    scene.start_agent("a1").await.unwrap();
    let node = scene.until_node("a1", "no taint of ours", |n| unhealthy_taints(n).is_empty()).await.unwrap();
    let foreign = node.spec.unwrap_or_default().taints.unwrap_or_default();
    assert_eq!(foreign.iter().map(|t| t.key.as_str()).collect::<Vec<_>>(), ["team"]);
    scene.until_state("a1", State::Healthy).await.unwrap();
    // The slot that became free goes to the one that waited.
    taint_with(&scene, "a2", "NoSchedule").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn observe_judges_and_marks_nothing_and_enforce_then_marks() {
    let scene = scene(&["o1"], "Observe").await;
    scene.nodes["o1"].xid(3, 79, FELL_OFF).unwrap();
    scene.until_state("o1", State::Unhealthy).await.unwrap();
    let counted = |p: &NodeHealthPolicy| p.status.as_ref().is_some_and(|s| s.counts.unhealthy == 1);
    until_policy(&scene, "to count it", counted).await;
    let nodes: Api<Node> = Api::all(scene.cluster.admin().unwrap());
    let node = nodes.get("o1").await.unwrap();
    assert!(unhealthy_taints(&node).is_empty());
    assert_eq!((condition(&node), label(&node, names::LABEL_HEALTH)), (None, None));
    scene.cluster.apply_yaml(&policy("Enforce")).await.unwrap();
    taint_with(&scene, "o1", "NoSchedule").await;
}

/// A policy of the cluster that forbids our taint.
const NO_TAINTS: &str = r#"
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: no-taints}
spec:
  matchConstraints:
    resourceRules: [{apiGroups: [""], apiVersions: [v1], operations: [UPDATE], resources: [nodes]}]
  validations:
    - expression: "!has(object.spec.taints) || object.spec.taints.all(t, t.key != 'gpuhealth.dev/unhealthy')"
      message: no taints here
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: no-taints}
spec: {policyName: no-taints, validationActions: [Deny]}
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_forbids_the_taint_is_told_of_the_fault_and_gets_the_taint_once_it_allows_it() {
    let scene = scene(&["f1"], "Enforce").await;
    scene.cluster.apply_yaml(NO_TAINTS).await.unwrap();
    let nodes: Api<Node> = Api::all(scene.cluster.admin().unwrap());
    let dry_run = PatchParams { dry_run: true, ..PatchParams::default() };
    let taint = json!({"spec": {"taints": [{"key": names::TAINT_UNHEALTHY, "effect": "NoSchedule"}]}});
    let is_forbidden = || async {
        match nodes.patch("f1", &dry_run, &Patch::Merge(&taint)).await {
            Err(error) if error.to_string().contains("no taints here") => Ok(()),
            other => Err(format!("{other:?}")),
        }
    };
    let within = gpu_health_tests::product::scene::WITHIN;
    gpu_health_tests::cluster::until("the policy to forbid taints", within, is_forbidden).await.unwrap();

    scene.nodes["f1"].xid(3, 79, FELL_OFF).unwrap();
    let has = |health: &NodeHealth, quarantine: &Quarantine| {
        let decision = health.status.as_ref().and_then(|status| status.decision.as_ref());
        decision.is_some_and(|d| d.state == State::Unhealthy && d.quarantine == *quarantine)
    };
    let told = scene.until_health("f1", "refused", |health| has(health, &Quarantine::Refused)).await.unwrap();
    let message = told.status.unwrap().decision.unwrap().message;
    assert!(message.contains("The API server refuses to change the taint"), "{message}");
    let node =
        scene.until_node("f1", "a condition", |n| condition(n).is_some_and(|(status, _)| status == "False")).await;
    assert!(unhealthy_taints(&node.unwrap()).is_empty());

    let bindings: Api<ValidatingAdmissionPolicyBinding> = Api::all(scene.cluster.admin().unwrap());
    bindings.delete("no-taints", &DeleteParams::default()).await.unwrap();
    taint_with(&scene, "f1", "NoSchedule").await;
    scene.until_health("f1", "quarantined", |health| has(health, &Quarantine::Active)).await.unwrap();
}

async fn until_policy(scene: &Scene, what: &str, wanted: impl Fn(&NodeHealthPolicy) -> bool) {
    let wanted = &wanted;
    let what = format!("the policy {what}");
    let look = || async move {
        let api: Api<NodeHealthPolicy> = Api::all(scene.cluster.admin().map_err(|e| e.to_string())?);
        let policy = api.get("all").await.map_err(|e| e.to_string())?;
        if wanted(&policy) { Ok(()) } else { Err(format!("{:?}", policy.status)) }
    };
    gpu_health_tests::cluster::until(&what, gpu_health_tests::product::scene::WITHIN, look).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nodehealth_deleted_by_hand_while_its_node_is_tainted_is_adopted_and_not_healed() {
    let mut scene = scene(&["d1"], "Enforce").await;
    scene.nodes["d1"].xid(3, 79, FELL_OFF).unwrap();
    taint_with(&scene, "d1", "NoSchedule").await;
    let before = scene.until_state("d1", State::Unhealthy).await.unwrap();
    // No agent reports: all that is known comes from the marks.
    scene.agents.clear();
    let api: Api<NodeHealth> = Api::all(scene.cluster.admin().unwrap());
    api.delete("d1", &DeleteParams::default()).await.unwrap();
    let again = |h: &NodeHealth| {
        let decision = h.status.as_ref().and_then(|s| s.decision.as_ref());
        h.metadata.uid != before.metadata.uid && decision.is_some_and(|d| d.state == State::Unhealthy)
    };
    let adopted = scene.until_health("d1", "made again and adopted", again).await.unwrap();
    let decision = adopted.status.unwrap().decision.unwrap();
    assert_eq!(decision.causes.iter().map(|c| c.check.as_str()).collect::<Vec<_>>(), ["xid"]);
    taint_with(&scene, "d1", "NoSchedule").await;
    // The agent comes back in the same boot: the fault is still in the kernel log.
    scene.start_agent("d1").await.unwrap();
    let reported =
        |h: &NodeHealth| h.status.as_ref().and_then(|s| s.report.as_ref()).is_some_and(|r| !r.findings.is_empty());
    scene.until_health("d1", "reported", reported).await.unwrap();
    taint_with(&scene, "d1", "NoSchedule").await;
    // Only a new boot lifts it.
    scene.agents.clear();
    scene.nodes["d1"].reboot().unwrap();
    scene.start_agent("d1").await.unwrap();
    scene.until_state("d1", State::Healthy).await.unwrap();
    scene.until_node("d1", "no taint", |n| unhealthy_taints(n).is_empty()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_replaced_under_the_same_name_in_the_middle_of_a_run_is_inconclusive_and_starts_again() {
    let mut scene = scene(&["r1", "r2"], "Enforce").await;
    // No agent works on r1, so the run stays unfinished.
    scene.agents.remove("r1");
    let run = "apiVersion: gpuhealth.dev/v1alpha1\nkind: HealthCheckRun\nmetadata: {name: remade}\nspec:\n  targets: {nodeNames: [r1, r2]}\n  level: basic\n  deadlineSeconds: 120\n";
    scene.cluster.apply_yaml(run).await.unwrap();
    let assigned = |h: &NodeHealth| !h.spec.assignments.is_empty();
    let before = scene.until_health("r1", "assigned", assigned).await.unwrap();
    let nodes: Api<Node> = Api::all(scene.cluster.admin().unwrap());
    nodes.delete("r1", &DeleteParams::default()).await.unwrap();
    scene.cluster.create_nodes(&[NodeSpec::new("r1")]).await.unwrap();
    let ended = |r: &HealthCheckRun| r.status.as_ref().is_some_and(|s| s.phase.is_final());
    let run = scene.until_run("remade", "complete", ended).await.unwrap().status.unwrap();
    let target = run.targets.iter().find(|t| t.node == "r1").unwrap();
    assert_eq!((target.outcome.clone(), target.reason.as_deref()), (Some(Outcome::Inconclusive), Some("NodeReplaced")));
    let other = run.targets.iter().find(|t| t.node == "r2").unwrap();
    assert_eq!(other.outcome, Some(Outcome::Pass));
    let fresh = nodes.get("r1").await.unwrap().metadata.uid;
    let remade = |h: &NodeHealth| Some(&h.spec.node.uid) == fresh.as_ref() && h.spec.assignments.is_empty();
    let health = scene.until_health("r1", "made for the new node", remade).await.unwrap();
    assert_ne!(health.metadata.uid, before.metadata.uid);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_program_writes_into_the_kernel_log_is_no_evidence() {
    let scene = scene(&["p1"], "Enforce").await;
    scene.nodes["p1"].program_says("NVRM: Xid (PCI:0000:18:00): 79, GPU has fallen off the bus.").unwrap();
    // A real record after it proves that the forged one has been read.
    scene.nodes["p1"].xid(0, 31, "pid=7, name=train, Ch 00000008, intr 00000000. MMU Fault: ENGINE GRAPHICS").unwrap();
    let read =
        |h: &NodeHealth| h.status.as_ref().and_then(|s| s.report.as_ref()).is_some_and(|r| !r.findings.is_empty());
    let health = scene.until_health("p1", "read past the forged record", read).await.unwrap();
    let findings = health.status.unwrap().report.unwrap().findings;
    assert!(findings.iter().all(|f| !f.severity.condemns()), "{findings:?}");
    let nodes: Api<Node> = Api::all(scene.cluster.admin().unwrap());
    assert!(unhealthy_taints(&nodes.get("p1").await.unwrap()).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_million_random_lines_in_the_kernel_log_neither_stop_the_agent_nor_grow_it() {
    let scene = scene(&["g1"], "Enforce").await;
    let pid = scene.agents["g1"].child.pid();
    let before = allocated_kib(pid).unwrap();
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    for _ in 0..10 {
        let mut chunk = Vec::new();
        for _ in 0..100_000 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let length = usize::try_from(state % 40).unwrap();
            // Random bytes, some that look like the beginning of a record, and never a fault that is well-formed.
            if state.is_multiple_of(3) {
                chunk.extend_from_slice(format!("3,{},{},-;NVRM: Xid (", state % 1_000, state % 9_999).as_bytes());
            }
            chunk.extend(state.to_le_bytes().iter().cycle().take(length).map(|b| if *b == b'\n' { b' ' } else { *b }));
            chunk.push(b'\n');
        }
        scene.nodes["g1"].append(&chunk).unwrap();
    }
    scene.nodes["g1"]
        .append(b"3,5000000,99000000000,-;NVRM: Xid (PCI:0000:18:00): 79, GPU has fallen off the bus.\n")
        .unwrap();
    scene.until_state("g1", State::Unhealthy).await.unwrap();
    assert_eq!(scene.agents["g1"].child.pid(), pid);
    assert!(scene.agents["g1"].child.is_alive());
    let grown = allocated_kib(pid).unwrap().saturating_sub(before);
    println!("a million random lines: resident memory {before} KiB, grown by {grown} KiB");
    assert!(grown < 8 * 1024, "the agent grew by {grown} KiB");
}
