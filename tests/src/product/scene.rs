//! A small cluster with the whole product on it: what most scenario tests start from.

use super::{Agent, AgentOptions, Error, Operator, SimulatedNode, binary_folder, seen};
use crate::cluster::{ControlPlane, NodeSpec, Options, until};
use crds::node_health::CheckRow;
use crds::node_health_policy::NodeCounts;
use crds::{Check, HealthCheckRun, NodeHealth, NodeHealthPolicy, State};
use k8s_openapi::api::core::v1::Node;
use kube::Api;
use std::{collections::BTreeMap, ffi::OsString, path::PathBuf, time::Duration};

/// The longest that a test waits for one thing. Only a failing test waits this long, so it leaves room for a busy machine.
pub const WITHIN: Duration = Duration::from_secs(180);
/// GPUs of each simulated node.
pub const GPUS: u32 = 8;

/// A policy `name` with every monitor there is at this interval; `members` are the other members of its spec, in the flow
/// style of YAML: `mode: Enforce, nodeSelector: {}`.
pub fn policy_with_all_monitors(name: &str, interval_seconds: u32, members: &str) -> String {
    let monitors = Check::ALL.iter().filter(|check| check.is_monitor() && check.is_built());
    let each = monitors.map(|check| format!("{{name: {}, intervalSeconds: {interval_seconds}}}", check.name()));
    let monitors = each.collect::<Vec<_>>().join(", ");
    format!(
        "apiVersion: gpuhealth.dev/v1alpha1\nkind: NodeHealthPolicy\nmetadata: {{name: {name}}}\nspec: {{{members}, monitors: [{monitors}]}}\n"
    )
}

/// A control plane of its own, the operator, and simulated nodes with their agents. Dropping it ends everything.
#[derive(Debug)]
pub struct Scene {
    /// The running agents, by node.
    pub agents: BTreeMap<String, Agent>,
    /// The running operator, unless a test has stopped it.
    pub operator: Option<Operator>,
    /// The hardware of each node.
    pub nodes: BTreeMap<String, SimulatedNode>,
    /// Arguments that every agent gets.
    pub agent_args: Vec<OsString>,
    /// The folder of the product's binaries.
    pub binaries: PathBuf,
    /// The control plane.
    pub cluster: ControlPlane,
}

impl Scene {
    /// Starts a control plane, makes the Nodes and starts the operator; agents are started by [`Scene::start_agent`].
    pub async fn set(options: Options, names: &[&str]) -> Result<Self, Error> {
        let cluster = ControlPlane::start(options)?;
        cluster.install_product().await?;
        let folder = cluster.state_path().join("simulated");
        let (mut nodes, mut specs) = (BTreeMap::new(), Vec::new());
        for name in names {
            let node = SimulatedNode::boot(name, &folder, GPUS as usize)?;
            let mut spec = NodeSpec::new(*name).gpus(GPUS);
            spec.boot_id = node.boot_id();
            specs.push(spec);
            nodes.insert((*name).to_owned(), node);
        }
        cluster.create_nodes(&specs).await?;
        let binaries = binary_folder();
        let operator = Some(Operator::start(&cluster, &binaries).await?);
        Ok(Self { agents: BTreeMap::new(), operator, nodes, agent_args: Vec::new(), binaries, cluster })
    }

    /// Starts the agents of all nodes.
    pub async fn start_agents(&mut self) -> Result<(), Error> {
        let names: Vec<_> = self.nodes.keys().cloned().collect();
        for name in names {
            self.start_agent(&name).await?;
        }
        Ok(())
    }

    /// Starts the agent of one node.
    pub async fn start_agent(&mut self, node: &str) -> Result<(), Error> {
        let mut options = AgentOptions::of_simulated(&self.nodes[node], &self.binaries);
        options.args.extend(self.agent_args.iter().cloned());
        let agent = Agent::start(&self.cluster, &self.binaries, node, options).await?;
        self.agents.insert(node.to_owned(), agent);
        Ok(())
    }

