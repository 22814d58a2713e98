//! One agent on a simulated node with eight GPUs and all monitors on: what it costs at rest, and how long it takes to
//! report a fault.
//!
//! A latency begins right before the file with the fault is written and ends with the line that the agent logs right before
//! it hands the report to its HTTP client.

use super::{
    figures::percentile_ms,
    scene::{self, Problem},
    usage::{Audit, cpu_seconds, mib, mib_of_bytes, per_mille, per_minute},
};
use clap::Args;
use crds::NodeHealth;
use gpu_health_tests::{
    cluster::{ControlPlane, NodeSpec, Options},
    process::{cgroup::Memory, member},
    product::{
        Agent, AgentOptions, Operator, SimulatedNode,
        seen::{findings, until_health},
    },
};
use jiff::Timestamp;
use node_agent::judge::interval_seconds;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    fs::File,
    io::{Read as _, Seek as _, SeekFrom},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// How much is measured.
#[derive(Debug, Clone, Args)]
pub(crate) struct Wanted {
    /// How long to measure at rest, in seconds
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u32).range(5..=86_400))]
    seconds: u32,
    /// How many faults in the kernel log
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=5_000))]
    faults: u16,
    /// How many changes of a counter
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u16).range(1..=5_000))]
    changes: u16,
}

const NODE: &str = "node-0001";
const GPUS: usize = 8;
/// The first samples and the writes that follow them are done by then.
const SETTLE: Duration = Duration::from_secs(15);
/// The interval of `ecc` while changes of its counters are measured, in seconds.
const INTERVAL: u32 = 2;
/// A new interval takes effect within this time: one default interval and a margin.
const FOLLOWED_WITHIN: Duration = Duration::from_secs(90);
/// A fault that takes longer than this is lost, and the bench fails.
const LOST_AFTER: Duration = Duration::from_secs(30);
/// What the agent logs at debug when it sends a report for a fault in the kernel log, and for a reading.
const FROM_THE_LOG: &str = "a fault goes from the kernel log to the API server";
const FROM_A_READING: &str = "a finding goes from a reading to the API server";

pub(crate) async fn measure(binaries: &Path, wanted: &Wanted) -> Result<Value, Problem> {
    let options = Options { kcm: true, kwok: true, audit: true, ..Options::default() };
    let cluster = scene::cluster_with(&[NodeSpec::new(NODE)], options).await?;
    let _operator = Operator::start(&cluster, binaries).await?;
    let node = SimulatedNode::boot(NODE, &cluster.state_path().join("simulated"), GPUS)?;
    let options = AgentOptions::of_simulated(&node, binaries).arg("--log-level").arg("debug");
    let group = memory_group();
    let options = AgentOptions { cgroup_procs: group.as_ref().map(Memory::procs), ..options };
    let agent = Agent::start(&cluster, binaries, NODE, options).await?;
    scene::until_judged(&cluster, 1, &[NODE.to_owned()]).await?;
    tokio::time::sleep(SETTLE).await;
    let mut all = rest(&cluster, &agent, group.as_ref(), wanted.seconds).await?;
    let mut intervals = intervals(&cluster).await?;
    eprintln!("{} faults in the kernel log", wanted.faults);
    let log = agent.child.log_path().to_owned();
    let bench = Bench { cluster, node, log };
    let faults = bench.faults(wanted.faults).await?;
    eprintln!("{} changes of a counter", wanted.changes);
    let changes = bench.changes(wanted.changes).await?;
    intervals.insert("ecc while its changes are measured".to_owned(), i64::from(INTERVAL) * 1000);
    let latencies = json!({
        "kmsg_to_report_p50_ms": percentile_ms(&faults, 50), "kmsg_to_report_p99_ms": percentile_ms(&faults, 99),
        "counter_to_report_p50_ms": percentile_ms(&changes, 50), "counter_to_report_p99_ms": percentile_ms(&changes, 99),
        "faults": faults.len(), "changes": changes.len(), "intervals_ms": intervals,
    });
    if let (Some(all), Some(more)) = (all.as_object_mut(), latencies.as_object()) {
        all.extend(more.clone());
    }
    Ok(all)
}

/// A group for reporter, runner and sampler, where control groups can be made.
fn memory_group() -> Option<Memory> {
    Memory::make("gpu-health-bench").inspect_err(|error| eprintln!("cgroup_mib is null: {error}")).ok()
}

