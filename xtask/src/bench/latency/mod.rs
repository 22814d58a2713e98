//! From a line in the kernel log to the taint as a watcher sees it; real processes, real control plane.

use super::{
    figures::percentile_ms,
    scene::{self, Problem},
};
use clap::Args;
use crds::NodeHealth;
use futures::{StreamExt as _, stream::BoxStream};
use gpu_health_tests::{
    cluster::{ControlPlane, NodeSpec, Options},
    product::{Operator, SimulatedNode, seen::unhealthy_taints},
};
use k8s_openapi::api::core::v1::Node;
use kube::{
    Api,
    runtime::watcher::{self, Event},
};
use serde_json::json;
use std::{
    path::Path,
    time::{Duration, Instant},
};

/// How much is measured.
#[derive(Debug, Clone, Args)]
pub(crate) struct Wanted {
    /// How many faults
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u16).range(1..=5_000))]
    faults: u16,
    /// How many nodes with a NodeHealth are there
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u16).range(4..=5_000))]
    nodes: u16,
}

/// On how many nodes an agent runs; the faults go round them.
const AGENTS: usize = 4;
/// A fault that takes longer than this to be marked is lost, and the bench has failed.
const LOST_AFTER: Duration = Duration::from_secs(30);

/// One fault, from the line in the kernel log.
struct Sample {
    reported: Duration,
    tainted: Duration,
}

/// A node with a running agent, and what a watcher of it sees.
struct Watched {
    simulated: SimulatedNode,
    nodes: BoxStream<'static, Result<Event<Node>, watcher::Error>>,
    healths: BoxStream<'static, Result<Event<NodeHealth>, watcher::Error>>,
}

pub(crate) async fn measure(binaries: &Path, wanted: &Wanted) -> Result<serde_json::Value, Problem> {
    let names = scene::names("node", usize::from(wanted.nodes));
    let specs: Vec<_> = names.iter().map(NodeSpec::new).collect();
    let options = Options { kcm: true, kwok: true, ..Options::default() };
    let cluster = scene::cluster_with(&specs, options).await?;
    let _operator = Operator::start(&cluster, binaries).await?;
    let mut agents = Vec::new();
    let mut watched = Vec::new();
    for name in &names[..AGENTS] {
        let (simulated, agent) = scene::agent_on(&cluster, binaries, name).await?;
        agents.push(agent);
        watched.push(watch(&cluster, simulated)?);
    }
    scene::until_judged(&cluster, names.len(), &names[..AGENTS]).await?;
    eprintln!("{} nodes are there, {AGENTS} agents report; now {} faults", names.len(), wanted.faults);
    let mut samples = Vec::new();
    for fault in 0..usize::from(wanted.faults) {
        let on = &mut watched[fault % AGENTS];
        samples.push(one_fault(on).await?);
    }
    let of = |pick: fn(&Sample) -> Duration| samples.iter().map(pick).collect::<Vec<_>>();
    let whole = of(|s| s.tainted);
    Ok(json!({
        "bench": "latency", "faults": samples.len(), "nodes": names.len(), "source": "kmsg",
        "p50_ms": percentile_ms(&whole, 50), "p95_ms": percentile_ms(&whole, 95), "p99_ms": percentile_ms(&whole, 99),
        "agent_p50_ms": percentile_ms(&of(|s| s.reported), 50),
        "operator_p50_ms": percentile_ms(&of(|s| s.tainted.saturating_sub(s.reported)), 50),
        "max_ms": percentile_ms(&whole, 100),
    }))
}

fn watch(cluster: &ControlPlane, simulated: SimulatedNode) -> Result<Watched, Problem> {
    let config = watcher::Config::default().fields(&format!("metadata.name={}", simulated.name()));
    let client = cluster.admin()?;
    Ok(Watched {
        nodes: watcher::watcher(Api::all(client.clone()), config.clone()).boxed(),
        healths: watcher::watcher(Api::all(client), config).boxed(),
        simulated,
    })
}

fn is_tainted(node: &Node) -> bool {
    unhealthy_taints(node).iter().any(|taint| taint.effect == "NoSchedule")
}

fn has_finding(health: &NodeHealth) -> bool {
    let report = health.status.as_ref().and_then(|s| s.report.as_ref());
    report.is_some_and(|r| r.findings.iter().any(|f| f.check == "xid" && f.outcome == crds::Outcome::Fail))
}

/// Makes one fault and clears it again; both ends are seen by watchers.
async fn one_fault(on: &mut Watched) -> Result<Sample, Problem> {
    until_seen(&mut on.nodes, |node| !is_tainted(node)).await?;
    let began = Instant::now();
    on.simulated.xid(0, 79, "pid='<unknown>', name=<unknown>, GPU has fallen off the bus.")?;
    let (reported, tainted) =
        tokio::try_join!(async { until_seen(&mut on.healths, has_finding).await.map(|at| at - began) }, async {
            until_seen(&mut on.nodes, is_tainted).await.map(|at| at - began)
        },)?;
    // The driver says that nothing is left to recover: the finding ends, and so does the mark.
    let recovered = "GPU recovery action changed from 0x2 (Node Reboot Required) to 0x0 (None)";
    on.simulated.xid(0, 154, recovered)?;
    until_seen(&mut on.healths, |health| !has_finding(health)).await?;
    until_seen(&mut on.nodes, |node| !is_tainted(node)).await?;
    Ok(Sample { reported, tainted })
}

/// When an event first showed an object as wanted.
async fn until_seen<K>(
    events: &mut BoxStream<'static, Result<Event<K>, watcher::Error>>,
    wanted: impl Fn(&K) -> bool,
) -> Result<Instant, Problem> {
    let seeing = async {
        loop {
            match events.next().await {
                Some(Ok(Event::Apply(object) | Event::InitApply(object))) if wanted(&object) => {
                    return Ok(Instant::now());
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(Problem::from(error)),
                None => return Err("a watch ended".into()),
            }
        }
    };
    tokio::time::timeout(LOST_AFTER, seeing).await.map_err(|_| Problem::from("a fault was not seen within 30 s"))?
}
