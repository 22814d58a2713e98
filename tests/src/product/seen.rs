//! What the API server shows of nodes, and waiting for it. Scenarios and the demo look in the same way.

use super::Error;
use crate::cluster::{ControlPlane, until};
use crds::node_health::{CheckRow, Finding};
use crds::{NodeHealth, State, names};
use k8s_openapi::api::core::v1::{Node, Taint};
use kube::Api;
use std::time::Duration;

/// Waits until the NodeHealth of `node` is as `wanted` says; the error shows what it was instead.
pub async fn until_health(
    cluster: &ControlPlane,
    node: &str,
    what: &str,
    within: Duration,
    wanted: impl Fn(&NodeHealth) -> bool,
) -> Result<NodeHealth, Error> {
    let api: Api<NodeHealth> = Api::all(cluster.admin()?);
    let (api, wanted) = (&api, &wanted);
    let what = format!("NodeHealth {node} to be {what}");
    let found = until(&what, within, || async move {
        match api.get_opt(node).await {
            Ok(Some(health)) if wanted(&health) => Ok(health),
            Ok(Some(health)) => Err(described(&health)),
            Ok(None) => Err("there is none".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    });
    Ok(found.await?)
}

fn described(health: &NodeHealth) -> String {
    let status = health.status.as_ref();
    let decision = status.and_then(|s| s.decision.as_ref());
    let decision = decision.map_or_else(|| "none".to_owned(), |d| format!("{} ({}): {}", d.state, d.reason, d.message));
    let findings = status.and_then(|s| s.report.as_ref()).map(|r| &r.findings);
    format!("its decision is {decision}; its findings are {findings:?}")
}

/// Waits until the Node is as `wanted` says; the error shows what it was instead.
pub async fn until_node(
    cluster: &ControlPlane,
    node: &str,
    what: &str,
    within: Duration,
    wanted: impl Fn(&Node) -> bool,
) -> Result<Node, Error> {
    let api: Api<Node> = Api::all(cluster.admin()?);
    let (api, wanted) = (&api, &wanted);
    let what = format!("Node {node} to have {what}");
    let found = until(&what, within, || async move {
        match api.get(node).await {
            Ok(seen) if wanted(&seen) => Ok(seen),
            Ok(seen) => Err(format!("{:?}", (seen.spec, seen.metadata.labels))),
            Err(error) => Err(error.to_string()),
        }
    });
    Ok(found.await?)
}

/// The state that was decided, if any.
pub fn decided(health: &NodeHealth) -> Option<&State> {
    health.status.as_ref()?.decision.as_ref().map(|d| &d.state)
}

/// What the agent has found.
pub fn findings(health: &NodeHealth) -> &[Finding] {
    let report = health.status.as_ref().and_then(|status| status.report.as_ref());
    report.map_or(&[], |report| &report.findings)
}

/// The agent's row of a check.
pub fn row<'a>(health: &'a NodeHealth, check: &str) -> Option<&'a CheckRow> {
    health.status.as_ref()?.report.as_ref()?.checks.iter().find(|row| row.check == check)
}

/// Our taints of the key `gpuhealth.dev/unhealthy` on a Node.
pub fn unhealthy_taints(node: &Node) -> Vec<Taint> {
    let taints = node.spec.as_ref().and_then(|s| s.taints.clone()).unwrap_or_default();
    taints.into_iter().filter(|t| t.key == names::TAINT_UNHEALTHY).collect()
}

/// Whether PATH has a program of this name.
pub fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// The resident memory of a process, in KiB (VmRSS, proc(5)); `None` if it is gone.
pub fn resident_kib(pid: u32) -> Option<u64> {
    of_status(pid, "VmRSS:")
}

/// What a process has allocated, in KiB (RssAnon, proc(5)); `None` if it is gone. Pages of the program's file come and go:
/// they say nothing about growth.
pub fn allocated_kib(pid: u32) -> Option<u64> {
    of_status(pid, "RssAnon:")
}

fn of_status(pid: u32, field: &str) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    line.split_whitespace().next()?.parse().ok()
}

/// The status and body with which a process of the product answers `GET path`.
pub async fn get(address: &str, path: &str) -> std::io::Result<(u16, String)> {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut stream = tokio::net::TcpStream::connect(address).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let broken = || std::io::Error::other(format!("{address}{path} answered no HTTP"));
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(broken)?;
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).ok_or_else(broken)?;
    Ok((status, body.to_owned()))
}

/// The value of a metric, by its name and labels as the text format writes them.
pub async fn metric(address: &str, name: &str) -> std::io::Result<Option<f64>> {
    let (_, text) = get(address, "/metrics").await?;
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    Ok(value.and_then(|value| value.trim().parse().ok()))
}
