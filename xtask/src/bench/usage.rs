//! What processes cost, from /proc, and what they write to the API server, from its audit log.

use super::scene::Problem;
use gpu_health_tests::cluster::ControlPlane;
use std::{fs, path::PathBuf, time::Duration};

/// One decimal.
pub(super) fn round(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

/// A figure of smaps_rollup (proc(5)), summed over these processes, in MiB. `Rss:` counts a shared page once per process,
/// `Pss:` once in total.
pub(super) fn mib(pids: &[u32], figure: &str) -> Result<f64, Problem> {
    let mut kib = 0.0;
    for pid in pids {
        let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
        let line = rollup.lines().find_map(|line| line.strip_prefix(figure)).ok_or("smaps_rollup lacks a figure")?;
        kib += line.split_whitespace().next().unwrap_or_default().parse::<f64>()?;
    }
    Ok(round(kib / 1024.0))
}

/// The most memory that a process had at once (`VmHWM` in proc(5)), in MiB.
pub(super) fn mib_at_most(pid: u32) -> Result<f64, Problem> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM in /proc/*/status")?;
    let kib: f64 = line.split_whitespace().next().unwrap_or_default().parse()?;
    Ok(round(kib / 1024.0))
}

/// Bytes in MiB.
pub(super) fn mib_of_bytes(bytes: u64) -> f64 {
    round(f64::from(u32::try_from(bytes / 1024).unwrap_or(u32::MAX)) / 1024.0)
}

/// User and system time of these processes so far, in seconds, with that of their ended children (proc(5), fields 14 to 17).
pub(super) fn cpu_seconds(pids: &[u32]) -> Result<f64, Problem> {
    let ticks_per_second = 100.0; // USER_HZ on every Linux architecture that we build for.
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

/// Writes of our processes in a part of the audit log.
#[derive(Default)]
pub(super) struct Writes {
    pub(super) leases: usize,
    /// Every other write, as "verb resource name".
    pub(super) others: Vec<String>,
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

/// The part of the audit log between `begin` and `end`.
pub(super) struct Audit {
    log: PathBuf,
    before: u64,
}

impl Audit {
    pub(super) fn begin(cluster: &ControlPlane) -> Result<Self, Problem> {
        let log = cluster.audit_log().ok_or("the control plane keeps no audit log")?;
        let before = fs::metadata(&log)?.len();
        Ok(Self { log, before })
    }

    /// What was written since. Every write but Lease renewals is printed.
    pub(super) async fn end(self) -> Result<Writes, Problem> {
        // The last events may not be in the file yet.
        tokio::time::sleep(Duration::from_secs(1)).await;
        let written = writes(&fs::read(&self.log)?[usize::try_from(self.before)?..]);
        for other in &written.others {
            eprintln!("a write at rest: {other}");
        }
        Ok(written)
    }
}

/// A count as a rate per minute.
pub(super) fn per_minute(count: usize, seconds: f64) -> f64 {
    round(f64::from(u32::try_from(count).unwrap_or(u32::MAX)) * 60.0 / seconds)
}

/// Thousandths of one processor.
pub(super) fn per_mille(cpu_seconds: f64, seconds: f64) -> f64 {
    round(cpu_seconds / seconds * 1000.0)
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
