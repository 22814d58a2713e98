//! A driver that hangs, crashes, vanishes or lies under a running agent: the reporter keeps running, says why, and recovers
//! by itself. Real processes on a real API server; only the library is simulated.

#![allow(clippy::unwrap_used, reason = "a test may fail anywhere, in its helpers too")]

use crds::node_health::{CheckRow, Finding};
use crds::{NodeHealth, Outcome, Severity, names, reason};
use gpu_health_tests::cluster::{Options, until};
use gpu_health_tests::process::cgroup::Freezer;
use gpu_health_tests::process::{Stopped, member, members, unread};
use gpu_health_tests::product::scene::{GPUS, WITHIN, policy_with_all_monitors};
use gpu_health_tests::product::seen::{allocated_kib, findings, metric, row};
use gpu_health_tests::product::{Agent, AgentOptions, Scene};
use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use node_agent::probe::driver::SYMBOLS;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

const OBSERVE: &str = "mode: Observe, nodeSelector: {}, bootGraceSeconds: 0";

/// How many samples an agent's sampler has given.
const SAMPLES: &str = "gpu_health_sampler_samples_total";

async fn scene(names: &[&str], args: &[&str]) -> Scene {
    let mut scene = Scene::set(Options::default(), names).await.unwrap();
    scene.agent_args = args.iter().map(Into::into).collect();
    scene.cluster.apply_yaml(&policy_with_all_monitors("all", 1, OBSERVE)).await.unwrap();
    scene.start_agents().await.unwrap();
    for name in names {
        until_driver(&scene, name, "answers", |row| row.outcome == Outcome::Pass).await;
    }
    scene
}

async fn until_driver(scene: &Scene, node: &str, what: &str, wanted: impl Fn(&CheckRow) -> bool) -> NodeHealth {
    scene.until_row(node, "driver", what, wanted).await.unwrap()
}

/// Whether report says that this call hangs.
fn reports_hang(health: &NodeHealth, call: &str) -> bool {
    findings(health).iter().any(|f| f.check == "driver" && f.reason == reason::CALL_HUNG && f.message.contains(call))
}

/// What makes the sampler make a call that a healthy H100 does not need: the preferred function is missing; or the library
/// says that it is not initialized, so that it is unloaded and loaded again; or the sampler crashes and a new one takes its
/// first sample.
fn way_to(call: &str) -> Value {
    match call {
        "nvmlDeviceGetCurrentClocksThrottleReasons" => json!({"missing": ["nvmlDeviceGetCurrentClocksEventReasons"]}),
        "nvmlDeviceGetGpuFabricInfo" => json!({"missing": ["nvmlDeviceGetGpuFabricInfoV"]}),
        "nvmlDeviceGetRetiredPages" => json!({"missing": ["nvmlDeviceGetRetiredPages_v2"]}),
        "nvmlDeviceGetNvLinkState" => json!({"missing": ["nvmlDeviceGetFieldValues"]}),
        "nvmlInit_v2" | "nvmlShutdown" | "nvmlEventSetFree" | "nvmlEventSetCreate" => {
            json!({"calls": {"nvmlDeviceGetCount_v2": {"return": UNINITIALIZED}}})
        }
        call if ONCE_PER_SAMPLER.contains(&call) => {
            json!({"calls": {"nvmlDeviceGetPowerUsage": {"after": GPUS, "then": "abort"}}})
        }
        _ => json!({}),
    }
}

/// What a sampler calls in its first sample only. The remote end of a link is read again when the link has been down.
const ONCE_PER_SAMPLER: [&str; 3] =
    ["nvmlDeviceGetSupportedEventTypes", "nvmlDeviceRegisterEvents", "nvmlDeviceGetNvLinkRemotePciInfo_v2"];

/// `NVML_ERROR_UNINITIALIZED`
const UNINITIALIZED: u32 = 1;

/// Hangs one call after the other on one node; each must be reported, and lifted once the driver answers again. Returns how
/// long each report took.
async fn hang_each<'a>(scene: &Scene, node: &str, calls: &[&'a str]) -> Vec<(&'a str, Duration)> {
    let simulated = &scene.nodes[node];
    let healthy: Value = serde_json::from_slice(&std::fs::read(simulated.driver_state()).unwrap()).unwrap();
    let mut reported = Vec::new();
    for call in calls {
        let way = way_to(call);
        simulated
            .driver_state_json(|state| {
                for (member, value) in way.as_object().unwrap() {
                    state[member] = value.clone();
                }
                state["calls"][*call] = json!("hang");
            })
            .unwrap();
        let began = Instant::now();
        scene
            .until_health(node, &format!("reporting that {call} hangs"), |health| reports_hang(health, call))
            .await
            .unwrap();
        reported.push((*call, began.elapsed()));
        simulated.driver_state_json(|state| state.clone_from(&healthy)).unwrap();
        until_driver(scene, node, &format!("answers after {call}"), |row| row.outcome == Outcome::Pass).await;
    }
    reported
}