    /// Starts the operator (again).
    pub async fn start_operator(&mut self) -> Result<(), Error> {
        self.operator = Some(Operator::start(&self.cluster, &self.binaries).await?);
        Ok(())
    }

    /// A run.
    pub async fn run(&self, name: &str) -> Result<HealthCheckRun, String> {
        let api: Api<HealthCheckRun> = Api::all(self.cluster.admin().map_err(|e| e.to_string())?);
        api.get(name).await.map_err(|e| e.to_string())
    }

    /// Waits until the NodeHealth of `node` is as `wanted` says.
    pub async fn until_health(
        &self,
        node: &str,
        what: &str,
        wanted: impl Fn(&NodeHealth) -> bool,
    ) -> Result<NodeHealth, Error> {
        seen::until_health(&self.cluster, node, what, WITHIN, wanted).await
    }

    /// Waits until the decision about `node` has this state.
    pub async fn until_state(&self, node: &str, state: State) -> Result<NodeHealth, Error> {
        self.until_health(node, state.as_str(), |health| seen::decided(health) == Some(&state)).await
    }

    /// Waits until the agent's row of a check is as `wanted` says.
    pub async fn until_row(
        &self,
        node: &str,
        check: &str,
        what: &str,
        wanted: impl Fn(&CheckRow) -> bool,
    ) -> Result<NodeHealth, Error> {
        let what = format!("such that {check} {what}");
        self.until_health(node, &what, |health| seen::row(health, check).is_some_and(&wanted)).await
    }

    /// Waits until the Node is as `wanted` says.
    pub async fn until_node(&self, node: &str, what: &str, wanted: impl Fn(&Node) -> bool) -> Result<Node, Error> {
        seen::until_node(&self.cluster, node, what, WITHIN, wanted).await
    }

    /// Waits until the operator has seen this policy and counts this many nodes as selected by it. Each kind has a watch of
    /// its own, so a run that is applied later may be seen earlier.
    pub async fn until_policy_matches(&self, policy: &str, nodes: usize) -> Result<(), Error> {
        let what = format!("NodeHealthPolicy {policy} to match {nodes} nodes");
        let api: Api<NodeHealthPolicy> = Api::all(self.cluster.admin()?);
        let api = &api;
        let found = until(&what, WITHIN, || async move {
            let seen = api.get(policy).await.map_err(|e| e.to_string())?;
            let matched = seen.status.map(|status| status.counts.matched);
            if matched == i64::try_from(nodes).ok() { Ok(()) } else { Err(format!("{matched:?}")) }
        });
        Ok(found.await?)
    }

    /// Waits until the operator counts the nodes of a policy as `wanted` says.
    pub async fn until_policy_counts(
        &self,
        policy: &str,
        what: &str,
        wanted: impl Fn(&NodeCounts) -> bool,
    ) -> Result<(), Error> {
        let what = format!("NodeHealthPolicy {policy} to count {what}");
        let api: Api<NodeHealthPolicy> = Api::all(self.cluster.admin()?);
        let (api, wanted) = (&api, &wanted);
        until(&what, WITHIN, || async move {
            let seen = api.get(policy).await.map_err(|error| error.to_string())?;
            let counts = seen.status.map(|status| status.counts).unwrap_or_default();
            if wanted(&counts) { Ok(()) } else { Err(format!("{counts:?}")) }
        })
        .await?;
        Ok(())
    }

    /// Waits until a run is as `wanted` says.
    pub async fn until_run(
        &self,
        run: &str,
        what: &str,
        wanted: impl Fn(&HealthCheckRun) -> bool,
    ) -> Result<HealthCheckRun, Error> {
        let what = format!("HealthCheckRun {run} to be {what}");
        let api: Api<HealthCheckRun> = Api::all(self.cluster.admin()?);
        let (api, wanted) = (&api, &wanted);
        let found = until(&what, WITHIN, || async move {
            let seen = api.get(run).await.map_err(|e| e.to_string())?;
            if wanted(&seen) { Ok(seen) } else { Err(format!("{:?}", seen.status)) }
        });
        Ok(found.await?)
    }
}
