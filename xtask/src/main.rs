//! Development commands. One file per command; `cargo xtask help` lists them.

mod bench;
mod cargo;
mod cluster;
mod codegen;
mod coverage;
mod demo;
mod fuzz;
mod hardware;
mod test;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// How a command ends: an exit status, or an error that `main` prints.
pub(crate) type Outcome = Result<ExitCode, Box<dyn std::error::Error + Send + Sync>>;

#[derive(Debug, Parser)]
#[command(name = "xtask", bin_name = "cargo xtask", about = "Development commands")]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// A real control plane for working by hand
    #[command(subcommand)]
    Cluster(cluster::Command),
    /// The whole way from kubectl apply to a marked node and back, on a real control plane
    Demo(demo::Wanted),
    /// Figures; each bench ends with one JSON line
    #[command(subcommand)]
    Bench(bench::Bench),
    /// What only a machine with real hardware can tell
    #[command(subcommand)]
    Hardware(hardware::Hardware),
    /// Coverage-guided fuzzing of everything that the agent reads
    Fuzz(fuzz::Wanted),
    /// Line coverage per crate, by cargo-tarpaulin
    Coverage,
    /// Everything that must hold
    Test {
        /// Leave the system alone: what is not installed is listed, and the exit status is 3
        #[arg(long)]
        no_install: bool,
    },
    /// Writes CRDs, RBAC, admission policies, docs/fields.md and docs/checks
    Codegen {
        /// Only compare, and exit with 1 where a committed file differs
        #[arg(long)]
        check: bool,
    },
}

fn main() -> ExitCode {
    let outcome = match Args::parse().command {
        Command::Cluster(command) => cluster::run(command),
        Command::Bench(bench) => bench::run(&bench),
        Command::Coverage => coverage::run(),
        Command::Fuzz(wanted) => fuzz::run(&wanted),
        Command::Hardware(hardware) => hardware::run(&hardware),
        Command::Demo(wanted) => demo::run(&wanted),
        Command::Test { no_install } => Ok(test::run(no_install)),
        Command::Codegen { check } => codegen::run(check).map(|()| ExitCode::SUCCESS).map_err(Into::into),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("error: {error}");
        ExitCode::FAILURE
    })
}
