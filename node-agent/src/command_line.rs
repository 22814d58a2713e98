//! The command line of `gpu-health-agent`: its subcommands. Completions and man pages are generated from it.

use std::process::ExitCode;

/// Measures the health of one node's accelerators.
#[derive(Debug, clap::Parser)]
#[command(name = "gpu-health-agent", version)]
pub struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Measures this node and reports to the API server until SIGTERM.
    Run(Box<crate::run::RunArgs>),
    /// Checks this machine, or files copied from another one, and prints whether it is healthy.
    Check(Box<crate::check::CheckArgs>),
    /// Runs one probe, prints its report as JSON and exits.
    #[command(subcommand)]
    Probe(crate::probe::ProbeArgs),
    /// Runs probes for a reporter.
    Runner(crate::runner::RunnerArgs),
}

impl CommandLine {
    /// Does what the subcommand says.
    pub fn run(self) -> ExitCode {
        match self.command {
            Command::Run(run) => run.run(),
            Command::Check(check) => check.run(),
            Command::Probe(probe) => probe.run(),
            Command::Runner(runner) => runner.run(crate::probe::registry::runnables()),
        }
    }
}
