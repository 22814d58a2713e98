//! A real control plane on a bare machine, all on loopback.
//!
//! ```no_run
//! # async fn scenario() -> Result<(), gpu_health_tests::cluster::Error> {
//! use gpu_health_tests::cluster::{ControlPlane, NodeSpec, Options};
//!
//! let cluster = ControlPlane::start(Options { kcm: true, ..Options::default() })?;
//! cluster.install_product().await?;
//! cluster.create_nodes(&[NodeSpec::new("node-a"), NodeSpec::new("node-b").gpus(4)]).await?;
//! let token = cluster.token_for_node("gpu-health-agent", "gpu-health", "node-a").await?;
//! let _agent = cluster.client_with_token(&token)?;
//! println!("{}", cluster.kubectl_ok(&["get", "nodes"])?);
//! cluster.stop()?;
//! # Ok(())
//! # }
//! ```
//!
//! [`shared`] gives the tests of one binary one control plane. Clients belong to the runtime that they were made in: with
//! `#[tokio::test]` every test makes its own ([`ControlPlane::admin`] costs a millisecond).
//!
//! Functions that are not `async` block: starting takes about four seconds, [`ControlPlane::kubectl`] a tenth of one.
//!
//! # What differs from a cluster that people use
//!
//! - Without `kcm` no controller runs: no garbage collection, no default ServiceAccount, no namespace deletion, and a Node
//!   stays as it was made. With `kcm` but without `kwok` a Node turns NotReady after about 50 s, as nobody renews its lease.
//! - Users come from a static token file; ServiceAccount tokens are real.

mod access;
mod apply;
pub mod binaries;
mod build;
mod components;
mod error;
mod keys;
mod lifecycle;
mod nodes;
mod ports;
mod product;
mod state;
mod tokens;
mod wait;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, OnceLock};

use kube::Client;
use serde_json::json;

use crate::process::{Child, spawn_bound};
use access::{Endpoint, Proof};
use binaries::Binaries;
use components::Ports;
pub use error::Error;
use keys::ServiceAccountKeys;
pub use nodes::NodeSpec;
pub use ports::{free_port_range, free_ports};
use state::StateFolder;
pub use wait::until;

/// Annotation and value of Nodes that kwok keeps Ready and whose pods it plays.
pub const KWOK_ANNOTATION: (&str, &str) = ("kwok.x-k8s.io/node", "fake");

const ETCD: &str = "etcd";
const API_SERVER: &str = "kube-apiserver";
const CONTROLLER_MANAGER: &str = "kube-controller-manager";
const SCHEDULER: &str = "kube-scheduler";
const KUBECTL: &str = "kubectl";
const KWOK: &str = "kwok";

/// What runs besides etcd and the API server. Nothing, by default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Options {
    /// kube-controller-manager: garbage collection, node lifecycle, ServiceAccounts of namespaces.
    pub kcm: bool,
    /// kube-scheduler.
    pub scheduler: bool,
    /// kwok: keeps annotated Nodes Ready and plays their pods.
    pub kwok: bool,
    /// etcd writes through to the disk. Needed only where the machine itself may crash; a killed etcd loses nothing either way.
    pub fsync: bool,
    /// The API server logs every request at level Metadata ([`ControlPlane::audit_log`]).
    pub audit: bool,
}

/// A running control plane. Dropping it stops everything and removes its folder; while a test panics the logs are kept and
/// their path is printed.
#[derive(Debug)]
pub struct ControlPlane {
    // Fields drop in this order: the processes before their folder.
    children: Mutex<Vec<Child>>,
    options: Options,
    ports: Ports,
    keys: ServiceAccountKeys,
    binaries: Binaries,
    endpoint: Endpoint,
    admin_token: String,
    state: StateFolder,
}

impl ControlPlane {
    /// Name and process id of everything that runs.
    pub fn pids(&self) -> Vec<(String, u32)> {
        self.children().iter().map(|child| (child.name().to_owned(), child.pid())).collect()
    }

    /// The options it was started with.
    pub fn options(&self) -> Options {
        self.options
    }

    /// `https://127.0.0.1:<port>`.
    pub fn url(&self) -> &str {
        &self.endpoint.url
    }

    /// The folder that holds everything of this control plane; removed when it stops.
    pub fn state_path(&self) -> &Path {
        self.state.path()
    }

    /// The folder of the logs, `<process>.log` each.
    pub fn logs(&self) -> PathBuf {
        self.state.logs()
    }

    /// The API server's audit log (one JSON event per line), when it was asked for.
    pub fn audit_log(&self) -> Option<PathBuf> {
        self.options.audit.then(|| self.state.logs().join("audit.log"))
    }

