//! What happens to healthy nodes, each once, with real processes on a real API server: at no moment may a finding take one
//! of them out of use, or a mark be set. (`node-agent/tests/healthy_corpus.rs` simulates hundreds of thousands of
//! node-hours.)

#![allow(clippy::unwrap_used, reason = "a test may fail anywhere, in its helpers too")]

use crds::node_health::{CheckRow, DriverHandles};
use crds::{NodeHealth, Outcome, State, reason};
use futures::StreamExt as _;
use futures::future::{Either, join_all, select};
use futures::stream::select_all;
use gpu_health_tests::cluster::Options;
use gpu_health_tests::process::cgroup::WithoutGpus;
use gpu_health_tests::process::{make_character_device, member};
use gpu_health_tests::product::Scene;
use gpu_health_tests::product::scene::policy_with_all_monitors;
use gpu_health_tests::product::seen::{findings, unhealthy_taints};
use k8s_openapi::api::core::v1::Node;
use kube::api::{Patch, PatchParams};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client};
use serde_json::{Value, json};
use std::pin::pin;

const ENFORCE: &str = "mode: Enforce, nodeSelector: {}, bootGraceSeconds: 0, budget: {maxUnavailable: 100%}";
const GRACE: &str =
    "mode: Enforce, priority: 10, nodeSelector: {matchLabels: {boots: slowly}}, budget: {maxUnavailable: 100%}";

const L4_IN_X8: &str = "
apiVersion: gpuhealth.dev/v1alpha1
kind: NodeHardwareProfile
metadata: {name: l4}
spec: {match: {gpuModels: [NVIDIA L4]}, gpus: {vendor: nvidia, pcie: {generation: 4, width: 8}}}
";

/// Lines of published kernel logs (samples of the Xid catalogue).
const FAULTS_OF_PROGRAMS: &[(u32, &str)] = &[
    (
        13,
        "pid='<unknown>', name=<unknown>, Graphics SM Warp Exception on (GPC 7, TPC 7, SM 0): Illegal Instruction Parameter",
    ),
    (
        31,
        "pid=13705, name=UnrealEditor, channel 0x0000000c, intr 00000000. MMU Fault: ENGINE GRAPHICS GPC2 GPCCLIENT_PROP_0 faulted @ 0x0_00000000. Fault is of type FAULT_PDE ACCESS_TYPE_VIRT_READ",
    ),
    (43, "pid=1818990, name=python3, Ch 00000008"),
    (45, "pid=1818990, name=python3, Ch 00000001"),
];

/// Fails at the first condemning finding or mark on any object: every change of every object is seen. Returns how many
/// changes were seen until `scenes` ended.
async fn no_node_is_condemned_while(client: Client, scenes: impl Future<Output = ()>) -> usize {
    let config = watcher::Config::default();
    let healths = watcher(Api::<NodeHealth>::all(client.clone()), config.clone()).applied_objects();
    let nodes = watcher(Api::<Node>::all(client), config).applied_objects();
    // A broken watch restarts by itself with all objects as they are then.
    let condemned = healths.map(|seen| seen.ok().and_then(|health| condemning(&health)));
    let marked = nodes.map(|seen| seen.ok().filter(|n| !unhealthy_taints(n).is_empty()).map(|n| format!("{n:?}")));
    let mut all = select_all([condemned.boxed(), marked.boxed()]);
    let mut scenes = pin!(scenes);
    let mut seen = 0;
    loop {
        match select(scenes.as_mut(), all.next()).await {
            Either::Left(((), _)) => return seen,
            Either::Right((bad, _)) => assert_eq!(bad, Some(None)),
        }
        seen += 1;
    }
}

fn condemning(health: &NodeHealth) -> Option<String> {
    let mut findings = findings(health).iter();
    let bad = findings.find(|finding| finding.outcome == Outcome::Fail && finding.severity.condemns())?;
    Some(format!("{:?}: {bad:?}", health.metadata.name))
}

