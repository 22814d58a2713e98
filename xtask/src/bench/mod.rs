//! `cargo xtask bench`: figures, each bench with one JSON object as its last line.
//!
//! Benches run release binaries against a real control plane on loopback. They print what they saw and judge nothing:
//! machines are shared and noisy.

mod agent;
mod figures;
mod footprint;
mod latency;
mod scene;
mod usage;

use crate::Outcome;
use clap::Subcommand;
use std::process::ExitCode;

/// What is measured.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Bench {
    /// From a line in the kernel log to the taint as a watcher sees it
    Latency(latency::Wanted),
    /// One agent with a simulated node of 8 GPUs: memory, processor and writes at rest, then what a fault waits for in it
    Agent(agent::Wanted),
    /// Memory, processor and writes at rest
    Footprint(footprint::Wanted),
}

pub(crate) fn run(bench: &Bench) -> Outcome {
    let binaries = scene::build_release()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let figures = runtime.block_on(async {
        match bench {
            Bench::Agent(wanted) => agent::measure(&binaries, wanted).await,
            Bench::Latency(wanted) => latency::measure(&binaries, wanted).await,
            Bench::Footprint(wanted) => footprint::measure(&binaries, wanted).await,
        }
    })?;
    println!("{figures}");
    Ok(ExitCode::SUCCESS)
}
