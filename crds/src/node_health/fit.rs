//! What a writer does before it writes its member: everything as the schema takes it ([`admissible`]), and a size limit.
//! Each list of a NodeHealth is bounded, but with all of them full the object would be ten times larger than
//! etcd and every watcher should carry. Each writer therefore trims its member to a size limit before writing it.
//!
//! The least useful parts go first: the ends of texts, then figures, then the mildest rows. Leaving out an entry never
//! heals anything ("absence never heals"). A member within its limit is not changed.

use super::{CheckResult, Decision, Exclusive, Finding, Gpu, MAX_FINDINGS, Report, address_of, admissible};
use crate::condition::truncate;
use serde::Serialize;

/// Maximum size of a NodeHealth with every member at its limit, including managedFields, in bytes of JSON.
pub const MAX_NODE_HEALTH_BYTES: usize = 64 * 1024;
/// Maximum size of `status.report`, in bytes of JSON.
pub const MAX_REPORT_BYTES: usize = 17 * 1024;
/// Maximum size of `status.exclusive`, in bytes of JSON.
pub const MAX_EXCLUSIVE_BYTES: usize = 3 * 1024;
/// Maximum size of `status.decision`, in bytes of JSON.
pub const MAX_DECISION_BYTES: usize = 6 * 1024;

/// Maximum of `truncated` in the schema.
const MAX_TRUNCATED: i64 = 1_000_000;
/// This many findings are kept before the descriptions of the GPUs.
const KEPT_FINDINGS: usize = 8;
/// The first baselines are the kernel-log cursors. Without them a restart would count faults twice.
const KEPT_BASELINES: usize = 2;
/// Lengths to which texts are truncated, step by step, in bytes.
const TEXT_BYTES: &[usize] = &[160, 96, 48, 0];

/// Makes every text, key, list and number of a report one that the API server takes, and trims it to
/// [`MAX_REPORT_BYTES`]. Findings are dropped last, mildest first, and counted in `truncated`. Results
/// are kept: their number is bounded by [`super::MAX_ASSIGNED_CHECKS`], and each one covers a target.
pub fn fit_report(report: &mut Report) {
    let max = MAX_REPORT_BYTES;
    while report.findings.len() > MAX_FINDINGS {
        drop_mildest_finding(report, MAX_FINDINGS);
    }
    admissible::report(report);
    for bytes in TEXT_BYTES {
        if size(report) <= max {
            return;
        }
        report.findings.iter_mut().for_each(|finding| cut_finding(finding, *bytes));
        report.checks.iter_mut().for_each(|row| cut(&mut row.message, *bytes));
        report.runs.iter_mut().flat_map(|run| &mut run.results).for_each(|result| cut(&mut result.message, *bytes));
    }
    // A missing baseline matters only if the agent restarts before there is room again, and then hides only an increase in
    // between.
    while_over(report, max, |report| {
        (report.baselines.len() > KEPT_BASELINES).then(|| pop(&mut report.baselines)).flatten()
    });
    // Network operators need the worst edges; the aggregates cover the others.
    for run in &mut report.runs {
        run.edges.sort_by_key(|edge| std::cmp::Reverse(edge.outcome.rank()));
    }
    while_over(report, max, |report| report.runs.iter_mut().rev().find_map(|run| pop(&mut run.edges)));
    while_over(report, max, |report| report.runs.iter_mut().rev().find_map(|run| cut_figures(&mut run.results)));
    while_over(report, max, cut_covered);
    while_over(report, max, |report| pop(&mut report.baselines));
    while_over(report, max, cut_nics);
    while_over(report, max, |report| report.findings.iter_mut().rev().find_map(|finding| cut_text(&mut finding.uuid)));
    while_over(report, max, |report| drop_mildest_finding(report, KEPT_FINDINGS));
    while_over(report, max, |report| report.inventory.gpus.iter_mut().rev().find_map(strip));
    while_over(report, max, |report| drop_mildest_finding(report, 0));
}

/// Drops the mildest finding, unless only `keep` are left.
fn drop_mildest_finding(report: &mut Report, keep: usize) -> Option<usize> {
    let bytes = (report.findings.len() > keep).then(|| drop_mildest(&mut report.findings)).flatten()?;
    report.truncated = Some(report.truncated.map_or(1, |count| count.saturating_add(1).min(MAX_TRUNCATED)));
    Some(bytes)
}

/// Removes a covered target that no finding of the check is about. A finding where nothing is covered or listed would be an
/// error of the agent's, and make no cause.
fn cut_covered(report: &mut Report) -> Option<usize> {
    let findings = &report.findings;
    report.checks.iter_mut().rev().find_map(|row| {
        let of_row = || findings.iter().filter(|finding| finding.check == row.check);
        let is_named = |target: &String| of_row().any(|finding| address_of(&finding.target) == address_of(target));
        let last = row.covered.iter().rposition(|target| !is_named(target))?;
        Some(size(&row.covered.remove(last)))
    })
}

