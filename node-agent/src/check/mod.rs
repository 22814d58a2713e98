//! `gpu-health-agent check`: the same checks without a cluster, once, on this machine or on files copied from another.
//!
//! ```text
//!  args, profiles ─▶ order ─▶ readings (agent::step, the same probes) ─▶ Looked, what it covers ─▶ table | json | yaml ─▶ exit status
//! ```
//!
//! The core is the agent's, given a spec made on the spot, so no judgement is written twice. Exit status 0: healthy;
//! 1: a check failed; 2: not everything could be judged, or no accelerator found.

mod args;
mod changes;
mod coverage;
mod log_file;
mod machine;
mod matured;
mod order;
mod outcome;
mod paint;
mod profiles;
mod table;

pub use args::{CheckArgs, Color, Output};
pub use order::OrderError;
pub use outcome::{Looked, Verdict};

use crate::complain::complain;
use crate::run::log_to_stderr;
use args::CheckSettings;
use machine::Looks;
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
            let mut looks = Box::new(Looks::start(&settings)?);
            let status = match settings.watch_seconds {
                Some(seconds) => watch(&mut looks, &settings, Duration::from_secs(seconds)).await,
                None => once(&mut looks, &settings).await,
            };
            Box::pin(looks.stop()).await;
            status
        })
    }
}

async fn once(looks: &mut Looks<'_>, settings: &CheckSettings) -> Result<u8, Box<dyn std::error::Error>> {
    let looked = looks.look().await?;
    print(&looked, settings)?;
    Ok(looked.verdict().exit())
}

/// Prints everything once, then what changed, until Ctrl-C or until stdout is closed.
async fn watch(
    looks: &mut Looks<'_>,
    settings: &CheckSettings,
    pause: Duration,
) -> Result<u8, Box<dyn std::error::Error>> {
    let mut shown: Option<Looked> = None;
    loop {
        let looked = tokio::select! {
            looked = looks.look() => looked?,
            _ = tokio::signal::ctrl_c() => break,
        };
        match &shown {
            None => print(&looked, settings)?,
            Some(before) => print_changes(before, &looked, settings)?,
        }
        shown = Some(looked);
        tokio::select! {
            () = looks.pause(pause) => {}
            _ = tokio::signal::ctrl_c() => break,
        }
    }
    Ok(shown.map_or(EXIT_INCONCLUSIVE, |looked| looked.verdict().exit()))
}

fn print_changes(before: &Looked, now: &Looked, settings: &CheckSettings) -> Result<(), Box<dyn std::error::Error>> {
    let changes = changes::between(before, now, paint(settings));
    if changes.is_empty() {
        return Ok(());
    }
    if !settings.is_table() {
        return print(now, settings);
    }
    let at = jiff::Timestamp::now().strftime("%FT%TZ");
    let mut stdout = std::io::stdout().lock();
    for line in changes {
        writeln!(stdout, "{at} {line}")?;
    }
    stdout.flush()?;
    Ok(())
}

fn paint(settings: &CheckSettings) -> Paint {
    Paint::new(settings.color, std::io::stdout().is_terminal())
}

fn print(looked: &Looked, settings: &CheckSettings) -> Result<(), Box<dyn std::error::Error>> {
    let mut text = match settings.output {
        Output::Table => table::of(looked, paint(settings)),
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
