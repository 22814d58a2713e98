//! The command line of `gpu-health-agent`: its subcommands. Completions and man pages are generated from it.

use crate::probe::places::Places;
use crate::probe::registry::runnables;
use crate::run::log_to_stderr;
use crate::runner::RunnerArgs;
use std::process::ExitCode;
use std::sync::Arc;

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
    Runner(Box<RunnerLine>),
}

// No doc comment: clap would take it for the description of the command.
#[derive(Debug, clap::Args)]
struct RunnerLine {
    #[command(flatten)]
    runner: RunnerArgs,
    #[command(flatten)]
    places: Places,
    /// Log level: error, warn, info, debug or trace.
    #[arg(long, default_value = "info")]
    log_level: tracing::Level,
}

impl CommandLine {
    /// Does what the subcommand says.
    pub fn run(self) -> ExitCode {
        match self.command {
            Command::Run(run) => run.run(),
            Command::Check(check) => check.run(),
            Command::Probe(probe) => probe.run(),
            Command::Runner(line) => {
                let RunnerLine { runner, places, log_level } = *line;
                log_to_stderr(log_level);
                runner.run(runnables(&Arc::new(places)))
            }
        }
    }
}