    /// Keeps the logs for a day, also after this control plane has stopped, and prints once where they are.
    pub fn keep_logs(&self) {
        if !self.state.logs_are_kept() {
            self.state.keep_logs();
            eprintln!("The logs of the control plane are kept in {}", self.state.logs().display());
        }
    }

    /// The administrator's kubeconfig.
    pub fn kubeconfig_path(&self) -> PathBuf {
        self.state.path().join(format!("{}.kubeconfig", components::ADMIN))
    }

    /// A client of the administrator (`system:masters`). Call it inside a tokio runtime.
    pub fn admin(&self) -> Result<Client, Error> {
        self.client_with_token(&self.admin_token)
    }

    /// A client that shows this token. Call it inside a tokio runtime.
    pub fn client_with_token(&self, token: &str) -> Result<Client, Error> {
        access::client(&self.endpoint, json!({"token": token}))
    }

    /// A client of the administrator that acts as another user. Call it inside a tokio runtime.
    pub fn client_as(&self, user: &str, groups: &[&str]) -> Result<Client, Error> {
        let as_user = json!({"token": self.admin_token, "as": user, "as-groups": groups});
        access::client(&self.endpoint, as_user)
    }

    /// Writes a kubeconfig with this token in it.
    pub fn kubeconfig_with_token(&self, path: &Path, token: &str) -> Result<(), Error> {
        access::write_secret(path, &access::kubeconfig(&self.endpoint, Proof::Token(token), crds::names::NAMESPACE))
    }

    /// Writes a kubeconfig that names a token file; clients read it again as it rotates ([`write_token_file`]).
    pub fn kubeconfig_with_token_file(&self, path: &Path, token_file: &Path) -> Result<(), Error> {
        let proof = Proof::TokenFile(token_file);
        access::write_secret(path, &access::kubeconfig(&self.endpoint, proof, crds::names::NAMESPACE))
    }

    /// Runs the real kubectl as the administrator. Blocks.
    pub fn kubectl(&self, args: &[&str]) -> Result<Output, Error> {
        self.kubectl_with_input(args, "")
    }

    /// As [`ControlPlane::kubectl`], with `input` on stdin (`apply -f -`).
    pub fn kubectl_with_input(&self, args: &[&str], input: &str) -> Result<Output, Error> {
        let failed = |source: std::io::Error| Error::Kubectl { args: args.join(" "), problem: source.to_string() };
        // A file, not a pipe: kubectl may end without having read it.
        let mut stdin = tempfile::tempfile().map_err(failed)?;
        std::io::Write::write_all(&mut stdin, input.as_bytes()).map_err(failed)?;
        std::io::Seek::rewind(&mut stdin).map_err(failed)?;
        let mut command = Command::new(self.binaries.path(KUBECTL)?);
        // Its caches of discovery must not outlive this API server, nor reach the user's.
        command.args(args).env("KUBECONFIG", self.kubeconfig_path()).env("HOME", self.state.path().join("home"));
        command.env_remove("KUBECACHEDIR").stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
        spawn_bound(command).and_then(std::process::Child::wait_with_output).map_err(failed)
    }

    /// As [`ControlPlane::kubectl`]; gives its stdout, and its stderr as an error when it fails.
    pub fn kubectl_ok(&self, args: &[&str]) -> Result<String, Error> {
        let output = self.kubectl(args)?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let problem = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Err(Error::Kubectl { args: args.join(" "), problem })
    }
}

/// Replaces a token file in one step, as kubelet does with projected tokens: a reader sees the old one or the new one.
pub fn write_token_file(path: &Path, token: &str) -> Result<(), Error> {
    access::write_secret(path, token)
}

/// The control plane that all tests of this binary share: etcd and API server with the product installed, nothing else.
/// Started by the first call; tests keep apart by names. It ends with the process (its processes die with their owner, its
/// folder is removed by a later start). When any test panics, its logs are kept.
pub fn shared() -> Result<&'static ControlPlane, &'static Error> {
    static SHARED: OnceLock<Result<ControlPlane, Error>> = OnceLock::new();
    let start = || {
        let cluster = ControlPlane::start(Options::default())?;
        wait::run_apart(cluster.install_product())?;
        Ok(cluster)
    };
    let first = SHARED.get().is_none();
    let shared = SHARED.get_or_init(start).as_ref();
    if first && let Ok(cluster) = shared {
        keep_logs_of_a_panic(cluster);
    }
    shared
}

fn keep_logs_of_a_panic(cluster: &'static ControlPlane) {
    static HOOKED: OnceLock<()> = OnceLock::new();
    HOOKED.get_or_init(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            before(panic);
            cluster.keep_logs();
        }));
    });
}
