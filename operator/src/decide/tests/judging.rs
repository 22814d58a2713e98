//! From a report to a judgement.

use super::*;
use crate::decide::{decide, model::fixtures::*};
use crds::{
    Action, CheckSpec, Outcome, Quarantine, Severity, State, Time,
    check::DcgmDiag,
    node_health::{Assignment, CheckResult, FailedTarget, Occurrence, Refused, RunReport, RunState},
    reason,
};

fn inconclusive(mut report: Report) -> Report {
    for row in &mut report.checks {
        row.outcome = Outcome::Inconclusive;
        row.reason = Some(reason::KERNEL_LOG_UNREADABLE.into());
    }
    report
}

#[test]
fn a_first_report_is_judged_by_what_it_holds() {
    use State::{Healthy, Suspect, Unhealthy, Unknown};
    let none = Report::default();
    let mut no_gpu = passing_report();
    no_gpu.checks[0].outcome = Outcome::Skipped;
    no_gpu.checks[0].reason = Some(reason::NO_ACCELERATOR.into());
    let found = |outcome, severity| report_with(finding("xid", &address(3), outcome, severity, "Xid79"));
    let one_inconclusive = {
        let mut report = passing_report();
        report.checks[1].outcome = Outcome::Inconclusive;
        report
    };
    let table: [(&str, Report, State, &str); 9] = [
        ("all pass", passing_report(), Healthy, reason::ALL_CHECKS_PASSED),
        ("one is inconclusive", one_inconclusive, Healthy, reason::INCONCLUSIVE),
        ("all are inconclusive", inconclusive(passing_report()), Unknown, reason::NEVER_JUDGED),
        ("no row", none, Unknown, reason::NEVER_JUDGED),
        ("a warning of any severity", found(Outcome::Warn, Severity::Isolate), Suspect, "Xid79"),
        ("a failure to watch", found(Outcome::Fail, Severity::Monitor), Suspect, "Xid79"),
        ("a failure that a reset cures", found(Outcome::Fail, Severity::Reset), Unhealthy, "Xid79"),
        ("a failure for the workshop", found(Outcome::Fail, Severity::Isolate), Unhealthy, "Xid79"),
        ("no accelerator, but eight are offered", no_gpu, Healthy, reason::NOT_COVERED),
    ];
    for (what, report, state, why) in table {
        let mut model = under(Mode::Observe, &["a"]);
        reports(&mut model, "a", report);
        let model = settled(model);
        let decided = decision(&model, "a");
        assert_eq!((&decided.state, decided.reason.as_str()), (&state, why), "{what}");
    }
}

/// What is not judged, told in the state, the reason, the sentence and the condition.
fn told(model: &Model) -> (State, String, String, String) {
    let decided = decision(model, "a");
    let conditions = &health_of(model, "a").status.as_ref().unwrap().conditions;
    let covered = condition(conditions, "Covered");
    (
        decided.state.clone(),
        decided.reason.clone(),
        decided.message.clone(),
        format!("{} {}", covered.status, covered.message),
    )
}

