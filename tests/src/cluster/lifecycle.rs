//! Starting, stopping, killing.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::access::{self, Endpoint, Proof};
use super::binaries::{self, Binaries};
use super::components::{self, Ports};
use super::keys::{self, ServiceAccountKeys};
use super::state::StateFolder;
use super::wait::{self, until};
use super::{API_SERVER, CONTROLLER_MANAGER, ETCD, KUBECTL, KWOK, SCHEDULER};
use super::{ControlPlane, Error, Options, free_ports};
use crate::process::{Child, Spec};

/// From the start of etcd to an API server that says it is ready; 3 s on 2 idle cores, and tests share them.
const READY_WITHIN: Duration = Duration::from_secs(90);
/// The API server's watches need no longer to end; etcd and the others end at once.
const STOP_GRACE: Duration = Duration::from_secs(10);
/// Another process may take a port between our finding it free and the server's binding it.
const START_ATTEMPTS: usize = 3;
const LOG_TAIL_LINES: usize = 15;

impl Options {
    /// The programs that are needed, kubectl among them: what to ask [`binaries::locate`] for.
    pub fn programs(self) -> Vec<&'static str> {
        let optional = [(self.kcm, CONTROLLER_MANAGER), (self.scheduler, SCHEDULER), (self.kwok, KWOK)];
        let optional = optional.into_iter().filter_map(|(asked, name)| asked.then_some(name));
        [ETCD, API_SERVER, KUBECTL].into_iter().chain(optional).collect()
    }
}

impl ControlPlane {
    /// Finds or builds the programs, starts them, and waits until the API server is ready. Blocks, at the very first start
    /// on a machine for minutes (it says so).
    pub fn start(options: Options) -> Result<Self, Error> {
        let binaries = binaries::locate(&options.programs())?;
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
        let ports =
            ports.ok_or_else(|| Error::System { act: "find free ports", source: std::io::Error::other("too few") })?;
        let keys = ServiceAccountKeys::generate(state.path())?;
        let endpoint = Endpoint {
            url: format!("https://127.0.0.1:{}", ports.api_server),
            // Self-signed by the API server at its first start, with its own authority in the same file.
            authority: state.path().join("certs/apiserver.crt"),
        };
        let write = |name: &str, content: &str| access::write_secret(&state.path().join(name), content);
        write("audit-policy.yaml", components::AUDIT_POLICY)?;
        let (mut users, mut admin_token) = (Vec::new(), String::new());
        for (file, user, group) in components::USERS {
            let token = keys::random_token()?;
            users.push(format!("{token},{user},{user},{group}"));
            write(&format!("{file}.kubeconfig"), &access::kubeconfig(&endpoint, Proof::Token(&token), "default"))?;
            if *file == components::ADMIN {
                admin_token = token;
            }
        }
        write("tokens.csv", &users.join("\n"))?;
        Ok(Self { children: Mutex::default(), options, ports, keys, binaries, endpoint, admin_token, state })
    }

    fn bring_up(&self) -> Result<(), Error> {
        self.start_api_server_and_etcd()?;
        let state = self.state.path();
        if self.options.kcm {
            self.spawn(CONTROLLER_MANAGER, components::controller_manager(state, self.ports, &self.keys))?;
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
        wait::run_apart(self.until_alive(&format!("{ETCD} to listen"), || self.etcd_listens()))?;
        self.spawn(API_SERVER, components::api_server(state, self.ports, self.options, &self.keys))?;
        wait::run_apart(self.until_ready())
    }

    fn spawn(&self, name: &str, args: Vec<String>) -> Result<(), Error> {
        let spec = Spec::new(name, self.binaries.path(name)?, self.state.logs()).args(args);
        let child = Child::spawn(spec)?;
        self.children().push(child);
        Ok(())
    }

    pub(super) fn children(&self) -> MutexGuard<'_, Vec<Child>> {
        self.children.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn etcd_listens(&self) -> Result<(), String> {
        let address = ("127.0.0.1", self.ports.etcd_client);
        tokio::net::TcpStream::connect(address).await.map(drop).map_err(|error| error.to_string())
    }

    /// Waits until `/readyz` says ok.
    pub async fn until_ready(&self) -> Result<(), Error> {
        self.until_alive("the API server to be ready", || async {
            let client = self.admin().map_err(|error| error.to_string())?;
            let request = http::Request::get("/readyz").body(Vec::new()).map_err(|error| error.to_string())?;
            client.request_text(request).await.map(drop).map_err(|error| error.to_string())
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
        self.children().iter().find(|child| !child.is_alive()).map(|child| Error::Ended {
            name: child.name().to_owned(),
            what: what.to_owned(),
            log: child.log_path().to_owned(),
            tail: child.log_tail(LOG_TAIL_LINES),
        })
    }

    fn lost_a_port(&self) -> bool {
        self.children().iter().any(|child| !child.is_alive() && child.log_tail(100).contains("address already in use"))
    }

    /// Stops everything: what asks the API server first, then it, then etcd.
    pub fn stop(self) -> Result<(), Error> {
        self.shut_down()
    }

    fn shut_down(&self) -> Result<(), Error> {
        let mut outcome = Ok(());
        // They were started in the order of their needs. Each is gone before what it depends on is asked to end.
        for child in std::mem::take(&mut *self.children()).into_iter().rev() {
            if let Err(error) = child.terminate(STOP_GRACE) {
                outcome = outcome.and(Err(error.into()));
            }
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
        killed.iter().try_for_each(|child| child.kill9().map(drop)).map_err(Error::from)
    }

    /// Starts API server and etcd again, on the same ports and data, and waits until they are ready. Kills them first if they
    /// still run.
    pub fn restart_api_server_and_etcd(&self) -> Result<(), Error> {
        self.kill9_api_server_and_etcd()?;
        let others = std::mem::take(&mut *self.children());
        let outcome = self.start_api_server_and_etcd();
        // Behind the two again, so that the order of stopping stays right.
        self.children().extend(others);
        outcome
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