/// The topology is read at every tenth interval; an unloaded library is loaded again in the next one; a sampler that crashed
/// in the second one after a change is started again after a second.
fn intervals_until_called(call: &str) -> u32 {
    match call {
        "nvmlDeviceGetTopologyCommonAncestor" => 10,
        call if ONCE_PER_SAMPLER.contains(&call) => 3,
        _ if way_to(call)["calls"].is_object() => 2,
        _ => 1,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_call_of_the_sampler_that_hangs_is_named_and_the_agent_is_well_again_by_itself() {
    let names = ["h1", "h2", "h3", "h4", "h5", "h6"];
    let scene = scene(&names, &["--call-deadline-ms", "500", "--init-deadline-ms", "500"]).await;
    let pids = pids(&scene);
    let shares: Vec<Vec<&str>> =
        (0..names.len()).map(|n| SYMBOLS.iter().copied().skip(n).step_by(names.len()).collect()).collect();
    let all = names.iter().zip(&shares).map(|(node, calls)| hang_each(&scene, node, calls));
    let reported: Vec<_> = futures::future::join_all(all).await.into_iter().flatten().collect();
    assert_eq!(reported.len(), SYMBOLS.len());
    for (call, took) in &reported {
        // One interval until it is called, one for the report, the deadline, a pause and the deadline of a second sampler,
        // and the time that six nodes cost each other.
        let within = Duration::from_secs(1) * (intervals_until_called(call) + 1) + DEADLINE * 2 + PAUSE + ROOM;
        assert!(*took <= within, "{call} was reported after {took:?}, and {within:?} are allowed");
    }
    let slowest = reported.iter().max_by_key(|(_, took)| *took).unwrap();
    let mut plain: Vec<_> =
        reported.iter().filter(|(call, _)| intervals_until_called(call) == 1).map(|t| t.1).collect();
    plain.sort_unstable();
    let (median, last) = (plain[plain.len() / 2].as_millis(), plain[plain.len() - 1].as_millis());
    println!("{} calls hung, one after the other, on {} nodes", reported.len(), names.len());
    println!(
        "reported after {median} ms (median), {last} ms (longest) where a plain sample calls them; slowest {slowest:?}"
    );
    assert_still(&scene, &pids);
}

/// The deadline of a call in this test.
const DEADLINE: Duration = Duration::from_millis(500);
/// Before a second sampler makes the call again: a sampler that hung is started again after 1 s, or 2 s if it hung before.
const PAUSE: Duration = Duration::from_secs(3);
/// What a test machine may add: a debug build, six nodes on few cores, a control plane.
const ROOM: Duration = Duration::from_secs(4);

fn pids(scene: &Scene) -> BTreeMap<String, u32> {
    scene.agents.iter().map(|(name, agent)| (name.clone(), agent.child.pid())).collect()
}

/// No reporter has stopped, and none was started again.
fn assert_still(scene: &Scene, pids: &BTreeMap<String, u32>) {
    assert_eq!(self::pids(scene), *pids);
    for (name, agent) in &scene.agents {
        assert!(agent.child.is_alive(), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_driver_that_crashes_vanishes_or_lies_is_reported_as_it_is_and_recovers() {
    let scene = scene(&["f1"], &["--call-deadline-ms", "2000"]).await;
    let node = &scene.nodes["f1"];
    let pids = pids(&scene);
    let well = |row: &CheckRow| row.outcome == Outcome::Pass;

    for crash in ["segfault", "abort"] {
        node.set_calls(json!({"nvmlDeviceGetTemperature": crash})).unwrap();
        let health =
            until_driver(&scene, "f1", crash, |row| row.reason.as_deref() == Some(reason::SAMPLER_CRASHED)).await;
        assert!(findings(&health).iter().all(|f| f.outcome != Outcome::Fail), "a crash is no verdict on hardware");
        node.set_calls(json!({})).unwrap();
        until_driver(&scene, "f1", "is well", well).await;
    }

    // A kernel module that was upgraded under the agent: its library is stale, and the node is not at fault.
    node.driver_state_json(|state| state["module"] = json!("580.95.05")).unwrap();
    node.set_driver_module("580.95.05").unwrap();
    // The loaded library still works; the next one does not load.
    node.set_calls(json!({"nvmlDeviceGetCount_v2": {"return": UNINITIALIZED}})).unwrap();
    let stale = |row: &CheckRow| row.reason.as_deref() == Some(reason::AGENT_LIBRARY_STALE);
    let health = until_driver(&scene, "f1", "has a stale library", stale).await;
    assert!(findings(&health).iter().all(|f| f.outcome != Outcome::Fail), "{health:?}");
    node.driver_state_json(|state| {
        state["module"] = Value::Null;
        state["calls"] = json!({});
    })
    .unwrap();
    until_driver(&scene, "f1", "is well", well).await;

    // A GPU that falls off in the middle, and comes back.
    node.driver_state_json(|state| state["gpus"][3]["lost"] = json!(true)).unwrap();
    let lost = |f: &Finding| f.reason == reason::GPU_LOST && f.target == node.gpus()[3] && f.outcome == Outcome::Fail;
    scene.until_health("f1", "without GPU 3", |h| findings(h).iter().any(lost)).await.unwrap();
    node.driver_state_json(|state| state["gpus"][3]["lost"] = json!(false)).unwrap();
    scene.until_health("f1", "whole again", |h| findings(h).is_empty()).await.unwrap();
    assert_still(&scene, &pids);
}

/// The fewest calls per sample whose answers change: 46 about each of seven GPUs, one of them about links that do not
/// exist.
const LEAST_CALLS: u32 = 7 * 46;

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_switches_between_answers_leave_the_reporter_as_it_was() {
    let scene = scene(&["s1"], &["--call-deadline-ms", "2000"]).await;
    let node = &scene.nodes["s1"];
    let agent = &scene.agents["s1"];
    let pids = pids(&scene);
    let before = allocated_kib(agent.child.pid()).unwrap();
    let sampler = member(agent.child.pid(), "sampler").unwrap();
    // Every getter gives another answer at each call. There are seven answers, so each of the eight GPUs gets others in
    // each sample. GPU 7 also lies about its address, and may be read or not; the other GPUs keep theirs, so that every
    // call is made about them.
    let lies = json!([{"return": 999}, "ok", {"return": 3}, "garbage", {"return": 10}, {"return": 13}, {"return": 4}]);
    let honest = ["nvmlDeviceGetHandleByIndex_v2", "nvmlDeviceGetCount_v2", "nvmlDeviceGetPciInfo_v3"];
    node.driver_state_json(|state| {
        state["calls"] = json!({"nvmlDeviceGet*": {"flip": lies}});
        for call in honest {
            state["calls"][call] = json!("ok");
        }
        state["gpus"][7]["calls"] = json!({"nvmlDeviceGetPciInfo_v3": {"flip": lies}});
    })
    .unwrap();
    let first = metric(&agent.http, SAMPLES).await.unwrap().unwrap_or(0.0);
    until("10,000 switches", WITHIN, || async {
        let taken = metric(&agent.http, SAMPLES).await.map_err(|error| error.to_string())?.unwrap_or(0.0) - first;
        if taken * f64::from(LEAST_CALLS) >= 10_000.0 { Ok(()) } else { Err(format!("{taken} samples")) }
    })
    .await
    .unwrap();
    node.driver_state_json(|state| {
        state["calls"] = json!({});
        state["gpus"][7]["calls"] = json!({});
    })
    .unwrap();
    scene
        .until_health("s1", "as before", |h| {
            findings(h).is_empty() && row(h, "driver").is_some_and(|row| row.outcome == Outcome::Pass)
        })
        .await
        .unwrap();
    assert_eq!(members(agent.child.pid(), "sampler"), [sampler], "nor does the sampler crash");
    let grown = allocated_kib(agent.child.pid()).unwrap().saturating_sub(before);
    println!("the reporter grew by {grown} KiB over more than 10,000 switches");
    assert!(grown < 2_048, "{grown} KiB");
    assert_still(&scene, &pids);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sampler_that_cannot_be_killed_is_reported_and_not_started_again_while_everything_else_works() {
    let Some(freezer) = Freezer::make("gpu-health-unkillable") else {
        println!(
            "not run here: an unkillable child needs root and the freezer of cgroup v1, which this machine has not"
        );
        return;
    };
    let scene = scene(&["u1"], &["--call-deadline-ms", "500", "--lease-seconds", "1"]).await;
    let pids = pids(&scene);
    let node = &scene.nodes["u1"];
    let agent = scene.agents["u1"].child.pid();
    let sampler = member(agent, "sampler").expect("the agent has a sampler");
    let runner = member(agent, "runner").expect("the agent has a runner");
    freezer.take(sampler).unwrap();
    frozen_with_a_question(&freezer, sampler).await;
    // While the runner is stopped, it cannot kill the sampler before the sampler has reported its hang and is frozen again.
    let stopped = Stopped::stop(runner).unwrap();
    node.set_calls(json!({HANGING: "hang"})).unwrap();
    freezer.thaw().unwrap();
    until("the sampler to tell its hang", WITHIN, || async {
        let said = unread(sampler, 1).map_err(|error| error.to_string())?;
        if said.contains("hung") { Ok(()) } else { Err(said) }
    })
    .await
    .unwrap();
    freezer.freeze().unwrap();
    drop(stopped);
    let reported =
        |f: &Finding| f.check == "driver" && f.reason == reason::CHILD_UNKILLABLE && f.message.contains(HANGING);
    scene.until_health("u1", "with a child that cannot be killed", |h| findings(h).iter().any(reported)).await.unwrap();
    println!("{}", scene.cluster.kubectl_ok(&["get", "nodehealth", "-o", "wide"]).unwrap());
    let state = std::fs::read_to_string(format!("/proc/{sampler}/status")).unwrap();
    assert!(state.contains("D (disk sleep)"), "{state}");
    // The kernel log needs no driver and is still read.
    node.xid(1, 79, "pid='<unknown>', name=<unknown>, GPU has fallen off the bus.").unwrap();
    let fell = |f: &Finding| f.check == "xid" && f.severity == Severity::Reboot;
    scene.until_health("u1", "with a GPU off the bus", |h| findings(h).iter().any(fell)).await.unwrap();
    let before = renewed(&scene, "u1").await.unwrap();
    until("the Lease to be renewed", WITHIN, || async {
        if renewed(&scene, "u1").await? > before { Ok(()) } else { Err("it is as it was".to_owned()) }
    })
    .await
    .unwrap();
    assert_eq!(members(agent, "sampler"), [sampler], "no other is started beside it");
    // The call returns: the child dies at last, and another one takes over.
    node.set_calls(json!({})).unwrap();
    freezer.thaw().unwrap();
    until_driver(&scene, "u1", "answers again", |row| row.outcome == Outcome::Pass).await;
    assert_ne!(members(agent, "sampler"), [sampler]);
    assert_still(&scene, &pids);
}

/// The call that hangs in the kernel.
const HANGING: &str = "nvmlDeviceGetTotalEccErrors";

/// Freezes the sampler while it has an unread request.
async fn frozen_with_a_question(freezer: &Freezer, sampler: u32) {
    until("the sampler to be frozen before it answers", WITHIN, || async {
        freezer.freeze().map_err(|error| error.to_string())?;
        let asked = until("a question", Duration::from_secs(3), || async {
            let question = unread(sampler, 0).map_err(|error| error.to_string())?;
            if question.is_empty() { Err("none".to_owned()) } else { Ok(()) }
        });
        let Err(error) = asked.await else { return Ok(()) };
        // It was in the middle of an answer, and will be asked again afterwards.
        freezer.thaw().map_err(|error| error.to_string())?;
        Err(error.to_string())
    })
    .await
    .unwrap();
}

/// When the agent of a node last renewed its Lease, as the API server shows it.
async fn renewed(scene: &Scene, node: &str) -> Result<String, String> {
    let leases: Api<Lease> = Api::namespaced(scene.cluster.admin().map_err(|e| e.to_string())?, names::LEASE_NAMESPACE);
    let lease = leases.get(node).await.map_err(|error| error.to_string())?;
    let renewed = lease.spec.and_then(|spec| spec.renew_time).ok_or("never renewed")?;
    serde_json::to_string(&renewed).map_err(|error| error.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_library_that_is_missing_is_no_verdict_and_is_taken_up_when_it_comes() {
    let mut scene = Scene::set(Options::default(), &["m1"]).await.unwrap();
    scene.cluster.apply_yaml(&policy_with_all_monitors("all", 1, OBSERVE)).await.unwrap();
    // The driver's library is looked for where there is none yet.
    let folder = scene.nodes["m1"].folder().to_owned();
    let options = AgentOptions::of_simulated(&scene.nodes["m1"], &folder);
    let agent = Agent::start(&scene.cluster, &scene.binaries, "m1", options).await.unwrap();
    scene.agents.insert("m1".to_owned(), agent);
    let missing = |row: &CheckRow| row.reason.as_deref() == Some(reason::DRIVER_LIBRARY_MISSING);
    let health = until_driver(&scene, "m1", "has no library", missing).await;
    assert!(findings(&health).is_empty());
    let library = "libsimulated_nvml.so";
    std::os::unix::fs::symlink(scene.binaries.join(library), folder.join(library)).unwrap();
    until_driver(&scene, "m1", "answers", |row| row.outcome == Outcome::Pass).await;
}
