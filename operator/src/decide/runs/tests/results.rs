use super::*;
use crds::{
    health_check_run::Phase,
    node_health::{FailedTarget, Finding},
};

fn one_node() -> Stage {
    let mut stage = Stage::with_nodes(1);
    stage.add_run("r", counting());
    stage.go();
    stage
}

#[test]
fn what_the_agent_reports_becomes_the_state_of_the_target() {
    for state in [RunState::Accepted, RunState::Ready, RunState::Running] {
        let mut stage = one_node();
        stage.says("n0", "uid-r/1", state);
        stage.pass(2, &[]);
        stage.go();
        assert_eq!(lines(stage.status("r")), ["n0 Running - -"]);
        assert_eq!(stage.target("r", "n0").since, Some(stage.now));
    }
}

#[test]
fn the_result_is_recorded_before_the_order_leaves() {
    let mut stage = one_node();
    stage.ends("n0", "uid-r/1", Outcome::Pass, "CountRight");
    let (plan, orders) = stage.go();
    assert_eq!(lines(stage.status("r")), ["n0 Done Pass CountRight"]);
    assert!(orders.by_node.is_empty());
    assert_eq!(orders.released_after["n0"], [1], "the result of the node comes first");
    assert_eq!(stage.status("r").phase, Phase::Passed);
    assert_eq!(stage.status("r").completion_time, Some(stage.now));
    assert_eq!(plan.events[0].reason, "Passed");
    assert!(!plan.events[0].warning);
}

#[test]
fn an_answer_to_another_order_does_not_count() {
    let mut stage = one_node();
    stage.ends("n0", "uid-other/1", Outcome::Fail, "GpuMissing");
    stage.pass(2, &[]);
    assert!(stage.go().0.is_empty());
}

#[test]
fn the_worst_result_decides_and_a_check_without_a_result_could_not_be_judged() {
    let pass = || result("a", Outcome::Pass, "CountRight");
    let cases = [
        (vec![pass()], "Inconclusive NoOutput"),
        (vec![], "Inconclusive NoOutput"),
        (vec![pass(), result("b", Outcome::Pass, "X")], "Pass CountRight"),
        (vec![pass(), result("b", Outcome::Warn, "X")], "Warn X"),
        (vec![result("a", Outcome::Fail, "Y"), result("b", Outcome::Warn, "X")], "Fail Y"),
        (vec![pass(), result("b", Outcome::Unrecognized("Odd".into()), "Z")], "Inconclusive Z"),
        (vec![pass(), result("b", Outcome::Pass, "X"), result("c", Outcome::Fail, "Unasked")], "Pass CountRight"),
    ];
    for (results, wanted) in cases {
        let mut stage = Stage::with_nodes(1);
        let mut spec = counting();
        spec.checks.as_mut().unwrap().push(CheckSpec { name: "b".into(), ..custom("b") });
        stage.add_run("r", spec);
        stage.go();
        stage.answer("n0", ended("uid-r/1", results));
        stage.go();
        assert_eq!(lines(stage.status("r")), [format!("n0 Done {wanted}")]);
    }
}

fn finding(target: &str, severity: Severity) -> Finding {
    Finding {
        check: "inventory".into(),
        target: target.into(),
        outcome: Outcome::Fail,
        severity,
        reason: "GpuMissing".into(),
        message: "7 of 8".into(),
        ..Finding::default()
    }
}

#[test]
fn the_worst_findings_come_first_and_outlive_the_report() {
    let mut stage = Stage::with_nodes(3);
    stage.add_run("r", counting());
    stage.go();
    stage.edit_health("n0", |h| {
        let report = h.status.get_or_insert_default().report.get_or_insert_default();
        report.findings = vec![
            finding("0000:01:00.0", Severity::Reset),
            finding("0000:02:00.0", Severity::Isolate),
            Finding { check: "xid".into(), ..finding("node", Severity::Isolate) },
        ];
    });
    stage.ends("n0", "uid-r/1", Outcome::Fail, "GpuMissing");
    stage.ends("n1", "uid-r/1", Outcome::Inconclusive, "DriverLibraryMissing");
    stage.ends("n2", "uid-r/1", Outcome::Fail, "NotInDriver");
    stage.go();
    let worst: Vec<String> =
        stage.status("r").worst.iter().map(|w| format!("{} {} {}", w.node, w.target, w.reason)).collect();
    assert_eq!(
        worst,
        [
            "n0 0000:02:00.0 GpuMissing",
            "n2 node NotInDriver",
            "n0 0000:01:00.0 GpuMissing",
            "n1 node DriverLibraryMissing"
        ]
    );
    let status = stage.status("r");
    assert_eq!(status.phase, Phase::Failed);
    assert_eq!(
        status.summary.message.as_deref(),
        Some("2 of 3 nodes failed: GpuMissing 1 (n0), NotInDriver 1 (n2); see status.worst for the findings")
    );
}

