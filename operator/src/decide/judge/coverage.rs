//! What a report leaves unjudged: no fault is not health where nobody looked.
//!
//! A skipped monitor does not apply, and is no gap. Gaps neither quarantine nor lift.

use super::{
    evidence::{is_verdict, unjudged},
    stray,
};
use crate::decide::govern::{monitors, selection::Subject};
use crds::{
    Check, Outcome,
    names::LABEL_GPU_COUNT,
    node_health::{CheckRow, Gpu, Report},
    reason,
};

/// The monitors that cover every GPU that they see. Others cover only the GPUs that support what they read.
const COVER_EVERY_GPU: [Check; 3] = [Check::Inventory, Check::Driver, Check::Xid];

/// What the report leaves unjudged, for people; empty if every enabled monitor judged all that it is for, or did not apply.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Gaps {
    /// Rows without a verdict.
    pub(crate) unjudged: Vec<String>,
    /// Rows and GPUs that are missing.
    pub(crate) missing: Vec<String>,
}

impl Gaps {
    /// Whether everything was judged.
    pub(crate) fn is_none(&self) -> bool {
        self.unjudged.is_empty() && self.missing.is_empty()
    }

    /// The reason of a node without a fault.
    pub(crate) fn reason(&self) -> &'static str {
        match (self.missing.is_empty(), self.unjudged.is_empty()) {
            (false, _) => reason::NOT_COVERED,
            (true, false) => reason::INCONCLUSIVE,
            (true, true) => reason::ALL_CHECKS_PASSED,
        }
    }

    /// All of them, separated by commas.
    pub(crate) fn text(&self) -> String {
        let all: Vec<&str> = self.missing.iter().chain(&self.unjudged).map(String::as_str).collect();
        all.join(", ")
    }
}

/// The gaps of a report.
pub(crate) fn gaps(subject: &Subject<'_>, report: &Report) -> Gaps {
    let mut unjudged: Vec<String> = unjudged(report)
        .map(|row| format!("{} ({})", row.check, row.reason.as_deref().unwrap_or("no reason given")))
        .collect();
    let status = subject.health.current().and_then(|health| health.status.as_ref());
    let gpus = status.map_or(&[][..], |status| status.gpus.as_slice());
    unjudged.extend(report.findings.iter().filter_map(|finding| stray::error(finding, report, gpus)));
    let mut missing: Vec<String> = without_row(subject, report).map(|name| format!("{name} (no row)")).collect();
    missing.extend(report.checks.iter().filter_map(|row| uncovered_gpus(row, &report.inventory.gpus)));
    missing.extend(unreported_gpus(subject, report));
    Gaps { unjudged, missing }
}

/// Whether monitors are enabled and not one of them has a row: the report is no evidence at all.
pub(crate) fn has_no_row(subject: &Subject<'_>, report: &Report) -> bool {
    let enabled = monitors::wanted(subject.policy).count();
    enabled > 0 && without_row(subject, report).count() == enabled
}

fn without_row<'a>(subject: &Subject<'a>, report: &'a Report) -> impl Iterator<Item = &'static str> + 'a {
    let names = monitors::wanted(subject.policy).map(|(name, _)| name);
    names.filter(|name| report.checks.iter().all(|row| row.check != *name))
}

/// `driver (7 of 8 GPUs)`. The driver names only GPUs that it has; the others are for `inventory` to judge.
fn uncovered_gpus(row: &CheckRow, gpus: &[Gpu]) -> Option<String> {
    let check = COVER_EVERY_GPU.iter().find(|check| check.name() == row.check)?;
    if !is_verdict(&row.outcome) {
        return None;
    }
    let is_expected = |gpu: &&Gpu| *check != Check::Driver || gpu.uuid.is_some();
    let expected: Vec<&Gpu> = gpus.iter().filter(is_expected).collect();
    let covered = expected.iter().filter(|gpu| row.covers(&gpu.pci_address)).count();
    (covered < expected.len()).then(|| format!("{} ({covered} of {} GPUs)", row.check, expected.len()))
}

/// GPUs that the profile, or GPU feature discovery, says are there, and accelerators that the Node offers although the
/// agent sees none. Allocatable GPUs are not counted: with time slicing there are more of them than GPUs.
fn unreported_gpus(subject: &Subject<'_>, report: &Report) -> Option<String> {
    let reported = i64::try_from(report.inventory.gpus.len()).unwrap_or(i64::MAX);
    let declared = subject.profile.and_then(|profile| profile.spec.gpus.as_ref()?.count);
    let discovered = subject.node.labels.get(LABEL_GPU_COUNT).and_then(|count| count.parse::<i64>().ok());
    if let Some(expected) = declared.or(discovered).filter(|expected| reported < *expected) {
        return Some(format!("{reported} of {expected} GPUs reported"));
    }
    let is_empty = reported == 0
        || report.checks.iter().any(|row| {
            row.check == Check::Inventory.name()
                && row.outcome == Outcome::Skipped
                && row.reason.as_deref() == Some(reason::NO_ACCELERATOR)
        });
    let offered: i64 = subject.node.accelerators.values().sum();
    (is_empty && offered > 0).then(|| format!("no accelerator reported, {offered} offered by the Node"))
}
