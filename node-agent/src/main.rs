//! The agent of gpu-health-operator.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Measures the health of one node's accelerators.
#[derive(Parser)]
#[command(name = "gpu-health-agent")]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Measures this node and reports, until SIGTERM.
    Run(Box<node_agent::args::RunArgs>),
    /// Runs one probe, prints its report as JSON, and ends.
    #[command(subcommand)]
    Probe(node_agent::probe::ProbeArgs),
    /// Runs probes for a reporter.
    Runner(node_agent::runner::RunnerArgs),
}

fn main() -> ExitCode {
    match CommandLine::parse().command {
        Command::Run(run) => node_agent::run(*run),
        Command::Probe(probe) => probe.run(),
        Command::Runner(runner) => runner.run(),
    }
}
