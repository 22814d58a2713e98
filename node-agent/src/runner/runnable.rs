//! What a runner can start. The table is handed in from above, so that the runner knows no particular probe.

use std::ffi::OsString;
use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use super::protocol::{Parameters, Start};

/// One probe as the runner sees it.
#[derive(Clone)]
pub struct Runnable {
    /// Its name in the protocol.
    pub name: &'static str,
    /// It is spoken to and answers while it runs, rather than printing one report.
    pub talks: bool,
    /// The field that says what is run, where one probe runs different programs. A program that cannot be killed keeps
    /// only itself from being started again.
    pub subject: Option<&'static str>,
    /// The exit status with which it asks for a new container: what is mounted into this one is out of date.
    pub outdated: Option<i32>,
    /// The command line of `gpu-health-agent` for what a client asks, without the program's own name; or a sentence that
    /// says what is wrong with it. Paths and users come from the runner's own flags.
    pub command_line: Arc<CommandLine>,
}

/// From the parameters of a client to a command line.
pub type CommandLine = dyn Fn(&Parameters) -> Result<Vec<OsString>, String> + Send + Sync;

impl fmt::Debug for Runnable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runnable").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A probe that is ready to be started.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Prepared {
    /// What counts as "the same probe" when a child cannot be killed: `tree`, `custom/disk`.
    pub(super) kind: String,
    pub(super) talks: bool,
    pub(super) outdated: Option<i32>,
    pub(super) arguments: Vec<OsString>,
}

/// Finds the probe in the table and checks its parameters; else a sentence that says what is wrong.
pub(super) fn prepare(table: &[Runnable], start: &Start) -> Result<Prepared, String> {
    let Some(row) = table.iter().find(|row| row.name == start.probe) else {
        let names: Vec<&str> = table.iter().map(|row| row.name).collect();
        let asked: String = start.probe.chars().take(64).collect();
        return Err(format!("there is no probe `{asked}`; this runner has {}", names.join(", ")));
    };
    let arguments = (row.command_line)(&start.parameters)?;
    let subject = row.subject.and_then(|field| start.parameters.get(field)).and_then(Value::as_str);
    let kind = subject.map_or_else(|| row.name.to_owned(), |subject| format!("{}/{subject}", row.name));
    Ok(Prepared { kind, talks: row.talks, outdated: row.outdated, arguments })
}