#[test]
fn what_nobody_judged_is_not_told_as_passed() {
    let model = settled(under(Mode::Enforce, &["a"]));
    let (state, why, message, covered) = told(&model);
    assert_eq!((&state, why.as_str()), (&State::Healthy, reason::ALL_CHECKS_PASSED));
    assert!(message.starts_with("Every enabled check passed") && covered.starts_with("True"), "{message} {covered}");

    // One of eight GPUs is judged.
    let mut one = passing_report();
    one.checks.iter_mut().for_each(|row| row.covered = vec![address(0)].into());
    let mut after = model.clone();
    reports(&mut after, "a", one);
    let (state, why, message, covered) = told(&settled(after));
    assert_eq!((&state, why.as_str()), (&State::Healthy, reason::NOT_COVERED));
    let gaps = "inventory (1 of 8 GPUs), xid (1 of 8 GPUs), driver (1 of 8 GPUs)";
    assert_eq!(message, format!("No fault found, but not everything was judged: {gaps}."));
    assert_eq!(covered, format!("False Not judged: {gaps}."));

    // One row is missing.
    let mut less = passing_report();
    less.checks.retain(|row| row.check != "thermal");
    let mut after = model.clone();
    reports(&mut after, "a", less);
    let (state, why, message, _) = told(&settled(after));
    assert_eq!((&state, why.as_str()), (&State::Healthy, reason::NOT_COVERED));
    assert!(message.ends_with("not everything was judged: thermal (no row)."), "{message}");

    // A report without any row is no evidence, also about a node that was healthy before; and it condemns nothing.
    let mut after = model.clone();
    reports(&mut after, "a", Report { checks: Vec::new().into(), ..passing_report() });
    let after = settled(after);
    let (state, why, _, covered) = told(&after);
    assert_eq!((&state, why.as_str()), (&State::Unknown, reason::NEVER_JUDGED));
    assert!(covered.starts_with("False"), "{covered}");
    assert_eq!(our_taint(&after, "a"), "");

    // What does not apply is no gap.
    let mut skipped = passing_report();
    skipped.checks.iter_mut().filter(|row| row.check == "fabric").for_each(|row| row.outcome = Outcome::Skipped);
    let mut after = model;
    reports(&mut after, "a", skipped);
    let (_, why, _, covered) = told(&settled(after));
    assert_eq!((why.as_str(), covered.split(' ').next()), (reason::ALL_CHECKS_PASSED, Some("True")));
}

#[test]
fn a_report_that_is_sent_without_texts_is_told_and_judged_as_any_other() {
    let mut report = lost_gpu_report(3);
    report.findings[0].message.clear();
    report.agent.refused = Some(Refused { reason: reason::REPORT_REFUSED.into(), since: START });
    let mut model = under(Mode::Enforce, &["a"]);
    reports(&mut model, "a", report);
    let model = settled(model);
    assert_eq!(our_taint(&model, "a"), "reboot:NoSchedule");
    let reporting = condition(&health_of(&model, "a").status.as_ref().unwrap().conditions, "AgentReporting");
    assert_eq!((reporting.status.as_str(), reporting.reason.as_str()), ("True", reason::REPORT_REFUSED));
}

#[test]
fn a_gpu_that_is_declared_or_discovered_and_not_reported_is_a_gap() {
    let mut few = passing_report();
    few.inventory.gpus.truncate(1);
    let mut model = under(Mode::Observe, &["a"]);
    model.edit_node("a", |node| {
        node.labels.insert(names::LABEL_GPU_COUNT.into(), "8".into());
    });
    reports(&mut model, "a", few);
    let (_, why, message, _) = told(&settled(model));
    assert_eq!(why, reason::NOT_COVERED);
    assert!(message.ends_with("1 of 8 GPUs reported."), "{message}");
}

#[test]
fn a_lost_gpu_quarantines_the_node_and_says_which_and_what_to_do() {
    let mut model = under(Mode::Enforce, &["a"]);
    reports(&mut model, "a", lost_gpu_report(3));
    let model = settled(model);
    let decided = decision(&model, "a");
    assert_eq!(decided.state, State::Unhealthy);
    assert_eq!(decided.severity, Severity::Reboot);
    assert_eq!(decided.action, Action::Reboot);
    assert_eq!(decided.quarantine, Quarantine::Active);
    assert_eq!(decided.held, ["taint", "label"]);
    assert_eq!(our_taint(&model, "a"), "reboot:NoSchedule");
    assert_eq!(label(&model, "a", names::LABEL_HEALTH), "unhealthy");
    let status = health_of(&model, "a").status.as_ref().unwrap();
    let summary = status.summary.as_ref().unwrap();
    assert_eq!(summary.gpus.as_deref(), Some("7/8"));
    assert_eq!(summary.target.as_deref(), Some("GPU3"));
    assert_eq!(
        decided.message,
        "GPU3 (0000:13:00.0): FallenOffTheBus was seen [xid FallenOffTheBus]. Drain and reboot the node."
    );
    assert_eq!(condition(&status.conditions, "Healthy").status, "False");
    let bad: Vec<&str> =
        status.gpus.iter().filter(|g| g.state == State::Unhealthy).map(|g| g.pci_address.as_str()).collect();
    assert_eq!(bad, [address(3)]);
}

