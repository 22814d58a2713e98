//! `gpu-health-agent check`: the same checks without a cluster, once, on this machine or on files copied from another.
//!
//! ```text
//!  args, profile ─▶ order ─▶ look (agent::step, the same probes) ─▶ Looked ─▶ table | json | yaml ─▶ exit status
//! ```
//!
//! The core is the agent's, given a spec made on the spot, so no judgement is written twice. Exit status 0: healthy;
//! 1: a check failed; 2: could not be judged, or no accelerator found.

mod args;
mod log_file;
mod machine;
mod order;
mod outcome;
mod paint;
mod table;

pub use args::{CheckArgs, Color, Output};
pub use order::OrderError;
pub use outcome::{Looked, Verdict};

use crate::complain::complain;
use crate::run::log_to_stderr;
use outcome::EXIT_INCONCLUSIVE;
use paint::Paint;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;

impl CheckArgs {
    /// Checks the machine, prints the result, and returns the exit status.
    pub fn run(self) -> ExitCode {
        match self.look_and_print() {
            Ok(status) => ExitCode::from(status),
            Err(error) => {
                complain(error.as_ref());
                ExitCode::from(EXIT_INCONCLUSIVE)
            }
        }
    }

    fn look_and_print(self) -> Result<u8, Box<dyn std::error::Error>> {
        let settings = self.resolve()?;
        log_to_stderr(settings.log_level);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let Some(seconds) = settings.watch_seconds else {
                let looked = machine::once(&settings).await?;
                print(&looked, &settings)?;
                return Ok(looked.verdict().exit());
            };
            watch(&settings, Duration::from_secs(seconds)).await
        })
    }
}

/// Prints again whenever something changed, until Ctrl-C or until stdout is closed.
async fn watch(settings: &args::CheckSettings, pause: Duration) -> Result<u8, Box<dyn std::error::Error>> {
    let mut shown: Option<Looked> = None;
    loop {
        let looked = tokio::select! {
            looked = machine::once(settings) => looked?,
            _ = tokio::signal::ctrl_c() => break,
        };
        if shown.as_ref() != Some(&looked) {
            if settings.is_table() && std::io::stdout().is_terminal() {
                // Clear the screen, cursor home (ECMA-48).
                write!(std::io::stdout(), "\x1b[2J\x1b[H")?;
            }
            print(&looked, settings)?;
            shown = Some(looked);
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = tokio::signal::ctrl_c() => break,
        }
    }
    Ok(shown.map_or(EXIT_INCONCLUSIVE, |looked| looked.verdict().exit()))
}

fn print(looked: &Looked, settings: &args::CheckSettings) -> Result<(), Box<dyn std::error::Error>> {
    let mut text = match settings.output {
        Output::Table => table::of(looked, Paint::new(settings.color, std::io::stdout().is_terminal())),
        Output::Json => serde_json::to_string_pretty(&looked.document())?,
        Output::Yaml => serde_yaml::to_string(&looked.document())?,
    };
    if !text.ends_with('\n') {
        text.push('\n');
    }
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()?;
    Ok(())
}
