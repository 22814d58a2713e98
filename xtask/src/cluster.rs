//! `cargo xtask cluster`: a control plane for working by hand, that stays up until `down`.
//!
//! `up` starts `xtask cluster serve` in a session of its own. That process owns the control plane, holds a lock while it
//! lives (so there is never a second one), and is named in a record that `env` and `down` read.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Command as Process, ExitCode, Stdio};
use std::time::Duration;

use clap::{Args, Subcommand};
use gpu_health_tests::cluster::{ControlPlane, NodeSpec, Options, binaries};
use gpu_health_tests::process::{Identity, spawn_detached};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};
use tokio::signal::unix::{SignalKind, signal};

use crate::Outcome;

/// Everything stops within this time after SIGTERM: five processes, each with a grace of its own.
const DOWN_WITHIN: Duration = Duration::from_secs(60);
/// What `serve` says to `up` once the cluster can be used.
const READY: &str = "ready";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start it; it stays up until `down`
    Up(Wanted),
    /// End it
    Down,
    /// Build the programs that are missing, and start nothing
    Build,
    /// Print `export KUBECONFIG=…` for eval "$(cargo xtask cluster env)"
    Env,
    /// Own the control plane until SIGTERM (started by `up`)
    #[command(hide = true)]
    Serve(Wanted),
}

/// What the cluster consists of, besides etcd and the API server with the product's definitions, RBAC and admission policies.
#[derive(Debug, Clone, Args)]
pub(crate) struct Wanted {
    /// Make this many Ready nodes with 8 GPUs each: node-1, node-2, …
    #[arg(long, default_value_t = 0, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=10_000))]
    nodes: u32,
    /// Run kube-controller-manager (nodes then need --kwok to stay Ready)
    #[arg(long)]
    kcm: bool,
    /// Run kube-scheduler
    #[arg(long)]
    scheduler: bool,
    /// Run kwok: it keeps the nodes Ready and plays their pods
    #[arg(long)]
    kwok: bool,
    /// Run all three
    #[arg(long)]
    all: bool,
    /// Log every request to logs/audit.log
    #[arg(long)]
    audit: bool,
    /// Leave the product out: an empty cluster
    #[arg(long)]
    bare: bool,
}

impl Wanted {
    fn options(&self) -> Options {
        let Self { kcm, scheduler, kwok, all, audit, .. } = *self;
        Options { kcm: kcm || all, scheduler: scheduler || all, kwok: kwok || all, fsync: false, audit }
    }

    /// The same wishes as arguments for `serve`.
    fn arguments(&self) -> Vec<String> {
        let Self { nodes, kcm, scheduler, kwok, all, audit, bare } = *self;
        let flags = [
            (kcm, "--kcm"),
            (scheduler, "--scheduler"),
            (kwok, "--kwok"),
            (all, "--all"),
            (audit, "--audit"),
            (bare, "--bare"),
        ];
        let set = flags.into_iter().filter(|(set, _)| *set);
        set.map(|(_, flag)| flag.to_owned()).chain([format!("--nodes={nodes}")]).collect()
    }
}

/// What `env` and `down` need to know of the cluster that is up.
#[derive(Debug, Serialize, Deserialize)]
struct Record {
    owner: Identity,
    url: String,
    kubeconfig: PathBuf,
    logs: PathBuf,
}

pub(crate) fn run(command: Command) -> Outcome {
    match command {
        Command::Up(wanted) => up(&wanted),
        Command::Down => down(),
        Command::Build => build(),
        Command::Env => env(),
        Command::Serve(wanted) => serve(&wanted),
    }
}

fn build() -> Outcome {
    let names: Vec<_> = binaries::TOOLS_WANTED.iter().map(|tool| tool.name).collect();
    let programs = binaries::locate(&names)?;
    for name in names {
        println!("{}", programs.path(name)?.display());
    }
    Ok(ExitCode::SUCCESS)
}

