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
mod nodes;
mod ports;
mod product;
mod state;
mod tokens;
mod wait;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use kube::Client;
use serde_json::json;

use crate::process::{Child, Spec, spawn_bound};
use access::{Endpoint, Proof};
use binaries::Binaries;
use components::Ports;
pub use error::Error;
use keys::ServiceAccountKeys;
pub use nodes::NodeSpec;
pub use ports::free_ports;
use state::StateFolder;
pub use wait::until;

/// Annotation and value of Nodes that kwok keeps Ready and whose pods it plays.
pub const KWOK_ANNOTATION: (&str, &str) = ("kwok.x-k8s.io/node", "fake");

/// From the start of etcd to an API server that says it is ready; 3 s on 2 idle cores, and tests share them.
const READY_WITHIN: Duration = Duration::from_secs(90);
/// The API server's watches need no longer to end; etcd and the others end at once.
const STOP_GRACE: Duration = Duration::from_secs(10);
/// Another process may take a port between our finding it free and the server's binding it.
const START_ATTEMPTS: usize = 3;
const LOG_TAIL_LINES: usize = 15;

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
    /// Finds or builds the programs, starts them, and waits until the API server is ready. Blocks, at the very first start
    /// on a machine for minutes (it says so).
    pub fn start(options: Options) -> Result<Self, Error> {
        let mut wanted = vec![ETCD, API_SERVER, KUBECTL];
        let optional = [
            (options.kcm, CONTROLLER_MANAGER),
            (options.scheduler, SCHEDULER),
            (options.kwok, KWOK),
        ];
        wanted.extend(
            optional
                .into_iter()
                .filter_map(|(asked, name)| asked.then_some(name)),
        );
        let binaries = binaries::locate(&wanted)?;
        let mut attempt = 1;
        loop {
            let cluster = Self::prepare(options, binaries.clone())?;
            let started = cluster.bring_up();
            match started {
                Ok(()) => return Ok(cluster),
                Err(_) if attempt < START_ATTEMPTS && cluster.lost_a_port() => attempt += 1,
                Err(error) => {
                    cluster.keep_logs();
                    return Err(error);
                }
            }
        }
    }

    fn prepare(options: Options, binaries: Binaries) -> Result<Self, Error> {
        let state = StateFolder::create()?;
        let ports = Ports::from_free(&free_ports(Ports::COUNT)?);
        let ports = ports.ok_or_else(|| Error::System {
            act: "find free ports",
            source: std::io::Error::other("too few"),
        })?;
        let keys = ServiceAccountKeys::generate(state.path())?;
        let endpoint = Endpoint {
            url: format!("https://127.0.0.1:{}", ports.api_server),
            // Self-signed by the API server at its first start, with its own authority in the same file.
            authority: state.path().join("certs/apiserver.crt"),
        };
        let write =
            |name: &str, content: &str| access::write_secret(&state.path().join(name), content);
        write("audit-policy.yaml", components::AUDIT_POLICY)?;
        let (mut users, mut admin_token) = (String::new(), String::new());
        for (file, user, group) in components::USERS {
            let token = keys::random_token()?;
            users += &format!("{token},{user},{user},{group}\n");
            write(
                &format!("{file}.kubeconfig"),
                &access::kubeconfig(&endpoint, Proof::Token(&token), "default"),
            )?;
            if *file == components::ADMIN {
                admin_token = token;
            }
        }
        write("tokens.csv", &users)?;
        Ok(Self {
            children: Mutex::default(),
            options,
            ports,
            keys,
            binaries,
            endpoint,
            admin_token,
            state,
        })
    }

    fn bring_up(&self) -> Result<(), Error> {
        self.start_api_server_and_etcd()?;
        let state = self.state.path();
        if self.options.kcm {
            self.spawn(
                CONTROLLER_MANAGER,
                components::controller_manager(state, self.ports, &self.keys),
            )?;
        }
        if self.options.scheduler {
            self.spawn(SCHEDULER, components::scheduler(state, self.ports))?;
        }
        if self.options.kwok {
            let stages = binaries::modules_folder().join("kwok-stages.yaml");
            self.spawn(KWOK, components::kwok(state, &stages))?;
        }
        Ok(())
    }

    fn start_api_server_and_etcd(&self) -> Result<(), Error> {
        let state = self.state.path();
        self.spawn(ETCD, components::etcd(state, self.ports, self.options))?;
        wait::run_apart(self.until_alive(&format!("waiting for {ETCD}"), || self.etcd_listens()))?;
        self.spawn(
            API_SERVER,
            components::api_server(state, self.ports, self.options, &self.keys),
        )?;
        wait::run_apart(self.until_ready())
    }

    fn spawn(&self, name: &str, args: Vec<String>) -> Result<(), Error> {
        let spec = Spec::new(name, self.binaries.path(name)?, self.state.logs()).args(args);
        let child = Child::spawn(spec)?;
        self.children().push(child);
        Ok(())
    }

    fn children(&self) -> MutexGuard<'_, Vec<Child>> {
        self.children.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn etcd_listens(&self) -> Result<(), String> {
        let address = ("127.0.0.1", self.ports.etcd_client);
        tokio::net::TcpStream::connect(address)
            .await
            .map(drop)
            .map_err(|error| error.to_string())
    }

    /// Waits until `/readyz` says ok.
    pub async fn until_ready(&self) -> Result<(), Error> {
        self.until_alive("waiting for the API server to be ready", || async {
            let client = self.admin().map_err(|error| error.to_string())?;
            let request = http::Request::get("/readyz")
                .body(Vec::new())
                .map_err(|error| error.to_string())?;
            client
                .request_text(request)
                .await
                .map(drop)
                .map_err(|error| error.to_string())
        })
        .await
    }

    /// As [`until`], but ends at once when a process of ours has ended.
    async fn until_alive<F>(&self, what: &str, mut look: impl FnMut() -> F) -> Result<(), Error>
    where
        F: Future<Output = Result<(), String>>,
    {
        let end = until(what, READY_WITHIN, || {
            let ended = self.ended(what);
            let look = ended.is_none().then(&mut look);
            async move {
                match (ended, look) {
                    (None, Some(look)) => look.await.map(Ok),
                    (Some(error), _) => Ok(Err(error)),
                    (None, None) => Err("nothing".to_owned()),
                }
            }
        });
        end.await?
    }

    fn ended(&self, what: &str) -> Option<Error> {
        self.children()
            .iter()
            .find(|child| !child.is_alive())
            .map(|child| Error::Ended {
                name: child.name().to_owned(),
                what: what.to_owned(),
                log: child.log_path().to_owned(),
                tail: child.log_tail(LOG_TAIL_LINES),
            })
    }

    fn lost_a_port(&self) -> bool {
        self.children().iter().any(|child| {
            !child.is_alive() && child.log_tail(100).contains("address already in use")
        })
    }

    /// Stops everything: what asks the API server first, then it, then etcd.
    pub fn stop(self) -> Result<(), Error> {
        self.shut_down()
    }

    fn shut_down(&self) -> Result<(), Error> {
        let mut outcome = Ok(());
        // They were started in the order of their needs. Each is gone before what it depends on is asked to end.
        for child in std::mem::take(&mut *self.children()).into_iter().rev() {
            let ended = child.terminate(STOP_GRACE).map(drop);
            outcome = outcome.and(ended.map_err(Error::from));
        }
        outcome
    }

    /// Kills API server and etcd with SIGKILL; what else runs stays up and keeps trying.
    pub fn kill9_api_server_and_etcd(&self) -> Result<(), Error> {
        let (killed, kept) = std::mem::take(&mut *self.children())
            .into_iter()
            .partition(|child| [API_SERVER, ETCD].contains(&child.name()));
        *self.children() = kept;
        let killed: Vec<Child> = killed;
        killed
            .iter()
            .try_for_each(|child| child.kill9().map(drop))
            .map_err(Error::from)
    }

    /// Starts API server and etcd again, on the same ports and data, and waits until they are ready.
    pub fn restart_api_server_and_etcd(&self) -> Result<(), Error> {
        let others = std::mem::take(&mut *self.children());
        let outcome = self.start_api_server_and_etcd();
        // Behind the two again, so that the order of stopping stays right.
        self.children().extend(others);
        outcome
    }

    /// Name and process id of everything that runs.
    pub fn pids(&self) -> Vec<(String, u32)> {
        self.children()
            .iter()
            .map(|child| (child.name().to_owned(), child.pid()))
            .collect()
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
        self.options
            .audit
            .then(|| self.state.logs().join("audit.log"))
    }

    /// Keeps the logs for a day, also after this control plane has stopped, and prints once where they are.
    pub fn keep_logs(&self) {
        if !self.state.logs_are_kept() {
            self.state.keep_logs();
            eprintln!(
                "The logs of the control plane are kept in {}",
                self.state.logs().display()
            );
        }
    }

    /// The administrator's kubeconfig.
    pub fn kubeconfig_path(&self) -> PathBuf {
        self.state
            .path()
            .join(format!("{}.kubeconfig", components::ADMIN))
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
        access::write_secret(
            path,
            &access::kubeconfig(&self.endpoint, Proof::Token(token), crds::names::NAMESPACE),
        )
    }

    /// Writes a kubeconfig that names a token file; clients read it again as it rotates ([`write_token_file`]).
    pub fn kubeconfig_with_token_file(&self, path: &Path, token_file: &Path) -> Result<(), Error> {
        let proof = Proof::TokenFile(token_file);
        access::write_secret(
            path,
            &access::kubeconfig(&self.endpoint, proof, crds::names::NAMESPACE),
        )
    }

    /// Runs the real kubectl as the administrator. Blocks.
    pub fn kubectl(&self, args: &[&str]) -> Result<Output, Error> {
        self.kubectl_with_input(args, "")
    }

    /// As [`ControlPlane::kubectl`], with `input` on stdin (`apply -f -`).
    pub fn kubectl_with_input(&self, args: &[&str], input: &str) -> Result<Output, Error> {
        let failed = |source: std::io::Error| Error::Kubectl {
            args: args.join(" "),
            problem: source.to_string(),
        };
        // A file, not a pipe: kubectl may end without having read it.
        let mut stdin = tempfile::tempfile().map_err(failed)?;
        std::io::Write::write_all(&mut stdin, input.as_bytes()).map_err(failed)?;
        std::io::Seek::rewind(&mut stdin).map_err(failed)?;
        let mut command = Command::new(self.binaries.path(KUBECTL)?);
        // Its caches of discovery must not outlive this API server, nor reach the user's.
        command
            .args(args)
            .env("KUBECONFIG", self.kubeconfig_path())
            .env("HOME", self.state.path().join("home"));
        command
            .env_remove("KUBECACHEDIR")
            .stdin(stdin)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        spawn_bound(command)
            .and_then(std::process::Child::wait_with_output)
            .map_err(failed)
    }

    /// As [`ControlPlane::kubectl`]; gives its stdout, and its stderr as an error when it fails.
    pub fn kubectl_ok(&self, args: &[&str]) -> Result<String, Error> {
        let output = self.kubectl(args)?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let problem = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Err(Error::Kubectl {
            args: args.join(" "),
            problem,
        })
    }
}

impl Drop for ControlPlane {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.keep_logs();
        }
        if let Err(error) = self.shut_down() {
            eprintln!("warning: {error}");
        }
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
