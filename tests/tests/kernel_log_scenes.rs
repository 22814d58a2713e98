//! From what the kernel log says to the mark on the Node and back, with real processes on a real API server: the right
//! GPU, the right severity, nobody else, and lifted by what lifts it.

#![allow(clippy::unwrap_used, reason = "a test may fail anywhere, in its helpers too")]

use crds::node_health::Finding;
use crds::{NodeHealth, Outcome, Severity, State, names, reason};
use gpu_health_tests::cluster::Options;
use gpu_health_tests::product::scene::policy_with_all_monitors;
use gpu_health_tests::product::seen::{findings, unhealthy_taints};
use gpu_health_tests::product::{Scene, SimulatedNode};
use k8s_openapi::api::core::v1::Node;
use serde_json::json;

/// Every finding is marked at once.
const ENFORCE: &str = "mode: Enforce, nodeSelector: {}, bootGraceSeconds: 0, budget: {maxUnavailable: 100%}";
/// The node to which something happens, and the one beside it.
const SICK: &str = "sick";
const OTHER: &str = "other";
/// An NVSwitch.
const SWITCH: &str = "0000:c3:00.0";
/// Any code of NVML that says nothing about the GPU.
const UNKNOWN: u32 = 999;

async fn scene() -> Scene {
    let mut scene = Scene::set(Options::default(), &[SICK, OTHER]).await.unwrap();
    scene.cluster.apply_yaml(&policy_with_all_monitors("all", 1, ENFORCE)).await.unwrap();
    scene.start_agents().await.unwrap();
    for name in [SICK, OTHER] {
        scene.until_state(name, State::Healthy).await.unwrap();
    }
    scene.until_policy_matches("all", 2).await.unwrap();
    scene
}

async fn until_marked(scene: &Scene, severity: &str) {
    let marked = |seen: &Node| {
        matches!(unhealthy_taints(seen).as_slice(), [taint] if taint.value.as_deref() == Some(severity) && taint.effect == "NoSchedule")
            && seen.metadata.labels.as_ref().and_then(|labels| labels.get(names::LABEL_SEVERITY)).map(String::as_str)
                == Some(severity)
    };
    scene.until_node(SICK, &format!("the taint {severity}"), marked).await.unwrap();
}

async fn until_unmarked(scene: &Scene) {
    scene.until_node(SICK, "no mark", |seen| unhealthy_taints(seen).is_empty()).await.unwrap();
}

fn condemned(health: &NodeHealth) -> Vec<&Finding> {
    findings(health).iter().filter(|finding| finding.outcome == Outcome::Fail && finding.severity.condemns()).collect()
}

/// The GPUs against which something condemning stands, and the node.
fn accused(health: &NodeHealth) -> Vec<String> {
    let mut targets: Vec<String> = condemned(health).iter().map(|finding| finding.target.clone()).collect();
    targets.sort();
    targets.dedup();
    targets
}

fn has(health: &NodeHealth, check: &str, target: &str, reason: &str, severity: &Severity) -> bool {
    condemned(health).iter().any(|finding| {
        (finding.check.as_str(), finding.target.as_str(), finding.reason.as_str()) == (check, target, reason)
            && finding.severity == *severity
    })
}

async fn nobody_else(scene: &Scene) {
    let other = scene.until_state(OTHER, State::Healthy).await.unwrap();
    assert!(findings(&other).is_empty(), "{other:?}");
}

/// The bridge right above a GPU of a simulated node: its own switch.
fn port_above(gpu: &str) -> String {
    let bus = u8::from_str_radix(&gpu[5..7], 16).unwrap();
    format!("0000:{:02x}:00.0", bus - 1)
}

