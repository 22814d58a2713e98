//! What runs in the demo: a control plane, this machine and three simulated GPU nodes, the operator and the agents.

use super::{Failure, told::Teller};
use crate::cargo::cargo;
use gpu_health_tests::{
    cluster::{ControlPlane, NodeSpec, Options, binaries},
    product::{Agent, AgentOptions, Operator, SimulatedNode, binary_folder},
};
use std::{collections::BTreeMap, path::PathBuf, time::Instant};

/// The simulated GPU nodes.
pub(crate) const SIMULATED: [&str; 3] = ["sim-1", "sim-2", "sim-3"];
type Problem = Box<dyn std::error::Error + Send + Sync>;

const GPUS: u32 = 8;
/// The instance type of the profile in examples/profile-h100.yaml.
const INSTANCE_TYPE: (&str, &str) = ("node.kubernetes.io/instance-type", "p5.48xlarge");

/// Everything that runs. Dropping it ends all of it, agents first.
pub(crate) struct Stage {
    pub(crate) agents: BTreeMap<String, Agent>,
    _operator: Operator,
    pub(crate) simulated: BTreeMap<String, SimulatedNode>,
    pub(crate) this_machine: String,
    binaries: PathBuf,
    pub(crate) cluster: ControlPlane,
}

/// What is built with cargo. This program is among it, so that all crates have the same features as they were built with for
/// it, and none is built twice.
const PACKAGES: [&str; 4] = ["xtask", "operator", "node-agent", "fake-nvml"];

/// What the control plane consists of.
pub(crate) fn options(full: bool) -> Options {
    Options { kcm: full, scheduler: full, kwok: full, ..Options::default() }
}

/// Builds the product with cargo, and beside it whatever is missing of the control plane with Go.
pub(crate) fn build(teller: &Teller, options: Options) -> Result<(), Problem> {
    teller
        .note("building what is missing: the product with cargo, the control plane with Go (once, then it is cached)");
    std::thread::scope(|scope| {
        let control_plane = scope.spawn(move || binaries::locate(&options.programs()));
        let product = build_product();
        let located = control_plane.join().map_err(|_| "the build of the control plane panicked")?;
        product?;
        Ok(located.map(drop)?)
    })
}

fn build_product() -> Result<(), Problem> {
    let mut build = cargo();
    // Go reports its progress on the same terminal: whole lines, no bar.
    build.arg("build").env("CARGO_TERM_PROGRESS_WHEN", "never");
    build.args(PACKAGES.iter().flat_map(|package| ["--package", package]));
    if build.status()?.success() { Ok(()) } else { Err("cargo build failed; its output is above".into()) }
}

/// The name under which this machine joins: its host name, as a node's name may be written.
fn this_machine() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name: String =
        name.trim().to_lowercase().chars().filter(|c| c.is_ascii_alphanumeric() || "-.".contains(*c)).collect();
    let name = name.trim_matches(['-', '.']).to_owned();
    if name.is_empty() || SIMULATED.contains(&name.as_str()) { "this-machine".to_owned() } else { name }
}

impl Stage {
    /// Starts everything.
    pub(crate) async fn set(teller: &Teller, options: Options) -> Result<Self, Failure> {
        let began = Instant::now();
        let cluster = tokio::task::spawn_blocking(move || ControlPlane::start(options))
            .await
            .map_err(|error| Failure::new(error.to_string()))??;
        let processes: Vec<_> = cluster.pids().into_iter().map(|(name, _)| name).collect();
        teller.note(&format!(
            "{} are up after {:.1} s at {}",
            processes.join(", "),
            began.elapsed().as_secs_f64(),
            cluster.url()
        ));
        cluster.install_product().await?;
        teller.note("CRDs, RBAC and admission policies of deploy/ are installed and in force");
        let binaries = binary_folder();
        let this_machine = this_machine();
        let mut nodes: Vec<_> = SIMULATED
            .iter()
            .map(|name| NodeSpec::new(*name).gpus(GPUS).label(INSTANCE_TYPE.0, INSTANCE_TYPE.1))
            .collect();
        nodes.push(NodeSpec::new(&this_machine).gpus(0).label(crds::names::LABEL_AGENT, "true"));
        let folder = cluster.state_path().join("simulated");
        let mut simulated = BTreeMap::new();
        for spec in &mut nodes[..SIMULATED.len()] {
            let node = SimulatedNode::boot(&spec.name, &folder, GPUS as usize)?;
            spec.boot_id = node.boot_id();
            simulated.insert(spec.name.clone(), node);
        }
        cluster.create_nodes(&nodes).await?;
        let operator = Operator::start(&cluster, &binaries).await?;
        let agents = BTreeMap::new();
        let mut stage = Self { agents, _operator: operator, simulated, this_machine, binaries, cluster };
        for name in SIMULATED {
            stage.start_agent(name).await?;
        }
        let this = stage.this_machine.clone();
        stage.start_agent(&this).await?;
        teller.note(&format!(
            "operator and 4 agents run as processes: {} simulated nodes, and this machine as {this}",
            SIMULATED.len()
        ));
        Ok(stage)
    }

    /// Starts the agent of a node, with a new token that is bound to a pod on it.
    pub(crate) async fn start_agent(&mut self, node: &str) -> Result<(), Failure> {
        let options = match self.simulated.get(node) {
            Some(simulated) => AgentOptions::of_simulated(simulated, &self.binaries),
            None => AgentOptions::of_this_machine(),
        };
        let agent = Agent::start(&self.cluster, &self.binaries, node, options).await?;
        self.agents.insert(node.to_owned(), agent);
        Ok(())
    }

    /// Runs the real kubectl, shows command and output, and returns the output.
    pub(crate) fn show(&self, teller: &Teller, args: &[&str]) -> Result<String, Failure> {
        let output = self.cluster.kubectl_ok(args)?;
        let words: Vec<_> = args
            .iter()
            .map(|a| if a.contains([' ', '{', '\'']) { format!("'{a}'") } else { (*a).to_owned() })
            .collect();
        teller.shell(&format!("kubectl {}", words.join(" ")), &output);
        Ok(output)
    }

    /// Says how to go on by hand and waits for Ctrl-C.
    pub(crate) async fn stay_until_interrupted(&self, teller: &Teller) {
        teller.note("");
        teller.note("The cluster stays up until Ctrl-C. In another terminal:");
        teller.note(&format!("  export KUBECONFIG={}", self.cluster.kubeconfig_path().display()));
        teller.note(
            "  kubectl get nodehealth,hcr,nhp -o wide       # which node is unhealthy, since when, why, what to do",
        );
        let log = self.simulated.values().next().map(SimulatedNode::kernel_log).unwrap_or_default();
        let record = r"3,9000,9000000000,-;NVRM: Xid (PCI:0000:18:00): 95, pid=1, name=train, Uncontained: LTC TAG (0x2, 0x1). RST: Yes, D-RST: No";
        teller.note(&format!("  echo '{record}' >> {}   # a fault on sim-1", log.display()));
        // The story has created this run; a run cannot be started again, only made anew.
        teller.note(
            "  kubectl replace --force -f examples/run-network-ring.yaml && kubectl get hcr -w   # iperf3 between the nodes",
        );
        if let Err(error) = tokio::signal::ctrl_c().await {
            teller.failure(&format!("waiting for Ctrl-C: {error}"));
        }
    }
}
