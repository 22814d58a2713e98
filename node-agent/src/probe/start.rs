//! The trait of every probe, and how a probe starts and prints.

use std::fmt::Debug;
use std::io::Write;
#[cfg(test)]
use std::net::IpAddr;
#[cfg(test)]
use std::path::PathBuf;
use std::process::ExitCode;

#[cfg(test)]
use proptest::prelude::*;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::places::Places;
use crate::complain::complain;
use crate::process::tool;
use crate::readings::{ProbeReport, REPORT_VERSION};

/// One kind of probe. The implementing type holds all its parameters, which are its options on the command line: what a
/// client asks for, and what the runner's own flags say.
pub trait Probe: clap::Args + Debug + Serialize + 'static {
    /// What a client chooses: its fields in the runner's protocol, under the names of the options. Never a path or a user.
    type Asked: Debug + Serialize + DeserializeOwned + 'static;
    /// What it prints; `()` for a probe that talks instead.
    type Report: Serialize + DeserializeOwned;

    /// Its name on the command line, in the protocol and in its report.
    const NAME: &'static str;
    /// The field whose values follow `--` on the command line.
    const TRAILING: Option<&'static str> = None;
    /// The fields that only the runner's flags of the same names set.
    const OF_THE_RUNNER: &'static [&'static str];

    /// What was asked, at the places of this runner.
    fn at(places: &Places, asked: Self::Asked) -> Self;

    /// Measures, prints the report, and ends.
    fn run(self) -> ExitCode;

    /// Anything that a client may ask for, for the test of the row.
    #[cfg(test)]
    fn any() -> BoxedStrategy<Self::Asked>;
}

/// What a client chooses of a probe that has nothing to choose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

/// Prints the report of a probe.
pub(super) fn print<P: Probe>(report: P::Report) -> ExitCode {
    let report = ProbeReport { probe: P::NAME.to_owned(), version: REPORT_VERSION, report };
    let mut stdout = std::io::stdout().lock();
    let written = serde_json::to_writer(&mut stdout, &report)
        .map_err(std::io::Error::from)
        .and_then(|()| stdout.write_all(b"\n"))
        .and_then(|()| stdout.flush());
    written.map_or_else(|error| failed(&error), |()| ExitCode::SUCCESS)
}

/// Waits for a probe that runs programs, and prints its report.
pub(super) fn print_report_of<P: Probe>(measure: impl Future<Output = P::Report>) -> ExitCode {
    tool::block_on(measure).map_or_else(|error| failed(&error), print::<P>)
}

fn failed(error: &std::io::Error) -> ExitCode {
    complain(error);
    ExitCode::FAILURE
}

/// Quotes, control characters, dashes and non-ASCII: what breaks framing and command lines.
#[cfg(test)]
pub(super) fn any_text() -> impl Strategy<Value = String> {
    let letter = prop_oneof![Just('-'), Just('"'), Just('\n'), Just('='), Just(','), Just('é'), any::<char>()];
    proptest::collection::vec(letter, 0..24).prop_map(|chars| chars.into_iter().filter(|c| *c != '\0').collect())
}

#[cfg(test)]
pub(super) fn any_path() -> impl Strategy<Value = PathBuf> {
    any_text().prop_map(|text| PathBuf::from(format!("/{text}")))
}

#[cfg(test)]
pub(super) fn any_address() -> impl Strategy<Value = IpAddr> {
    prop_oneof![any::<[u8; 4]>().prop_map(IpAddr::from), any::<[u8; 16]>().prop_map(IpAddr::from)]
}
