//! What lifts a cause: a later pass of the same check on the same target, and nothing less.

use super::{
    drill_causes,
    evidence::{Results, is_vacated, is_verdict},
};
use crate::decide::govern::monitors;
use crds::{
    NodeHealthPolicy, Outcome,
    condition::truncate,
    node_health::{Cause, Lift, Report},
};

/// The check named in the cause of a node that has our taint but no recorded cause.
pub(crate) const ADOPTED_CHECK: &str = "adopted";

/// One later pass lifts; rules of policies will ask for more.
pub(crate) fn one_pass(check: &str, target: &str) -> Lift {
    Lift { text: truncate(&format!("1 pass of {check} on {target}"), 128), required_passes: 1, ..Lift::default() }
}

/// As [`one_pass`], for a check that has levels: a shorter test does not lift what a longer one found.
pub(crate) fn one_pass_at(check: &str, target: &str, level: Option<i64>) -> Lift {
    let Some(level) = level else { return one_pass(check, target) };
    let text = truncate(&format!("1 pass of {check} (level {level} or higher) on {target}"), 128);
    Lift { text, required_passes: 1, ..Lift::default() }
}

/// Whether the report contains a pass that lifts the cause: of its check, or of the inventory for an address that its board
/// has left.
pub(crate) fn is_lifted(cause: &Cause, policy: Option<&NodeHealthPolicy>, results: Results<'_>) -> bool {
    let report = results.report;
    if report.truncated.is_some_and(|n| n > 0) {
        return false;
    }
    if cause.check == ADOPTED_CHECK {
        return every_check_passes(policy, report);
    }
    let has_finding = report.findings.iter().any(|f| f.check == cause.check && f.target == cause.target);
    if has_finding {
        return false;
    }
    let last = results.last(&cause.check, &cause.target, cause.level);
    let by_run = last.is_some_and(|(_, outcome)| *outcome == Outcome::Pass);
    let by_monitor = report
        .checks
        .iter()
        .any(|row| row.check == cause.check && is_verdict(&row.outcome) && row.covered.contains(&cause.target));
    by_run || by_monitor || is_vacated(&cause.target, report)
}

/// Whether every ordered monitor has passed and there are no findings.
fn every_check_passes(policy: Option<&NodeHealthPolicy>, report: &Report) -> bool {
    let mut monitors = monitors::wanted(policy).peekable();
    monitors.peek().is_some()
        && report.findings.iter().all(|f| drill_causes::is_of_drill(&f.check))
        && monitors.all(|(name, _)| report.checks.iter().any(|row| row.check == name && row.outcome == Outcome::Pass))
}
