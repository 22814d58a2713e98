//! Where drills may go on, and on how many nodes at once.

use super::*;
use crds::{
    NodeHealthPolicy,
    check::{Drill, DrillFinding},
    node_health::CheckRow,
    node_health_policy::Drills,
};

fn drill(seconds: i64) -> CheckSpec {
    let finding = DrillFinding { severity: Severity::Reset, reason: "Xid79".into(), target: None };
    CheckSpec { name: "a".into(), drill: Some(Drill { finding, seconds, marks: true }), ..CheckSpec::default() }
}

fn drilling() -> HealthCheckRunSpec {
    HealthCheckRunSpec { checks: Some(vec![drill(60)]), ..counting() }
}

/// Nodes whose agents have judged something, under a policy with these drills.
fn stage(nodes: usize, drills: Option<Drills>) -> Stage {
    let mut stage = Stage::with_nodes(nodes);
    for index in 0..nodes {
        stage.edit_health(&format!("n{index}"), |h| {
            let report = h.status.as_mut().unwrap().report.as_mut().unwrap();
            report.checks.push(CheckRow { check: "inventory".into(), outcome: Outcome::Pass, ..CheckRow::default() });
        });
    }
    allow(&mut stage, drills);
    stage.add_run("r", drilling());
    stage
}

fn allow(stage: &mut Stage, drills: Option<Drills>) {
    let mut policy = NodeHealthPolicy::new("base", crds::node_health_policy::NodeHealthPolicySpec::default());
    policy.spec.drills = drills;
    stage.world.policies.insert("base".into(), Arc::new(policy));
}

fn allowed(max_nodes: i64) -> Drills {
    Drills { allow: true, max_nodes }
}

#[test]
fn a_node_whose_policy_does_not_allow_drills_is_skipped() {
    for drills in [None, Some(Drills { allow: false, max_nodes: 5 })] {
        let mut stage = stage(2, drills);
        stage.go();
        assert_eq!(lines(stage.status("r")), ["n0 Done Skipped DrillNotAllowed", "n1 Done Skipped DrillNotAllowed"]);
    }
    let mut stage = stage(1, Some(allowed(1)));
    stage.world.policies.clear();
    stage.go();
    assert_eq!(lines(stage.status("r")), ["n0 Done Skipped DrillNotAllowed"], "no policy at all");
}

#[test]
fn at_most_max_nodes_are_drilled_at_once_over_all_runs_and_the_others_wait_their_turn() {
    let mut stage = stage(3, Some(allowed(1)));
    stage.add_run("s", drilling());
    stage.go();
    let waits = "Waiting - DrillNotAllowed";
    assert_eq!(lines(stage.status("r")), ["n0 Assigned - -".to_owned(), format!("n1 {waits}"), format!("n2 {waits}")]);
    stage.ends("n0", "uid-r/1", Outcome::Pass, "Drilled");
    stage.pass(5, &[]);
    stage.go();
    assert_eq!(lines(stage.status("r"))[..2], ["n0 Done Pass Drilled", "n1 Assigned - -"]);
    allow(&mut stage, Some(allowed(3)));
    stage.pass(5, &[]);
    stage.go();
    assert_eq!(lines(stage.status("r"))[2], "n2 Assigned - -");
    assert_eq!(lines(stage.status("s"))[0], "n0 Assigned - -");
}

#[test]
fn with_when_busy_skip_nobody_waits_for_a_turn() {
    let mut stage = stage(2, Some(allowed(1)));
    stage.edit_run("r", |r| r.spec.when_busy = WhenBusy::Skip);
    stage.go();
    assert_eq!(lines(stage.status("r")), ["n0 Assigned - -", "n1 Done Skipped DrillNotAllowed"]);
}

#[test]
fn a_node_that_was_never_judged_is_not_drilled() {
    let mut stage = stage(1, Some(allowed(1)));
    stage.remake_health("n0");
    stage.go();
    assert_eq!(lines(stage.status("r")), ["n0 Waiting - NeverJudged"]);
}

#[test]
fn a_drill_that_its_agent_does_not_end_is_ended() {
    let mut stage = stage(1, Some(allowed(1)));
    stage.go();
    stage.says("n0", "uid-r/1", RunState::Running);
    stage.pass(5, &[]);
    stage.go();
    stage.pass(89, &[]);
    stage.go();
    assert_eq!(lines(stage.status("r")), ["n0 Running - -"]);
    stage.pass(1, &[]);
    let (_, orders) = stage.go();
    assert_eq!(lines(stage.status("r")), ["n0 Done Inconclusive DeadlineExceeded"]);
    assert!(!orders.by_node.contains_key("n0"));
}

#[test]
fn a_drill_that_says_no_clear_thing_is_refused() {
    let edited = |edit: &dyn Fn(&mut Drill)| {
        let mut check = drill(60);
        edit(check.drill.as_mut().unwrap());
        HealthCheckRunSpec { checks: Some(vec![check]), ..counting() }
    };
    let mixed = vec![drill(60), CheckSpec { name: "b".into(), ..custom("burn") }];
    let table = [
        (edited(&|d| d.finding.severity = Severity::None), "drill.finding.severity is None"),
        (edited(&|d| d.finding.reason = "fell off".into()), "PascalCase"),
        (edited(&|d| d.finding.target = Some(String::new())), "drill.finding.target"),
        (edited(&|d| d.seconds = 600), "spec.deadlineSeconds is 600, but the drills take 600 s"),
        (HealthCheckRunSpec { checks: Some(mixed), ..counting() }, "spec.checks[b] is not a drill"),
    ];
    for (spec, text) in table {
        let mut stage = Stage::with_nodes(1);
        stage.add_run("r", spec);
        stage.go();
        let summary = &stage.status("r").summary;
        assert_eq!(summary.reason.as_deref(), Some("InvalidSpec"));
        let message = summary.message.as_deref().unwrap();
        assert!(message.contains(text), "{message}");
    }
}

#[test]
fn a_drill_that_is_no_longer_allowed_on_one_node_ends_at_once_although_its_run_was_just_written() {
    let mut stage = stage(2, Some(allowed(2)));
    stage.go();
    assert_eq!(lines(stage.status("r")), ["n0 Assigned - -", "n1 Assigned - -"]);
    let mut strict = NodeHealthPolicy::new("strict", crds::node_health_policy::NodeHealthPolicySpec::default());
    strict.spec.priority = 10;
    strict.spec.node_selector.match_labels = [("strict".to_owned(), "yes".to_owned())].into();
    stage.world.policies.insert("strict".into(), Arc::new(strict));
    Arc::make_mut(stage.world.nodes.get_mut("n0").unwrap()).labels.insert("strict".into(), "yes".into());
    stage.pass(1, &[]);
    let (_, orders) = stage.go();
    assert_eq!(lines(stage.status("r")), ["n0 Done Skipped DrillNotAllowed", "n1 Assigned - -"]);
    assert!(!orders.by_node.contains_key("n0") && orders.by_node.contains_key("n1"));
}
