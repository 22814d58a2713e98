//! What the operator costs as the nodes grow. Real control plane and a real operator; Nodes are plain objects, and the
//! agents are requests of the bench ([`agents`]).
//!
//! For each number of nodes, on one cluster that grows:
//!
//! 1. nodes are made; the operator makes their NodeHealths; agents report: a wave of writes that lasts minutes
//! 2. in the middle of that wave some nodes fail
//! 3. when everything is written the operator is started anew, as at a failover, and measured until its first decision
//! 4. at rest, with one Lease renewal a minute and node
//! 5. single faults, one after the other

mod agents;

use super::{
    figures::{duration, milliseconds, percentile_ms},
    scene::{self, Problem},
    usage::{cpu_seconds, mib, per_mille, per_minute},
    watched::{is_tainted, named, until_seen},
};
use agents::{Agents, report};
use clap::Args;
use gpu_health_tests::{
    cluster::{ControlPlane, NodeSpec, Options},
    product::{
        Operator,
        seen::{get, metric},
    },
};
use k8s_openapi::api::core::v1::Node;
use serde_json::{Value, json};
use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};
use tokio::task::JoinHandle;

/// How much is measured.
#[derive(Debug, Clone, Args)]
pub(crate) struct Wanted {
    /// How many nodes there are, in ascending order; a thousand take about five minutes on 2 cores
    #[arg(long, value_delimiter = ',', default_value = "1000", value_parser = clap::value_parser!(u16).range(10..=20_000))]
    nodes: Vec<u16>,
    /// How many single faults
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    faults: u16,
    /// How long to measure at rest, in seconds
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(5..=3_600))]
    seconds: u32,
}

/// How many nodes fail in the middle of the wave. The slowest counts.
const IN_WAVE: usize = 5;
/// How long the writes that a node costs may take at most, and how long a wave takes at least.
const WAVE_WITHIN: Duration = Duration::from_secs(3_600);

/// The cluster as it grows.
struct Fleet<'a> {
    cluster: &'a ControlPlane,
    binaries: &'a Path,
    agents: Agents,
    /// Names of all nodes so far.
    nodes: Vec<String>,
    renewals: Vec<JoinHandle<()>>,
}

pub(crate) async fn measure(binaries: &Path, wanted: &Wanted) -> Result<Value, Problem> {
    if !wanted.nodes.is_sorted() {
        return Err("--nodes must be in ascending order: the cluster only grows".into());
    }
    let cluster = scene::cluster_with(&[], Options::default()).await?;
    let empty = start(&cluster, binaries).await?.0;
    let base_mib = mib(&[empty.child.pid()], "Rss:")?;
    drop(empty);
    let agents = Agents::of(&cluster)?;
    let mut fleet = Fleet { cluster: &cluster, binaries, agents, nodes: Vec::new(), renewals: Vec::new() };
    let mut points = Vec::new();
    let mut kib_per_node = 0.0;
    for count in &wanted.nodes {
        let point = fleet.point(usize::from(*count), wanted).await?;
        kib_per_node = (point.rss_mib - base_mib) * 1024.0 / f64::from(*count);
        let point = point.figures(*count);
        eprintln!("{point}");
        points.push(point);
    }
    for task in &fleet.renewals {
        task.abort();
    }
    Ok(json!({"bench": "scale", "points": points, "kib_per_node": (kib_per_node * 10.0).round() / 10.0}))
}

/// What was measured at one number of nodes.
struct Point {
    started: Duration,
    decisions: Vec<Duration>,
    rest_millicores: f64,
    rss_mib: f64,
    taint_in_wave: Duration,
    other_writes_per_min: f64,
}

impl Point {
    fn figures(&self, nodes: u16) -> Value {
        json!({
            "nodes": nodes,
            "start_s": (self.started.as_secs_f64() * 10.0).round() / 10.0,
            "decide_one_p50_ms": percentile_ms(&self.decisions, 50),
            "decide_one_p99_ms": percentile_ms(&self.decisions, 99),
            "rest_millicores": self.rest_millicores,
            "rss_mib": self.rss_mib,
            "taint_in_wave_ms": milliseconds(self.taint_in_wave),
            "other_writes_per_min": self.other_writes_per_min,
        })
    }
}

