//! What the operator costs as the nodes grow. Real control plane and a real operator; Nodes are plain objects, and the
//! agents are requests of the bench ([`agents`]).
//!
//! For each number of nodes, on one cluster that grows:
//!
//! 1. nodes are made; the operator makes their NodeHealths; agents report: a wave of writes that lasts minutes
//! 2. in the middle of that wave some nodes fail
//! 3. an edit of the policy takes the labels from every node; in the middle of that wave some nodes fail, too
//! 4. when everything is written the operator is started anew, as at a failover, and measured until its first decision
//! 5. at rest, with one Lease renewal a minute and node
//! 6. single faults, one after the other
//!
//! A fault is a report under the name of its node's agent. Its time begins with the answer to that report and ends with the
//! event that shows the taint to a watcher; nothing else is requested meanwhile but Lease renewals.

mod agents;
mod nodes;

use super::{
    figures::{duration, milliseconds, percentile_ms},
    latency::timeline::{Breakdown, Fault, Logs},
    scene::{self, Problem},
    usage::{cpu_seconds, mib, mib_at_most, per_mille, per_minute},
    watched::{is_tainted, named, until_seen},
};
use agents::{Agents, report};
use clap::Args;
use crds::NodeHealth;
use gpu_health_tests::{
    cluster::{ControlPlane, Options},
    product::{
        Operator,
        seen::{get, metric},
    },
};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Node;
use serde_json::{Value, json};
use std::{
    fs,
    io::{Read as _, Seek as _, SeekFrom},
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

/// How many nodes fail in the middle of a wave. The slowest counts.
const IN_WAVE: usize = 5;
/// A taint that takes longer is told with its stages.
const SLOW: Duration = Duration::from_millis(100);
/// A policy without labels on nodes.
const WITHOUT_LABELS: &str = "outputs: {labels: {enabled: false}}";
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

/// What was measured while nodes were added.
struct Wave {
    taints: Vec<Duration>,
    /// The memory of the operator when everything was written.
    rss_mib: f64,
    /// The most that it had.
    peak_mib: f64,
}

/// How long a decision took.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Decision {
    /// By the clock: with what others took of the processors.
    took: Duration,
    /// Of the operator's processor time.
    cpu: Duration,
}

/// What was measured at one number of nodes.
struct Point {
    started: Duration,
    decisions: Vec<Decision>,
    rest_millicores: f64,
    rss_mib: f64,
    wave: Wave,
    other_writes_per_min: f64,
}

impl Point {
    fn figures(&self, nodes: u16) -> Value {
        let of = |pick: fn(&Decision) -> Duration| self.decisions.iter().map(pick).collect::<Vec<_>>();
        let (took, cpu) = (of(|decision| decision.took), of(|decision| decision.cpu));
        json!({
            "nodes": nodes,
            "start_s": (self.started.as_secs_f64() * 10.0).round() / 10.0,
            "decide_one_p50_ms": percentile_ms(&took, 50),
            "decide_one_p99_ms": percentile_ms(&took, 99),
            "decide_one_cpu_p50_ms": percentile_ms(&cpu, 50),
            "decide_one_cpu_p99_ms": percentile_ms(&cpu, 99),
            "rest_millicores": self.rest_millicores,
            "rss_mib": self.rss_mib,
            "rss_after_wave_mib": self.wave.rss_mib,
            "peak_mib": self.wave.peak_mib,
            "taint_in_wave_ms": percentile_ms(&self.wave.taints, 100),
            "taint_in_wave_p50_ms": percentile_ms(&self.wave.taints, 50),
            "other_writes_per_min": self.other_writes_per_min,
        })
    }
}

