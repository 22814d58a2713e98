//! From a line in the kernel log to the taint as a watcher sees it; real processes, real control plane.
//!
//! Each fault is followed by a round of the [`bare`] chain, so noise of the machine hits both alike. Where the time
//! of a fault went is read from the logs of agent, operator and API server ([`timeline`]).

mod bare;
mod logs;
pub(super) mod timeline;

use super::{
    figures::{milliseconds, percentile_ms, ratio},
    scene::{self, Problem},
    watched::{Events, first, is_tainted, named, until_seen},
};
use bare::Bare;
use clap::Args;
use crds::NodeHealth;
use gpu_health_tests::{
    cluster::{ControlPlane, NodeSpec, Options},
    product::{Agent, AgentOptions, Operator, SimulatedNode},
};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Node;
use logs::LogFiles;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    path::Path,
    time::{Duration, Instant},
};
use timeline::{Breakdown, Fault};

/// How much is measured.
#[derive(Debug, Clone, Args)]
pub(crate) struct Wanted {
    /// How many faults
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u16).range(1..=5_000))]
    faults: u16,
    /// How many nodes with a NodeHealth there are
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u16).range(4..=5_000))]
    nodes: u16,
    /// Explain faults that take longer than this, in milliseconds
    #[arg(long, default_value_t = 1_000)]
    slow_ms: u32,
}

/// On how many nodes an agent runs; the faults go round them.
const AGENTS: usize = 4;
/// What follows a fault or a round (words on the node, claims dropped) ends within this.
const QUIET: Duration = Duration::from_millis(150);

/// One fault, from the line in the kernel log.
struct Sample {
    reported: Duration,
    tainted: Duration,
    /// The NodeHealth with the finding.
    health: NodeHealth,
    /// Where the time went.
    breakdown: Breakdown,
    /// The same in words, if it took long.
    slow: Option<Value>,
}

/// A node with a running agent, and what a watcher of it sees.
struct Watched {
    simulated: SimulatedNode,
    nodes: Events<Node>,
    healths: Events<NodeHealth>,
    logs: LogFiles,
    _agent: Agent,
}

pub(crate) async fn measure(binaries: &Path, wanted: &Wanted) -> Result<Value, Problem> {
    let names = scene::names("node", usize::from(wanted.nodes));
    let specs: Vec<_> = names.iter().map(NodeSpec::new).chain([bare::node()]).collect();
    let options = Options { kcm: true, kwok: true, audit: true, ..Options::default() };
    let cluster = scene::cluster_with(&specs, options).await?;
    cluster.apply_yaml(&bare::policy()).await?;
    let operator = Operator::start_with(&cluster, binaries, "gpu-health-operator", &["--log-level", "debug"]).await?;
    let mut watched = Vec::new();
    for name in &names[..AGENTS] {
        watched.push(watch(&cluster, binaries, &operator, name).await?);
    }
    scene::until_judged(&cluster, names.len(), &names[..AGENTS]).await?;
    scene::until_idle(&operator).await?;
    eprintln!("{} nodes are judged, {AGENTS} agents report; now {} faults", names.len(), wanted.faults);
    let slow_from = Duration::from_millis(u64::from(wanted.slow_ms));
    // One fault before those that count: its report is what the bare chain sends.
    let mut bare = Bare::start(&cluster, &one_fault(&mut watched[0], slow_from).await?.health).await?;
    let (mut samples, mut floor) = (Vec::new(), Vec::new());
    for fault in 0..usize::from(wanted.faults) {
        tokio::time::sleep(QUIET).await;
        samples.push(one_fault(&mut watched[fault % AGENTS], slow_from).await?);
        tokio::time::sleep(QUIET).await;
        floor.push(bare.round(&cluster).await?);
    }
    Ok(figures(&samples, &floor, names.len()))
}

