//! An agent as a process.

use super::operator::{identity, listening_at, log_length};
use super::{Error, SimulatedNode, built};
use crate::cluster::ControlPlane;
use crate::process::{Child, Spec};
use crds::names::{AGENT_SERVICE_ACCOUNT, NAMESPACE};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// What an agent looks at, and what it may use.
#[derive(Debug, Clone, Default)]
pub struct AgentOptions {
    /// Arguments besides those that name the node and the API server.
    pub args: Vec<OsString>,
    /// Variables of its environment.
    pub env: Vec<(OsString, OsString)>,
    /// The `cgroup.procs` of the group that it is started in; without, the group of this process.
    pub cgroup_procs: Option<PathBuf>,
}

/// Joins a group, then executes the program, so that all its memory is charged to the group: a process that is moved
/// later stays charged to its old group for the memory that it had.
const START_IN_GROUP: &str = r#"echo $$ > "$0" && exec "$@""#;

impl AgentOptions {
    /// An agent of this machine: its real kernel log, proc and sysfs.
    pub fn of_this_machine() -> Self {
        Self::default()
    }

    /// An agent that sees the files of `node`, and the simulated driver library of `binaries`.
    pub fn of_simulated(node: &SimulatedNode, binaries: &Path) -> Self {
        let library = binaries.join("libsimulated_nvml.so");
        let mut options = Self::default();
        for (flag, path) in [
            ("--kernel-log", node.kernel_log()),
            ("--proc-root", node.proc_root()),
            ("--sysfs-root", node.sysfs_root()),
            ("--dev-root", node.dev_root()),
            ("--nvml-library", library),
        ] {
            options = options.arg(flag).arg(path);
        }
        options.env.push(("SIMULATED_NVML_STATE".into(), node.driver_state().into()));
        options
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }
}

/// A running agent. Dropping it ends it.
#[derive(Debug)]
pub struct Agent {
    /// The process.
    pub child: Child,
    /// `127.0.0.1:<port>` of its metrics and health endpoints.
    pub http: String,
    /// Its own token, to try what it may do.
    pub token: String,
}

impl Agent {
    /// Starts the agent of node `node` with a token that is bound to a Pod on that node.
    pub async fn start(
        cluster: &ControlPlane,
        binaries: &Path,
        node: &str,
        options: AgentOptions,
    ) -> Result<Self, Error> {
        let name = format!("agent-{node}");
        let token = cluster.token_for_node(AGENT_SERVICE_ACCOUNT, NAMESPACE, node).await?;
        let kubeconfig = identity(cluster, &name, &token)?;
        let program = built(binaries, "gpu-health-agent")?;
        let spec = match options.cgroup_procs {
            None => Spec::new(&name, program, cluster.logs()),
            Some(procs) => Spec::new(&name, "/bin/sh", cluster.logs()).args([
                "-c".into(),
                START_IN_GROUP.into(),
                procs.into_os_string(),
                program.into_os_string(),
            ]),
        };
        let mut spec = spec
            .args(["run", "--node-name", node, "--http", "127.0.0.1:0", "--address", "127.0.0.1"])
            .args(["--kubeconfig".into(), kubeconfig.into_os_string()])
            .args(options.args);
        for (key, value) in options.env {
            spec = spec.env(key, value);
        }
        let log_before = log_length(cluster, &name);
        let child = Child::spawn(spec)?;
        let http = listening_at(&child, log_before).await?;
        Ok(Self { child, http, token })
    }
}