impl Fleet<'_> {
    async fn point(&mut self, count: usize, wanted: &Wanted) -> Result<Point, Problem> {
        let wave = self.grow(count).await?;
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
        Ok(Point { started, decisions, rest_millicores, rss_mib, wave, other_writes_per_min })
    }

    /// Adds nodes until there are this many, and waits until the operator has written everything about them.
    async fn grow(&mut self, count: usize) -> Result<Wave, Problem> {
        let began = Instant::now();
        let more: Vec<String> = scene::names("node", count).split_off(self.nodes.len());
        let specs: Vec<_> = more.iter().map(|name| nodes::with_common_labels(name)).collect();
        self.cluster.create_nodes(&specs).await?;
        let (operator, _) = start(self.cluster, self.binaries).await?;
        eprintln!("{} nodes more in {} s; the operator makes their NodeHealths", more.len(), began.elapsed().as_secs());
        // What it writes before an agent reports is part of the wave, but without NodeHealths nobody can report.
        within(scene::until_labelled(self.cluster, count)).await?;
        self.renewals.push(self.agents.renew(&more).await?);
        self.agents.report_all(&more).await?;
        let reported = began.elapsed();
        eprintln!("all agents have reported after {} s", reported.as_secs());
        // Until a watcher sees the last report, the load is that of the bench.
        for node in more.iter().rev().take(IN_WAVE) {
            let mut healths = named::<NodeHealth>(self.cluster.admin()?, node);
            until_seen(&mut healths, |health| health.status.as_ref().is_some_and(|s| s.report.is_some())).await?;
        }
        eprintln!("and a watcher has seen it after {} ms more", milliseconds(began.elapsed().saturating_sub(reported)));
        let mut taints = self.faults(&operator, &more).await?;
        within(scene::until_idle_at_last(&operator)).await?;
        eprintln!("everything is written after {} s; now the labels of all nodes go", began.elapsed().as_secs());
        self.nodes.extend(more);
        self.cluster.apply_yaml(&scene::policy(WITHOUT_LABELS)).await?;
        within(until_open(&operator)).await?;
        taints.extend(self.faults(&operator, &self.nodes).await?);
        self.cluster.apply_yaml(&scene::policy("")).await?;
        within(scene::until_idle_at_last(&operator)).await?;
        let pid = operator.child.pid();
        Ok(Wave { taints, rss_mib: mib(&[pid], "Rss:")?, peak_mib: mib_at_most(pid)? })
    }

    /// Some nodes fail, one after the other, and recover.
    async fn faults(&self, operator: &Operator, nodes: &[String]) -> Result<Vec<Duration>, Problem> {
        let open = || metric(&operator.http, "gpu_health_operator_steps_open");
        let mut taints = Vec::new();
        // The last ones: in the order of names their words are written last.
        for node in nodes.iter().rev().take(IN_WAVE) {
            let before = open().await?.unwrap_or_default();
            let log_before = fs::metadata(operator.child.log_path())?.len();
            let began = Timestamp::now();
            let took = self.one_taint(node).await?;
            eprintln!("in the wave: {} ms on {node}; {before} writes were open", milliseconds(took));
            if took > SLOW {
                let fault = Fault { node, policy: scene::POLICY, began, tainted: Timestamp::now() };
                let logs = Logs { operator: log_since(operator, log_before)?, ..Logs::default() };
                eprintln!("  {}", Breakdown::of(&fault, &logs).sentence());
            }
            taints.push(took);
        }
        for node in nodes.iter().rev().take(IN_WAVE) {
            self.agents.report(node, &report(node, None)).await?;
        }
        Ok(taints)
    }

    /// From the answer to a report to the taint, as a watcher sees it.
    async fn one_taint(&self, node: &str) -> Result<Duration, Problem> {
        let mut nodes = named::<Node>(self.cluster.admin()?, node);
        until_seen(&mut nodes, |node| !is_tainted(node)).await?;
        self.agents.report(node, &report(node, Some(3))).await?;
        let began = Instant::now();
        Ok(until_seen(&mut nodes, is_tainted).await?.saturating_duration_since(began))
    }

    /// How long the decision took that followed one fault; `None` if the log does not tell.
    async fn one_decision(&self, operator: &Operator, node: &str) -> Result<Option<Decision>, Problem> {
        let log_before = fs::metadata(operator.child.log_path())?.len();
        self.one_taint(node).await?;
        let took = urgent_decision(&log_since(operator, log_before)?);
        let mut nodes = named::<Node>(self.cluster.admin()?, node);
        self.agents.report(node, &report(node, None)).await?;
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

/// Waits until the operator has something to write.
async fn until_open(operator: &Operator) -> Result<(), Problem> {
    while metric(&operator.http, "gpu_health_operator_steps_open").await? == Some(0.0) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}

/// What the operator has logged since its log had this length.
fn log_since(operator: &Operator, length: u64) -> Result<String, Problem> {
    let mut log = fs::File::open(operator.child.log_path())?;
    log.seek(SeekFrom::Start(length))?;
    let mut text = Vec::new();
    log.read_to_end(&mut text)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// How long the first decision took that a new failure led to, by the operator's log.
fn urgent_decision(log: &str) -> Option<Decision> {
    let line = log.lines().find(|line| line.contains(" decided ") && line.contains("cause=\"urgent\""))?;
    let figure = |name: &str| duration(line.split_whitespace().find_map(|word| word.strip_prefix(name))?);
    Some(Decision { took: figure("took=")?, cpu: figure("cpu=")? })
}

#[cfg(test)]
mod tests {
    use super::{Decision, urgent_decision};
    use std::time::Duration;

    #[test]
    fn the_decision_after_a_failure_is_told_from_others() {
        let log = "2026-11-27T09:30:00Z DEBUG brain: decided cause=\"time\" took=9ms cpu=8ms steps=0\n\
                   2026-11-27T09:30:01Z DEBUG brain: decided cause=\"urgent\" took=1.5ms cpu=900µs steps=4\n\
                   2026-11-27T09:30:01Z DEBUG brain: decided cause=\"urgent\" took=7ms cpu=6ms steps=4\n";
        assert_eq!(
            urgent_decision(log),
            Some(Decision { took: Duration::from_micros(1_500), cpu: Duration::from_micros(900) })
        );
    }
}