#[test]
fn the_worst_findings_have_the_code_of_the_fault_and_name_each_target_that_failed() {
    let mut stage = Stage::with_nodes(2);
    stage.add_run("r", counting());
    stage.go();
    stage.edit_health("n0", |h| {
        let report = h.status.get_or_insert_default().report.get_or_insert_default();
        report.findings = vec![Finding { code: Some("79".into()), ..finding("0000:01:00.0", Severity::Reboot) }];
    });
    stage.ends("n0", "uid-r/1", Outcome::Fail, "GpuMissing");
    let target = |target: &str| FailedTarget {
        target: target.into(),
        outcome: Outcome::Fail,
        severity: Severity::Reset,
        reason: Some("BelowFloor".into()),
    };
    let failed = vec![target("0000:03:00.0"), target("0000:04:00.0")];
    let results = vec![CheckResult { failed, ..result("a", Outcome::Fail, "BelowFloor") }];
    let answer = RunReport { id: "uid-r/1".into(), state: RunState::Done, results, ..RunReport::default() };
    stage.answer("n1", answer);
    stage.go();
    let worst: Vec<(&str, Option<&str>)> =
        stage.status("r").worst.iter().map(|w| (w.target.as_str(), w.code.as_deref())).collect();
    assert_eq!(worst, [("0000:01:00.0", Some("79")), ("0000:03:00.0", None), ("0000:04:00.0", None)]);
}

#[test]
fn no_more_than_fifty_findings_are_kept() {
    let mut stage = Stage::with_nodes(60);
    stage.add_run("r", counting());
    stage.go();
    for index in 0..60 {
        stage.ends(&format!("n{index}"), "uid-r/1", Outcome::Fail, "GpuMissing");
    }
    stage.go();
    assert_eq!(stage.status("r").worst.len(), 50);
    assert_eq!(stage.status("r").counts.failed, 60);
    assert_eq!(stage.status("r").summary.reason.as_deref(), Some("GpuMissing"));
}

#[test]
fn a_node_that_was_replaced_or_went_away_is_inconclusive_and_its_successor_gets_no_order() {
    let mut stage = Stage::with_nodes(2);
    stage.add_run("r", counting());
    stage.go();
    stage.edit_node("n0", |n| n.uid = "uid-new".into());
    stage.world.nodes.remove("n1");
    // The order is neither carried over nor written to the new Node, whether or not the status may be written yet.
    let (_, orders) = stage.go();
    assert!(orders.by_node.is_empty());
    stage.pass(2, &[]);
    stage.go();
    assert_eq!(lines(stage.status("r")), ["n0 Done Inconclusive NodeReplaced", "n1 Done Inconclusive NodeGone"]);
}

#[test]
fn an_agent_that_falls_silent_at_work_is_inconclusive() {
    let mut stage = one_node();
    let (plan, _) = stage.decide();
    assert_eq!(plan.wake_at, Some(stage.now.plus(2)));
    stage.pass(150, &["n0"]);
    let (plan, _) = stage.go();
    assert!(plan.is_empty());
    stage.pass(1, &["n0"]);
    stage.go();
    assert_eq!(lines(stage.status("r")), ["n0 Done Inconclusive AgentSilent"]);
}

#[test]
fn a_result_that_was_reported_before_the_silence_counts() {
    let mut stage = one_node();
    stage.ends("n0", "uid-r/1", Outcome::Pass, "CountRight");
    stage.pass(200, &["n0"]);
    stage.go();
    assert_eq!(lines(stage.status("r")), ["n0 Done Pass CountRight"]);
}

#[test]
fn a_clock_that_is_set_ends_no_target() {
    let mut stage = one_node();
    stage.now = stage.now.plus(150);
    stage.go();
    assert_eq!(lines(stage.status("r")), ["n0 Assigned - -"]);
}

#[test]
fn a_node_health_that_was_deleted_and_remade_gets_the_same_order_again_once_the_server_has_confirmed_the_run() {
    let mut stage = one_node();
    stage.remake_health("n0");
    stage.pass(2, &[]);
    let (plan, orders) = stage.go();
    let [crate::plan::Step { write: Write::RunStatus { status, .. }, .. }] = plan.steps.as_slice() else {
        panic!("{plan:?}")
    };
    assert_eq!(&**status, stage.status("r"), "it stays as it is");
    assert_eq!(orders.by_node["n0"].assignments[0].id, "uid-r/1");
    assert_eq!(orders.by_node["n0"].after, [0]);
}

#[test]
fn progress_alone_is_written_every_two_seconds_and_the_end_at_once() {
    let mut stage = Stage::with_nodes(2);
    stage.add_run("r", counting());
    stage.go();
    stage.ends("n0", "uid-r/1", Outcome::Pass, "CountRight");
    stage.pass(1, &[]);
    let (plan, orders) = stage.go();
    assert!(plan.is_empty());
    assert_eq!(plan.wake_at, Some(stage.now.plus(1)));
    assert!(orders.by_node.contains_key("n0"), "what is not recorded is not released");
    stage.pass(1, &[]);
    let (plan, orders) = stage.go();
    assert_eq!(plan.steps.len(), 2);
    assert!(!orders.by_node.contains_key("n0"));
    stage.ends("n1", "uid-r/1", Outcome::Pass, "CountRight");
    stage.go();
    assert_eq!(stage.status("r").phase, Phase::Passed);
}
