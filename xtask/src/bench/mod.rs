//! `cargo xtask bench`: each bench prints its figures as one JSON object in its last line.
//!
//! Benches run release binaries against a real control plane on loopback. They have no thresholds: machines are shared and
//! noisy.

mod agent;
mod figures;
mod footprint;
mod latency;
mod scale;
mod scene;
mod usage;
mod watched;

use crate::Outcome;
use clap::Subcommand;
use std::process::ExitCode;

/// What is measured.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Bench {
    /// Time from a line in the kernel log to the taint, beside the bare requests without agent and operator
    Latency(latency::Wanted),
    /// One agent on a simulated node with 8 GPUs: memory, CPU and writes at rest, then time from a fault to its report
    Agent(agent::Wanted),
    /// Memory, CPU and writes of operator and agents at rest
    Footprint(footprint::Wanted),
    /// What the operator costs as the nodes grow: start, one decision, rest, a taint in a wave of writes
    Scale(scale::Wanted),
}

pub(crate) fn run(bench: &Bench) -> Outcome {
    let binaries = scene::build_release()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let figures = runtime.block_on(async {
        match bench {
            Bench::Agent(wanted) => agent::measure(&binaries, wanted).await,
            Bench::Latency(wanted) => Box::pin(latency::measure(&binaries, wanted)).await,
            Bench::Footprint(wanted) => footprint::measure(&binaries, wanted).await,
            Bench::Scale(wanted) => Box::pin(scale::measure(&binaries, wanted)).await,
        }
    })?;
    println!("{figures}");
    Ok(ExitCode::SUCCESS)
}