/// The driver can no longer say anything about this GPU.
fn unreadable(node: &SimulatedNode, gpu: usize) {
    node.set_gpu(gpu, "fault", json!({"return": UNKNOWN})).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_loss_that_pcie_alone_tells_condemns_the_gpu_behind_the_port_until_the_kernel_recovers_it() {
    let scene = scene().await;
    let node = &scene.nodes[SICK];
    let (gpu, port) = (node.gpus()[3].clone(), port_above(&node.gpus()[3]));
    unreadable(node, 3);
    for line in [
        "pcieport 0000:00:1c.5: AER: Corrected error received: 0000:00:1c.5".to_owned(),
        "nvme 0000:c1:00.0: AER: can't recover (no error_detected callback)".to_owned(),
        format!("pcieport {port}: AER: Multiple Uncorrected (Fatal) error received: {port}"),
        format!(
            "pcieport {port}: PCIe Bus Error: severity=Uncorrected (Fatal), type=Transaction Layer, (Requester ID)"
        ),
        format!("pcieport {port}:    [ 5] SDES                  "),
        format!("pcieport {port}: AER: device recovery failed"),
    ] {
        node.kernel_says(&line).unwrap();
    }
    let lost = |h: &NodeHealth| has(h, "kernelLog", &gpu, reason::PCIE_LOSS, &Severity::Reboot);
    let health = scene.until_health(SICK, "with the loss", lost).await.unwrap();
    assert_eq!(accused(&health), [gpu.as_str()]);
    until_marked(&scene, "reboot").await;
    nobody_else(&scene).await;
    node.set_gpu(3, "fault", json!(null)).unwrap();
    node.kernel_says(&format!("pcieport {port}: AER: device recovery successful")).unwrap();
    until_unmarked(&scene).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_adapter_that_cannot_be_initialised_condemns_its_gpu_until_the_driver_reads_it_again() {
    let scene = scene().await;
    let node = &scene.nodes[SICK];
    let (gpu, fine) = (node.gpus()[6].clone(), node.gpus()[2].clone());
    // A GPU that fails once and works all the same is watched, and no more.
    node.kernel_says(&format!("NVRM: GPU {fine}: RmInitAdapter failed! (0x24:0x72:1568)")).unwrap();
    let watched = |h: &NodeHealth| findings(h).iter().any(|f| f.target == fine && f.outcome == Outcome::Warn);
    let health = scene.until_health(SICK, "with a warning", watched).await.unwrap();
    assert!(accused(&health).is_empty(), "{health:?}");

    unreadable(node, 6);
    node.kernel_says(&format!("NVRM: GPU {gpu}: RmInitAdapter failed! (0x22:0x56:894)")).unwrap();
    node.kernel_says(&format!("NVRM: GPU {gpu}: rm_init_adapter failed, device minor number 6")).unwrap();
    let failed = |h: &NodeHealth| has(h, "kernelLog", &gpu, reason::ADAPTER_INIT_FAILED, &Severity::Reboot);
    let health = scene.until_health(SICK, "with the failed adapter", failed).await.unwrap();
    assert_eq!(accused(&health), [gpu.as_str()]);
    until_marked(&scene, "reboot").await;
    nobody_else(&scene).await;
    node.set_gpu(6, "fault", json!(null)).unwrap();
    until_unmarked(&scene).await;
    let over = |h: &NodeHealth| findings(h).iter().all(|f| f.target != gpu);
    scene.until_health(SICK, "without a finding about the adapter", over).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_stuck_in_the_driver_condemn_the_node_until_it_boots() {
    let mut scene = scene().await;
    let node = &scene.nodes[SICK];
    node.set_calls(json!({"nvmlDeviceGet*": {"return": UNKNOWN}})).unwrap();
    for line in [
        "INFO: task nvc:[driver]:5403 blocked for more than 120 seconds.",
        "      Tainted: P           O    4.4.146-1.el7.elrepo.x86_64 #1",
        "Call Trace:",
        " [<ffffffff8170de85>] schedule+0x35/0x80",
        " [<ffffffffa09c376e>] uvm_gpu_retain_by_uuid+0x1e/0x40 [nvidia_uvm]",
    ] {
        node.kernel_says(line).unwrap();
    }
    let stuck = |h: &NodeHealth| has(h, "kernelLog", names::TARGET_NODE, reason::TASKS_STUCK, &Severity::Reboot);
    let health = scene.until_health(SICK, "with tasks that hang", stuck).await.unwrap();
    assert_eq!(accused(&health), [names::TARGET_NODE]);
    until_marked(&scene, "reboot").await;
    nobody_else(&scene).await;
    // The node boots, and the agent with it.
    scene.agents.remove(SICK);
    scene.nodes[SICK].set_calls(json!({})).unwrap();
    scene.nodes[SICK].reboot().unwrap();
    scene.start_agent(SICK).await.unwrap();
    scene.until_state(SICK, State::Healthy).await.unwrap();
    until_unmarked(&scene).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_gpu_whose_switches_and_peers_scream_is_the_only_one_accused() {
    let scene = scene().await;
    let node = &scene.nodes[SICK];
    let (lost, peer) = (node.gpus()[5].clone(), node.gpus()[1].clone());
    // The switch prints first.
    for line in [
        format!("nvidia-nvswitch0: SXid (PCI:{SWITCH}): 20034, Fatal, Link 30 LTSSM Fault Up"),
        format!("nvidia-nvswitch0: SXid (PCI:{SWITCH}): 20034, Severity 1 Engine instance 30 Sub-engine instance 00"),
    ] {
        node.kernel_says(&line).unwrap();
    }
    node.xid(1, 74, "pid='<unknown>', name=<unknown>, NVLink: fatal error detected on link 8(0x0, 0x0, 0x10000, 0x0, 0x0, 0x0, 0x0)").unwrap();
    node.xid(5, 79, "pid='<unknown>', name=<unknown>, GPU has fallen off the bus.").unwrap();
    node.xid(2, 45, "pid=1818990, name=python3, Ch 00000001").unwrap();
    let told =
        |h: &NodeHealth| has(h, "xid", &lost, "FallenOffTheBus", &Severity::Reboot) && accused(h) == [lost.as_str()];
    let health = scene.until_health(SICK, "with the lost GPU alone accused", told).await.unwrap();
    for target in [SWITCH, peer.as_str()] {
        let echo = findings(&health).iter().find(|f| f.check == "xid" && f.target == target).unwrap();
        let by = echo.caused_by.as_ref().map(|by| (by.check.as_str(), by.target.as_str()));
        assert_eq!((&echo.outcome, by), (&Outcome::Warn, Some(("xid", lost.as_str()))), "{echo:?}");
    }
    until_marked(&scene, "reboot").await;
    nobody_else(&scene).await;
    let decided = scene.until_state(SICK, State::Unhealthy).await.unwrap();
    let decision = decided.status.as_ref().unwrap().decision.as_ref().unwrap();
    assert_eq!(decision.causes.iter().filter(|cause| cause.condemns()).count(), 1, "{:?}", decision.causes);
    node.xid(5, 154, "GPU recovery action changed from 0x2 (Node Reboot Required) to 0x0 (None)").unwrap();
    until_unmarked(&scene).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_xid_45_that_names_its_root_has_the_root_judged_although_its_line_is_missing() {
    let scene = scene().await;
    let node = &scene.nodes[SICK];
    let gpu = node.gpus()[2].clone();
    // An application's own end, and one that follows an application's error.
    node.xid(0, 45, "pid=1818989, name=python3, Ch 00000002").unwrap();
    node.xid(1, 45, "pid=1818989, name=python3, Ch 00000002 caused by previous Xid 31").unwrap();
    node.xid(2, 45, "pid=1818990, name=python3, Ch 00000001 caused by previous Xid 62").unwrap();
    node.xid(2, 45, "pid=1818990, name=python3, Ch 00000002 caused by previous Xid 62").unwrap();
    let told = |h: &NodeHealth| has(h, "xid", &gpu, "PmuHalt", &Severity::Reset);
    let health = scene.until_health(SICK, "with the root", told).await.unwrap();
    assert_eq!(accused(&health), [gpu.as_str()]);
    until_marked(&scene, "reset").await;
    nobody_else(&scene).await;
    node.xid(2, 154, "GPU recovery action changed from 0x1 (GPU Reset Required) to 0x0 (None)").unwrap();
    until_unmarked(&scene).await;
}
