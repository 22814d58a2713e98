//! Every probe, one row each: the only place that lists them. The command line, the runner's table and the order of steps
//! around a probe follow from its row.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::ArgMatches;
use crds::check::Class;
use serde_json::Value;

use super::driver::SamplerParameters;
use super::programs::{self, CustomParameters};
use super::start::Probe;
use super::tools::iperf::{IperfClientParameters, IperfServerParameters};
use super::tree::TreeParameters;
use super::words;
use crate::readings::Section;
use crate::runner::protocol::{MAX_DEADLINE_MS, MAX_OUTPUT_CAP_BYTES, Parameters, ProbeSpec};
use crate::runner::runnable::Runnable;

/// Who turns the output of a probe into findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judged {
    /// The monitors that read these sections or this tree.
    ByMonitors,
    /// The program itself: its verdict is used unchanged.
    ByItsOwnVerdict,
    /// The slot of the pair it measured for.
    ByItsSlot,
}

/// One probe.
#[derive(Debug)]
pub struct ProbeRow {
    /// Its name, and what the runner needs to know about it.
    pub runnable: Runnable,
    /// Its line in `gpu-health-agent probe --help`.
    about: &'static str,
    /// What else may run on the node at the same time.
    pub class: Class,
    /// Whether it may have the driver's library open; if so, it is stopped before the driver is unloaded. What a user's
    /// program does is unknown.
    pub may_hold_driver: bool,
    /// Sections to read before it starts and after it ends, for comparison.
    pub before_and_after: &'static [Section],
    /// How many bytes it may print. Not used for a probe that exchanges lines, which is limited per line.
    pub output_cap_bytes: u32,
    /// Its deadline in milliseconds if the order has none.
    pub deadline_ms: u64,
    /// Who judges its output.
    pub judged: Judged,
    /// Its options.
    augment: fn(clap::Command) -> clap::Command,
    /// Parses its options.
    read: fn(&ArgMatches) -> Result<Ready, clap::Error>,
}

/// A probe with its parameters, ready to run in this process.
type Ready = Box<dyn FnOnce() -> ExitCode>;

/// The length of a bandwidth slot if the order has none, plus what the probe gets beyond it, in milliseconds.
const SLOT_MS: u64 = 15_000 + 1_000;
/// The time limit of a user's program if the check has none, in milliseconds.
const PROGRAM_MS: u64 = 300_000;

/// All probes.
pub static PROBES: &[ProbeRow] = &[
    ProbeRow {
        runnable: Runnable { talks: true, ..runnable::<SamplerParameters>() },
        may_hold_driver: true,
        deadline_ms: MAX_DEADLINE_MS,
        ..row::<SamplerParameters>(
            "Loads the driver's library and answers requests from stdin, line by line, until stdin is closed",
        )
    },
    row::<TreeParameters>("Reads PCI, links, RDMA ports and EFA from sysfs and procfs, without the driver's library"),
    ProbeRow {
        runnable: Runnable { subject: Some("program"), ..runnable::<CustomParameters>() },
        class: Class::Declared,
        may_hold_driver: true,
        deadline_ms: PROGRAM_MS + programs::MARGIN_MS,
        judged: Judged::ByItsOwnVerdict,
        ..row::<CustomParameters>("Runs a program by name from the directory of custom checks")
    },
    ProbeRow {
        class: Class::Group,
        deadline_ms: SLOT_MS,
        judged: Judged::ByItsSlot,
        ..row::<IperfServerParameters>("Runs the listening half of a bandwidth test")
    },
    ProbeRow {
        class: Class::Group,
        deadline_ms: SLOT_MS,
        judged: Judged::ByItsSlot,
        ..row::<IperfClientParameters>("Runs the sending half of a bandwidth test")
    },
];

/// The defaults: a passive probe that prints one report for the monitors.
const fn row<P: Probe>(about: &'static str) -> ProbeRow {
    ProbeRow {
        runnable: runnable::<P>(),
        about,
        class: Class::Passive,
        may_hold_driver: false,
        before_and_after: &[],
        output_cap_bytes: MAX_OUTPUT_CAP_BYTES,
        deadline_ms: 30_000,
        judged: Judged::ByMonitors,
        augment: P::augment_args,
        read: read::<P>,
    }
}

const fn runnable<P: Probe>() -> Runnable {
    Runnable { name: P::NAME, talks: false, subject: None, command_line: command_line::<P> }
}

fn command_line<P: Probe>(parameters: &Parameters) -> Result<Vec<OsString>, String> {
    check::<P>(parameters)?;
    Ok(words::command_line(P::NAME, parameters, P::TRAILING))
}

fn check<P: Probe>(parameters: &Parameters) -> Result<(), String> {
    let parameters = Value::Object(parameters.clone());
    let read: Result<P, _> = serde_path_to_error::deserialize(parameters);
    read.map(drop).map_err(|error| format!("the parameters of the {} probe do not fit: {error}", P::NAME))
}

fn read<P: Probe>(matches: &ArgMatches) -> Result<Ready, clap::Error> {
    let parameters = P::from_arg_matches(matches)?;
    Ok(Box::new(move || parameters.run()))
}

impl ProbeRow {
    /// The row of a probe.
    pub fn named(name: &str) -> Option<&'static Self> {
        PROBES.iter().find(|row| row.runnable.name == name)
    }

    /// Its subcommand.
    pub(super) fn command(&self) -> clap::Command {
        (self.augment)(clap::Command::new(self.runnable.name)).about(self.about).long_about(None::<&str>)
    }

    /// Parses its options.
    pub(super) fn ready(&self, matches: &ArgMatches) -> Result<Ready, clap::Error> {
        (self.read)(matches)
    }
}

/// The runner's table.
pub fn runnables() -> Vec<Runnable> {
    PROBES.iter().map(|row| row.runnable).collect()
}

/// A probe and its parameters in the form for the runner. Fails with a message if a path is not UTF-8.
pub fn spec<P: Probe>(parameters: &P) -> Result<ProbeSpec, String> {
    match serde_json::to_value(parameters) {
        Ok(Value::Object(parameters)) => Ok(ProbeSpec { probe: P::NAME.to_owned(), parameters }),
        Ok(Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_)) => {
            Err(format!("the parameters of the {} probe have no names", P::NAME))
        }
        Err(error) => Err(format!("the parameters of the {} probe cannot be sent: {error}", P::NAME)),
    }
}

#[cfg(test)]
mod tests;
