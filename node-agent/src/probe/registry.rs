//! Every probe, one row each: the only place that lists them. The command line, the runner's table and the form of what a
//! probe prints follow from its row. How a check of a run uses a probe is a row of the dispatch's own table.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::ArgMatches;
use serde_json::Value;

use super::driver::{STALE_EXIT, SamplerParameters};
use super::programs::CustomParameters;
use super::start::Probe;
use super::tools::iperf::{IperfClientParameters, IperfServerParameters};
use super::tree::TreeParameters;
use super::words;
use crate::readings::{ProbeReport, ReportError};
use crate::runner::protocol::{Parameters, ProbeSpec};
use crate::runner::runnable::Runnable;

/// One probe.
#[derive(Debug)]
pub struct ProbeRow {
    /// Its name, and what the runner needs to know about it.
    pub runnable: Runnable,
    /// Its line in `gpu-health-agent probe --help`.
    about: &'static str,
    /// Whether it may have the driver's library open; if so, it is stopped before the driver is unloaded. What a user's
    /// program does is unknown.
    pub may_hold_driver: bool,
    /// Reads what it printed, and checks that it is a report of this probe.
    pub read_report: fn(&str) -> Result<Value, ReportError>,
    /// Its options.
    augment: fn(clap::Command) -> clap::Command,
    /// Parses its options.
    read: fn(&ArgMatches) -> Result<Ready, clap::Error>,
    /// Sends any of its parameters over the wire and the command line, and compares.
    #[cfg(test)]
    round_trip: fn(&mut proptest::test_runner::TestRunner) -> Result<(), String>,
}

/// A probe with its parameters, ready to run in this process.
type Ready = Box<dyn FnOnce() -> ExitCode>;

/// All probes.
pub static PROBES: &[ProbeRow] = &[
    ProbeRow {
        runnable: Runnable { talks: true, outdated: Some(STALE_EXIT), ..runnable::<SamplerParameters>() },
        may_hold_driver: true,
        ..row::<SamplerParameters>(
            "Loads the driver's library and answers requests from stdin, line by line, until stdin is closed",
        )
    },
    row::<TreeParameters>("Reads PCI, links, RDMA ports and EFA from sysfs and procfs, without the driver's library"),
    ProbeRow {
        runnable: Runnable { subject: Some("program"), ..runnable::<CustomParameters>() },
        may_hold_driver: true,
        ..row::<CustomParameters>("Runs a program by name from the directory of custom checks")
    },
    row::<IperfServerParameters>("Runs the listening half of a bandwidth test"),
    row::<IperfClientParameters>("Runs the sending half of a bandwidth test"),
];

/// The defaults: a probe that prints one report and does not open the driver.
const fn row<P: Probe>(about: &'static str) -> ProbeRow {
    ProbeRow {
        runnable: runnable::<P>(),
        about,
        may_hold_driver: false,
        read_report: read_report::<P>,
        augment: P::augment_args,
        read: read::<P>,
        #[cfg(test)]
        round_trip: tests::round_trip::<P>,
    }
}

const fn runnable<P: Probe>() -> Runnable {
    Runnable { name: P::NAME, talks: false, subject: None, outdated: None, command_line: command_line::<P> }
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

fn read_report<P: Probe>(stdout: &str) -> Result<Value, ReportError> {
    let report: P::Report = ProbeReport::parse(P::NAME, stdout)?;
    serde_json::to_value(report).map_err(|source| ReportError::Malformed { probe: P::NAME.to_owned(), source })
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