impl Fleet<'_> {
    async fn point(&mut self, count: usize, wanted: &Wanted) -> Result<Point, Problem> {
        let taint_in_wave = self.grow(count).await?;
        let (operator, started) = start(self.cluster, self.binaries).await?;
        eprintln!("{count} nodes: first decision after {} ms", milliseconds(started));
        within(scene::until_idle_at_last(&operator)).await?;
        let (rest_millicores, other_writes_per_min) = rest(&operator, wanted.seconds).await?;
        let rss_mib = mib(&[operator.child.pid()], "Rss:")?;
        let mut decisions = Vec::new();
        for fault in 0..usize::from(wanted.faults) {
            // A prime step, so that neighbours in the order of names do not follow one another.
            let node = &self.nodes[fault * 7919 % self.nodes.len()];
            decisions.extend(self.one_decision(&operator, node).await?);
        }
        Ok(Point { started, decisions, rest_millicores, rss_mib, taint_in_wave, other_writes_per_min })
    }

    /// Adds nodes until there are this many, and waits until the operator has written everything about them. Returns how
    /// long a taint took at most in the middle of these writes.
    async fn grow(&mut self, count: usize) -> Result<Duration, Problem> {
        let more: Vec<String> = scene::names("node", count).split_off(self.nodes.len());
        let specs: Vec<_> = more.iter().map(NodeSpec::new).collect();
        self.cluster.create_nodes(&specs).await?;
        let (operator, _) = start(self.cluster, self.binaries).await?;
        eprintln!("{} nodes more; the operator makes their NodeHealths", more.len());
        // What it writes before an agent reports is part of the wave, but without NodeHealths nobody can report.
        within(scene::until_labelled(self.cluster, count)).await?;
        self.renewals.push(self.agents.renew(&more).await?);
        self.agents.report_all(&more).await?;
        let open = metric(&operator.http, "gpu_health_operator_steps_open").await?.unwrap_or_default();
        eprintln!("all agents have reported; {open} writes are open");
        let mut slowest = Duration::ZERO;
        // The last ones: in the order of names their words are written last.
        for node in more.iter().rev().take(IN_WAVE) {
            let took = self.one_taint(node).await?;
            eprintln!("in the wave: {} ms on {node}", milliseconds(took));
            slowest = slowest.max(took);
        }
        let open = metric(&operator.http, "gpu_health_operator_steps_open").await?.unwrap_or_default();
        eprintln!("{open} writes are still open");
        for node in more.iter().rev().take(IN_WAVE) {
            self.agents.report(node, &report(None)).await?;
        }
        within(scene::until_idle_at_last(&operator)).await?;
        self.nodes.extend(more);
        Ok(slowest)
    }

    /// From the answer to a report to the taint, as a watcher sees it.
    async fn one_taint(&self, node: &str) -> Result<Duration, Problem> {
        let mut nodes = named::<Node>(self.cluster.admin()?, node);
        until_seen(&mut nodes, |node| !is_tainted(node)).await?;
        self.agents.report(node, &report(Some(3))).await?;
        let began = Instant::now();
        Ok(until_seen(&mut nodes, is_tainted).await?.saturating_duration_since(began))
    }

    /// How long the decision took that followed one fault; `None` if the log does not tell.
    async fn one_decision(&self, operator: &Operator, node: &str) -> Result<Option<Duration>, Problem> {
        let log_before = fs::metadata(operator.child.log_path())?.len();
        self.one_taint(node).await?;
        let log = fs::read(operator.child.log_path())?;
        let since = log.get(usize::try_from(log_before)?..).unwrap_or_default();
        let took = urgent_decision(&String::from_utf8_lossy(since));
        let mut nodes = named::<Node>(self.cluster.admin()?, node);
        self.agents.report(node, &report(None)).await?;
        until_seen(&mut nodes, |node| !is_tainted(node)).await?;
        scene::until_no_open(operator).await?;
        Ok(took)
    }
}

/// Starts the operator. Returns it and how long it took until its first decision was made.
async fn start(cluster: &ControlPlane, binaries: &Path) -> Result<(Operator, Duration), Problem> {
    let began = Instant::now();
    let operator = Operator::start_with(cluster, binaries, "gpu-health-operator", &["--log-level", "debug"]).await?;
    let decided = async {
        while get(&operator.http, "/readyz").await?.0 != 200
            || metric(&operator.http, "gpu_health_operator_decide_seconds_count").await? < Some(1.0)
        {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok::<(), Problem>(())
    };
    within(decided).await?;
    Ok((operator, began.elapsed()))
}

/// Processor time in thousandths of a core, and writes per minute, while nothing happens but renewals.
async fn rest(operator: &Operator, seconds: u32) -> Result<(f64, f64), Problem> {
    let pids = [operator.child.pid()];
    let (cpu, writes, began) = (cpu_seconds(&pids)?, writes(operator).await?, Instant::now());
    eprintln!("measuring at rest for {seconds} s");
    tokio::time::sleep(Duration::from_secs(u64::from(seconds))).await;
    let took = began.elapsed().as_secs_f64();
    let cpu = per_mille(cpu_seconds(&pids)? - cpu, took);
    Ok((cpu, per_minute(self::writes(operator).await?.saturating_sub(writes), took)))
}

/// How many requests that write the operator has sent.
async fn writes(operator: &Operator) -> Result<usize, Problem> {
    let (_, text) = get(&operator.http, "/metrics").await?;
    let counts = text.lines().filter(|line| line.starts_with("gpu_health_operator_writes_total{"));
    let counts = counts.filter_map(|line| line.rsplit(' ').next()?.parse::<usize>().ok());
    Ok(counts.sum())
}

async fn within<T>(done: impl Future<Output = Result<T, Problem>>) -> Result<T, Problem> {
    tokio::time::timeout(WAVE_WITHIN, done).await.map_err(|_| Problem::from("the operator did not finish in time"))?
}

/// How long the first decision took that a new failure led to, by the operator's log.
fn urgent_decision(log: &str) -> Option<Duration> {
    let line = log.lines().find(|line| line.contains(" decided ") && line.contains("cause=\"urgent\""))?;
    duration(line.split_whitespace().find_map(|word| word.strip_prefix("took="))?)
}

#[cfg(test)]
mod tests {
    use super::urgent_decision;
    use std::time::Duration;

    #[test]
    fn the_decision_after_a_failure_is_told_from_others() {
        let log = "2026-11-27T09:30:00Z DEBUG brain: decided cause=\"time\" took=9ms steps=0\n\
                   2026-11-27T09:30:01Z DEBUG brain: decided cause=\"urgent\" took=1.5ms steps=4\n\
                   2026-11-27T09:30:01Z DEBUG brain: decided cause=\"urgent\" took=7ms steps=4\n";
        assert_eq!(urgent_decision(log), Some(Duration::from_micros(1_500)));
    }
}
