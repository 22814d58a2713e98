//! A drill from its order to its end.

use super::*;
use crate::decide::{decide, model::fixtures::*};
use crds::{
    Action, CheckSpec, Outcome, Severity, State,
    check::{Drill, DrillFinding},
    health_check_run::{HealthCheckRunSpec, Targets},
    node_health::{CheckResult, Finding, RunReport, RunState},
    node_health_policy::Drills,
    reason,
};

const ID: &str = "rehearsal-uid/1";

/// Node `a` under a policy that allows drills, with a run that asks for one of 300 s on GPU 3.
fn with_drill(marks: bool) -> Model {
    let mut model = under(Mode::Enforce, &["a"]);
    model.edit_policy("base", |p| p.spec.drills = Some(Drills { allow: true, max_nodes: 1 }));
    let drill = Drill {
        finding: DrillFinding {
            severity: Severity::Isolate,
            reason: "FallenOffTheBus".into(),
            target: Some(address(3)),
        },
        seconds: 300,
        marks,
    };
    let spec = HealthCheckRunSpec {
        targets: Targets { node_names: Some(vec!["a".into()]), node_selector: None },
        checks: Some(vec![CheckSpec { name: "rehearse".into(), drill: Some(drill), ..CheckSpec::default() }]),
        deadline_seconds: 600,
        ..HealthCheckRunSpec::default()
    };
    model.world.runs.insert("rehearsal".into(), Arc::new(run("rehearsal", spec)));
    settled(model)
}

fn drill_finding() -> Finding {
    finding("drill", &address(3), Outcome::Fail, Severity::Isolate, "FallenOffTheBus")
}

/// The agent's report: the drill in this state, with its finding while it runs, beside what is real.
fn drilling(mut report: Report, state: &RunState) -> Report {
    let mut answer = RunReport { id: ID.into(), state: state.clone(), ..RunReport::default() };
    if *state == RunState::Done {
        answer.results.push(CheckResult {
            name: "rehearse".into(),
            check: "drill".into(),
            outcome: Outcome::Pass,
            tested: vec![address(3)],
            ..CheckResult::default()
        });
    } else {
        report.findings.push(drill_finding());
    }
    report.runs.push(answer);
    report
}

fn under_way(marks: bool) -> Model {
    let mut model = with_drill(marks);
    assert_eq!(health_of(&model, "a").spec.assignments[0].id, ID);
    reports(&mut model, "a", drilling(passing_report(), &RunState::Running));
    later(model, 5)
}

/// This many seconds later.
fn later(mut model: Model, seconds: i64) -> Model {
    model.now = model.now.plus(seconds);
    settled(model)
}

fn has_drill(model: &Model) -> bool {
    decision(model, "a").has_drill()
}

