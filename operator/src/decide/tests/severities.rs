//! Several findings at once, and boards that are swapped. The folds are those of the AWS suite (its acceptance cases 2 to
//! 4), with our severities and without its defects: there a later warning or pass of another check hid a failure.

use super::*;
use crate::decide::model::fixtures::*;
use crds::{
    Outcome, Severity, State,
    node_health::{CausedBy, CheckRow, Finding},
    reason,
};

fn report_of(findings: Vec<Finding>) -> Report {
    let mut report = passing_report();
    for found in findings {
        for row in report.checks.iter_mut().filter(|row| row.check == found.check) {
            row.outcome = row.outcome.clone().worse(found.outcome.clone());
            // As an agent covers its switches, which no inventory lists.
            if !row.covered.contains(&found.target) {
                row.covered.push(found.target.clone());
            }
        }
        report.findings.push(found);
    }
    report
}

fn fail(check: &str, target: &str, severity: Severity, reason: &str) -> Finding {
    finding(check, target, Outcome::Fail, severity, reason)
}

fn warn(check: &str, target: &str, reason: &str) -> Finding {
    finding(check, target, Outcome::Warn, Severity::Monitor, reason)
}

fn judged(report: Report) -> Model {
    let mut model = under(Mode::Enforce, &["a"]);
    reports(&mut model, "a", report);
    settled(model)
}

/// A warning that this finding explains.
fn echo(target: &str, root: &Finding) -> Finding {
    let caused_by = Some(CausedBy { check: root.check.clone(), target: root.target.clone() });
    Finding { caused_by, ..warn("xid", target, "NvSwitchFatal") }
}

#[test]
fn a_lost_gpu_marks_the_node_and_what_it_made_others_print_does_not() {
    const SWITCH: &str = "0000:c3:00.0";
    let root = fail("xid", &address(2), Severity::Reboot, "FallenOffTheBus");
    let alone = judged(report_of(vec![echo(SWITCH, &root)]));
    assert_eq!(
        (&decision(&alone, "a").state, our_taint(&alone, "a").as_str()),
        (&State::Suspect, ""),
        "an echo marks nothing"
    );

    // The switch was told first, and condemned.
    let mut model = judged(report_of(vec![fail("xid", SWITCH, Severity::Reset, "NvSwitchFatal")]));
    assert_eq!(decision(&model, "a").reason, "NvSwitchFatal");
    // A warning alone lifts nothing, also if it names a root that the report does not have.
    reports(&mut model, "a", report_of(vec![echo(SWITCH, &root)]));
    model = settled(model);
    assert_eq!(decision(&model, "a").severity, Severity::Reset);
    reports(&mut model, "a", report_of(vec![echo(SWITCH, &root), root.clone()]));
    model = settled(model);
    let decided = decision(&model, "a");
    assert_eq!((decided.reason.as_str(), our_taint(&model, "a").as_str()), ("FallenOffTheBus", "reboot:NoSchedule"));
    let condemning: Vec<_> = decided.causes.iter().filter(|cause| cause.condemns()).collect();
    assert_eq!(condemning.len(), 1, "{:?}", decided.causes);
    assert!(decided.message.contains(&address(2)) && !decided.message.contains("NvSwitchFatal"), "{}", decided.message);
    // The root ends, and with it what it had explained.
    reports(&mut model, "a", report_of(vec![]));
    model = settled(model);
    assert_eq!(decision(&model, "a").causes.iter().filter(|cause| cause.condemns()).count(), 0);
}