/// What a later report does to a quarantine because of xid on GPU 3.
#[test]
fn only_a_pass_that_covered_the_same_target_lifts() {
    let without = |edit: &dyn Fn(&mut Report)| {
        let mut report = passing_report();
        edit(&mut report);
        report
    };
    let table: [(&str, Report, bool); 9] = [
        ("a pass", passing_report(), true),
        ("a row that fails for another GPU", lost_gpu_report(5), true),
        ("an inconclusive row", inconclusive(passing_report()), false),
        ("a skipped row", without(&|r| r.checks[1].outcome = Outcome::Skipped), false),
        ("a row of an unknown outcome", without(&|r| r.checks[1].outcome = "Marginal".into()), false),
        ("a row that does not cover it", without(&|r| r.checks[1].covered.retain(|t| *t != address(3))), false),
        (
            "no row of that check",
            without(&|r| {
                r.checks.remove(1);
            }),
            false,
        ),
        ("a pass, while findings of other checks were left out", without(&|r| r.truncated = Some(1)), true),
        (
            "a row that fails for others, with findings left out",
            Report { truncated: Some(1), ..lost_gpu_report(5) },
            false,
        ),
    ];
    for (what, report, lifts) in table {
        let mut model = under(Mode::Observe, &["a"]);
        reports(&mut model, "a", lost_gpu_report(3));
        let mut model = settled(model);
        reports(&mut model, "a", report);
        let model = settled(model);
        let stays = decision(&model, "a").causes.iter().any(|c| c.target == address(3));
        assert_eq!(stays, !lifts, "{what}");
    }
}

#[test]
fn a_pass_of_a_silent_agent_lifts_nothing() {
    let mut model = under(Mode::Observe, &["a"]);
    reports(&mut model, "a", lost_gpu_report(3));
    let mut model = settled(model);
    reports(&mut model, "a", passing_report());
    model.world.silent.insert("a".into());
    let model = settled(model);
    assert_eq!(decision(&model, "a").state, State::Unhealthy);
}

#[test]
fn a_silent_agent_makes_a_healthy_node_unknown() {
    let mut model = settled(under(Mode::Enforce, &["a"]));
    model.world.silent.insert("a".into());
    let model = settled(model);
    assert_eq!(decision(&model, "a").reason, reason::AGENT_SILENT);
    assert_eq!(decision(&model, "a").state, State::Unknown);
    assert_eq!(label(&model, "a", names::LABEL_HEALTH), "unknown");
    assert_eq!(our_taint(&model, "a"), "");
    assert_eq!(node_of(&model, "a").condition.as_ref().unwrap().status, "Unknown");
}

#[test]
fn a_clock_that_is_set_makes_no_agent_silent() {
    let mut model = settled(under(Mode::Enforce, &["a"]));
    for step in [150, -300] {
        model.now = model.now.plus(step);
        model = settled(model);
        assert_eq!(decision(&model, "a").state, State::Healthy, "after a step of {step} s");
    }
}

#[test]
fn a_node_that_was_judged_stays_healthy_when_its_checks_can_no_longer_judge() {
    let mut model = settled(under(Mode::Enforce, &["a"]));
    reports(&mut model, "a", inconclusive(passing_report()));
    let model = settled(model);
    assert_eq!(decision(&model, "a").state, State::Healthy);
    assert_eq!(decision(&model, "a").reason, reason::INCONCLUSIVE);
}

#[test]
fn a_node_without_accelerators_is_not_applicable() {
    let mut model = under(Mode::Enforce, &["a"]);
    model.edit_node("a", |n| n.accelerators.clear());
    let mut report = passing_report();
    report.inventory.gpus.clear();
    report.checks[0].outcome = Outcome::Skipped;
    report.checks[0].reason = Some(reason::NO_ACCELERATOR.into());
    reports(&mut model, "a", report);
    let model = settled(model);
    assert_eq!(decision(&model, "a").state, State::NotApplicable);
    assert_eq!(label(&model, "a", names::LABEL_HEALTH), "");
}