#[test]
fn a_drill_with_marks_goes_the_whole_way_and_says_at_every_step_what_it_is() {
    let mut model = with_drill(true);
    reports(&mut model, "a", drilling(passing_report(), &RunState::Running));
    model.now = model.now.plus(5);
    let plan = decide(&model.world, model.now);
    assert!(
        !plan.events.is_empty() && plan.events.iter().all(|e| !e.warning && e.reason == reason::DRILL),
        "{:?}",
        plan.events
    );
    let model = settled(model);
    let decided = decision(&model, "a");
    assert_eq!((&decided.state, &decided.severity), (&State::Unhealthy, &Severity::Isolate));
    assert_eq!(decided.reason, "DrillFallenOffTheBus");
    assert_eq!(decided.action, Action::None, "nothing is repaired");
    assert!(decided.message.starts_with("DRILL (run rehearsal), not a real fault: GPU3"), "{}", decided.message);
    assert!(decided.history.is_empty(), "no rule counts a drill");
    assert_eq!(decided.causes[0].run.as_deref(), Some("rehearsal"));
    assert_eq!(decided.state_without_drills(), State::Healthy);
    assert_eq!(our_taint(&model, "a"), "isolate:NoSchedule");
    let claim = &policy_status(&model, "base").budget.claims[0];
    assert_eq!(
        (claim.for_.check.as_deref(), claim.for_.reason.as_deref()),
        (Some("drill"), Some("DrillFallenOffTheBus"))
    );
    let condition = node_of(&model, "a").condition.as_ref().unwrap();
    assert_eq!((condition.status.as_str(), condition.reason.as_str()), ("False", "DrillFallenOffTheBus"));
    assert!(condition.message.starts_with("DRILL "));
    let summary = node_of(&model, "a").summary.as_deref().unwrap();
    assert!(summary.contains(r#""action":"None""#) && summary.contains(r#""check":"drill""#), "{summary}");
}

#[test]
fn when_the_agent_ends_the_drill_everything_goes() {
    let mut model = under_way(true);
    reports(&mut model, "a", drilling(passing_report(), &RunState::Done));
    let model = later(model, 5);
    assert_eq!(decision(&model, "a").state, State::Healthy);
    assert_eq!((our_taint(&model, "a"), model.claims().count()), (String::new(), 0));
    assert_eq!(model.world.runs["rehearsal"].status.as_ref().unwrap().phase, crds::health_check_run::Phase::Passed);
}

/// What ends a drill although the agent still reports it.
#[test]
fn a_drill_outlives_neither_its_time_nor_its_run_nor_its_permission_nor_its_agent() {
    type End = fn(Model) -> Model;
    let table: [(&str, End); 6] = [
        ("its time is over by the operator's clock", |m| later(m, 331)),
        ("its run is cancelled", |mut m| {
            m.edit_run("rehearsal", |r| r.spec.cancel = true);
            later(m, 5)
        }),
        ("its run is deleted", |mut m| {
            m.world.runs = crate::world::runs::Runs::default();
            later(m, 5)
        }),
        ("the policy no longer allows it", |mut m| {
            m.edit_policy("base", |p| p.spec.drills = None);
            later(m, 5)
        }),
        ("the agent is silent", |mut m| {
            m.world.silent.insert("a".into());
            settled(m)
        }),
        ("the NodeHealth is deleted as well", |mut m| {
            m.world.runs = crate::world::runs::Runs::default();
            m.world.node_healths.clear();
            later(m, 5)
        }),
    ];
    for (what, end) in table {
        let model = end(under_way(true));
        let decided = decision(&model, "a");
        assert_ne!(decided.state, State::Unhealthy, "{what}");
        assert!(decided.causes.is_empty(), "{what}: {:?}", decided.causes);
        assert_eq!((our_taint(&model, "a"), model.claims().count()), (String::new(), 0), "{what}");
    }
    let model = later(under_way(true), 320);
    assert_eq!(our_taint(&model, "a"), "isolate:NoSchedule", "until then it stays");
}

#[test]
fn the_plan_asks_to_be_woken_when_a_drill_must_be_over() {
    let model = under_way(true);
    let began = model.world.runs["rehearsal"].status.as_ref().unwrap().targets[0].since.unwrap();
    let mut model = later(model, 300);
    let wake = decide(&model.world, model.now).wake_at.unwrap();
    assert_eq!(wake, began.plus(330));
    model.now = wake;
    assert!(!has_drill(&settled(model)));
}

#[test]
fn a_drill_without_marks_shows_in_the_node_health_and_leaves_the_node_as_it_was() {
    let before = node_of(&with_drill(false), "a").clone();
    let mut model = under_way(false);
    let decided = decision(&model, "a");
    assert_eq!((&decided.state, decided.reason.as_str()), (&State::Suspect, "DrillFallenOffTheBus"));
    assert!(decided.message.starts_with("DRILL "), "{}", decided.message);
    assert!(decided.quarantine == crds::Quarantine::None && decided.held.is_empty());
    assert_eq!(*node_of(&model, "a"), before);
    assert_eq!(model.claims().count(), 0);
    reports(&mut model, "a", drilling(passing_report(), &RunState::Done));
    let model = later(model, 5);
    assert_eq!(decision(&model, "a").state, State::Healthy);
    assert_eq!(*node_of(&model, "a"), before);
}

#[test]
fn a_real_cause_is_kept_beside_a_drill_outranks_it_and_stays_when_the_drill_ends() {
    for marks in [true, false] {
        let mut model = under_way(marks);
        let real = report_with(finding("xid", &address(5), Outcome::Fail, Severity::Reset, "Xid95"));
        reports(&mut model, "a", drilling(real.clone(), &RunState::Running));
        model.now = model.now.plus(5);
        let plan = decide(&model.world, model.now);
        assert!(plan.events.iter().any(|e| e.warning && e.reason == "Unhealthy"), "{:?}", plan.events);
        let mut model = settled(model);
        let decided = decision(&model, "a");
        assert_eq!((decided.reason.as_str(), &decided.action), ("Xid95", &Action::ResetGpu));
        assert_eq!(our_taint(&model, "a"), "reset:NoSchedule");
        assert_eq!(decided.causes.len(), 2);
        assert_eq!(decided.state_without_drills(), State::Unhealthy);
        reports(&mut model, "a", drilling(real, &RunState::Done));
        let model = later(model, 5);
        assert!(!has_drill(&model));
        assert_eq!(decision(&model, "a").reason, "Xid95");
        assert_eq!(our_taint(&model, "a"), "reset:NoSchedule");
    }
}

#[test]
fn a_milder_real_cause_is_named_in_the_message_of_a_drill() {
    let mut model = under_way(true);
    let real = report_with(finding("xid", &address(5), Outcome::Warn, Severity::Monitor, "Xid13"));
    reports(&mut model, "a", drilling(real, &RunState::Running));
    let model = later(model, 5);
    let decided = decision(&model, "a");
    assert!(
        decided.message.contains("Real cause: GPU5 (0000:15:00.0): Xid13 was seen [xid Xid13]."),
        "{}",
        decided.message
    );
    assert_eq!(decided.state_without_drills(), State::Suspect);
}

#[test]
fn a_drill_that_was_not_ordered_is_ignored() {
    let mut model = settled(under(Mode::Enforce, &["a"]));
    reports(&mut model, "a", drilling(passing_report(), &RunState::Running));
    let mut failed = drilling(passing_report(), &RunState::Done);
    failed.runs[0].results[0].outcome = Outcome::Fail;
    let mut model = settled(model);
    assert_eq!(decision(&model, "a").state, State::Healthy);
    reports(&mut model, "a", failed);
    assert_eq!(decision(&settled(model), "a").state, State::Healthy);
}

#[test]
fn a_drill_waits_for_budget_behind_every_real_fault() {
    let mut model = with_budget(with_drill(true), 1);
    let more = fixtures::world(&["b"]);
    model.world.nodes.extend(more.nodes);
    model.world.node_healths.extend(more.node_healths);
    reports(&mut model, "a", drilling(passing_report(), &RunState::Running));
    reports(&mut model, "b", report_with(finding("xid", &address(1), Outcome::Fail, Severity::Reset, "Xid95")));
    let model = later(model, 5);
    assert_eq!(claimed(&model, "base"), ["b"]);
    assert_eq!(our_taint(&model, "a"), "isolate:PreferNoSchedule");
}
