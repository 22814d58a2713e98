//! `cargo xtask demo`: the whole way from `kubectl apply` to a marked node and back, on a real control plane.
//!
//! ```text
//! stage.rs   what stands on the stage: control plane, nodes, operator, agents
//! story.rs   the steps, in order; each looks at the API server until it sees what it tells, or fails
//! told.rs    how it is told: headings, real kubectl output, colour where there is a terminal
//! ```
//!
//! Every state that is shown comes from the API server. The exit status is 0 only if every step was as told.

mod stage;
mod story;
mod told;

use crate::Outcome;
use clap::{Args, ValueEnum};
use stage::Stage;
use std::process::ExitCode;
use std::time::Instant;
use told::Teller;

/// What the demo is asked to do.
#[derive(Debug, Clone, Args)]
pub(crate) struct Wanted {
    /// End after the story instead of staying up
    #[arg(long)]
    exit: bool,
    /// Break something on purpose: the demo must then end with 1 and say at which step
    #[arg(long, value_name = "WHAT")]
    r#break: Option<Break>,
}

/// What can be broken on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Break {
    /// The agents are stopped before the fault
    Agent,
}

/// A step that did not go as told.
#[derive(Debug, thiserror::Error)]
#[error("{problem}")]
pub(crate) struct Failure {
    problem: String,
}

impl Failure {
    pub(crate) fn new(problem: impl Into<String>) -> Self {
        Self { problem: problem.into() }
    }
}

macro_rules! failure_from {
    ($($source:ty),+ $(,)?) => {
        $(impl From<$source> for Failure {
            fn from(source: $source) -> Self {
                Self::new(source.to_string())
            }
        })+
    };
}
failure_from!(
    gpu_health_tests::cluster::Error,
    gpu_health_tests::process::Error,
    gpu_health_tests::product::Error,
    kube::Error,
    std::io::Error,
);

/// Tells the story.
pub(crate) fn run(wanted: &Wanted) -> Outcome {
    let began = Instant::now();
    let teller = Teller::for_this_terminal();
    stage::build(&teller)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let mut stage = match Stage::set(&teller).await {
            Ok(stage) => stage,
            Err(failure) => return Ok(failed(&teller, "setting the stage", &failure)),
        };
        teller.note(&format!("the stage was set {:.0} s after the start", began.elapsed().as_secs_f64()));
        if let Err((step, failure)) = story::tell(&teller, &mut stage, wanted.r#break).await {
            stage.cluster.keep_logs();
            return Ok(failed(&teller, step, &failure));
        }
        teller.note(&format!("every step was as told, in {:.0} s", began.elapsed().as_secs_f64()));
        if !wanted.exit {
            stage.stay_until_interrupted(&teller).await;
        }
        Ok(ExitCode::SUCCESS)
    })
}

fn failed(teller: &Teller, step: &str, failure: &Failure) -> ExitCode {
    teller.failure(&format!("the step «{step}» was not as told: {failure}"));
    ExitCode::FAILURE
}