fn up(wanted: &Wanted) -> Outcome {
    if let Some(record) = running() {
        return Err(already_up(&record.url));
    }
    // Here, and not in `serve`, so that the progress of a first build is seen.
    let programs = binaries::locate(&wanted.options().programs())?;
    std::fs::create_dir_all(binaries::cache_root())?;
    let log = binaries::cache_root().join("serve.log");
    let mut serve = Process::new(std::env::current_exe()?);
    serve.args(["cluster", "serve"]).args(wanted.arguments());
    serve.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(File::create(&log)?);
    let mut serve = spawn_detached(serve)?;
    let said = serve.stdout.take().map(BufReader::new).into_iter().flat_map(BufRead::lines);
    if !said.map_while(Result::ok).any(|line| line == READY) {
        let status = serve.wait()?;
        let problem = std::fs::read_to_string(&log).unwrap_or_default();
        return Err(format!("the cluster did not start ({status}):\n{}", problem.trim()).into());
    }
    let record = running().ok_or("the cluster ended right after its start; see serve.log in its cache folder")?;
    let Record { owner, url, kubeconfig: _, logs } = record;
    let kubectl = programs.path("kubectl")?.display();
    println!("A control plane is up at {url} (process {}, logs in {}).", owner.pid, logs.display());
    println!("  eval \"$(cargo xtask cluster env)\"");
    println!("  {kubectl} get nodes,crds");
    println!("  cargo xtask cluster down");
    Ok(ExitCode::SUCCESS)
}

fn env() -> Outcome {
    let record = running().ok_or_else(not_up)?;
    println!("export KUBECONFIG='{}'", record.kubeconfig.display());
    Ok(ExitCode::SUCCESS)
}

fn down() -> Outcome {
    let record = running().ok_or_else(not_up)?;
    let pid = i32::try_from(record.owner.pid).ok().and_then(Pid::from_raw).ok_or("the record names no process")?;
    let pidfd = pidfd_open(pid, PidfdFlags::empty())?;
    // The pidfd holds whoever has this pid now: make sure that it is still the one of the record.
    if !record.owner.is_alive() {
        return Err(not_up());
    }
    pidfd_send_signal(&pidfd, Signal::TERM)?;
    let timeout = Timespec::try_from(DOWN_WITHIN)?;
    if poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&timeout))? == 0 {
        // Its children die with it.
        pidfd_send_signal(&pidfd, Signal::KILL)?;
        return Err(format!(
            "process {} had to be killed; its logs are in {}",
            record.owner.pid,
            record.logs.display()
        )
        .into());
    }
    println!("The control plane at {} is down.", record.url);
    Ok(ExitCode::SUCCESS)
}

fn serve(wanted: &Wanted) -> Outcome {
    let lock = OpenOptions::new().create(true).append(true).open(binaries::cache_root().join("up.lock"))?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err("another `cargo xtask cluster up` is under way".into());
        }
        Err(TryLockError::Error(error)) => return Err(error.into()),
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    // From here on SIGTERM is a wish to stop, also while starting.
    let mut terminated = runtime.block_on(async { signal(SignalKind::terminate()) })?;
    let cluster = ControlPlane::start(wanted.options())?;
    runtime.block_on(furnish(&cluster, wanted))?;
    let owner = Identity::own().ok_or("this process is not in /proc")?;
    let (url, kubeconfig, logs) = (cluster.url().to_owned(), cluster.kubeconfig_path(), cluster.logs());
    let record = serde_json::to_string_pretty(&Record { owner, url, kubeconfig, logs })?;
    std::fs::write(record_path(), record)?;
    // `up` may have been interrupted; the cluster then is up all the same.
    let _ = writeln!(std::io::stdout(), "{READY}");
    runtime.block_on(terminated.recv());
    let stopped = cluster.stop();
    std::fs::remove_file(record_path())?;
    stopped?;
    Ok(ExitCode::SUCCESS)
}

async fn furnish(cluster: &ControlPlane, wanted: &Wanted) -> Result<(), gpu_health_tests::cluster::Error> {
    if !wanted.bare {
        cluster.install_product().await?;
    }
    let nodes: Vec<NodeSpec> = (1..=wanted.nodes).map(|number| NodeSpec::new(format!("node-{number}"))).collect();
    cluster.create_nodes(&nodes).await.map(drop)
}

fn record_path() -> PathBuf {
    binaries::cache_root().join("up.json")
}

/// The record of the cluster that is up; that of one whose owner was killed does not count.
fn running() -> Option<Record> {
    let record: Record = serde_json::from_slice(&std::fs::read(record_path()).ok()?).ok()?;
    record.owner.is_alive().then_some(record)
}

fn already_up(url: &str) -> Box<dyn std::error::Error + Send + Sync> {
    format!(
        "a cluster is up already, at {url}: use it (`cargo xtask cluster env`), or end it (`cargo xtask cluster down`)"
    )
    .into()
}

fn not_up() -> Box<dyn std::error::Error + Send + Sync> {
    "no cluster is up: start one with `cargo xtask cluster up`".into()
}