async fn label_node(scene: &Scene, node: &str, key: &str, value: &str) {
    let nodes: Api<Node> = Api::all(scene.cluster.admin().unwrap());
    let patch = json!({"metadata": {"labels": {key: value}}});
    nodes.patch(node, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
}

fn set_all(scene: &Scene, node: &str, member: &str, value: &Value) {
    for gpu in 0..scene.nodes[node].gpus().len() {
        scene.nodes[node].set_gpu(gpu, member, value.clone()).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn healthy_nodes_stay_in_use_whatever_happens_to_them() {
    let names = ["l4-x8", "a100-pcie", "mig", "devices", "idle", "apps", "swap", "slow-boot", "stale", "vfio"];
    let mut scene = Scene::set(Options::default(), &names).await.unwrap();
    scene.cluster.apply_yaml(L4_IN_X8).await.unwrap();
    scene.cluster.apply_yaml(&policy_with_all_monitors("all", 1, ENFORCE)).await.unwrap();
    scene.cluster.apply_yaml(&policy_with_all_monitors("slow", 1, GRACE)).await.unwrap();
    label_node(&scene, "slow-boot", "boots", "slowly").await;
    scene.nodes["l4-x8"].set_model("L4").unwrap();
    scene.nodes["a100-pcie"].set_model("A100-PCIE-80GB").unwrap();
    for gpu in 0..8 {
        scene.nodes["l4-x8"].set_pci_link(gpu, 8, 4).unwrap();
        scene.nodes["a100-pcie"].set_pci_link(gpu, 16, 4).unwrap();
    }
    scene.nodes["slow-boot"].set_calls(json!({"nvmlInit_v2": {"return": 9}})).unwrap();
    let client = scene.cluster.admin().unwrap();
    let seen = no_node_is_condemned_while(client, go_through(&mut scene, &names)).await;
    println!("{} nodes stayed healthy through {seen} changes of their objects", names.len());
}

async fn go_through(scene: &mut Scene, names: &[&str]) {
    scene.start_agents().await.unwrap();
    let in_grace = |row: &CheckRow| row.reason.as_deref() == Some(reason::BOOT_GRACE);
    scene.until_row("slow-boot", "driver", "has time to come", in_grace).await.unwrap();
    for name in names.iter().filter(|name| **name != "slow-boot") {
        scene.until_state(name, State::Healthy).await.unwrap();
        let judged = |row: &CheckRow| row.outcome == Outcome::Pass;
        scene.until_row(name, "driver", "answers", judged).await.unwrap();
    }
    set_all(scene, "mig", "mig", &json!({"enabled": true}));
    set_all(scene, "idle", "clocks", &json!({"reasons": 1, "sm_mhz": 345}));
    set_all(scene, "idle", "pcie", &json!({"generation": 1}));
    for gpu in 0..8 {
        scene.nodes["idle"].set_pci_link(gpu, 16, 1).unwrap();
    }
    for (code, text) in FAULTS_OF_PROGRAMS {
        scene.nodes["apps"].xid(1, *code, text).unwrap();
    }
    scene.agents.remove("swap");
    scene.nodes["swap"].set_gpu(2, "serial", json!("SIM-ANOTHER")).unwrap();
    scene.nodes["swap"].reboot().unwrap();
    scene.start_agent("swap").await.unwrap();
    let swapped = |health: &NodeHealth| {
        let report = health.status.as_ref().and_then(|status| status.report.as_ref());
        report.is_some_and(|r| r.inventory.gpus.iter().any(|gpu| gpu.serial.as_deref() == Some("SIM-ANOTHER")))
    };
    scene.until_health("swap", "of another board", swapped).await.unwrap();
    scene.until_state("swap", State::Healthy).await.unwrap();
    scene.until_state("apps", State::Suspect).await.unwrap();
    lose_devices(scene).await;
    upgrade_under_the_agent(scene).await;
    give_to_virtual_machines(scene).await;
    // MIG is turned off again, and links of idle GPUs wake up.
    set_all(scene, "mig", "mig", &json!({"enabled": false}));
    set_all(scene, "idle", "pcie", &json!({"generation": 5}));
    for gpu in 0..8 {
        scene.nodes["idle"].set_pci_link(gpu, 16, 5).unwrap();
    }
    // Its driver comes late; until then nothing is known of it, which is no verdict either.
    scene.nodes["slow-boot"].set_calls(json!({})).unwrap();
    let counted = |h: &NodeHealth| h.status.as_ref().and_then(|s| s.summary.as_ref()?.gpus.as_deref()) == Some("8/8");
    scene.until_health("slow-boot", "counted", counted).await.unwrap();
    for name in names.iter().filter(|name| **name != "apps") {
        scene.until_state(name, State::Healthy).await.unwrap();
    }
    println!("{}", scene.cluster.kubectl_ok(&["get", "nodehealth", "-o", "wide"]).unwrap());
}

/// The agent's container loses its devices: NVML fails, and the device nodes deny access. Then they come back.
async fn lose_devices(scene: &Scene) {
    let agent = scene.agents["devices"].child.pid();
    let node = &scene.nodes["devices"];
    let made = make_character_device(&node.dev_root().join("nvidiactl"), 195, 255);
    let (Some(group), Ok(())) = (WithoutGpus::make("gpu-health-without-gpus"), made) else {
        println!("not run here: lost device access needs root and the devices controller of cgroup v1");
        return;
    };
    // The runner first, so that the processes that it starts are in the group, too.
    for name in ["runner", "sampler"] {
        group.take(member(agent, name).unwrap()).unwrap();
    }
    node.set_calls(json!({"nvmlDeviceGetCount_v2": {"return": 999}})).unwrap();
    let lost = |row: &CheckRow| row.reason.as_deref() == Some(reason::AGENT_LOST_DEVICE_ACCESS);
    let health = scene.until_row("devices", "driver", "has lost its devices", lost).await.unwrap();
    assert!(findings(&health).is_empty(), "{health:?}");
    node.set_calls(json!({})).unwrap();
    let answers = |row: &CheckRow| row.outcome == Outcome::Pass;
    scene.until_row("devices", "driver", "answers", answers).await.unwrap();
}

/// The library says that it is not started, and is loaded anew.
fn reload() -> Value {
    json!({"nvmlDeviceGetCount_v2": {"return": 1}})
}

/// Somebody upgrades the driver without a word, and the agent still has the old library; then it gets the new one.
async fn upgrade_under_the_agent(scene: &Scene) {
    let node = &scene.nodes["stale"];
    node.set_driver_module(NEW_DRIVER).unwrap();
    node.driver_state_json(|state| {
        state["module"] = json!(NEW_DRIVER);
        state["calls"] = reload();
    })
    .unwrap();
    for check in ["driver", "inventory", "ecc"] {
        let stale = |row: &CheckRow| {
            row.outcome == Outcome::Inconclusive && row.reason.as_deref() == Some(reason::AGENT_LIBRARY_STALE)
        };
        let health = scene.until_row("stale", check, "has a library that is too old", stale).await.unwrap();
        assert!(findings(&health).is_empty(), "{health:?}");
    }
    node.driver_state_json(|state| {
        state["driver"] = json!(NEW_DRIVER);
        state["calls"] = json!({});
    })
    .unwrap();
    scene.until_row("stale", "driver", "answers", |row| row.outcome == Outcome::Pass).await.unwrap();
}

/// All GPUs of a node are given to virtual machines, and taken back.
async fn give_to_virtual_machines(scene: &Scene) {
    let node = &scene.nodes["vfio"];
    let bind_all = |driver: &str| (0..node.gpus().len()).for_each(|gpu| node.bind(gpu, driver).unwrap());
    bind_all("vfio-pci");
    node.set_calls(json!({"nvmlDeviceGetCount_v2": {"return": 1}, "nvmlInit_v2": {"return": 9}})).unwrap();
    let elsewhere = |row: &CheckRow| row.reason.as_deref() == Some(reason::OTHER_KERNEL_DRIVER);
    for check in ["driver", "inventory", "ecc"] {
        scene.until_row("vfio", check, "has nothing to judge", elsewhere).await.unwrap();
    }
    bind_all("nvidia");
    node.set_calls(json!({})).unwrap();
    scene.until_row("vfio", "driver", "answers", |row| row.outcome == Outcome::Pass).await.unwrap();
}

/// As NVIDIA's GPU operator labels it, step by step.
const UPGRADE: &str = "nvidia.com/gpu-driver-upgrade-state";
const NEW_DRIVER: &str = "570.124.06";

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_of_the_driver_on_ten_nodes_is_held_against_none_of_them() {
    let names: Vec<String> = (0..10).map(|number| format!("up{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut scene = Scene::set(Options::default(), &names).await.unwrap();
    scene.cluster.apply_yaml(&policy_with_all_monitors("all", 5, ENFORCE)).await.unwrap();
    scene.start_agents().await.unwrap();
    let client = scene.cluster.admin().unwrap();
    let seen = no_node_is_condemned_while(client, async {
        join_all(names.iter().map(|name| upgrade(&scene, name))).await;
    });
    println!("ten nodes stayed healthy through {} changes of their objects", seen.await);
}

async fn upgrade(scene: &Scene, name: &str) {
    let node = &scene.nodes[name];
    scene.until_state(name, State::Healthy).await.unwrap();
    label_node(scene, name, UPGRADE, "drain-required").await;
    scene.until_health(name, "without handles", |h| handles(h) == Some(DriverHandles::Released)).await.unwrap();
    // First the module is unloaded, then the library has a newer version than the module, and then both are new.
    label_node(scene, name, UPGRADE, "pod-restart-required").await;
    node.set_calls(json!({"nvmlInit_v2": {"return": 9}})).unwrap();
    node.driver_state_json(|state| {
        state["module"] = state["driver"].clone();
        state["driver"] = json!(NEW_DRIVER);
    })
    .unwrap();
    label_node(scene, name, UPGRADE, "validation-required").await;
    node.driver_state_json(|state| {
        state["module"] = json!(NEW_DRIVER);
        state["calls"] = json!({});
    })
    .unwrap();
    label_node(scene, name, UPGRADE, "upgrade-done").await;
    let back = |h: &NodeHealth| {
        let report = h.status.as_ref().and_then(|status| status.report.as_ref());
        let driver = report.and_then(|report| report.inventory.driver.as_deref());
        handles(h) == Some(DriverHandles::Held) && driver == Some(NEW_DRIVER)
    };
    scene.until_health(name, "back with the new driver", back).await.unwrap();
    scene.until_state(name, State::Healthy).await.unwrap();
}

fn handles(health: &NodeHealth) -> Option<DriverHandles> {
    Some(health.status.as_ref()?.report.as_ref()?.agent.driver_handles.clone())
}