#[test]
fn the_severity_of_a_cause_rises_and_does_not_fall_before_it_lifts() {
    let with = |severity| report_with(finding("xid", &address(3), Outcome::Fail, severity, "Xid79"));
    let mut model = under(Mode::Enforce, &["a"]);
    for (severity, taint) in [
        (Severity::Reset, "reset:NoSchedule"),
        (Severity::Isolate, "isolate:NoSchedule"),
        (Severity::Monitor, "isolate:NoSchedule"),
    ] {
        reports(&mut model, "a", with(severity));
        model = settled(model);
        assert_eq!(our_taint(&model, "a"), taint);
    }
    assert_eq!(decision(&model, "a").history.len(), 1);
}

#[test]
fn the_time_of_a_decision_moves_with_state_severity_and_reason_only() {
    let mut model = under(Mode::Observe, &["a"]);
    reports(&mut model, "a", lost_gpu_report(3));
    let mut model = settled(model);
    let first = decision(&model, "a").since;
    model.now = model.now.plus(30);
    let mut reworded = lost_gpu_report(3);
    reworded.findings[0].message = "seen again".into();
    reports(&mut model, "a", reworded);
    let mut model = settled(model);
    assert_eq!(decision(&model, "a").since, first);
    assert!(decision(&model, "a").message.contains("seen again"));
    reports(&mut model, "a", passing_report());
    let model = settled(model);
    assert_eq!(decision(&model, "a").since, first.plus(30));
}

fn result(outcome: Outcome, finished_at: Time) -> RunReport {
    RunReport {
        id: format!("run-uid/{}", finished_at.unix()),
        state: RunState::Done,
        finished_at: Some(finished_at),
        results: vec![CheckResult {
            name: "burn".into(),
            check: "custom/burn".into(),
            outcome,
            severity: Severity::Isolate,
            reason: Some("WrongBit".into()),
            tested: vec![address(2)],
            ..CheckResult::default()
        }],
        ..RunReport::default()
    }
}

#[test]
fn a_failed_result_of_a_run_condemns_until_a_later_run_passes() {
    let mut model = under(Mode::Observe, &["a"]);
    let with = |runs: Vec<RunReport>| Report { runs, ..passing_report() };
    let failed = result(Outcome::Fail, START);
    model.edit_health("a", |h| {
        h.spec.assignments.push(Assignment { id: failed.id.clone(), run: "burn-in".into(), ..Assignment::default() });
    });
    reports(&mut model, "a", with(vec![failed.clone()]));
    let plan = decide(&model.world, model.now);
    model.apply(&plan);
    let cause = &decision(&model, "a").causes[0];
    assert_eq!((cause.check.as_str(), cause.target.as_str()), ("custom/burn", address(2).as_str()));
    assert_eq!(cause.run.as_deref(), Some("burn-in"));
    reports(&mut model, "a", with(Vec::new()));
    let mut model = settled(model);
    assert_eq!(decision(&model, "a").state, State::Unhealthy, "absence lifts nothing");
    // By the node's clock the pass is later; that clock may have been set.
    reports(&mut model, "a", with(vec![failed, result(Outcome::Pass, START.plus(60))]));
    let mut model = settled(model);
    assert_eq!(decision(&model, "a").state, State::Unhealthy, "received together: the worse one counts");
    reports(&mut model, "a", with(vec![result(Outcome::Pass, START.plus(-60))]));
    let model = settled(model);
    assert_eq!(decision(&model, "a").state, State::Healthy);
}

