//! The trait of every probe, and how a probe starts and prints.

use std::io::Write;
use std::process::ExitCode;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::complain::complain;
use crate::process::tool;
use crate::readings::{ProbeReport, REPORT_VERSION};

/// One kind of probe. The implementing type holds its parameters: its options on the command line and its fields in the
/// runner's protocol, under the same names.
pub trait Probe: clap::Args + Serialize + DeserializeOwned + 'static {
    /// Its name on the command line, in the protocol and in its report.
    const NAME: &'static str;
    /// The field whose values follow `--` on the command line.
    const TRAILING: Option<&'static str> = None;

    /// Measures, prints the report, and ends.
    fn run(self) -> ExitCode;
}

/// Prints the report of a probe.
pub(super) fn print<P: Probe>(report: impl Serialize) -> ExitCode {
    let report = ProbeReport { probe: P::NAME.to_owned(), version: REPORT_VERSION, report };
    let mut stdout = std::io::stdout().lock();
    let written = serde_json::to_writer(&mut stdout, &report)
        .map_err(std::io::Error::from)
        .and_then(|()| stdout.write_all(b"\n"))
        .and_then(|()| stdout.flush());
    written.map_or_else(|error| failed(&error), |()| ExitCode::SUCCESS)
}

/// Waits for a probe that runs programs, and prints its report.
pub(super) fn print_report_of<P: Probe, R: Serialize>(measure: impl Future<Output = R>) -> ExitCode {
    tool::block_on(measure).map_or_else(|error| failed(&error), print::<P>)
}

fn failed(error: &std::io::Error) -> ExitCode {
    complain(error);
    ExitCode::FAILURE
}
