//! The steps of the story. Each waits until the API server shows what it announces; what does not show is a failure.

use super::{
    Break, Failure,
    stage::{SIMULATED, Stage},
    told::Teller,
};
use crds::{HealthCheckRun, NodeHealth, NodeHealthPolicy, Quarantine, State, names};
use futures::TryStreamExt as _;
use gpu_health_tests::{
    cluster::until,
    product::{
        History,
        seen::{self, decided, is_installed, unhealthy_taints},
    },
};
use k8s_openapi::api::core::v1::Node;
use kube::{
    Api,
    api::{Patch, PatchParams},
    runtime::watcher::{self, Event},
};
use std::{path::Path, pin::pin, time::Duration, time::Instant};

/// What a step may take before it has failed; the slowest (a network ring) takes about 20 s.
const STEP_WITHIN: Duration = Duration::from_secs(90);
/// How long a mark may take from the line in the kernel log; some tens of milliseconds are expected.
const MARK_WITHIN: Duration = Duration::from_secs(20);

type Step = (&'static str, Failure);

/// Runs every step; gives the title of the one that failed.
pub(crate) async fn tell(teller: &Teller, stage: &mut Stage, broken: Option<Break>) -> Result<(), Step> {
    let mut number = 0;
    macro_rules! step {
        ($title:literal, $act:expr) => {
            number += 1;
            teller.step(number, $title);
            $act.await.map_err(|failure| ($title, failure))?;
        };
    }
    step!("A policy and a profile are applied; every node is judged", judged(teller, stage));
    step!("A run passes on the healthy nodes", run_passes(teller, stage));
    step!("iperf3 between the nodes, in a ring", ring(teller, stage));
    if broken == Some(Break::Agent) {
        teller.note("--break agent: the agents are stopped now");
        stage.agents.clear();
    }
    step!("A fatal Xid appears in the kernel log of sim-2", fatal_xid(teller, stage));
    step!("A second node fails, but the budget is spent", second_fault(teller, stage));
    step!("The agent of sim-1 tries to write to sim-2", trespass(teller, stage));
    step!(
        "sim-2 is rebooted and returns to service; sim-3 takes its slot in the budget",
        repair(teller, stage, "sim-2")
    );
    step!("sim-3 is rebooted, too", repair_last(teller, stage));
    step!("The driver of sim-1 reports a row remap that is pending until GPU 5 is reset", row_remap(teller, stage));
    step!(
        "A drill on sim-3: marked like a GPU that fell off the bus, and clearly labelled as a drill",
        drill(teller, stage)
    );
    Ok(())
}

fn example(name: &str) -> String {
    format!("examples/{name}")
}

fn apply(teller: &Teller, stage: &Stage, name: &str) -> Result<(), Failure> {
    let file = example(name);
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or_else(|| Path::new("."));
    let output = stage.cluster.kubectl_ok(&["apply", "-f", &root.join(&file).to_string_lossy()])?;
    teller.shell(&format!("kubectl apply -f {file}"), &output);
    Ok(())
}

/// Waits until the NodeHealth of `node` is as `wanted` says; the error shows what it was instead.
async fn until_health(
    stage: &Stage,
    node: &str,
    what: &str,
    wanted: impl Fn(&NodeHealth) -> bool,
) -> Result<NodeHealth, Failure> {
    Ok(seen::until_health(&stage.cluster, node, what, STEP_WITHIN, wanted).await?)
}

async fn until_node(stage: &Stage, node: &str, what: &str, wanted: impl Fn(&Node) -> bool) -> Result<Node, Failure> {
    Ok(seen::until_node(&stage.cluster, node, what, STEP_WITHIN, wanted).await?)
}

async fn judged(teller: &Teller, stage: &Stage) -> Result<(), Failure> {
    apply(teller, stage, "profile-h100.yaml")?;
    apply(teller, stage, "policy-enforce.yaml")?;
    for node in SIMULATED {
        let all_seen =
            |h: &NodeHealth| h.status.as_ref().and_then(|s| s.summary.as_ref()?.gpus.as_deref()) == Some("8/8");
        until_health(stage, node, "Healthy with 8 GPUs", |h| decided(h) == Some(&State::Healthy) && all_seen(h))
            .await?;
        until_node(stage, node, "the label of a healthy node", |n| {
            n.metadata.labels.as_ref().and_then(|l| l.get(names::LABEL_HEALTH)).is_some_and(|v| v == "healthy")
        })
        .await?;
    }
    let this = stage.this_machine.clone();
    let judged = until_health(stage, &this, "judged", |h| decided(h).is_some_and(|s| *s != State::Unknown)).await?;
    stage.show(teller, &["get", "nodehealth"])?;
    let report = judged.status.and_then(|s| s.report).unwrap_or_default();
    let log = report.agent.kernel_log.unwrap_or_else(|| "none".to_owned());
    teller.note(&format!(
        "{this} is this machine: kernel log {log}, {} accelerators on PCI",
        report.inventory.gpus.len()
    ));
    Ok(())
}

async fn until_complete(teller: &Teller, stage: &Stage, run: &str, passed: &str) -> Result<(), Failure> {
    let name = format!("hcr/{run}");
    let waiting = ["wait", "--for=condition=Complete", &name, "--timeout=90s"];
    let output = stage.cluster.kubectl_ok(&waiting)?;
    teller.shell(&format!("kubectl {}", waiting.join(" ")), &output);
    stage.show(teller, &["get", "hcr", run])?;
    let api: Api<HealthCheckRun> = Api::all(stage.cluster.admin()?);
    let status = api.get(run).await?.status.unwrap_or_default();
    if status.phase.as_str() == passed {
        return Ok(());
    }
    let summary = status.summary;
    Err(Failure::new(format!("{run} ended as {} ({:?}: {:?})", status.phase, summary.reason, summary.message)))
}

async fn run_passes(teller: &Teller, stage: &Stage) -> Result<(), Failure> {
    apply(teller, stage, "run-basic.yaml")?;
    until_complete(teller, stage, "basic", "Passed").await
}

async fn ring(teller: &Teller, stage: &Stage) -> Result<(), Failure> {
    if !is_installed("iperf3") {
        teller.note("left out: iperf3 is not installed (apt-get install iperf3)");
        return Ok(());
    }
    apply(teller, stage, "run-network-ring.yaml")?;
    until_complete(teller, stage, "network-ring", "Passed").await?;
    let columns = "jsonpath={range .status.network[*].edges[*]}{.from}{\" -> \"}{.to}{\"  \"}{.mbps}{\" Mbit/s  \"}{.outcome}{\"\\n\"}{end}";
    let edges = stage.cluster.kubectl_ok(&["get", "hcr", "network-ring", "-o", columns])?;
    teller.shell("kubectl get hcr network-ring -o jsonpath='{range .status.network[*].edges[*]}…'", &edges);
    Ok(())
}

/// Milliseconds from writing the line until a watcher sees the taint, and until it sees the condition.
async fn fault(stage: &Stage, node: &str) -> Result<(Duration, Duration), Failure> {
    let api: Api<Node> = Api::all(stage.cluster.admin()?);
    let config = watcher::Config::default().fields(&format!("metadata.name={node}"));
    let mut events = pin!(watcher::watcher(api, config));
    let simulated = stage.simulated.get(node).ok_or_else(|| Failure::new(format!("{node} is not simulated")))?;
    let (mut began, mut tainted) = (None, None);
    let watching = async {
        while let Some(event) = events.try_next().await.map_err(|error| Failure::new(error.to_string()))? {
            match event {
                Event::InitDone => {
                    began = Some(Instant::now());
                    simulated.xid(3, 79, "pid='<unknown>', name=<unknown>, GPU has fallen off the bus.")?;
                }
                Event::Apply(seen) => {
                    let Some(began) = began else { continue };
                    if !unhealthy_taints(&seen).is_empty() {
                        tainted.get_or_insert_with(|| began.elapsed());
                    }
                    let conditions = seen.status.and_then(|s| s.conditions).unwrap_or_default();
                    let bad = conditions.iter().any(|c| c.type_ == names::NODE_CONDITION && c.status == "False");
                    if let (Some(tainted), true) = (tainted, bad) {
                        return Ok((tainted, began.elapsed()));
                    }
                }
                Event::Init | Event::InitApply(_) | Event::Delete(_) => {}
            }
        }
        Err(Failure::new("the watch of the Node ended"))
    };
    tokio::time::timeout(MARK_WITHIN, watching).await.unwrap_or_else(|_| {
        Err(Failure::new(format!(
            "no taint and condition on {node} within {} s of the kernel's line",
            MARK_WITHIN.as_secs()
        )))
    })
}

async fn fatal_xid(teller: &Teller, stage: &Stage) -> Result<(), Failure> {
    let (tainted, told) = fault(stage, "sim-2").await?;
    teller.note(&format!(
        "from the line in the kernel log: taint on the Node after {} ms, condition GPUHealthy=False after {} ms",
        tainted.as_millis(),
        told.as_millis()
    ));
    until_health(stage, "sim-2", "Quarantined", |h| decided(h) == Some(&State::Unhealthy)).await?;
    stage.show(teller, &["get", "nodehealth"])?;
    show_marks(teller, stage, "sim-2")
}

fn show_marks(teller: &Teller, stage: &Stage, node: &str) -> Result<(), Failure> {
    let marks = "jsonpath={.spec.taints}{\"\\n\"}{.status.conditions[?(@.type==\"GPUHealthy\")]}{\"\\n\"}";
    let output = stage.cluster.kubectl_ok(&["get", "node", node, "-o", marks])?;
    teller.shell(
        &format!("kubectl get node {node} -o jsonpath='{{.spec.taints}} {{.status.conditions[GPUHealthy]}}'"),
        &output,
    );
    Ok(())
}

async fn second_fault(teller: &Teller, stage: &Stage) -> Result<(), Failure> {
    fault(stage, "sim-3").await?;
    let node = until_node(stage, "sim-3", "our taint", |n| !unhealthy_taints(n).is_empty()).await?;
    let effect = unhealthy_taints(&node).pop().map(|taint| taint.effect).unwrap_or_default();
    if effect != "PreferNoSchedule" {
        return Err(Failure::new(format!("sim-3 is tainted {effect}, although the budget of one node is spent")));
    }
    let waits = |h: &NodeHealth| {
        let decision = h.status.as_ref().and_then(|s| s.decision.as_ref());
        decision.is_some_and(|d| d.state == State::Unhealthy && d.quarantine == Quarantine::Waiting)
    };
    until_health(stage, "sim-3", "held back", waits).await?;
    let policies: Api<NodeHealthPolicy> = Api::all(stage.cluster.admin()?);
    let policies = &policies;
    until("the policy to say that its budget is exhausted", STEP_WITHIN, || async move {
        let list = policies.list(&kube::api::ListParams::default()).await.map_err(|e| e.to_string())?;
        let said = list.items.iter().flat_map(|p| p.status.iter()).flat_map(|s| &s.conditions);
        let mut said = said.filter(|c| c.type_ == "BudgetExhausted" && c.status == "True");
        said.next().map(|_| ()).ok_or_else(|| "it does not".to_owned())
    })
    .await?;
    teller.note("PreferNoSchedule only: the scheduler avoids the node, but no capacity is taken away");
    stage.show(teller, &["get", "nodehealth"])?;
    stage.show(teller, &["get", "nhp"])?;
    let condition = "jsonpath={.items[0].status.conditions[?(@.type==\"BudgetExhausted\")].message}{\"\\n\"}";
    let message = stage.cluster.kubectl_ok(&["get", "nhp", "-o", condition])?;
    teller.shell("kubectl get nhp -o jsonpath='{…BudgetExhausted.message}'", &message);
    Ok(())
}

async fn trespass(teller: &Teller, stage: &Stage) -> Result<(), Failure> {
    let agent = stage.agents.get("sim-1").ok_or_else(|| Failure::new("the agent of sim-1 does not run"))?;
    let client = stage.cluster.client_with_token(&agent.token)?;
    let pretend = serde_json::json!({
        "apiVersion": "gpuhealth.dev/v1alpha1", "kind": "NodeHealth",
        "status": {"report": {"agent": {"bootId": "forged"}, "findings": []}},
    });
    let params = PatchParams::apply(names::MANAGER_REPORT).force();
    let healths: Api<NodeHealth> = Api::all(client.clone());
    let report = healths.patch_status("sim-2", &params, &Patch::Apply(&pretend)).await;
    refused(teller, "apply status.report of NodeHealth sim-2", report.err())?;
    let nodes: Api<Node> = Api::all(client);
    let untaint = serde_json::json!({"spec": {"taints": []}});
    let taints = nodes.patch("sim-2", &PatchParams::default(), &Patch::Merge(&untaint)).await;
    refused(teller, "patch spec.taints of Node sim-2", taints.err())
}

/// Shows the API server's own words; anything but a refusal is a failure.
fn refused(teller: &Teller, what: &str, answer: Option<kube::Error>) -> Result<(), Failure> {
    match answer {
        Some(kube::Error::Api(status)) if status.code == 403 => {
            teller.note(&format!("{what}, with the token of sim-1's agent:"));
            teller.note(&format!("403 {}", status.message));
            Ok(())
        }
        Some(other) => Err(Failure::new(format!("{what}: refused, but not with 403: {other}"))),
        None => Err(Failure::new(format!("{what}: the API server allowed it"))),
    }
}

/// Repairs a node: its agent stops, it reboots, its agent starts, and everything else happens by itself.
async fn reboot(teller: &Teller, stage: &mut Stage, node: &str) -> Result<(), Failure> {
    let agent = stage.agents.remove(node).ok_or_else(|| Failure::new(format!("the agent of {node} does not run")))?;
    tokio::task::spawn_blocking(move || drop(agent)).await.map_err(|error| Failure::new(error.to_string()))?;
    let simulated = stage.simulated.get(node).ok_or_else(|| Failure::new(format!("{node} is not simulated")))?;
    simulated.reboot()?;
    let boot_id = simulated.boot_id();
    stage.cluster.set_boot_id(node, &boot_id).await?;
    let began = Instant::now();
    stage.start_agent(node).await?;
    until_node(stage, node, "no taint of ours", |n| unhealthy_taints(n).is_empty()).await?;
    until_health(stage, node, "Healthy", |h| decided(h) == Some(&State::Healthy)).await?;
    teller.note(&format!(
        "{node} has rebooted ({boot_id}); healthy {:.1} s after its agent started",
        began.elapsed().as_secs_f64()
    ));
    Ok(())
}

async fn repair(teller: &Teller, stage: &mut Stage, node: &str) -> Result<(), Failure> {
    reboot(teller, stage, node).await?;
    let enforced = |n: &Node| unhealthy_taints(n).iter().any(|taint| taint.effect == "NoSchedule");
    until_node(stage, "sim-3", "NoSchedule, now that there is room", enforced).await?;
    stage.show(teller, &["get", "nodehealth"])?;
    Ok(())
}

async fn repair_last(teller: &Teller, stage: &mut Stage) -> Result<(), Failure> {
    reboot(teller, stage, "sim-3").await?;
    stage.show(teller, &["get", "nodehealth,hcr,nhp"])?;
    Ok(())
}

/// From a counter of the driver's library to the taint, and back after the reset that it asks for.
async fn row_remap(teller: &Teller, stage: &Stage) -> Result<(), Failure> {
    let simulated = stage.simulated.get("sim-1").ok_or_else(|| Failure::new("sim-1 is not simulated"))?;
    let set = |remap: serde_json::Value| simulated.driver_state_json(|state| state["gpus"][5]["remap"] = remap);
    set(serde_json::json!({"uncorrectable": 1, "pending": true}))?;
    until_node(stage, "sim-1", "the taint reset", |n| {
        unhealthy_taints(n).iter().any(|taint| taint.value.as_deref() == Some("reset"))
    })
    .await?;
    until_health(stage, "sim-1", "Quarantined", |h| decided(h) == Some(&State::Unhealthy)).await?;
    stage.show(teller, &["get", "nodehealth"])?;
    let message =
        stage.cluster.kubectl_ok(&["get", "nh", "sim-1", "-o", "jsonpath={.status.decision.message}{\"\\n\"}"])?;
    teller.shell("kubectl get nh sim-1 -o jsonpath='{.status.decision.message}'", &message);
    set(serde_json::json!({"uncorrectable": 1, "pending": false}))?;
    teller.note("the GPU is reset: the driver reports no pending remap");
    until_node(stage, "sim-1", "no taint of ours", |n| unhealthy_taints(n).is_empty()).await?;
    until_health(stage, "sim-1", "Healthy", |h| decided(h) == Some(&State::Healthy)).await?;
    Ok(())
}

async fn drill(teller: &Teller, stage: &Stage) -> Result<(), Failure> {
    // The drill ends by itself after seconds: recorded, so that a busy machine does not miss it.
    let client = stage.cluster.admin()?;
    let node = History::of(Api::<Node>::all(client.clone()), "sim-3").await?;
    let health = History::of(Api::<NodeHealth>::all(client), "sim-3").await?;
    apply(teller, stage, "run-drill.yaml")?;
    node.until("marked by the drill", STEP_WITHIN, |n| !unhealthy_taints(n).is_empty()).await?;
    let says_drill = |h: &NodeHealth| {
        let decision = h.status.as_ref().and_then(|s| s.decision.as_ref());
        decision.is_some_and(|d| d.state == State::Unhealthy && d.message.starts_with("DRILL"))
    };
    health.until("in a drill", STEP_WITHIN, says_drill).await?;
    stage.show(teller, &["get", "nodehealth"])?;
    until_complete(teller, stage, "fire-drill", "Passed").await?;
    until_node(stage, "sim-3", "no taint of ours", |n| unhealthy_taints(n).is_empty()).await?;
    until_health(stage, "sim-3", "Healthy", |h| decided(h) == Some(&State::Healthy)).await?;
    Ok(())
}
