//! What a user's own check said.

use serde::{Deserialize, Serialize};

/// What a custom check said, or why it said nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CustomReport {
    /// The program's name.
    pub program: String,
    /// What it said.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// The exit status, where the program ended by itself.
    pub exit_code: Option<i32>,
    /// The command and the first lines of its output, at most 256 bytes.
    pub evidence: String,
}

/// The five outcomes of every check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// Judged, and right.
    Pass,
    /// Judged, and worth a look.
    Warn,
    /// Judged, and wrong.
    Fail,
    /// Could not be judged.
    Inconclusive,
    /// Did not apply.
    Skipped,
}

/// What the cure is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Severity {
    /// Nothing to cure.
    #[default]
    None,
    /// Watch it.
    Monitor,
    /// Reset the GPU.
    Reset,
    /// Reboot the node.
    Reboot,
    /// Replace the hardware.
    Isolate,
}

/// What a program said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Verdict {
    /// The outcome.
    pub outcome: Outcome,
    /// Its severity; `None` for all outcomes but `Warn` and `Fail`.
    pub severity: Severity,
    /// The program's own reason where it is one PascalCase word, else `ReportedByProgram`.
    pub reason: String,
    /// The program's words, at most 256 bytes.
    pub message: String,
    /// `node`, or a GPU's PCI address as the program wrote it.
    pub target: String,
}
