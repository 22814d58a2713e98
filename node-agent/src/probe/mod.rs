//! Probes: one measurement each, in a process of its own, started by the runner as `gpu-health-agent probe <name>`.
//!
//! A probe prints exactly one JSON document, a [`ProbeReport`](crate::readings::ProbeReport), and exits 0; the
//! [sampler](driver) instead answers requests until stdin is closed. It exits with another status only if it could not even
//! do that. Probes measure and never judge hardware: what could not be measured carries a reason, which the reporter turns
//! into `Inconclusive`. Parsers are pure functions, apart from what acts.
//!
//! What a probe is asked for comes from the reporter; which library, trees and programs it uses are [flags of the runner](places).
//!
//! A probe leads a process group. Its children stay in that group, so that the runner's kill reaches them all.
//!
//! The [`registry`] lists the probes, one row each.

pub mod driver;
pub mod places;
pub mod programs;
pub mod registry;
mod start;
pub mod tools;
pub mod tree;
mod words;

use std::fmt;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{ArgMatches, Command};

use crate::process::sys;
use registry::{PROBES, ProbeRow};

pub use start::{Nothing, Probe};

/// `gpu-health-agent probe <name>`: a probe with its parameters. Its subcommands are the rows of the [`registry`].
pub struct ProbeArgs {
    name: &'static str,
    run: Box<dyn FnOnce() -> ExitCode>,
}

impl ProbeArgs {
    /// Measures, prints the report, and ends.
    pub fn run(self) -> ExitCode {
        sys::take_the_group_along_on_hangup();
        (self.run)()
    }
}

impl fmt::Debug for ProbeArgs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProbeArgs").field("name", &self.name).finish_non_exhaustive()
    }
}

impl clap::FromArgMatches for ProbeArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let (name, matches) =
            matches.subcommand().ok_or_else(|| clap::Error::raw(ErrorKind::MissingSubcommand, "name a probe\n"))?;
        let row = ProbeRow::named(name)
            .ok_or_else(|| clap::Error::raw(ErrorKind::InvalidSubcommand, format!("there is no probe `{name}`\n")))?;
        Ok(Self { name: row.name, run: row.ready(matches)? })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl clap::Subcommand for ProbeArgs {
    fn augment_subcommands(command: Command) -> Command {
        command.subcommands(PROBES.iter().map(ProbeRow::command))
    }

    fn augment_subcommands_for_update(command: Command) -> Command {
        Self::augment_subcommands(command)
    }

    fn has_subcommand(name: &str) -> bool {
        ProbeRow::named(name).is_some()
    }
}