#[test]
fn a_node_that_has_our_taint_without_a_cause_is_adopted_until_the_cause_of_its_claim_passes() {
    let mut model = under(Mode::Enforce, &["a"]);
    reports(&mut model, "a", lost_gpu_report(3));
    let mut model = settled(model);
    // Somebody deletes the NodeHealth, and the agent has not reported again yet.
    model.world.node_healths.remove("a");
    let mut model = settled(model);
    let adopted = decision(&model, "a");
    assert_eq!((&adopted.state, adopted.reason.as_str()), (&State::Unhealthy, reason::ADOPTED));
    assert_eq!(adopted.causes[0].check, "xid");
    assert_eq!(adopted.causes[0].target, address(3));
    assert_eq!(our_taint(&model, "a"), "reboot:NoSchedule");
    reports(&mut model, "a", inconclusive(passing_report()));
    let mut model = settled(model);
    assert_eq!(decision(&model, "a").reason, reason::ADOPTED);
    reports(&mut model, "a", passing_report());
    let model = settled(model);
    assert_eq!(decision(&model, "a").state, State::Healthy);
    assert_eq!(our_taint(&model, "a"), "");
}

#[test]
fn an_adopted_node_without_claim_and_annotation_waits_for_a_pass_of_every_enabled_check() {
    let mut model = under(Mode::Enforce, &["a"]);
    model.edit_node("a", |n| {
        n.taints.push(super::fixtures::taint(names::TAINT_UNHEALTHY, "isolate", "NoExecute"));
        n.summary = Some("no JSON".into());
    });
    let mut one_missing = passing_report();
    one_missing.checks.remove(1);
    reports(&mut model, "a", one_missing);
    let mut model = settled(model);
    let adopted = decision(&model, "a");
    assert_eq!(adopted.causes[0].check, "adopted");
    assert_eq!(adopted.severity, Severity::Isolate);
    reports(&mut model, "a", passing_report());
    let model = settled(model);
    assert_eq!(our_taint(&model, "a"), "");
}

#[test]
fn our_prefer_no_schedule_taint_without_a_cause_is_removed() {
    let mut model = under(Mode::Enforce, &["a"]);
    model.edit_node("a", |n| {
        n.taints.push(super::fixtures::taint(names::TAINT_UNHEALTHY, "reset", "PreferNoSchedule"));
    });
    let model = settled(model);
    assert_eq!(decision(&model, "a").state, State::Healthy);
    assert_eq!(our_taint(&model, "a"), "");
}

#[test]
fn history_and_causes_keep_their_bounds_and_a_full_node_health_stays_under_64_kib() {
    let mut model = under(Mode::Enforce, &["a"]);
    model.edit_health("a", |h| {
        let decision = h.status.get_or_insert_default().decision.get_or_insert_default();
        decision.reason = "Old".into();
        decision.history = vec![Occurrence::default(); 16];
    });
    let mut report = passing_report();
    // Boards may be missing: so the addresses need not be in the inventory.
    report.checks[0].outcome = Outcome::Warn;
    for index in 0..24 {
        let mut found = finding("xid", &address(index), Outcome::Fail, Severity::Reset, "Xid79");
        found.message = "m".repeat(256);
        found.evidence = Some("e".repeat(256));
        report.findings.push(found);
        let mut other = finding("inventory", &address(index), Outcome::Warn, Severity::Reset, "Odd");
        other.message = "m".repeat(256);
        report.findings.push(other);
    }
    reports(&mut model, "a", report);
    let model = settled(model);
    let decided = decision(&model, "a");
    let bytes = serde_json::to_string(&decided).unwrap().len();
    assert!(bytes <= crds::node_health::MAX_DECISION_BYTES, "{bytes} bytes");
    assert!((20..=24).contains(&decided.causes.len()) && decided.history.len() <= 16, "{}", decided.causes.len());
    assert!(decided.causes.iter().all(|c| c.check == "xid"), "the worst are kept");
    let size = serde_json::to_string(health_of(&model, "a")).unwrap().len();
    assert!(size < 64 * 1024, "{size} bytes");
}

