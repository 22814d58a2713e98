//! The agent of gpu-health-operator.

use clap::Parser;
use node_agent::command_line::CommandLine;
use std::process::ExitCode;

fn main() -> ExitCode {
    CommandLine::parse().run()
}
