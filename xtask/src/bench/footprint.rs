//! Memory, processor time and writes of operator and agents at rest.

use super::{
    scene::{self, Problem},
    usage::{Audit, cpu_seconds, mib, per_mille, per_minute, round},
};
use clap::Args;
use gpu_health_tests::{
    cluster::{NodeSpec, Options},
    process::family,
    product::Operator,
};
use serde_json::json;
use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

/// How much is measured.
#[derive(Debug, Clone, Args)]
pub(crate) struct Wanted {
    /// How long to measure at rest, in seconds
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(5..=3_600))]
    seconds: u32,
}

/// How many nodes there are, each with a running agent.
const NODES: usize = 10;
/// The first judgement of ten nodes and the writes that follow are done by then.
const SETTLE: Duration = Duration::from_secs(10);

pub(crate) async fn measure(binaries: &Path, wanted: &Wanted) -> Result<serde_json::Value, Problem> {
    let names = scene::names("node", NODES);
    let specs: Vec<_> = names.iter().map(NodeSpec::new).collect();
    let options = Options { kcm: true, kwok: true, audit: true, ..Options::default() };
    let cluster = scene::cluster_with(&specs, options).await?;
    let operator = Operator::start(&cluster, binaries).await?;
    let mut agents = Vec::new();
    for name in &names {
        agents.push(scene::agent_on(&cluster, binaries, name).await?.1);
    }
    scene::until_judged(&cluster, NODES, &names).await?;
    tokio::time::sleep(SETTLE).await;
    let audit = Audit::begin(&cluster)?;
    let agent = family(agents[0].child.pid());
    let operator = family(operator.child.pid());
    let (agent_cpu, operator_cpu) = (cpu_seconds(&agent)?, cpu_seconds(&operator)?);
    let began = Instant::now();
    eprintln!("measuring at rest for {} s", wanted.seconds);
    tokio::time::sleep(Duration::from_secs(u64::from(wanted.seconds))).await;
    let seconds = began.elapsed().as_secs_f64();
    let figures = json!({
        "agent_rss_mib": mib(&agent, "Rss:")?,
        "agent_cpu_millicores": per_mille(cpu_seconds(&agent)? - agent_cpu, seconds),
        "operator_rss_mib": mib(&operator, "Rss:")?,
        "operator_cpu_millicores": per_mille(cpu_seconds(&operator)? - operator_cpu, seconds),
    });
    let written = audit.end().await?;
    let binary_mib = |name: &str| -> Result<f64, Problem> {
        let bytes = u32::try_from(fs::metadata(binaries.join(name))?.len() / 1024)?;
        Ok(round(f64::from(bytes) / 1024.0))
    };
    let mut result = json!({
        "bench": "footprint", "seconds": wanted.seconds, "nodes": NODES,
        "lease_writes_per_min": per_minute(written.leases, seconds),
        "lease_writes_per_min_and_agent": per_minute(written.leases, seconds) / f64::from(u32::try_from(NODES)?),
        "other_writes_per_min": per_minute(written.others.len(), seconds),
        "agent_binary_mib": binary_mib("gpu-health-agent")?,
        "operator_binary_mib": binary_mib("gpu-health-operator")?,
    });
    if let (Some(all), Some(more)) = (result.as_object_mut(), figures.as_object()) {
        all.extend(more.clone());
    }
    Ok(result)
}
