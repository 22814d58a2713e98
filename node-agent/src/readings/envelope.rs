//! The envelope around every probe's report.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Version of the envelope and of the documents in it. A reader accepts no other.
pub const REPORT_VERSION: u32 = 1;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_of_another_probe_or_version_is_refused_by_name() {
        let error = ProbeReport::<u8>::parse("tree", r#"{"probe":"custom","version":1,"report":1}"#).unwrap_err();
        assert_eq!(error.to_string(), "expected a report of tree in version 1, got custom in version 1");
        assert!(ProbeReport::<u8>::parse("a", r#"{"probe":"a","version":2,"report":1}"#).is_err());
        assert!(ProbeReport::<u8>::parse("a", "Segmentation fault").is_err());
        assert_eq!(ProbeReport::<u8>::parse("a", r#"{"probe":"a","version":1,"report":1}"#).unwrap(), 1);
    }
}