#[test]
fn the_worst_failure_wins_and_a_warning_alone_marks_nothing() {
    let table = [
        (
            "Fail Reset, Fail Isolate, Warn",
            vec![
                fail("fabric", "node", Severity::Reset, "FabricFailed"),
                fail("inventory", "node", Severity::Isolate, "GpuMissing"),
                warn("xid", &address(0), "Xid13"),
            ],
            (State::Unhealthy, Severity::Isolate, "isolate:NoSchedule"),
        ),
        ("Warn", vec![warn("xid", &address(0), "Xid13")], (State::Suspect, Severity::Monitor, "")),
        ("nothing", vec![], (State::Healthy, Severity::None, "")),
        // The three that the suite gets wrong: the later and milder one wins there.
        (
            "Xid 79 and persistence mode off",
            vec![
                fail("xid", &address(2), Severity::Reboot, "FallenOffTheBus"),
                warn("driver", &address(2), "PersistenceOff"),
            ],
            (State::Unhealthy, Severity::Reboot, "reboot:NoSchedule"),
        ),
        (
            "fabric manager dead and NVLink errors",
            vec![fail("fabric", "node", Severity::Reset, "FabricNotReady"), warn("nvlink", &address(1), "LinkErrors")],
            (State::Unhealthy, Severity::Reset, "reset:NoSchedule"),
        ),
        (
            "EFA missing and memlock low",
            vec![
                fail("efa", "node", Severity::Isolate, "EfaDevicesMissing"),
                warn("rdmaLink", "node", "MemlockTooLow"),
            ],
            (State::Unhealthy, Severity::Isolate, "isolate:NoSchedule"),
        ),
    ];
    for (what, findings, (state, severity, taint)) in table {
        let count = findings.len();
        let model = judged(report_of(findings));
        let decided = decision(&model, "a");
        assert_eq!((&decided.state, &decided.severity), (&state, &severity), "{what}");
        assert_eq!(decided.causes.len(), count, "{what}: the others stay visible");
        assert_eq!(our_taint(&model, "a"), taint, "{what}");
    }
}

#[test]
fn an_old_failure_is_hidden_by_no_later_verdict_of_another_check() {
    let mut model = judged(report_of(vec![fail("xid", &address(3), Severity::Reboot, "FallenOffTheBus")]));
    let without_xid = |mut report: Report| {
        report.checks.retain(|row| row.check != "xid");
        report
    };
    for (what, report) in [
        ("a warning of another check", report_of(vec![warn("driver", &address(3), "PersistenceOff")])),
        (
            "a failure of another check on the same GPU",
            report_of(vec![fail("ecc", &address(3), Severity::Reset, "Ecc")]),
        ),
        ("passes of all others", passing_report()),
    ] {
        reports(&mut model, "a", without_xid(report));
        model = settled(model);
        assert_eq!(decision(&model, "a").reason, "FallenOffTheBus", "{what}");
        assert_eq!(our_taint(&model, "a"), "reboot:NoSchedule", "{what}");
    }
}

#[test]
fn each_gpu_has_the_verdict_of_its_worst_cause() {
    let link = format!("{}/link3", address(1));
    let model = judged(report_of(vec![
        fail("rowRemap", &address(1), Severity::Reset, "RemapPending"),
        fail("rowRemap", &address(4), Severity::Isolate, "RemapFailed"),
        fail("xid", &address(1), Severity::Reboot, "Xid79"),
        warn("thermal", &address(2), "TemperatureOutlier"),
        fail("nvlink", &link, Severity::Isolate, "LinkErrors"),
        fail("nvlink", &format!("{}/link0", address(5)), Severity::Monitor, "LinkErrors"),
        fail("fabric", "node", Severity::Reset, "FabricFailed"),
    ]));
    let verdicts = &health_of(&model, "a").status.as_ref().unwrap().gpus;
    let verdict = |index: usize| {
        let gpu = verdicts.iter().find(|g| g.pci_address == address(index)).unwrap();
        (gpu.state.clone(), gpu.severity.clone(), gpu.reason.as_deref().unwrap_or_default())
    };
    assert_eq!(verdicts.len(), 8, "a link and the node are no GPUs of their own");
    assert_eq!(verdict(0), (State::Healthy, Severity::None, ""));
    assert_eq!(verdict(1), (State::Unhealthy, Severity::Isolate, "LinkErrors"), "three faults on one GPU");
    assert_eq!(verdict(2), (State::Suspect, Severity::Monitor, "TemperatureOutlier"));
    assert_eq!(verdict(4), (State::Unhealthy, Severity::Isolate, "RemapFailed"), "another GPU has its own");
    assert_eq!(verdict(5), (State::Suspect, Severity::Monitor, "LinkErrors"));
    let summary = health_of(&model, "a").status.as_ref().unwrap().summary.as_ref().unwrap();
    assert_eq!(summary.gpus.as_deref(), Some("6/8"));
}

