//! What a report contains: verdicts of monitors, results of runs, and whether the evidence for a cause is still there.

use super::drill_causes;
use crds::{
    Check, Outcome,
    check::Class,
    node_health::{Cause, CheckResult, CheckRow, Finding, MAX_GPUS, Report},
};

/// Whether the outcome opens a cause.
pub(crate) const fn is_bad(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Fail | Outcome::Warn)
}

/// Whether the outcome is a verdict.
pub(crate) const fn is_verdict(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Pass | Outcome::Warn | Outcome::Fail => true,
        Outcome::Skipped | Outcome::Inconclusive | Outcome::Unrecognized(_) => false,
    }
}

/// The verdict of runs on this check. Results that stand side by side in one report were received together: the worse one
/// counts, until its work order has ended and it leaves the report. The times in a report are those of the node's clock, which
/// may be set: they order nothing.
pub(crate) fn last_result<'r>(report: &'r Report, check: &str) -> Option<&'r CheckResult> {
    let results = report.runs.iter().flat_map(|run| &run.results);
    results.filter(|result| result.check == check && is_verdict(&result.outcome)).max_by_key(|r| r.outcome.rank())
}

/// Failed results of runs, with the ids of their work orders, unless a finding of the agent already covers them. A failed
/// check between nodes is left to the run, which sees both ends of each pair.
pub(crate) fn failed_results(report: &Report) -> impl Iterator<Item = (&str, &CheckResult)> {
    report.runs.iter().flat_map(|run| run.results.iter().map(|result| (run.id.as_str(), result))).filter(
        |(_, result)| {
            is_bad(&result.outcome)
                && !drill_causes::is_of_drill(&result.check)
                && Check::from_name(&result.check).is_none_or(|c| c.class() != Class::Group)
                && last_result(report, &result.check).is_some_and(|last| std::ptr::eq(last, *result))
                && !report.findings.iter().any(|f| f.check == result.check)
        },
    )
}

/// Whether the current report still contains the evidence for a cause.
pub(crate) fn is_reported(cause: &Cause, report: &Report) -> bool {
    report.findings.iter().any(|f| is_bad(&f.outcome) && f.check == cause.check && f.target == cause.target)
        || last_result(report, &cause.check).is_some_and(|r| is_bad(&r.outcome))
}

/// Whether any monitor has reached a verdict.
pub(crate) fn has_verdict(report: &Report) -> bool {
    report.checks.iter().any(|row| is_verdict(&row.outcome))
}

/// Whether the finding is a warning that another finding of the report explains. That one must condemn by itself: without its
/// root a consequence is judged like any other finding.
pub(crate) fn is_echo(finding: &Finding, report: &Report) -> bool {
    let is_root = |root: &&Finding| {
        root.outcome == Outcome::Fail
            && root.severity.condemns()
            && root.caused_by.is_none()
            && !drill_causes::is_of_drill(&root.check)
    };
    let mut roots = report.findings.iter().filter(is_root);
    finding.outcome == Outcome::Warn
        && finding.caused_by.as_ref().is_some_and(|by| roots.any(|r| r.check == by.check && r.target == by.target))
}

/// The rows without a verdict, except those that do not apply to the node.
pub(crate) fn unjudged(report: &Report) -> impl Iterator<Item = &CheckRow> {
    report.checks.iter().filter(|row| match row.outcome {
        Outcome::Inconclusive | Outcome::Unrecognized(_) => true,
        Outcome::Pass | Outcome::Skipped | Outcome::Warn | Outcome::Fail => false,
    })
}

/// Whether the agent says that no board stands where this target is, and that none is missing: its inventory lists none
/// there, and passes for that address.
pub(crate) fn is_vacated(target: &str, report: &Report) -> bool {
    let address = address_of(target);
    let gpus = &report.inventory.gpus;
    !gpus.is_empty()
        && gpus.len() < MAX_GPUS
        && gpus.iter().all(|gpu| gpu.pci_address != address)
        && address.contains(':')
        && report.checks.iter().any(|row| {
            row.check == Check::Inventory.name()
                && is_verdict(&row.outcome)
                && row.covered.iter().any(|covered| covered == address)
        })
}

/// `0000:18:00.0` of `0000:18:00.0/link3`.
pub(crate) fn address_of(target: &str) -> &str {
    target.split('/').next().unwrap_or(target)
}
