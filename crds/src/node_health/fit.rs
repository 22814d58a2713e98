//! Byte budgets: the lists of a NodeHealth have bounds of their own, but all of them full at once would be ten times what
//! etcd and every watcher should carry. Each writer therefore cuts its member to a budget before it writes it.
//!
//! What is cut first is what is missed least: the ends of texts, then figures, then rows of which worse ones stay. An
//! entry that is left out never heals anything ("absence never heals"), and what is within its budget is not touched.

use super::{CheckResult, Decision, Exclusive, Finding, Gpu, Report};
use crate::condition::truncate;
use serde::Serialize;

/// A NodeHealth with every member at its bound and managedFields stays below this, in bytes of JSON.
pub const MAX_NODE_HEALTH_BYTES: usize = 64 * 1024;
/// The largest `status.report`, in bytes of JSON.
pub const MAX_REPORT_BYTES: usize = 20 * 1024;
/// The largest `status.exclusive`, in bytes of JSON.
pub const MAX_EXCLUSIVE_BYTES: usize = 3 * 1024;
/// The largest `status.decision`, in bytes of JSON.
pub const MAX_DECISION_BYTES: usize = 6 * 1024;

/// The largest `truncated` that the schema allows.
const MAX_TRUNCATED: i64 = 1_000_000;
/// So many findings are worth more than the descriptions of the GPUs.
const KEPT_FINDINGS: usize = 8;
/// The first baselines hold the places in the kernel log, without which a restart would count faults twice.
const KEPT_BASELINES: usize = 2;
/// Lengths to which texts are cut, one after the other, in bytes.
const TEXT_BYTES: &[usize] = &[160, 96, 48, 0];

/// Cuts a report to [`MAX_REPORT_BYTES`]. Findings go last, the mildest first, and are counted in
/// `truncated`. Results stay: their number is bounded by [`super::MAX_ASSIGNED_CHECKS`], and each answers for a target.
pub fn fit_report(report: &mut Report) {
    let max = MAX_REPORT_BYTES;
    for bytes in TEXT_BYTES {
        if size(report) <= max {
            return;
        }
        report.findings.iter_mut().for_each(|finding| cut_finding(finding, *bytes));
        report.checks.iter_mut().for_each(|row| cut(&mut row.message, *bytes));
        report.runs.iter_mut().flat_map(|run| &mut run.results).for_each(|result| cut(&mut result.message, *bytes));
    }
    // Missed only if the agent restarts before there is room again, and then only a rise in between.
    while_over(report, max, |report| {
        (report.baselines.len() > KEPT_BASELINES).then(|| pop(&mut report.baselines)).flatten()
    });
    // The worst edges are what an operator of a network looks for; the others are in the aggregates.
    for run in &mut report.runs {
        run.edges.sort_by_key(|edge| std::cmp::Reverse(edge.outcome.rank()));
    }
    while_over(report, max, |report| report.runs.iter_mut().rev().find_map(|run| pop(&mut run.edges)));
    while_over(report, max, |report| report.runs.iter_mut().rev().find_map(|run| cut_figures(&mut run.results)));
    while_over(report, max, |report| report.checks.iter_mut().rev().find_map(|row| pop(&mut row.covered)));
    while_over(report, max, |report| pop(&mut report.baselines));
    while_over(report, max, |report| pop(&mut report.inventory.nics));
    while_over(report, max, |report| report.findings.iter_mut().rev().find_map(|finding| cut_text(&mut finding.uuid)));
    while_over(report, max, |report| drop_mildest_finding(report, KEPT_FINDINGS));
    while_over(report, max, |report| report.inventory.gpus.iter_mut().rev().find_map(strip));
    while_over(report, max, |report| drop_mildest_finding(report, 0));
}

/// The mildest finding, unless only `keep` are left.
fn drop_mildest_finding(report: &mut Report, keep: usize) -> Option<usize> {
    let bytes = (report.findings.len() > keep).then(|| drop_mildest(&mut report.findings)).flatten()?;
    report.truncated = Some(report.truncated.map_or(1, |count| (count + 1).min(MAX_TRUNCATED)));
    Some(bytes)
}

/// Takes off a GPU what nobody judges by; its address, number and UUID stay.
fn strip(gpu: &mut Gpu) -> Option<usize> {
    let texts = [gpu.vbios.take(), gpu.serial.take(), gpu.model.take()];
    let bytes = texts.iter().flatten().map(String::len).sum::<usize>();
    (bytes > 0).then_some(bytes)
}

/// Cuts what a reservation pod reports to [`MAX_EXCLUSIVE_BYTES`].
pub fn fit_exclusive(exclusive: &mut Exclusive) {
    let max = MAX_EXCLUSIVE_BYTES;
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

/// Cuts a decision to [`MAX_DECISION_BYTES`]: texts, then the oldest history, then the mildest causes. A cause that is left
/// out is found again from the report once there is room; the worst one stays in any case.
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

/// Takes away until the member fits or nothing is left to take. `take` gives the bytes that it took: measuring the whole
/// member anew for each entry would be quadratic.
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
    // Our own types always serialize; a member that did not could not be written either.
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
    let last = results.iter_mut().rev().find(|result| !(result.aggregates.is_empty() && result.tested.is_empty()))?;
    Some(pop(&mut last.tested).unwrap_or(0) + pop(&mut last.aggregates).unwrap_or(0))
}

fn drop_mildest(findings: &mut Vec<Finding>) -> Option<usize> {
    let badness = |finding: &Finding| (finding.outcome.rank(), finding.severity.rank());
    // Of several equally mild ones the last goes.
    let mildest = findings.iter().enumerate().rev().min_by_key(|(_, finding)| badness(finding)).map(|(index, _)| index);
    mildest.map(|index| size(&findings.remove(index)))
}

#[cfg(test)]
mod tests;
