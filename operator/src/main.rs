//! The operator's process: parse arguments, start logging, run.

use clap::Parser;
use operator::shell::{args::Args, error::Error, run::run, telemetry};
use std::process::ExitCode;

fn main() -> ExitCode {
    let args = Args::parse();
    telemetry::begin(args.log_level);
    // One thread is enough for the load, and keeps memory within the goal of 32 MiB.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Error::Runtime);
    match runtime.and_then(|runtime| runtime.block_on(run(args))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("gpu-health-operator: {error}");
            ExitCode::FAILURE
        }
    }
}
