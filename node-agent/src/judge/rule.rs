//! Judgements as rows of data, and the page of each check: what the code looks up and what people read is one table.

use crds::check::Check;
use crds::{Outcome, Severity};

/// One thing that a check can find.
#[derive(Debug)]
pub struct Rule {
    /// The reason, a const of [`crds::reason`].
    pub reason: &'static str,
    /// Warn or Fail.
    pub outcome: Outcome,
    /// What cures it.
    pub severity: Severity,
    /// When it fires, with the numbers: a sentence.
    pub when: &'static str,
    /// What lifts it: a sentence.
    pub lifts: &'static str,
    /// What a person does about it: a sentence.
    pub act: &'static str,
    /// Where rule and numbers come from.
    pub source: &'static str,
}

/// The page of a check in `docs/checks/`.
#[derive(Debug)]
pub struct Page {
    /// The check.
    pub check: Check,
    /// What it means when this check speaks: one or two sentences.
    pub means: &'static str,
    /// How it is measured, from which calls or files.
    pub measured: &'static str,
    /// The members of HardwareProfile that it compares with; empty where it compares with none.
    pub profile: &'static [&'static str],
    /// The metrics that show its measurements.
    pub metrics: &'static [&'static str],
    /// What it can find.
    pub rules: &'static [Rule],
}

/// The verdict of the row with this reason. A reason without a row is worth a look and nothing more.
pub fn verdict(rules: &[Rule], reason: &str) -> (Outcome, Severity) {
    let rule = rules.iter().find(|rule| rule.reason == reason);
    rule.map_or((Outcome::Warn, Severity::Monitor), |rule| (rule.outcome.clone(), rule.severity.clone()))
}