/// Removes a network device that no finding is about.
fn cut_nics(report: &mut Report) -> Option<usize> {
    let findings = &report.findings;
    let is_named = |address: &str| findings.iter().any(|finding| address_of(&finding.target) == address);
    let last = report.inventory.nics.iter().rposition(|nic| !is_named(&nic.pci_address))?;
    Some(size(&report.inventory.nics.remove(last)))
}

/// Removes the fields of a GPU that no check uses; its address, index and UUID stay.
fn strip(gpu: &mut Gpu) -> Option<usize> {
    let texts = [gpu.vbios.take(), gpu.serial.take(), gpu.model.take()];
    let bytes = texts.iter().flatten().map(|text| text.len()).sum::<usize>();
    (bytes > 0).then_some(bytes)
}

/// As [`fit_report`], for the report of a reservation pod: to [`MAX_EXCLUSIVE_BYTES`].
pub fn fit_exclusive(exclusive: &mut Exclusive) {
    let max = MAX_EXCLUSIVE_BYTES;
    admissible::exclusive(exclusive);
    for bytes in TEXT_BYTES {
        if size(exclusive) <= max {
            return;
        }
        exclusive.findings.iter_mut().for_each(|finding| cut_finding(finding, *bytes));
        exclusive.results.iter_mut().for_each(|result| cut(&mut result.message, *bytes));
    }
    while_over(exclusive, max, |exclusive| cut_figures(&mut exclusive.results));
    while_over(exclusive, max, |exclusive| drop_mildest(&mut exclusive.findings));
    while_over(exclusive, max, |exclusive| pop(&mut exclusive.results));
}

/// Trims a decision to [`MAX_DECISION_BYTES`]: texts, then the oldest history, then the mildest causes. A dropped cause is
/// derived again from the report once there is room. The worst cause is always kept.
pub fn fit_decision(decision: &mut Decision) {
    let max = MAX_DECISION_BYTES;
    // What is left then has bounds of its own far below the budget; a quiet node costs nothing here.
    if decision.causes.is_empty() && decision.history.is_empty() && decision.fleet_findings.is_empty() {
        return;
    }
    for bytes in TEXT_BYTES {
        if size(decision) <= max {
            return;
        }
        decision.causes.iter_mut().for_each(|cause| cause.message = shorten(&cause.message, *bytes));
    }
    while_over(decision, max, |decision| {
        let oldest = (!decision.history.is_empty()).then(|| decision.history.remove(0));
        oldest.map(|occurrence| size(&occurrence))
    });
    while_over(decision, max, |decision| if decision.causes.len() > 1 { pop(&mut decision.causes) } else { None });
    while_over(decision, max, |decision| pop(&mut decision.fleet_findings));
}

/// Removes entries until the member fits or nothing is left to remove. `take` returns the number of bytes it removed:
/// measuring the whole member again after each entry would be quadratic.
fn while_over<T: Serialize>(member: &mut T, max: usize, mut take: impl FnMut(&mut T) -> Option<usize>) {
    loop {
        let mut over = size(member).saturating_sub(max);
        if over == 0 {
            return;
        }
        while over > 0 {
            let Some(bytes) = take(member) else { return };
            over = over.saturating_sub(bytes);
        }
    }
}

fn pop<T: Serialize>(list: &mut Vec<T>) -> Option<usize> {
    list.pop().map(|entry| size(&entry))
}

fn size<T: Serialize>(member: &T) -> usize {
    // Our own types always serialize. A member that did not serialize could not be written anyway.
    serde_json::to_vec(member).map_or(0, |bytes| bytes.len())
}

fn shorten(text: &str, bytes: usize) -> String {
    if bytes == 0 { String::new() } else { truncate(text, bytes) }
}

fn cut(text: &mut Option<String>, bytes: usize) {
    *text = text.take().map(|text| shorten(&text, bytes)).filter(|text| !text.is_empty());
}

fn cut_text(text: &mut Option<String>) -> Option<usize> {
    text.take().map(|text| text.len().max(1))
}

fn cut_finding(finding: &mut Finding, bytes: usize) {
    finding.message = shorten(&finding.message, bytes);
    cut(&mut finding.evidence, bytes);
}

fn cut_figures(results: &mut [CheckResult]) -> Option<usize> {
    let is_cut =
        |result: &CheckResult| result.aggregates.is_empty() && result.tested.is_empty() && result.failed.is_empty();
    let last = results.iter_mut().rev().find(|result| !is_cut(result))?;
    if last.aggregates.is_empty() && last.tested.is_empty() {
        // Half a list would say that the others passed.
        return Some(std::mem::take(&mut last.failed).iter().map(size).sum());
    }
    Some(pop(&mut last.tested).unwrap_or(0) + pop(&mut last.aggregates).unwrap_or(0))
}

fn drop_mildest(findings: &mut Vec<Finding>) -> Option<usize> {
    let badness = |finding: &Finding| (finding.outcome.rank(), finding.severity.rank());
    // Among equally mild findings, drop the last.
    let mildest = findings.iter().enumerate().rev().min_by_key(|(_, finding)| badness(finding)).map(|(index, _)| index);
    mildest.map(|index| size(&findings.remove(index)))
}

#[cfg(test)]
mod tests;