fn figures(samples: &[Sample], floor: &[Duration], nodes: usize) -> Value {
    let of = |pick: fn(&Sample) -> Duration| samples.iter().map(pick).collect::<Vec<_>>();
    let whole = of(|s| s.tainted);
    let slow: Vec<&Value> = samples.iter().filter_map(|s| s.slow.as_ref()).collect();
    json!({
        "bench": "latency", "faults": samples.len(), "nodes": nodes, "source": "kmsg",
        "p50_ms": percentile_ms(&whole, 50), "p95_ms": percentile_ms(&whole, 95), "p99_ms": percentile_ms(&whole, 99),
        "agent_p50_ms": percentile_ms(&of(|s| s.reported), 50),
        "operator_p50_ms": percentile_ms(&of(|s| s.tainted.saturating_sub(s.reported)), 50),
        "max_ms": percentile_ms(&whole, 100),
        "bare_p50_ms": percentile_ms(floor, 50), "bare_p99_ms": percentile_ms(floor, 99),
        "ratio_p50": ratio(percentile_ms(&whole, 50), percentile_ms(floor, 50)),
        "ratio_p99": ratio(percentile_ms(&whole, 99), percentile_ms(floor, 99)),
        "stages": stages(samples),
        "slow": slow,
    })
}

/// How long each stage of a fault took, and how often that was the longest one; the worst first.
fn stages(samples: &[Sample]) -> Vec<Value> {
    let mut of_stage: BTreeMap<&str, (Vec<Duration>, usize)> = BTreeMap::new();
    for sample in samples {
        let stages = sample.breakdown.stages();
        let longest = stages.iter().map(|(_, took)| *took).max();
        for (name, took) in stages {
            let (all, longest_in) = of_stage.entry(name).or_default();
            all.push(*took);
            *longest_in += usize::from(Some(*took) == longest);
        }
    }
    let mut stages: Vec<_> = of_stage.into_iter().collect();
    stages.sort_by_key(|(_, (all, _))| std::cmp::Reverse(all.iter().max().copied()));
    let value = |(name, (all, longest_in)): (&str, (Vec<Duration>, usize))| {
        json!({
            "stage": name, "p50_ms": percentile_ms(&all, 50), "p99_ms": percentile_ms(&all, 99),
            "max_ms": percentile_ms(&all, 100), "longest_in": longest_in,
        })
    };
    stages.into_iter().map(value).collect()
}

/// Starts an agent on a simulated node and watches what becomes of it.
async fn watch(cluster: &ControlPlane, binaries: &Path, operator: &Operator, name: &str) -> Result<Watched, Problem> {
    let simulated = scene::simulated(cluster, name)?;
    let options = AgentOptions::of_simulated(&simulated, binaries).arg("--log-level").arg("debug");
    let agent = Agent::start(cluster, binaries, name, options).await?;
    let client = cluster.admin()?;
    Ok(Watched {
        nodes: named(client.clone(), name),
        healths: named(client, name),
        logs: LogFiles::of(cluster, operator, &agent)?,
        simulated,
        _agent: agent,
    })
}

fn has_finding(health: &NodeHealth) -> bool {
    let report = health.status.as_ref().and_then(|s| s.report.as_ref());
    report.is_some_and(|r| r.findings.iter().any(|f| f.check == "xid" && f.outcome == crds::Outcome::Fail))
}

/// Makes one fault and clears it again; both ends are seen by watchers. The logs tell where its time went.
async fn one_fault(on: &mut Watched, slow_from: Duration) -> Result<Sample, Problem> {
    until_seen(&mut on.nodes, |node| !is_tainted(node)).await?;
    let logs_before = on.logs.lengths();
    let (began, began_at) = (Instant::now(), Timestamp::now());
    on.simulated.xid(0, 79, "pid='<unknown>', name=<unknown>, GPU has fallen off the bus.")?;
    let ((reported, health), tainted) =
        tokio::try_join!(first(&mut on.healths, has_finding), until_seen(&mut on.nodes, is_tainted))?;
    let (reported, tainted) = (reported - began, tainted - began);
    let (node, policy) = (on.simulated.name(), scene::POLICY);
    let fault = Fault { node, policy, began: began_at, tainted: began_at + tainted };
    let breakdown = Breakdown::of(&fault, &on.logs.since(logs_before, &fault).await?);
    let slow = (tainted >= slow_from).then(|| {
        let place = breakdown.sentence();
        eprintln!("slow: {} ms on {node}: {place}", milliseconds(tainted));
        json!({"ms": milliseconds(tainted), "where": place})
    });
    // The driver says that nothing is left to recover: the finding ends, and so does the mark.
    let recovered = "GPU recovery action changed from 0x2 (Node Reboot Required) to 0x0 (None)";
    on.simulated.xid(0, 154, recovered)?;
    until_seen(&mut on.healths, |health| !has_finding(health)).await?;
    until_seen(&mut on.nodes, |node| !is_tainted(node)).await?;
    Ok(Sample { reported, tainted, health, breakdown, slow })
}
