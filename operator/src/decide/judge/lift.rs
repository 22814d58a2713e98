//! What lifts a cause: a later pass of the same check on the same target, and nothing less.

use super::{
    drill_causes,
    evidence::{Results, is_vacated, is_verdict},
    stray,
};
use crate::decide::govern::monitors;
use crds::{
    NodeHealthPolicy, Outcome,
    condition::truncate,
    node_health::{Cause, CheckRow, GpuVerdict, Lift, Report},
    reason,
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
/// has left. A cause that an agent's error made ([`super::stray`]) goes once the agent reports properly.
pub(crate) fn is_lifted(
    cause: &Cause,
    policy: Option<&NodeHealthPolicy>,
    results: Results<'_>,
    gpus: &[GpuVerdict],
) -> bool {
    let report = results.report;
    if cause.check == ADOPTED_CHECK {
        return !is_truncated(report) && every_check_passes(policy, report);
    }
    let has_finding = report.findings.iter().any(|f| f.check == cause.check && f.target == cause.target);
    if has_finding {
        return false;
    }
    let last = results.last(&cause.check, &cause.target, cause.level);
    let by_run = last.is_some_and(|(_, outcome)| *outcome == Outcome::Pass);
    // Findings that were left out belong to rows that do not pass.
    let counts = |row: &CheckRow| row.outcome == Outcome::Pass || (is_verdict(&row.outcome) && !is_truncated(report));
    let by_monitor =
        report.checks.iter().any(|row| row.check == cause.check && counts(row) && row.covers(&cause.target));
    let is_vacated = !is_truncated(report) && is_vacated(&cause.target, report);
    by_run || by_monitor || is_vacated || stray::is_over(cause, report, gpus)
}

fn is_truncated(report: &Report) -> bool {
    report.truncated.is_some_and(|n| n > 0)
}

/// Whether every ordered monitor has passed or does not apply, at least one has passed, and there are no findings. A node
/// without any accelerator passes nothing: all of them may be lost.
fn every_check_passes(policy: Option<&NodeHealthPolicy>, report: &Report) -> bool {
    let rows = || monitors::wanted(policy).map(|(name, _)| report.checks.iter().find(|row| row.check == name));
    let is_settled = |row: &CheckRow| match row.outcome {
        Outcome::Pass => true,
        Outcome::Skipped => row.reason.as_deref().is_some_and(|why| NOT_FOR_THIS_NODE.contains(&why)),
        Outcome::Inconclusive | Outcome::Warn | Outcome::Fail | Outcome::Unrecognized(_) => false,
    };
    report.findings.iter().all(|f| drill_causes::is_of_drill(&f.check))
        && rows().all(|row| row.is_some_and(is_settled))
        && rows().flatten().any(|row| row.outcome == Outcome::Pass)
}

/// The reasons with which an agent skips a check because the node does not have what it is for. Maintenance and the time
/// after a boot pass; a missing accelerator may be a lost one.
const NOT_FOR_THIS_NODE: [&str; 2] = [reason::NOT_APPLICABLE, reason::NOT_SUPPORTED];
