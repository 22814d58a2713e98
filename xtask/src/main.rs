//! Development commands. One file per command; `cargo xtask help` lists them.

mod bench;
mod cargo;
mod cluster;
mod codegen;
mod coverage;
mod demo;
mod explore;
mod fuzz;
mod hardware;
mod install;
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
    /// A control plane to play with: real etcd, real Kubernetes, simulated nodes
    #[command(subcommand)]
    Cluster(cluster::Command),
    /// Show the product: from kubectl apply to a tainted node and back, on a real control plane
    Demo(demo::Wanted),
    /// Measure; each bench ends with one line of JSON
    #[command(subcommand)]
    Bench(bench::Bench),
    /// Compare our readings with nvidia-smi, on a machine with NVIDIA GPUs
    #[command(subcommand)]
    Hardware(hardware::Hardware),
    /// Fuzz everything that the agent reads, guided by coverage
    Fuzz(fuzz::Wanted),
    /// Run the property tests for minutes or hours instead of seconds
    Explore(explore::Wanted),
    /// Measure line coverage per crate, with cargo-tarpaulin
    Coverage,
    /// Run every check that a change must pass, and print the minutes of each stage
    Test {
        /// Install nothing: list the tests that cannot run for want of a program, and exit with 3
        #[arg(long)]
        no_install: bool,
    },
    /// Write CRDs, RBAC, admission policies, docs/fields.md and docs/checks
    Codegen {
        /// Write nothing: compare, and exit with 1 if a committed file differs
        #[arg(long)]
        check: bool,
    },
}

fn main() -> ExitCode {
    let outcome = match Args::parse().command {
        Command::Cluster(command) => cluster::run(command),
        Command::Bench(bench) => bench::run(&bench),
        Command::Coverage => coverage::run(),
        Command::Explore(wanted) => explore::run(&wanted),
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