/// A result of a run over the first four GPUs, of which those with these indices failed.
fn over_gpus(at: Time, check: &str, failed: &[usize]) -> RunReport {
    let bad = |index: &usize| FailedTarget {
        target: address(*index),
        outcome: Outcome::Fail,
        severity: Severity::Isolate,
        reason: Some("WrongBit".into()),
    };
    let mut run = result(if failed.is_empty() { Outcome::Pass } else { Outcome::Fail }, at);
    run.results[0].check = check.into();
    run.results[0].tested = (0..4).map(address).collect();
    run.results[0].failed = failed.iter().map(bad).collect();
    run
}

fn targets(model: &Model) -> Vec<String> {
    let mut targets: Vec<String> = decision(model, "a").causes.iter().map(|cause| cause.target.clone()).collect();
    targets.sort();
    targets
}

#[test]
fn a_failed_result_over_several_gpus_opens_a_cause_on_each_and_a_pass_lifts_only_what_it_covered() {
    let mut model = under(Mode::Observe, &["a"]);
    let with = |run: RunReport| Report { runs: vec![run], ..passing_report() };
    reports(&mut model, "a", with(over_gpus(START, "custom/burn", &[1, 3])));
    let mut model = settled(model);
    assert_eq!(targets(&model), [address(1), address(3)]);
    let mut pass_on_another = result(Outcome::Pass, START.plus(60));
    pass_on_another.results[0].tested = vec![address(0)];
    reports(&mut model, "a", with(pass_on_another));
    let mut model = settled(model);
    assert_eq!(targets(&model), [address(1), address(3)], "a pass elsewhere lifts nothing");
    // The next run finds one of them well, and the other as it was.
    reports(&mut model, "a", with(over_gpus(START.plus(120), "custom/burn", &[3])));
    let mut model = settled(model);
    assert_eq!(targets(&model), [address(3)]);
    reports(&mut model, "a", with(over_gpus(START.plus(180), "custom/burn", &[])));
    assert_eq!(decision(&settled(model), "a").state, State::Healthy);
}

#[test]
fn a_shorter_test_does_not_lift_what_a_longer_one_found() {
    let mut model = under(Mode::Observe, &["a"]);
    let at_level = |model: &mut Model, level: i64, mut run: RunReport| {
        run.results[0].name = "diag".into();
        model.edit_health("a", |h| {
            let diag = CheckSpec {
                name: "diag".into(),
                dcgm_diag: Some(DcgmDiag { level: Some(level) }),
                ..CheckSpec::default()
            };
            h.spec.assignments = vec![Assignment { id: run.id.clone(), checks: vec![diag], ..Assignment::default() }];
        });
        reports(model, "a", Report { runs: vec![run], ..passing_report() });
        // Only the judgement: the order does not come from a run of this world.
        let plan = decide(&model.world, model.now);
        model.apply(&plan);
        decision(model, "a").causes.iter().map(|cause| (cause.target.clone(), cause.level)).collect::<Vec<_>>()
    };
    let found = at_level(&mut model, 3, over_gpus(START, "dcgmDiag", &[2]));
    assert_eq!(found, [(address(2), Some(3))]);
    assert!(decision(&model, "a").causes[0].lift.text.contains("level 3 or higher"));
    assert_eq!(at_level(&mut model, 1, over_gpus(START.plus(60), "dcgmDiag", &[])), found);
    assert_eq!(at_level(&mut model, 4, over_gpus(START.plus(120), "dcgmDiag", &[])), []);
}

#[test]
fn a_run_that_only_reports_neither_condemns_nor_lifts() {
    let mut model = under(Mode::Observe, &["a"]);
    let with = |run: RunReport| Report { runs: vec![run], ..passing_report() };
    let only = |run: RunReport| RunReport { report_only: true, ..run };
    reports(&mut model, "a", with(only(result(Outcome::Fail, START))));
    let mut model = settled(model);
    assert_eq!(decision(&model, "a").state, State::Healthy);
    reports(&mut model, "a", with(result(Outcome::Fail, START.plus(60))));
    let mut model = settled(model);
    assert_eq!(decision(&model, "a").state, State::Unhealthy);
    reports(&mut model, "a", with(only(result(Outcome::Pass, START.plus(120)))));
    assert_eq!(decision(&settled(model), "a").state, State::Unhealthy);
}