/// Memory, processor and writes while nothing happens.
async fn rest(cluster: &ControlPlane, agent: &Agent, group: Option<&Memory>, seconds: u32) -> Result<Value, Problem> {
    let reporter = agent.child.pid();
    let runner = member(reporter, "runner").ok_or("the agent has no runner")?;
    let sampler = member(reporter, "sampler").ok_or("the agent has no sampler")?;
    let all = [reporter, runner, sampler];
    let audit = Audit::begin(cluster)?;
    let cpu_before = cpu_seconds(&all)?;
    let began = Instant::now();
    eprintln!("measuring at rest for {seconds} s");
    tokio::time::sleep(Duration::from_secs(u64::from(seconds))).await;
    let took = began.elapsed().as_secs_f64();
    let cpu = cpu_seconds(&all)? - cpu_before;
    let cgroup_mib = group.map(Memory::bytes).transpose()?.map(mib_of_bytes);
    let written = audit.end().await?;
    Ok(json!({
        "bench": "agent", "gpus": GPUS, "driver": "fake", "seconds": seconds,
        "pss_mib": mib(&all, "Pss:")?, "reporter_pss_mib": mib(&[reporter], "Pss:")?,
        "runner_pss_mib": mib(&[runner], "Pss:")?, "sampler_pss_mib": mib(&[sampler], "Pss:")?,
        "cgroup_mib": cgroup_mib,
        "cpu_millicores": per_mille(cpu, took),
        "lease_writes_per_min": per_minute(written.leases, took),
        "other_writes_per_min": per_minute(written.others.len(), took),
    }))
}

/// The interval of each monitor in milliseconds, as the NodeHealth orders it.
async fn intervals(cluster: &ControlPlane) -> Result<BTreeMap<String, i64>, Problem> {
    let health = until_health(cluster, NODE, "there", LOST_AFTER, |_| true).await?;
    Ok(health.spec.monitors.iter().map(|monitor| (monitor.name.clone(), interval_seconds(monitor) * 1000)).collect())
}

struct Bench {
    cluster: ControlPlane,
    node: SimulatedNode,
    log: PathBuf,
}

impl Bench {
    /// From the line in the kernel log to the report.
    async fn faults(&self, count: u16) -> Result<Vec<Duration>, Problem> {
        let mut took = Vec::new();
        for _ in 0..count {
            let fault = || self.node.xid(0, 79, "pid='<unknown>', name=<unknown>, GPU has fallen off the bus.");
            took.push(self.one(fault, FROM_THE_LOG, LOST_AFTER).await?);
            let recovered = "GPU recovery action changed from 0x2 (Node Reboot Required) to 0x0 (None)";
            self.node.xid(0, 154, recovered)?;
            self.until_well("xid").await?;
        }
        Ok(took)
    }

    /// From the change in the driver's state to the report. Changes are spread evenly between two samples.
    async fn changes(&self, count: u16) -> Result<Vec<Duration>, Problem> {
        let policy = scene::policy(&format!("monitors: [{{name: ecc, intervalSeconds: {INTERVAL}}}]"));
        self.cluster.apply_yaml(&policy).await?;
        let mut took = Vec::new();
        for change in 0..=count {
            // Multiples of the golden ratio spread evenly over the interval.
            let moment = (f64::from(change) * 0.618_034).fract() * f64::from(INTERVAL);
            tokio::time::sleep(Duration::from_secs_f64(moment)).await;
            let errors = |count: u64| self.node.set_gpu(0, "ecc", json!({"volatile_uncorrected": count}));
            let within = if change == 0 { FOLLOWED_WITHIN } else { LOST_AFTER };
            let waited = self.one(|| errors(1), FROM_A_READING, within).await?;
            // The first still waits for the previous interval.
            if change > 0 {
                took.push(waited);
            }
            errors(0)?;
            self.until_well("ecc").await?;
        }
        Ok(took)
    }

    /// Makes a change and reads from the agent's log when the report was sent.
    async fn one(
        &self,
        change: impl FnOnce() -> Result<(), gpu_health_tests::product::Error>,
        line: &str,
        within: Duration,
    ) -> Result<Duration, Problem> {
        let mut log = File::open(&self.log)?;
        log.seek(SeekFrom::End(0))?;
        let before = Timestamp::now();
        change()?;
        let mut text = String::new();
        let reading = async {
            loop {
                log.read_to_string(&mut text)?;
                if let Some(at) = said_at(&text, line) {
                    return Ok::<_, Problem>(Duration::try_from(at.duration_since(before))?);
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(within, reading).await.map_err(|_| Problem::from(format!("no line {line:?} in time")))?
    }

    async fn until_well(&self, check: &str) -> Result<(), Problem> {
        let is_well = |health: &NodeHealth| findings(health).iter().all(|finding| finding.check != check);
        until_health(&self.cluster, NODE, &format!("without a finding of {check}"), LOST_AFTER, is_well).await?;
        Ok(())
    }
}

/// The timestamp of the first complete line that contains this text.
fn said_at(log: &str, what: &str) -> Option<Timestamp> {
    let whole = &log[..log.rfind('\n')?];
    whole.lines().find(|line| line.contains(what))?.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_timestamp_of_a_line_is_read_once_the_line_is_complete() {
        let line = format!("2026-01-02T03:04:05.123456Z DEBUG node_agent::run: {FROM_THE_LOG} milliseconds=1");
        assert_eq!(said_at(&format!("other\n{line}"), FROM_THE_LOG), None);
        let read = said_at(&format!("other\n{line}\nmore"), FROM_THE_LOG).unwrap();
        assert_eq!(read.to_string(), "2026-01-02T03:04:05.123456Z");
        assert_eq!(said_at(&format!("{line}\n"), FROM_A_READING), None);
    }
}
