//! Judgements as rows of data, and the page of each check: the code and the documentation share one table.

use super::found::{Found, Judged};
use super::ground::Ground;
use crds::check::Check;
use crds::{Outcome, Severity};

/// One thing that a check can find.
#[derive(Debug)]
pub struct Rule {
    /// The reason, a const of [`crds::reason`].
    pub reason: &'static str,
    /// Warn or Fail; Inconclusive where the check could not judge.
    pub outcome: Outcome,
    /// What cures it.
    pub severity: Severity,
    /// The condition with its numbers: a sentence.
    pub when: &'static str,
    /// What lifts it: a sentence.
    pub lifts: &'static str,
    /// What a person should do about it: a sentence.
    pub act: &'static str,
    /// The source of the rule and its numbers.
    pub source: &'static str,
}

/// The page of a check in `docs/checks/`.
#[derive(Debug)]
pub struct Page {
    /// The check.
    pub check: Check,
    /// What a finding of this check means: one or two sentences.
    pub means: &'static str,
    /// How it is measured, from which calls or files.
    pub measured: &'static str,
    /// The members of NodeHardwareProfile that it compares with; empty where it compares with none.
    pub profile: &'static [&'static str],
    /// The metrics that show its measurements.
    pub metrics: &'static [&'static str],
    /// What it can find.
    pub rules: &'static [Rule],
}

/// The verdict of the row with this reason. A reason without a row is only a warning.
pub fn verdict(rules: &[Rule], reason: &str) -> (Outcome, Severity) {
    let rule = rules.iter().find(|rule| rule.reason == reason);
    rule.map_or((Outcome::Warn, Severity::Monitor), |rule| (rule.outcome.clone(), rule.severity.clone()))
}

/// A finding with the verdict of its row.
pub fn found(rules: &[Rule], reason: &str, target: &str, message: String, evidence: String) -> Found {
    let (outcome, severity) = verdict(rules, reason);
    Found {
        target: target.to_owned(),
        outcome,
        severity,
        reason: reason.to_owned(),
        message,
        evidence: Some(evidence).filter(|text| !text.is_empty()),
    }
}

/// The faults of the covered targets, the worst of each: findings are keyed by check and target.
pub fn judged(covered: Vec<String>, found: Vec<Found>) -> Judged {
    Judged { outcome: Outcome::Pass, reason: None, message: None, covered, found: worst_of_each(found), complete: true }
}

/// One finding per target: the worst, or the first of equals.
pub fn worst_of_each(found: Vec<Found>) -> Vec<Found> {
    let rank = |found: &Found| (found.outcome.rank(), found.severity.rank());
    let mut worst: Vec<Found> = Vec::new();
    for one in found {
        match worst.iter_mut().find(|known| known.target == one.target) {
            Some(known) if rank(&one) > rank(known) => *known = one,
            Some(_) => {}
            None => worst.push(one),
        }
    }
    worst
}

/// A finding with the verdict of the last row with this reason: what a first sighting is worth if a later one has to
/// confirm it.
pub fn suspected(rules: &[Rule], reason: &str, target: &str, message: String, evidence: String) -> Found {
    let last = rules.iter().rposition(|rule| rule.reason == reason).unwrap_or_default();
    found(rules.get(last..).unwrap_or_default(), reason, target, message, evidence)
}

/// Whether a reading confirms an earlier finding: one that has stood for at least `seconds` and since an earlier
/// reading. `taken` is when the reading was taken, by the monotonic clock in milliseconds.
pub fn is_confirmed(
    ground: &Ground<'_>,
    check: Check,
    (target, reason): (&str, &str),
    taken: u64,
    seconds: i64,
) -> bool {
    let Some(known) = ground.findings.get(check.name(), target).filter(|known| known.reason == reason) else {
        return false;
    };
    let age = i64::try_from(ground.now.mono_ms.saturating_sub(taken) / 1000).unwrap_or(i64::MAX);
    let stood = ground.now.wall().unix().saturating_sub(age).saturating_sub(known.since.unix());
    known.outcome == Outcome::Fail || stood >= seconds.max(1)
}
