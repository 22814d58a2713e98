//! From what the driver's library says to the mark on the Node and back, with real processes on a real API server.

#![allow(clippy::unwrap_used, reason = "a test may fail anywhere, in its helpers too")]

use crds::node_health::{CheckRow, DriverHandles};
use crds::{NodeHealth, Outcome, Severity, State, names, reason};
use gpu_health_tests::cluster::{Options, until};
use gpu_health_tests::process::{family, open_below};
use gpu_health_tests::product::scene::{WITHIN, policy_with_all_monitors};
use gpu_health_tests::product::seen::{findings, unhealthy_taints};
use gpu_health_tests::product::{History, Scene, SimulatedNode};
use k8s_openapi::api::core::v1::Node;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Every finding is marked at once.
const ENFORCE: &str = "mode: Enforce, nodeSelector: {}, bootGraceSeconds: 0, budget: {maxUnavailable: 100%}, drills: {allow: true, maxNodes: 2}";

async fn scene(names: &[&str]) -> Scene {
    let mut scene = Scene::set(Options::default(), names).await.unwrap();
    scene.cluster.apply_yaml(&policy_with_all_monitors("all", 1, ENFORCE)).await.unwrap();
    scene.start_agents().await.unwrap();
    for name in names {
        scene.until_state(name, State::Healthy).await.unwrap();
    }
    scene.until_policy_matches("all", names.len()).await.unwrap();
    scene
}

fn label(node: &Node, key: &str) -> Option<String> {
    node.metadata.labels.as_ref().and_then(|labels| labels.get(key).cloned())
}

async fn until_marked(scene: &Scene, node: &str, severity: &str) {
    let marked = |seen: &Node| {
        matches!(unhealthy_taints(seen).as_slice(), [taint] if taint.value.as_deref() == Some(severity) && taint.effect == "NoSchedule")
            && label(seen, names::LABEL_SEVERITY).as_deref() == Some(severity)
    };
    scene.until_node(node, &format!("the taint {severity}"), marked).await.unwrap();
}

async fn until_well(scene: &Scene, node: &str) -> NodeHealth {
    let health = scene.until_state(node, State::Healthy).await.unwrap();
    scene.until_node(node, "no mark", |seen| unhealthy_taints(seen).is_empty()).await.unwrap();
    health
}

fn verdict(health: &NodeHealth, pci: &str) -> Option<(State, Severity)> {
    let gpus = &health.status.as_ref()?.gpus;
    gpus.iter().find(|gpu| gpu.pci_address == pci).map(|gpu| (gpu.state.clone(), gpu.severity.clone()))
}

