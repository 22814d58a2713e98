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
    /// Measures this node and reports, until SIGTERM.
    Run(Box<crate::args::RunArgs>),
    /// Looks at this machine, or at the files of another one, and says whether it is well.
    Check(Box<crate::check::CheckArgs>),
    /// Runs one probe, prints its report as JSON, and ends.
    #[command(subcommand)]
    Probe(crate::probe::ProbeArgs),
    /// Runs probes for a reporter.
    Runner(crate::runner::RunnerArgs),
}

impl CommandLine {
    /// Does what the subcommand says.
    pub fn run(self) -> ExitCode {
        match self.command {
            Command::Run(run) => crate::run(*run),
            Command::Check(check) => check.run(),
            Command::Probe(probe) => probe.run(),
            Command::Runner(runner) => runner.run(crate::probe::registry::runnables()),
        }
    }
}
