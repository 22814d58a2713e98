//! Probes: one measurement each, in a process of its own, started by the runner as `gpu-health-agent probe <check>`.
//!
//! A probe prints exactly one JSON document, a [`ProbeReport`], and exits 0 (but for the [sampler](crate::sampler), which
//! talks); it exits with another status only when it
//! could not even do that. Probes measure and never judge hardware: what could not be measured carries a reason, and the
//! reporter makes `Inconclusive` of it. In each probe reading an output (pure, `read`, `parse`) is apart from acting.
//!
//! A probe leads a process group. What it starts stays in that group, so that the runner's kill reaches all of it.

pub mod custom;
pub mod inventory;
pub mod iperf;
mod tool;
pub mod tree;

use std::io::Write;
use std::process::ExitCode;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::runner::sys;

/// The version of the envelope and of all documents in it; a reader takes no other.
pub const REPORT_VERSION: u32 = 1;
/// The longest evidence of a finding, in bytes (`NodeHealth` holds no longer one).
pub const EVIDENCE_BYTES: usize = 256;

/// `gpu-health-agent probe <check>`
#[derive(Debug, Clone, clap::Subcommand)]
pub enum ProbeArgs {
    /// Holds the driver's library and answers, line by line, what is asked on stdin, until that is closed.
    Sampler(crate::sampler::SamplerArgs),
    /// PCI, links, RDMA ports and EFA, from sysfs and procfs alone.
    Tree(tree::TreeArgs),
    /// A program by name from the one directory of the user's own checks.
    Custom(custom::CustomArgs),
    /// The listening half of a bandwidth test.
    IperfServer(iperf::ServerArgs),
    /// The sending half of a bandwidth test.
    IperfClient(iperf::ClientArgs),
}

/// The document that every probe prints.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProbeReport<T> {
    /// The subcommand that ran: `tree`, `custom`, `iperf-server`, `iperf-client`.
    pub probe: String,
    /// [`REPORT_VERSION`] of the binary that wrote it.
    pub version: u32,
    /// What was measured.
    pub report: T,
}

/// Why a probe's output is no report.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// No JSON, or another document.
    #[error("the output of the {probe} probe is no report of it")]
    Malformed {
        /// The probe that was asked for.
        probe: String,
        /// What does not fit.
        #[source]
        source: serde_json::Error,
    },
    /// Written by another probe or another version.
    #[error("expected a report of {expected} in version {REPORT_VERSION}, got {probe} in version {version}")]
    OtherProbe {
        /// The probe that was asked for.
        expected: String,
        /// The one that answered.
        probe: String,
        /// And its version.
        version: u32,
    },
}

impl<T: DeserializeOwned> ProbeReport<T> {
    /// Reads what `probe` printed.
    pub fn parse(probe: &str, stdout: &str) -> Result<T, ReportError> {
        let report: Self = serde_json::from_str(stdout)
            .map_err(|source| ReportError::Malformed { probe: probe.to_owned(), source })?;
        if report.probe == probe && report.version == REPORT_VERSION {
            Ok(report.report)
        } else {
            Err(ReportError::OtherProbe { expected: probe.to_owned(), probe: report.probe, version: report.version })
        }
    }
}

impl ProbeArgs {
    /// Measures, prints the report, and ends.
    pub fn run(self) -> ExitCode {
        sys::take_the_group_along_on_hangup();
        match self {
            Self::Sampler(args) => crate::sampler::run(&args),
            Self::Tree(args) => print("tree", tree::measure(&args)),
            Self::Custom(args) => {
                tool::block_on(custom::run(args)).map_or_else(|error| failed(&error), |report| print("custom", report))
            }
            Self::IperfServer(args) => tool::block_on(iperf::serve(&args))
                .map_or_else(|error| failed(&error), |report| print("iperf-server", report)),
            Self::IperfClient(args) => tool::block_on(iperf::send(&args))
                .map_or_else(|error| failed(&error), |report| print("iperf-client", report)),
        }
    }
}

fn print(probe: &str, report: impl Serialize) -> ExitCode {
    let report = ProbeReport { probe: probe.to_owned(), version: REPORT_VERSION, report };
    let mut stdout = std::io::stdout().lock();
    let written = serde_json::to_writer(&mut stdout, &report)
        .map_err(std::io::Error::from)
        .and_then(|()| stdout.write_all(b"\n"))
        .and_then(|()| stdout.flush());
    written.map_or_else(|error| failed(&error), |()| ExitCode::SUCCESS)
}

fn failed(error: &std::io::Error) -> ExitCode {
    complain(error);
    ExitCode::FAILURE
}

/// An error with all its causes, on one line of stderr.
pub(crate) fn complain(error: &dyn std::error::Error) {
    let mut line = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        line = format!("{line}: {cause}");
        source = cause.source();
    }
    // Nobody can be told that stderr is closed.
    let _ = writeln!(std::io::stderr(), "gpu-health-agent: {line}");
}

/// The command line and the first lines of its output, within [`EVIDENCE_BYTES`]; control characters become spaces.
pub(crate) fn evidence(command: &str, output: &str) -> String {
    let text = format!("{command}: {}", output.trim());
    bounded(&text.split(char::is_control).filter(|part| !part.trim().is_empty()).collect::<Vec<_>>().join(" "))
}

/// At most [`EVIDENCE_BYTES`] of it, cut between characters.
pub(crate) fn bounded(text: &str) -> String {
    let mut end = text.len().min(EVIDENCE_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evidence_is_one_line_within_its_bound_and_cut_between_characters() {
        assert_eq!(evidence("tool -x", "one\n\ttwo\r\n"), "tool -x: one two");
        let long = evidence("tool", &"é".repeat(300));
        assert!(long.len() <= EVIDENCE_BYTES && long.len() >= EVIDENCE_BYTES - 1, "{}", long.len());
    }

    #[test]
    fn a_report_of_another_probe_or_version_is_refused_by_name() {
        let error = ProbeReport::<u8>::parse("tree", r#"{"probe":"custom","version":1,"report":1}"#).unwrap_err();
        assert_eq!(error.to_string(), "expected a report of tree in version 1, got custom in version 1");
        assert!(ProbeReport::<u8>::parse("a", r#"{"probe":"a","version":2,"report":1}"#).is_err());
        assert!(ProbeReport::<u8>::parse("a", "Segmentation fault").is_err());
        assert_eq!(ProbeReport::<u8>::parse("a", r#"{"probe":"a","version":1,"report":1}"#).unwrap(), 1);
    }
}
