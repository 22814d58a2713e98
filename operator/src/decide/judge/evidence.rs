//! What a report contains: verdicts of monitors, results of runs, and whether the evidence for a cause is still there.

use super::drill_causes;
use crds::{
    Check, Outcome, Severity,
    check::Class,
    names::TARGET_NODE,
    node_health::{
        Assignment, Cause, CheckResult, CheckRow, FailedTarget, Finding, MAX_GPUS, Report, RunReport, address_of,
    },
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

/// The results of runs in a report, and the work orders that they belong to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Results<'r> {
    /// The report.
    pub(crate) report: &'r Report,
    /// The work orders of the node.
    pub(crate) orders: &'r [Assignment],
}

/// What a run says against one target.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fault<'r> {
    /// The result that says so.
    pub(crate) result: &'r CheckResult,
    /// The run, if its work order is still there.
    pub(crate) run: Option<&'r str>,
    /// The target.
    pub(crate) target: &'r str,
    /// Warn or Fail.
    pub(crate) outcome: &'r Outcome,
    /// How bad it is.
    pub(crate) severity: &'r Severity,
    /// Why.
    pub(crate) reason: Option<&'r str>,
    /// The level of the check, if it has levels.
    pub(crate) level: Option<i64>,
}

impl<'r> Results<'r> {
    /// All results but those of runs that only report.
    fn all(self) -> impl Iterator<Item = (&'r RunReport, &'r CheckResult)> {
        let counts = move |run: &&RunReport| !run.report_only && self.order(run).is_none_or(|order| !order.report_only);
        self.report.runs.iter().filter(counts).flat_map(|run| run.results.iter().map(move |result| (run, result)))
    }

    fn order(self, run: &RunReport) -> Option<&'r Assignment> {
        self.orders.iter().find(|order| order.id == run.id)
    }

    /// The level of the check behind a result, from our own work order.
    fn level(self, run: &RunReport, result: &CheckResult) -> Option<i64> {
        self.order(run)?.checks.iter().find(|check| check.name == result.name)?.level()
    }

    /// What a result says about a target. A check that tested every GPU has tested the node.
    fn says(self, result: &'r CheckResult, target: &str) -> Option<&'r Outcome> {
        let gpus = &self.report.inventory.gpus;
        let tested_all = || !gpus.is_empty() && gpus.iter().all(|gpu| result.on(&gpu.pci_address).is_some());
        match result.on(target) {
            Some((outcome, _)) => Some(outcome),
            None if target == TARGET_NODE && ((result.tested.len() > 1 && is_bad(&result.outcome)) || tested_all()) => {
                Some(&result.outcome)
            }
            None => None,
        }
    }

    /// The verdict of runs on a target, of at least this level. Results that stand side by side in one report were received
    /// together: the worse one counts, until its work order has ended and it leaves the report. The times in a report are
    /// those of the node's clock, which may be set: they order nothing.
    pub(crate) fn last(self, check: &str, target: &str, level: Option<i64>) -> Option<(&'r CheckResult, &'r Outcome)> {
        self.all()
            .filter(|(run, result)| result.check == check && self.level(run, result) >= level)
            .filter_map(|(_, result)| Some((result, self.says(result, target)?)))
            .filter(|(_, outcome)| is_verdict(outcome))
            .max_by_key(|(_, outcome)| outcome.rank())
    }

    /// What the results say against targets, unless a finding of the agent already covers the check. A failed check between
    /// nodes is left to the run, which sees both ends of each pair.
    pub(crate) fn faults(self) -> impl Iterator<Item = Fault<'r>> {
        let is_open = move |result: &CheckResult| {
            is_bad(&result.outcome)
                && !drill_causes::is_of_drill(&result.check)
                && Check::from_name(&result.check).is_none_or(|c| c.class() != Class::Group)
                && !self.report.findings.iter().any(|f| f.check == result.check)
        };
        self.all().filter(move |(_, result)| is_open(result)).flat_map(move |(run, result)| {
            let level = self.level(run, result);
            let is_last = move |fault: &Fault<'_>| {
                self.last(&result.check, fault.target, level).is_some_and(|(last, _)| std::ptr::eq(last, result))
            };
            let run = self.order(run).map(|order| order.run.as_str());
            against(result, run, level).into_iter().filter(is_last)
        })
    }
}

/// One fault for each target that failed. If it is not said which one did, the node as a whole failed.
fn against<'r>(result: &'r CheckResult, run: Option<&'r str>, level: Option<i64>) -> Vec<Fault<'r>> {
    if result.failed.is_empty() {
        let target = match result.tested.as_slice() {
            [only] => only.as_str(),
            _ => TARGET_NODE,
        };
        let (outcome, severity, reason) = (&result.outcome, &result.severity, result.reason.as_deref());
        return vec![Fault { result, run, target, outcome, severity, reason, level }];
    }
    let bad = result.failed.iter().filter(|failed| is_bad(&failed.outcome));
    let fault = |failed: &'r FailedTarget| {
        let (outcome, severity, reason) = (&failed.outcome, &failed.severity, failed.reason.as_deref());
        Fault { result, run, target: &failed.target, outcome, severity, reason, level }
    };
    bad.map(fault).collect()
}

/// Whether the current report still contains the evidence for a cause.
pub(crate) fn is_reported(cause: &Cause, results: Results<'_>) -> bool {
    let findings = &results.report.findings;
    findings.iter().any(|f| is_bad(&f.outcome) && f.check == cause.check && f.target == cause.target)
        || results.last(&cause.check, &cause.target, cause.level).is_some_and(|(_, outcome)| is_bad(outcome))
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
        && report
            .checks
            .iter()
            .any(|row| row.check == Check::Inventory.name() && is_verdict(&row.outcome) && row.covers(address))
}
