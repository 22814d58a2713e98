//! What a user's own check said.

use serde::{Deserialize, Serialize};

pub use crds::Severity;

/// What a custom check reported, or why it reported nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CustomReport {
    /// The program's name.
    pub program: String,
    /// Its verdict.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// The exit status, where the program ended by itself.
    pub exit_code: Option<i32>,
    /// The command and the first lines of its output, at most 256 bytes.
    pub evidence: String,
}

/// The five outcomes of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// Judged: healthy.
    Pass,
    /// Judged: worth a look.
    Warn,
    /// Judged: faulty.
    Fail,
    /// Could not be judged.
    Inconclusive,
    /// Did not apply.
    Skipped,
}

/// The verdict of a program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Verdict {
    /// The outcome.
    pub outcome: Outcome,
    /// Its severity; `None` for all outcomes but `Warn` and `Fail`.
    pub severity: Severity,
    /// The program's own reason where it is one PascalCase word, else `ReportedByProgram`.
    pub reason: String,
    /// The program's message, at most 256 bytes.
    pub message: String,
    /// `node`, or a GPU's PCI address as the program wrote it.
    pub target: String,
}