#[tokio::test(flavor = "multi_thread")]
async fn each_severity_goes_from_the_sample_to_the_marks_and_back() {
    let scene = scene(&["monitor", "reset", "reboot", "isolate"]).await;
    let node = |name: &str| &scene.nodes[name];
    // Above its own slowdown threshold: watched, never tainted.
    node("monitor").set_gpu(2, "temperature", json!({"gpu": 97, "slowdown": 89})).unwrap();
    node("reset").set_gpu(3, "remap", json!({"uncorrectable": 1, "pending": true})).unwrap();
    node("reboot").xid(5, 79, "pid='<unknown>', name=<unknown>, GPU has fallen off the bus.").unwrap();
    node("isolate").set_gpu(1, "remap", json!({"uncorrectable": 9, "failure": true})).unwrap();

    let health = scene.until_state("monitor", State::Suspect).await.unwrap();
    assert!(findings(&health).iter().any(|f| f.check == "thermal" && f.severity == Severity::Monitor), "{health:?}");
    for severity in ["reset", "reboot", "isolate"] {
        until_marked(&scene, severity, severity).await;
    }
    let health = scene.until_state("reset", State::Unhealthy).await.unwrap();
    let pci = node("reset").gpus()[3].clone();
    let finding = findings(&health).iter().find(|f| f.check == "rowRemap").unwrap();
    assert_eq!((finding.target.as_str(), finding.reason.as_str()), (pci.as_str(), reason::REMAP_PENDING));
    assert!(finding.serial.is_some() && finding.uuid.is_some(), "a finding names the board: {finding:?}");
    let decision = health.status.as_ref().unwrap().decision.as_ref().unwrap();
    assert_eq!(decision.action, crds::Action::ResetGpu);
    assert!(decision.message.starts_with("GPU 3 ("), "{}", decision.message);
    let suspect = |n: &Node| label(n, names::LABEL_HEALTH).as_deref() == Some("suspect");
    let watched = scene.until_node("monitor", "the label suspect", suspect).await.unwrap();
    assert!(unhealthy_taints(&watched).is_empty(), "{watched:?}");

    println!("{}", scene.cluster.kubectl_ok(&["get", "nodehealth", "-o", "wide"]).unwrap());

    // Each is repaired in its own way.
    node("monitor").set_gpu(2, "temperature", json!({"gpu": 60})).unwrap();
    node("reset").set_gpu(3, "remap", json!({"uncorrectable": 1, "pending": false})).unwrap();
    node("reboot").xid(5, 154, "GPU recovery action changed from 0x2 (Node Reboot Required) to 0x0 (None)").unwrap();
    node("isolate").set_gpu(1, "remap", json!({"uncorrectable": 0, "failure": false})).unwrap();
    for name in ["monitor", "reset", "reboot", "isolate"] {
        until_well(&scene, name).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_faults_on_one_gpu_and_faults_on_two_gpus_are_told_apart() {
    let scene = scene(&["n1"]).await;
    let node = &scene.nodes["n1"];
    let (one, two) = (node.gpus()[2].clone(), node.gpus()[6].clone());
    node.set_gpu(2, "ecc", json!({"volatile_uncorrected": 3})).unwrap();
    node.set_gpu(2, "remap", json!({"uncorrectable": 9, "failure": true})).unwrap();
    node.set_gpu(6, "remap", json!({"uncorrectable": 1, "pending": true})).unwrap();
    let both = |h: &NodeHealth| {
        verdict(h, &one) == Some((State::Unhealthy, Severity::Isolate))
            && verdict(h, &two) == Some((State::Unhealthy, Severity::Reset))
            && findings(h).iter().filter(|f| f.target == one).count() == 2
    };
    let health = scene.until_health("n1", "bad at two GPUs", both).await.unwrap();
    let causes = &health.status.as_ref().unwrap().decision.as_ref().unwrap().causes;
    assert_eq!(causes.len(), 3, "{causes:?}");
    assert_eq!(health.status.as_ref().unwrap().summary.as_ref().unwrap().gpus.as_deref(), Some("6/8"));
    until_marked(&scene, "n1", "isolate").await;

    // The worse fault of the first GPU is lifted, the other one stays.
    node.set_gpu(2, "remap", json!({"uncorrectable": 0, "failure": false})).unwrap();
    let less = |h: &NodeHealth| verdict(h, &one) == Some((State::Unhealthy, Severity::Reset));
    scene.until_health("n1", "with one fault less", less).await.unwrap();
    until_marked(&scene, "n1", "reset").await;
    node.set_gpu(2, "ecc", json!({"volatile_uncorrected": 0})).unwrap();
    node.set_gpu(6, "remap", json!({"uncorrectable": 0, "pending": false})).unwrap();
    until_well(&scene, "n1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_board_that_is_swapped_takes_its_fault_along() {
    let mut scene = scene(&["n1"]).await;
    let pci = scene.nodes["n1"].gpus()[4].clone();
    scene.nodes["n1"].set_gpu(4, "remap", json!({"uncorrectable": 9, "failure": true})).unwrap();
    until_marked(&scene, "n1", "isolate").await;
    // Power off, another board, power on.
    scene.agents.remove("n1");
    scene.nodes["n1"].set_gpu(4, "serial", json!("SIM-NEW-BOARD")).unwrap();
    scene.nodes["n1"].set_gpu(4, "remap", json!({"uncorrectable": 0, "failure": false})).unwrap();
    scene.nodes["n1"].reboot().unwrap();
    scene.start_agent("n1").await.unwrap();
    let health = until_well(&scene, "n1").await;
    let gpus = &health.status.as_ref().unwrap().gpus;
    let board = gpus.iter().find(|gpu| gpu.pci_address == pci).unwrap();
    assert_eq!((board.serial.as_deref(), &board.state), (Some("SIM-NEW-BOARD"), &State::Healthy));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_profile_that_changes_under_way_is_judged_by_at_once() {
    let scene = scene(&["n1"]).await;
    let profile = |count: u32| {
        format!(
            "apiVersion: gpuhealth.dev/v1alpha1\nkind: NodeHardwareProfile\nmetadata: {{name: h100}}\nspec: {{match: {{gpuModels: [NVIDIA H100 80GB HBM3]}}, gpus: {{vendor: nvidia, count: {count}, nvlinkLinks: 18}}}}\n"
        )
    };
    scene.cluster.apply_yaml(&profile(8)).await.unwrap();
    let resolved = |h: &NodeHealth| h.spec.profile.as_deref() == Some("h100");
    scene.until_health("n1", "of the profile", resolved).await.unwrap();
    until_well(&scene, "n1").await;
    scene.cluster.apply_yaml(&profile(9)).await.unwrap();
    until_marked(&scene, "n1", "isolate").await;
    let health = scene.until_state("n1", State::Unhealthy).await.unwrap();
    assert!(findings(&health).iter().any(|f| f.reason == reason::GPU_MISSING));
    scene.cluster.apply_yaml(&profile(8)).await.unwrap();
    until_well(&scene, "n1").await;
}

/// What the agent's processes hold of the driver: its mapped library, or open device nodes.
fn driver_held(agent: u32, node: &SimulatedNode) -> Vec<(u32, PathBuf)> {
    let mut held = Vec::new();
    for pid in family(agent) {
        let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default();
        if maps.contains(LIBRARY) {
            held.push((pid, PathBuf::from(LIBRARY)));
        }
        held.extend(open_below(pid, &node.dev_root()).into_iter().map(|path| (pid, path)));
    }
    held
}

const LIBRARY: &str = "libsimulated_nvml.so";

async fn label_node(scene: &Scene, node: &str, key: &str, value: Value) {
    let nodes: Api<Node> = Api::all(scene.cluster.admin().unwrap());
    let patch = json!({"metadata": {"labels": {key: value}}});
    nodes.patch(node, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
}

fn handles(health: &NodeHealth) -> Option<DriverHandles> {
    Some(health.status.as_ref()?.report.as_ref()?.agent.driver_handles.clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn under_maintenance_the_driver_is_let_go_within_five_seconds_and_nothing_is_held_against_it() {
    let scene = scene(&["n1"]).await;
    let agent = scene.agents["n1"].child.pid();
    scene.until_health("n1", "with handles", |h| handles(h) == Some(DriverHandles::Held)).await.unwrap();
    assert_eq!(driver_held(agent, &scene.nodes["n1"]).len(), 1, "the sampler holds the library, and nobody else");
    label_node(&scene, "n1", "nvidia.com/gpu-driver-upgrade-state", json!("pod-restart-required")).await;
    let ordered = scene.until_health("n1", "under maintenance", |h| h.spec.maintenance.is_some()).await.unwrap();
    let began = Instant::now();
    assert!(!ordered.spec.maintenance.unwrap().reason.is_empty());
    scene.until_health("n1", "without handles", |h| handles(h) == Some(DriverHandles::Released)).await.unwrap();
    let took = began.elapsed();
    assert_eq!(driver_held(agent, &scene.nodes["n1"]), [], "nothing of ours is in the way of the upgrade");
    println!("released {} ms after the order was seen", took.as_millis());
    assert!(took < Duration::from_secs(5), "{took:?}");
    // The module is unloaded, and another version is loaded.
    scene.nodes["n1"]
        .driver_state_json(|state| {
            state["driver"] = json!("570.124.06");
            state["calls"] = json!({"nvmlInit_v2": {"return": 9}});
        })
        .unwrap();
    let skipped =
        |row: &CheckRow| row.outcome == Outcome::Skipped && row.reason.as_deref() == Some(reason::MAINTENANCE);
    let quiet = scene.until_row("n1", "driver", "is not asked", skipped).await.unwrap();
    assert!(findings(&quiet).is_empty(), "{quiet:?}");
    scene.nodes["n1"].driver_state_json(|state| state["calls"] = json!({})).unwrap();
    label_node(&scene, "n1", "nvidia.com/gpu-driver-upgrade-state", json!("upgrade-done")).await;
    let back = |h: &NodeHealth| {
        let driver = h.status.as_ref().and_then(|s| s.report.as_ref()).and_then(|r| r.inventory.driver.clone());
        handles(h) == Some(DriverHandles::Held) && driver.as_deref() == Some("570.124.06")
    };
    scene.until_health("n1", "back with the new driver", back).await.unwrap();
    until_well(&scene, "n1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_agent_is_unknown_and_a_fault_that_was_known_stays() {
    let mut scene = scene(&["well", "sick"]).await;
    scene.nodes["sick"].set_gpu(3, "remap", json!({"uncorrectable": 1, "pending": true})).unwrap();
    until_marked(&scene, "sick", "reset").await;
    scene.agents.clear();
    // 150 s by the operator's clock after the last renewal, which may be a minute before the end.
    let within = Duration::from_secs(150 + 60);
    let healths: Api<NodeHealth> = Api::all(scene.cluster.admin().unwrap());
    let healths = &healths;
    until("the silence to be noticed", within, || async move {
        let health = healths.get("well").await.map_err(|error| error.to_string())?;
        let decision = health.status.and_then(|status| status.decision).ok_or("no decision")?;
        if decision.state == State::Unknown { Ok(()) } else { Err(decision.message) }
    })
    .await
    .unwrap();
    let nodes: Api<Node> = Api::all(scene.cluster.admin().unwrap());
    assert!(unhealthy_taints(&nodes.get("well").await.unwrap()).is_empty(), "silence condemns no node");
    assert_eq!(unhealthy_taints(&nodes.get("sick").await.unwrap()).len(), 1, "and lifts nothing");
    scene.start_agents().await.unwrap();
    until_well(&scene, "well").await;
    until_marked(&scene, "sick", "reset").await;
}

/// A drill on one node that lasts this many seconds.
fn drill(name: &str, node: &str, seconds: u32) -> String {
    format!(
        "apiVersion: gpuhealth.dev/v1alpha1
kind: HealthCheckRun
metadata: {{name: {name}}}
spec:
  targets: {{nodeNames: [{node}]}}
  deadlineSeconds: {}
  checks:
  - name: fire
    drill: {{finding: {{severity: Reboot, reason: FallenOffTheBus}}, seconds: {seconds}, marks: true}}
",
        seconds + 600
    )
}

fn says_drill(health: &NodeHealth) -> bool {
    let decision = health.status.as_ref().and_then(|status| status.decision.as_ref());
    decision.is_some_and(|d| d.state == State::Unhealthy && d.message.to_uppercase().contains("DRILL"))
}

async fn until_ended(scene: &Scene, run: &str) {
    let ended = |run: &crds::HealthCheckRun| run.status.as_ref().is_some_and(|status| status.completion_time.is_some());
    scene.until_run(run, "ended", ended).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drill_goes_the_whole_way_is_plainly_one_and_hides_no_fault() {
    let scene = scene(&["n1", "n2"]).await;
    // It lasts until it is cancelled, so that a busy machine misses nothing.
    scene.cluster.apply_yaml(&drill("fire-drill", "n1", 3_600)).await.unwrap();
    until_marked(&scene, "n1", "reboot").await;
    let health = scene.until_state("n1", State::Unhealthy).await.unwrap();
    let decision = health.status.as_ref().unwrap().decision.as_ref().unwrap();
    assert!(decision.message.to_uppercase().contains("DRILL"), "{}", decision.message);
    assert!(findings(&health).iter().all(|f| f.check == "drill"), "{health:?}");
    // A real fault found meanwhile stays after the drill.
    scene.nodes["n1"].set_gpu(3, "remap", json!({"uncorrectable": 1, "pending": true})).unwrap();
    let both = |h: &NodeHealth| ["drill", "rowRemap"].iter().all(|check| findings(h).iter().any(|f| f.check == *check));
    scene.until_health("n1", "with the real fault beside the drill", both).await.unwrap();
    let cancel = ["patch", "hcr", "fire-drill", "--type=merge", "-p", r#"{"spec":{"cancel":true}}"#];
    scene.cluster.kubectl_ok(&cancel).unwrap();
    until_ended(&scene, "fire-drill").await;
    let only_real = |h: &NodeHealth| {
        findings(h).iter().all(|f| f.check != "drill") && findings(h).iter().any(|f| f.check == "rowRemap")
    };
    scene.until_health("n1", "with the real fault alone", only_real).await.unwrap();
    until_marked(&scene, "n1", "reset").await;
    scene.nodes["n1"].set_gpu(3, "remap", json!({"uncorrectable": 0, "pending": false})).unwrap();
    until_well(&scene, "n1").await;
    let nodes: Api<Node> = Api::all(scene.cluster.admin().unwrap());
    assert!(unhealthy_taints(&nodes.get("n2").await.unwrap()).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drill_ends_by_itself_after_its_seconds_and_leaves_nothing_behind() {
    let scene = scene(&["n1"]).await;
    let admin = scene.cluster.admin().unwrap();
    let node = History::of(Api::<Node>::all(admin.clone()), "n1").await.unwrap();
    let health = History::of(Api::<NodeHealth>::all(admin), "n1").await.unwrap();
    scene.cluster.apply_yaml(&drill("short-drill", "n1", 2)).await.unwrap();
    until_ended(&scene, "short-drill").await;
    let run = scene.run("short-drill").await.unwrap().status.unwrap();
    assert_eq!(run.phase.as_str(), "Passed", "{run:?}");
    until_well(&scene, "n1").await;
    health.until("quarantined, and plainly in a drill", WITHIN, says_drill).await.unwrap();
    let marked = |n: &Node| unhealthy_taints(n).iter().any(|taint| taint.value.as_deref() == Some("reboot"));
    node.until("tainted", WITHIN, marked).await.unwrap();
}
