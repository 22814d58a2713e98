//! What benches run on: a control plane, many nodes, release binaries.

use crate::cargo::cargo;
use gpu_health_tests::{
    cluster::{ControlPlane, NodeSpec, Options, until},
    product::{Agent, AgentOptions, Operator, SimulatedNode, binary_folder, seen::metric},
};
use k8s_openapi::api::core::v1::Node;
use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

pub(crate) type Problem = Box<dyn std::error::Error + Send + Sync>;

/// The name of the benches' policy.
pub(crate) const POLICY: &str = "bench";

/// A policy that marks whatever it finds: benches must not wait for budget. `more` are further members of its spec, in the
/// flow style of YAML.
pub(crate) fn policy(more: &str) -> String {
    format!(
        r"
apiVersion: gpuhealth.dev/v1alpha1
kind: NodeHealthPolicy
metadata: {{name: {POLICY}}}
spec: {{mode: Enforce, nodeSelector: {{}}, bootGraceSeconds: 0, budget: {{maxUnavailable: 100%}}, {more}}}
"
    )
}

/// A thousand nodes have their NodeHealth after about 20 s on 2 cores.
const STAGE_WITHIN: Duration = Duration::from_secs(300);
/// Longer than any pause of the operator between two writes of one burst.
const IDLE: Duration = Duration::from_secs(3);

/// Builds operator, agent and simulated driver library for release. Returns the folder of the binaries.
pub(crate) fn build_release() -> Result<PathBuf, Problem> {
    eprintln!("building release binaries (about 3 min the first time)");
    let packages = ["--package", "operator", "--package", "node-agent", "--package", "fake-nvml"];
    let status = cargo().args(["build", "--release", "--quiet"]).args(packages).status()?;
    if !status.success() {
        return Err("cargo build --release failed; its output is above".into());
    }
    let own = binary_folder();
    Ok(own.parent().unwrap_or(&own).join("release"))
}

/// Starts a control plane with `nodes` Ready accelerator nodes and the policy of the benches.
pub(crate) async fn cluster_with(nodes: &[NodeSpec], options: Options) -> Result<ControlPlane, Problem> {
    let cluster = tokio::task::spawn_blocking(move || ControlPlane::start(options)).await??;
    cluster.install_product().await?;
    cluster.create_nodes(nodes).await?;
    cluster.apply_yaml(&policy("")).await?;
    Ok(cluster)
}

/// The hardware of a simulated node with eight GPUs.
pub(crate) fn simulated(cluster: &ControlPlane, name: &str) -> Result<SimulatedNode, Problem> {
    Ok(SimulatedNode::boot(name, &cluster.state_path().join("simulated"), 8)?)
}

/// Starts a simulated node and its agent.
pub(crate) async fn agent_on(
    cluster: &ControlPlane,
    binaries: &Path,
    name: &str,
) -> Result<(SimulatedNode, Agent), Problem> {
    let node = simulated(cluster, name)?;
    let agent = Agent::start(cluster, binaries, name, AgentOptions::of_simulated(&node, binaries)).await?;
    Ok((node, agent))
}

/// Waits until the operator has labelled this many nodes and those in `judged` are Healthy: from then on it writes nothing
/// unless something happens.
pub(crate) async fn until_judged(cluster: &ControlPlane, count: usize, judged: &[String]) -> Result<(), Problem> {
    let labelling = until_labelled(cluster, count);
    tokio::time::timeout(STAGE_WITHIN, labelling).await.map_err(|_| "the nodes were not all labelled in time")??;
    let api: kube::Api<crds::NodeHealth> = kube::Api::all(cluster.admin()?);
    let api = &api;
    for name in judged {
        until(&format!("{name} to be Healthy"), STAGE_WITHIN, || async move {
            let health = api.get(name).await.map_err(|e| e.to_string())?;
            match health.status.and_then(|s| s.decision) {
                Some(d) if d.state == crds::State::Healthy => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await?;
    }
    Ok(())
}

/// Waits until the operator has labelled this many nodes.
pub(crate) async fn until_labelled(cluster: &ControlPlane, count: usize) -> Result<(), Problem> {
    let nodes: kube::Api<Node> = kube::Api::all(cluster.admin()?);
    let labelled = kube::api::ListParams::default().labels(crds::names::LABEL_HEALTH);
    // Listing a thousand nodes costs the API server something too.
    let pause = Duration::from_millis(500 * u64::try_from(count.div_ceil(1000))?);
    while nodes.list_metadata(&labelled).await?.items.len() < count {
        tokio::time::sleep(pause).await;
    }
    Ok(())
}

/// Waits until the operator has no write to do.
pub(crate) async fn until_no_open(operator: &Operator) -> Result<(), Problem> {
    while metric(&operator.http, "gpu_health_operator_steps_open").await? != Some(0.0) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

/// Waits until the operator has had no write to do for [`IDLE`]. Before, a fault would wait behind the writes that the first
/// judgement of all nodes costs.
pub(crate) async fn until_idle(operator: &Operator) -> Result<(), Problem> {
    let idle = until_idle_at_last(operator);
    tokio::time::timeout(STAGE_WITHIN, idle).await.map_err(|_| Problem::from("the operator did not become idle"))?
}

/// The same without a limit.
pub(crate) async fn until_idle_at_last(operator: &Operator) -> Result<(), Problem> {
    let mut idle_since = Instant::now();
    while idle_since.elapsed() < IDLE {
        tokio::time::sleep(Duration::from_millis(100)).await;
        if metric(&operator.http, "gpu_health_operator_steps_open").await? != Some(0.0) {
            idle_since = Instant::now();
        }
    }
    Ok(())
}

/// Names `prefix-0001` and so on.
pub(crate) fn names(prefix: &str, count: usize) -> Vec<String> {
    (1..=count).map(|n| format!("{prefix}-{n:04}")).collect()
}