/// A report in which a GPU is this board, bad or not.
fn board(serial: &str, severity: Option<Severity>) -> Report {
    let mut report = report_of(
        severity
            .into_iter()
            .map(|s| Finding { serial: Some(serial.into()), ..fail("rowRemap", &address(2), s, "RemapFailed") })
            .collect(),
    );
    report.inventory.gpus[2].serial = Some(serial.into());
    report
}

#[test]
fn a_swapped_board_that_passes_lifts_and_one_that_fails_too_is_a_cause_of_its_own() {
    let mut model = judged(board("old", Some(Severity::Isolate)));
    assert_eq!(decision(&model, "a").causes[0].serial.as_deref(), Some("old"));
    let first = model.now;
    model.now = model.now.plus(60);
    reports(&mut model, "a", board("new", Some(Severity::Reset)));
    let mut model = settled(model);
    let cause = &decision(&model, "a").causes[0];
    assert_eq!((cause.serial.as_deref(), &cause.severity), (Some("new"), &Severity::Reset));
    assert_eq!(cause.since, first.plus(60), "what the former board did is not held against it");
    assert_eq!(decision(&model, "a").history.len(), 2);
    reports(&mut model, "a", board("newest", None));
    let mut model = settled(model);
    assert_eq!(decision(&model, "a").state, State::Healthy);
    let gpus = &health_of(&model, "a").status.as_ref().unwrap().gpus;
    assert_eq!(gpus[2].serial.as_deref(), Some("newest"));
    // A dead driver reports no serial: the same cause stays open.
    reports(&mut model, "a", board("newest", Some(Severity::Isolate)));
    let mut model = settled(model);
    let since = decision(&model, "a").causes[0].since;
    model.now = model.now.plus(60);
    let mut nameless = board("newest", Some(Severity::Isolate));
    nameless.findings[0].serial = None;
    reports(&mut model, "a", nameless);
    let model = settled(model);
    let cause = &decision(&model, "a").causes[0];
    assert_eq!((cause.serial.as_deref(), cause.since), (Some("newest"), since));
}

fn monitors_say(outcome: &Outcome, why: &str) -> Report {
    let mut report = passing_report();
    report.inventory.gpus.clear();
    report.checks = monitors()
        .map(|check| CheckRow {
            check: check.name().into(),
            outcome: outcome.clone(),
            reason: Some(why.into()),
            ..CheckRow::default()
        })
        .collect();
    report
}

#[test]
fn a_node_whose_monitors_all_found_no_accelerator_is_not_applicable() {
    let mut model = under(Mode::Enforce, &["a"]);
    model.edit_node("a", |n| n.accelerators.clear());
    let report = monitors_say(&Outcome::Skipped, reason::NO_ACCELERATOR);
    assert!(report.checks.len() >= 13);
    reports(&mut model, "a", report);
    let model = settled(model);
    assert_eq!(decision(&model, "a").state, State::NotApplicable);
    assert_eq!(label(&model, "a", names::LABEL_HEALTH), "");
}

#[test]
fn silence_is_unknown_whatever_the_rows_of_the_monitors_say() {
    for (outcome, why) in [
        (Outcome::Pass, "CountRight"),
        (Outcome::Inconclusive, reason::OVERDUE),
        (Outcome::Skipped, reason::MAINTENANCE),
    ] {
        let mut model = under(Mode::Enforce, &["a"]);
        reports(&mut model, "a", monitors_say(&outcome, why));
        model.world.silent.insert("a".into());
        let model = settled(model);
        let decided = decision(&model, "a");
        assert_eq!((&decided.state, decided.reason.as_str()), (&State::Unknown, reason::AGENT_SILENT), "{why}");
        assert_eq!(our_taint(&model, "a"), "", "silence condemns no node");
    }
}

#[test]
fn a_message_that_already_names_its_gpu_does_not_get_its_name_again() {
    let mut of_itself = fail("rowRemap", &address(3), Severity::Reset, "RemapPending");
    of_itself.message = format!("GPU 3 ({}, serial S3): a row remapping waits", address(3));
    let wanted = format!("{} [rowRemap RemapPending]. ", of_itself.message);
    let model = judged(report_of(vec![of_itself]));
    let message = &decision(&model, "a").message;
    assert!(message.starts_with(&wanted), "{message}");
}
