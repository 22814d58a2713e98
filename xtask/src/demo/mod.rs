//! `cargo xtask demo`: the whole way from `kubectl apply` to a marked node and back, on a real control plane.
//!
//! ```text
//! stage.rs   what runs: control plane, nodes, operator, agents
//! story.rs   the steps, in order; each waits until the API server shows what it announces, or fails
//! told.rs    how it is printed: headings, real kubectl output, colour on a terminal
//! ```
//!
//! Every state that is shown comes from the API server. The exit status is 0 only if every step went as expected.

mod stage;
mod story;
mod told;

use crate::Outcome;
use crate::install::{IPERF3, install};
use clap::{Args, ValueEnum};
use gpu_health_tests::process::Identity;
use stage::Stage;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use told::Teller;

/// What the demo is asked to do.
#[derive(Debug, Clone, Args)]
pub(crate) struct Wanted {
    /// End after the story instead of staying up
    #[arg(long)]
    exit: bool,
    /// Also run kube-controller-manager, kube-scheduler and kwok (built with Go once, in about 3 min on 2 cores)
    #[arg(long)]
    full: bool,
    /// Install nothing: leave out the steps that need a program which is missing
    #[arg(long)]
    no_install: bool,
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

/// USER_HZ of every Linux architecture that we build for.
const TICKS_PER_SECOND: u64 = 100;

/// A step that failed.
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
    if let Err(missing) = install(&[IPERF3], wanted.no_install, |what| teller.note(what)) {
        teller.note(&format!("{missing}: the step with iperf3 will be left out"));
    }
    let options = stage::options(wanted.full);
    stage::build(&teller, options)?;
    let built = began.elapsed();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let mut stage = match Stage::set(&teller, options).await {
            Ok(stage) => stage,
            Err(failure) => return Ok(failed(&teller, "setting the stage", &failure)),
        };
        if let Err((step, failure)) = story::tell(&teller, &mut stage, wanted.r#break).await {
            stage.cluster.keep_logs();
            return Ok(failed(&teller, step, &failure));
        }
        let story = began.elapsed().saturating_sub(built).as_secs_f64();
        teller.note(&format!("every step went as expected: {story:.0} s, {}", since_the_command(built)));
        if !wanted.exit {
            stage.stay_until_interrupted(&teller).await;
        }
        Ok(ExitCode::SUCCESS)
    })
}

/// How long it is since the command was given. `cargo run` becomes the program that it has built, so the age of this
/// process includes cargo's own build.
fn since_the_command(built_here: Duration) -> String {
    let minutes = |time: Duration| time.as_secs_f64() / 60.0;
    age_of_this_process().map_or_else(
        || format!("after {:.1} min of building", minutes(built_here)),
        |age| format!("{:.1} min after the command was given, builds included", minutes(age)),
    )
}

fn age_of_this_process() -> Option<Duration> {
    // Both count from boot: /proc/uptime in seconds, the start of a process in ticks (proc(5)).
    let uptime = std::fs::read_to_string("/proc/uptime").ok()?;
    let uptime = Duration::try_from_secs_f64(uptime.split(' ').next()?.parse().ok()?).ok()?;
    let started = Duration::from_millis(Identity::own()?.started * 1_000 / TICKS_PER_SECOND);
    uptime.checked_sub(started)
}

fn failed(teller: &Teller, step: &str, failure: &Failure) -> ExitCode {
    teller.failure(&format!("the step «{step}» failed: {failure}"));
    ExitCode::FAILURE
}
