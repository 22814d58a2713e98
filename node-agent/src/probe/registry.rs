//! Every probe, one row each: the only place that lists them. The command line, the runner's table and the form of what a
//! probe prints follow from its row. How a check of a run uses a probe is a row of the dispatch's own table.

use std::ffi::OsString;
use std::process::ExitCode;
use std::sync::Arc;

use clap::ArgMatches;
use serde::Serialize;
use serde_json::Value;

use super::driver::{STALE_EXIT, SamplerParameters};
use super::places::Places;
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
    /// Its name on the command line, in the protocol and in its report.
    pub name: &'static str,
    /// [`Runnable::talks`].
    talks: bool,
    /// [`Runnable::subject`].
    subject: Option<&'static str>,
    /// [`Runnable::outdated`].
    outdated: Option<i32>,
    /// Its command line, from what a client asks and the places of the runner.
    command_line: fn(&Parameters, &Places) -> Result<Vec<OsString>, String>,
    /// Its line in `gpu-health-agent probe --help`.
    about: &'static str,
    /// Whether it may have the driver's library open; if so, it is stopped before the driver is unloaded. What a user's
    /// program does is unknown.
    pub may_hold_driver: bool,
    /// [`Probe::OF_THE_RUNNER`].
    #[cfg(test)]
    of_the_runner: &'static [&'static str],
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
        talks: true,
        outdated: Some(STALE_EXIT),
        may_hold_driver: true,
        ..row::<SamplerParameters>(
            "Loads the driver's library and answers requests from stdin, line by line, until stdin is closed",
        )
    },
    row::<TreeParameters>("Reads PCI, links, RDMA ports and EFA from sysfs and procfs, without the driver's library"),
    ProbeRow {
        subject: Some("program"),
        may_hold_driver: true,
        ..row::<CustomParameters>("Runs a program by name from the directory of custom checks")
    },
    row::<IperfServerParameters>("Runs the listening half of a bandwidth test"),
    row::<IperfClientParameters>("Runs the sending half of a bandwidth test"),
];

/// The defaults: a probe that prints one report and does not open the driver.
const fn row<P: Probe>(about: &'static str) -> ProbeRow {
    ProbeRow {
        name: P::NAME,
        talks: false,
        subject: None,
        outdated: None,
        command_line: command_line::<P>,
        about,
        may_hold_driver: false,
        read_report: read_report::<P>,
        augment: P::augment_args,
        read: read::<P>,
        #[cfg(test)]
        of_the_runner: P::OF_THE_RUNNER,
        #[cfg(test)]
        round_trip: tests::round_trip::<P>,
    }
}

fn command_line<P: Probe>(parameters: &Parameters, places: &Places) -> Result<Vec<OsString>, String> {
    let whole = fields_of(P::NAME, &P::at(places, asked::<P>(parameters)?))?;
    Ok(words::command_line(P::NAME, &whole, P::TRAILING))
}

fn asked<P: Probe>(parameters: &Parameters) -> Result<P::Asked, String> {
    if let Some(field) = P::OF_THE_RUNNER.iter().find(|field| parameters.contains_key(**field)) {
        let flag = words::kebab_case(field);
        return Err(format!("{field} of the {} probe is set by the runner's own --{flag}, never by a client", P::NAME));
    }
    let parameters = Value::Object(parameters.clone());
    serde_path_to_error::deserialize(parameters)
        .map_err(|error| format!("the parameters of the {} probe do not fit: {error}", P::NAME))
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
        PROBES.iter().find(|row| row.name == name)
    }

    /// Its subcommand.
    pub(super) fn command(&self) -> clap::Command {
        (self.augment)(clap::Command::new(self.name)).about(self.about).long_about(None::<&str>)
    }

    /// Parses its options.
    pub(super) fn ready(&self, matches: &ArgMatches) -> Result<Ready, clap::Error> {
        (self.read)(matches)
    }
}

/// The table of a runner with these places.
pub fn runnables(places: &Arc<Places>) -> Vec<Runnable> {
    let runnable = |row: &'static ProbeRow| {
        let places = Arc::clone(places);
        Runnable {
            name: row.name,
            talks: row.talks,
            subject: row.subject,
            outdated: row.outdated,
            command_line: Arc::new(move |parameters| (row.command_line)(parameters, &places)),
        }
    };
    PROBES.iter().map(runnable).collect()
}

/// A probe and what is asked of it in the form for the runner. Fails with a message if it cannot be written as JSON.
pub fn spec<P: Probe>(asked: &P::Asked) -> Result<ProbeSpec, String> {
    Ok(ProbeSpec { probe: P::NAME.to_owned(), parameters: fields_of(P::NAME, asked)? })
}

fn fields_of(probe: &str, parameters: &impl Serialize) -> Result<Parameters, String> {
    match serde_json::to_value(parameters) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_)) => {
            Err(format!("the parameters of the {probe} probe have no names"))
        }
        Err(error) => Err(format!("the parameters of the {probe} probe cannot be written: {error}")),
    }
}

#[cfg(test)]
mod tests;
