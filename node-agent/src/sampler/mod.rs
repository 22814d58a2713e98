//! The sampler: the one child that holds the driver's library, and what it says over its pipe.
//!
//! ```text
//!  agent::step ─ Ask ─▶ runner ─ stdin ─▶ gpu-health-agent probe sampler ─▶ libnvidia-ml.so.1
//!       ▲                 │                       │
//!       └──── Said ───────┴────── stdout ─────────┘   (one JSON document per line, [`talk`])
//! ```
//!
//! It is asked for sections of a [`Sample`] and answers with what the library said; it judges nothing. What must stay
//! true:
//! - a call that does not come back is told while it hangs, with its name and its GPU; the runner then kills the child;
//! - an answer that is missing is absent from the sample, never zero;
//! - nothing of it outlives its pipe: when nobody reads or asks any more, it ends, and the library is let go.

pub mod sample;
pub mod talk;

use std::path::PathBuf;
use std::process::ExitCode;

pub use sample::{Sample, Section};
pub use talk::{Ask, Said};

/// `probe sampler`
#[derive(Debug, Clone, clap::Args)]
pub struct SamplerArgs {
    /// Name or path of the NVIDIA management library.
    #[arg(long, default_value = "libnvidia-ml.so.1")]
    pub nvml_library: PathBuf,
    /// Root of the tree that is `/dev` on a node.
    #[arg(long, default_value = "/dev")]
    pub dev_root: PathBuf,
    /// A call that takes longer than this is told as hung, in milliseconds.
    #[arg(long, default_value_t = 10_000)]
    pub call_deadline_ms: u64,
}

/// Answers what is asked on stdin until that is closed.
pub(crate) fn run(_args: &SamplerArgs) -> ExitCode {
    ExitCode::SUCCESS
}
