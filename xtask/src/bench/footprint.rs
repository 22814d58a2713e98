//! Memory, processor time and writes of operator and agents at rest.

use super::scene::{self, Problem};
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
    /// How long they rest, in seconds
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(5..=3_600))]
    seconds: u32,
}

/// How many nodes the operator has, each with a running agent.
const NODES: usize = 10;
/// Judging ten nodes for the first time, and the writes that follow, end within this.
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
    let audit = cluster.audit_log().ok_or("the control plane keeps no audit log")?;
    let log_before = fs::metadata(&audit)?.len();
    let agent = family(agents[0].child.pid());
    let operator = family(operator.child.pid());
    let (agent_cpu, operator_cpu) = (cpu_seconds(&agent)?, cpu_seconds(&operator)?);
    let began = Instant::now();
    eprintln!("resting for {} s", wanted.seconds);
    tokio::time::sleep(Duration::from_secs(u64::from(wanted.seconds))).await;
    let seconds = began.elapsed().as_secs_f64();
    let per_mille = |before: f64, after: f64| round((after - before) / seconds * 1000.0);
    let figures = json!({
        "agent_rss_mib": resident_mib(&agent)?,
        "agent_cpu_millicores": per_mille(agent_cpu, cpu_seconds(&agent)?),
        "operator_rss_mib": resident_mib(&operator)?,
        "operator_cpu_millicores": per_mille(operator_cpu, cpu_seconds(&operator)?),
    });
    // The API server writes its audit log with a delay of at most a second.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let written = writes(&fs::read(&audit)?[usize::try_from(log_before)?..]);
    for other in &written.others {
        eprintln!("a write at rest: {other}");
    }
    let per_minute = |count: usize| round(f64::from(u32::try_from(count).unwrap_or(u32::MAX)) * 60.0 / seconds);
    let mib = |name: &str| -> Result<f64, Problem> {
        let bytes = u32::try_from(fs::metadata(binaries.join(name))?.len() / 1024)?;
        Ok(round(f64::from(bytes) / 1024.0))
    };
    let mut result = json!({
        "bench": "footprint", "seconds": wanted.seconds, "nodes": NODES,
        "lease_writes_per_min": per_minute(written.leases),
        "lease_writes_per_min_and_agent": per_minute(written.leases) / f64::from(u32::try_from(NODES)?),
        "other_writes_per_min": per_minute(written.others.len()),
        "agent_binary_mib": mib("gpu-health-agent")?,
        "operator_binary_mib": mib("gpu-health-operator")?,
    });
    if let (Some(all), Some(more)) = (result.as_object_mut(), figures.as_object()) {
        all.extend(more.clone());
    }
    Ok(result)
}

fn round(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

/// Resident set of these processes, in MiB; pages that they share are counted for each.
fn resident_mib(pids: &[u32]) -> Result<f64, Problem> {
    let mut kib = 0.0;
    for pid in pids {
        let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
        let line = rollup.lines().find_map(|line| line.strip_prefix("Rss:")).ok_or("no Rss in smaps_rollup")?;
        kib += line.split_whitespace().next().unwrap_or_default().parse::<f64>()?;
    }
    Ok(round(kib / 1024.0))
}

/// User and system time of these processes so far, in seconds, ended children included (proc(5), fields 14 to 17).
fn cpu_seconds(pids: &[u32]) -> Result<f64, Problem> {
    let ticks_per_second = 100.0; // USER_HZ of every Linux architecture that we build for.
    let mut ticks = 0.0;
    for pid in pids {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        let after_name = stat.rsplit(')').next().unwrap_or_default();
        for field in after_name.split_whitespace().skip(11).take(4) {
            ticks += field.parse::<f64>()?;
        }
    }
    Ok(ticks / ticks_per_second)
}

/// Writes of our processes in a piece of an audit log.
#[derive(Default)]
struct Writes {
    leases: usize,
    others: Vec<String>,
}

fn writes(audit: &[u8]) -> Writes {
    let mut writes = Writes::default();
    for line in audit.split(|byte| *byte == b'\n') {
        let Ok(event) = serde_json::from_slice::<serde_json::Value>(line) else { continue };
        let text = |pointer: &str| event.pointer(pointer).and_then(|v| v.as_str()).unwrap_or_default().to_owned();
        let verb = text("/verb");
        let ours = text("/user/username").starts_with("system:serviceaccount:gpu-health:");
        let writes_something = ["create", "update", "patch", "delete"].contains(&verb.as_str());
        if !ours || !writes_something || text("/stage") != "ResponseComplete" {
            continue;
        }
        if text("/objectRef/resource") == "leases" {
            writes.leases += 1;
        } else {
            writes.others.push(format!("{verb} {} {}", text("/objectRef/resource"), text("/objectRef/name")));
        }
    }
    writes
}

#[cfg(test)]
mod tests {
    use super::writes;

    #[test]
    fn lease_renewals_are_told_from_other_writes_and_from_other_users() {
        let event = |user: &str, verb: &str, resource: &str| {
            format!(
                r#"{{"stage":"ResponseComplete","verb":"{verb}","user":{{"username":"{user}"}},"objectRef":{{"resource":"{resource}","name":"n"}}}}"#
            )
        };
        let agent = "system:serviceaccount:gpu-health:gpu-health-agent";
        let log = [
            event(agent, "update", "leases"),
            event(agent, "patch", "nodehealths"),
            event(agent, "watch", "nodehealths"),
            event("system:kube-scheduler", "update", "leases"),
        ]
        .join("\n");
        let counted = writes(log.as_bytes());
        assert_eq!((counted.leases, counted.others), (1, vec!["patch nodehealths n".to_owned()]));
    }
}
