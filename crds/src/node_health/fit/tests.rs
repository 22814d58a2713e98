use super::*;
use crate::node_health::{
    Aggregate, Baseline, Cause, CheckRow, Edge, FailedTarget, MAX_BASELINES, MAX_CAUSES, MAX_FINDINGS, Nic, Occurrence,
    RunReport,
};
use crate::{Outcome, Severity};

/// The largest value of a measurement.
const MAX_INTEGER: i64 = 9_007_199_254_740_991;

fn finding(target: usize, outcome: Outcome, severity: Severity) -> Finding {
    Finding {
        check: "c".repeat(80),
        target: format!("{target:064}"),
        outcome,
        severity,
        reason: "R".repeat(63),
        message: "m".repeat(256),
        evidence: Some("e".repeat(256)),
        uuid: Some("u".repeat(96)),
        serial: Some("s".repeat(64)),
        ..Finding::default()
    }
}

fn result() -> CheckResult {
    let aggregate = Aggregate {
        name: "n".repeat(63),
        min: MAX_INTEGER,
        median: MAX_INTEGER,
        max: MAX_INTEGER,
        worst: Some("w".repeat(253)),
    };
    CheckResult {
        name: "n".repeat(63),
        check: "c".repeat(80),
        message: Some("m".repeat(256)),
        tested: vec!["t".repeat(64); 16],
        failed: vec![
            FailedTarget { target: "t".repeat(64), reason: Some("r".repeat(63)), ..FailedTarget::default() };
            16
        ],
        aggregates: vec![aggregate; 4],
        ..CheckResult::default()
    }
}

fn full_report() -> Report {
    let edge = Edge { slot: 4095, peer: "p".repeat(63), mbps: Some(1), outcome: Outcome::Pass, ..Edge::default() };
    let run =
        RunReport { id: "i".repeat(80), results: vec![result(); 16], edges: vec![edge; 64], ..RunReport::default() };
    let row = CheckRow {
        check: "c".repeat(80),
        covered: vec!["t".repeat(64); 49].into(),
        message: Some("m".repeat(256)),
        ..CheckRow::default()
    };
    let baseline =
        Baseline { target: "t".repeat(64), boot_id: "b".repeat(64), values: "v".repeat(256), ..Baseline::default() };
    Report {
        checks: vec![row; 32].into(),
        findings: (0..MAX_FINDINGS).map(|target| finding(target, Outcome::Warn, Severity::Monitor)).collect(),
        baselines: vec![baseline; MAX_BASELINES],
        runs: vec![run; 2],
        ..Report::default()
    }
}

#[test]
fn what_is_within_its_budget_is_not_touched() {
    let report = Report {
        findings: vec![finding(1, Outcome::Fail, Severity::Reboot)],
        runs: vec![RunReport { id: "i".into(), results: vec![result()], ..RunReport::default() }],
        ..Report::default()
    };
    let mut fitted = report.clone();
    fit_report(&mut fitted);
    assert_eq!(fitted, report);
}

#[test]
fn a_report_with_every_list_full_fits_and_fitting_again_changes_nothing() {
    let mut report = full_report();
    assert!(size(&report) > 5 * MAX_REPORT_BYTES);
    fit_report(&mut report);
    assert!(size(&report) <= MAX_REPORT_BYTES, "{}", size(&report));
    let once = report.clone();
    fit_report(&mut report);
    assert_eq!(report, once);
}

#[test]
fn the_worst_finding_stays_and_the_ones_left_out_are_counted() {
    let mut report = full_report();
    report.findings = (0..200).map(|target| finding(target, Outcome::Warn, Severity::Monitor)).collect();
    report.findings[199] = finding(199, Outcome::Fail, Severity::Isolate);
    fit_report(&mut report);
    assert!(report.findings.iter().any(|finding| finding.severity == Severity::Isolate));
    assert_eq!(report.truncated, Some(200 - i64::try_from(report.findings.len()).unwrap()));
}

#[test]
fn a_bad_edge_outlives_good_ones() {
    let mut report = full_report();
    report.runs[1].edges[63].outcome = Outcome::Fail;
    let mut edges = report.runs[1].edges.clone();
    edges.sort_by_key(|edge| std::cmp::Reverse(edge.outcome.rank()));
    assert_eq!(edges[0].outcome, Outcome::Fail);
    fit_report(&mut report);
    assert!(report.runs[1].edges.is_empty() || report.runs[1].edges[0].outcome == Outcome::Fail);
}

#[test]
fn what_a_reservation_pod_reports_fits() {
    let mut exclusive = Exclusive {
        results: vec![result(); 16],
        findings: (0..24).map(|n| finding(n, Outcome::Fail, Severity::Reset)).collect(),
        ..Exclusive::default()
    };
    fit_exclusive(&mut exclusive);
    assert!(size(&exclusive) <= MAX_EXCLUSIVE_BYTES);
    assert!(!exclusive.results.is_empty());
}

#[test]
fn a_decision_fits_and_keeps_its_worst_cause() {
    let cause = |n: usize| Cause {
        check: "c".repeat(80),
        target: format!("{n:064}"),
        message: "m".repeat(256),
        run: Some("r".repeat(253)),
        ..Cause::default()
    };
    let occurrence = Occurrence { check: "c".repeat(80), target: "t".repeat(64), ..Occurrence::default() };
    let mut decision =
        Decision { causes: (0..MAX_CAUSES).map(cause).collect(), history: vec![occurrence; 16], ..Decision::default() };
    fit_decision(&mut decision);
    assert!(size(&decision) <= MAX_DECISION_BYTES);
    assert_eq!(decision.causes[0].target, format!("{:064}", 0));
}

#[test]
fn what_a_finding_is_about_stays_covered_and_listed_however_much_is_cut() {
    let mut report = full_report();
    report.findings = vec![
        Finding { check: "nvlink".into(), target: "0000:c4:00.0/link3".into(), ..Finding::default() },
        Finding { check: "rdmaLink".into(), target: "0000:18:00.0".into(), ..Finding::default() },
    ];
    let others = (0..40).map(|i| format!("0000:{i:02x}:00.0"));
    let covered = std::iter::once("0000:c4:00.0".to_owned()).chain(others).collect();
    report.checks.truncate(24);
    let last = 23;
    report.checks[last] = CheckRow { check: "nvlink".into(), covered, ..CheckRow::default() };
    let nic = |address: &str| Nic { pci_address: address.into(), ..Nic::default() };
    report.inventory.nics = ["0000:18:00.0", "0000:19:00.0"].map(nic).into_iter().collect();
    fit_report(&mut report);
    assert!(size(&report) <= MAX_REPORT_BYTES);
    assert_eq!(report.checks[last].covered.as_slice(), ["0000:c4:00.0"]);
    assert_eq!(report.inventory.nics[0].pci_address, "0000:18:00.0");
}
