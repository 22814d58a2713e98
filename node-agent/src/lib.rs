//! The agent of gpu-health-operator: it measures one node and reports.
//!
//! # How data flows through it
//!
//! ```text
//!  kernel log ─▶ xid (tables) ─┐                                   ┌─▶ runner ─▶ probe children (driver, tools, programs)
//!  own NodeHealth (watch) ─────┼─▶ Event ─▶ agent::step ─▶ Effect ─┤
//!  probe outcomes ─▶ sense ────┘              │                    └─▶ status.report (server-side apply)
//!                                             └─ judge: measurements and expectations ─▶ findings and rows
//! ```
//!
//! [`agent`] and [`judge`] are pure: no clock, no client, no environment. [`shell`] is the one place that touches the
//! world. [`runner`] and [`probe`] are processes of their own, so that a driver that hangs or crashes takes neither the
//! reporter nor the Lease down.
//!
//! # What must stay true
//!
//! - The reporter loads no driver library and starts no tool; only probe children do.
//! - Whatever could not be measured is `Inconclusive`, never a verdict.
//! - A quiet node costs one Lease renewal a minute and no other write.
//! - The Lease is renewed whatever else happens or hangs.

pub mod agent;
pub mod args;
pub mod check;
pub mod command_line;
mod complain;
pub mod error;
pub mod http;
pub mod judge;
pub mod kernel_log;
pub mod metrics;
pub mod pci;
pub mod probe;
mod process;
pub mod readings;
pub mod runner;
pub mod sense;
pub mod shell;
mod text;
pub mod time;
pub mod xid;

use std::process::ExitCode;

/// `gpu-health-agent run`: exits with 0 after SIGTERM, and with 1 where it could not begin.
pub fn run(args: args::RunArgs) -> ExitCode {
    match begin(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain::complain(&error);
            ExitCode::FAILURE
        }
    }
}

fn begin(args: args::RunArgs) -> Result<(), error::AgentError> {
    let settings = args.resolve()?;
    log_to_stderr(settings.log_level);
    // One thread: the agent shares its node with those who pay for it.
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(error::AgentError::SetUp)?;
    runtime.block_on(shell::run(settings))
}

/// What others' crates say is heard from warnings on: at debug the HTTP stack alone would drown us.
fn log_to_stderr(level: tracing::Level) {
    use tracing_subscriber::{filter::Targets, layer::SubscriberExt, util::SubscriberInitExt};
    let levels = Targets::new().with_default(tracing::Level::WARN.min(level)).with_target("node_agent", level);
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(false);
    // A second subscriber can only come from a program that embeds this one and has its own.
    let _ = tracing_subscriber::registry().with(levels).with(lines).try_init();
}
