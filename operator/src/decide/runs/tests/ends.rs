use super::*;
use crate::decide::runs::status::{counts, phase, table};
use crds::{
    condition::Status,
    health_check_run::{Phase, TargetState},
};

fn conditions(status: &HealthCheckRunStatus) -> Vec<(&str, &str)> {
    let all = status.conditions.iter();
    all.map(|c| (c.type_.as_str(), c.status.as_str())).collect()
}

fn target(state: TargetState, outcome: Option<Outcome>, reason: Option<&str>) -> Target {
    Target { node: "n".into(), uid: "u".into(), state, outcome, reason: reason.map(str::to_owned), ..Target::default() }
}

fn done(outcome: Outcome) -> Target {
    let reason = (outcome == Outcome::Skipped).then_some("NodeBusy");
    target(TargetState::Done, Some(outcome), reason)
}

#[test]
fn every_phase_has_the_conditions_of_the_table_in_the_documentation() {
    // Accepted, Complete, Passed, Ready, Reconciling, Stalled.
    let documented = [
        (Phase::Pending, "True False Unknown False True False"),
        (Phase::WaitingForIdle, "True False Unknown False True False"),
        (Phase::Running, "True False Unknown False True False"),
        (Phase::Passed, "True True True True False False"),
        (Phase::Failed, "True True False False False True"),
        (Phase::Inconclusive, "True True False False False True"),
        (Phase::Cancelled, "True True False False False True"),
        (Phase::Rejected, "False True False False False True"),
    ];
    assert_eq!(documented.len(), Phase::ALL.len());
    for (phase, wanted) in documented {
        let names = table(&phase).map(|(name, _)| name);
        assert_eq!(names, ["Accepted", "Complete", "Passed", "Ready", "Reconciling", "Stalled"]);
        let found = table(&phase).map(|(_, status)| status.as_str());
        assert_eq!(found.join(" "), wanted, "{phase}");
        let complete = table(&phase)[1].1 == Status::True;
        assert_eq!(complete, phase.is_final());
    }
}

#[test]
fn the_phase_of_every_combination_of_targets_follows_the_rule() {
    let kinds = [
        target(TargetState::Pending, None, None),
        target(TargetState::Waiting, None, Some("NodeBusy")),
        target(TargetState::Assigned, None, None),
        target(TargetState::Running, None, None),
        done(Outcome::Pass),
        done(Outcome::Warn),
        done(Outcome::Fail),
        done(Outcome::Inconclusive),
        done(Outcome::Skipped),
        target(TargetState::Done, Some(Outcome::Skipped), Some("Cancelled")),
    ];
    // Every subset of the kinds, each kind once.
    for set in 1_u32..1 << kinds.len() {
        let has = |i: usize| set & (1 << i) != 0;
        let chosen: Vec<Target> = (0..kinds.len()).filter(|i| has(*i)).map(|i| kinds[i].clone()).collect();
        let c = counts(&chosen);
        let sum = c.pending + c.waiting + c.running + c.passed + c.warned + c.failed;
        assert_eq!(sum + c.inconclusive + c.skipped, c.total);
        let wanted = if has(2) || has(3) {
            Phase::Running
        } else if has(1) {
            Phase::WaitingForIdle
        } else if has(0) {
            Phase::Pending
        } else if has(6) {
            Phase::Failed
        } else if has(9) {
            Phase::Cancelled
        } else if has(7) || !(has(4) || has(5)) {
            Phase::Inconclusive
        } else {
            Phase::Passed
        };
        assert_eq!(phase(&chosen, &c), wanted, "{chosen:?}");
    }
}

#[test]
fn complete_becomes_true_in_every_end_and_the_transition_time_moves_only_with_the_status() {
    let mut stage = Stage::with_nodes(1);
    stage.add_run("r", counting());
    stage.go();
    let accepted = stage.status("r").conditions[0].clone();
    assert_eq!(accepted.reason, "Accepted");
    stage.pass(5, &[]);
    stage.ends("n0", "uid-r/1", Outcome::Pass, "CountRight");
    stage.go();
    let after = stage.status("r");
    assert_eq!(
        conditions(after),
        [
            ("Accepted", "True"),
            ("Complete", "True"),
            ("Passed", "True"),
            ("Ready", "True"),
            ("Reconciling", "False"),
            ("Stalled", "False")
        ]
    );
    assert_eq!(after.conditions[0].last_transition_time, accepted.last_transition_time);
    assert_eq!(after.conditions[1].last_transition_time, stage.now);
}

#[test]
fn at_the_deadline_everything_that_is_left_is_inconclusive() {
    let mut stage = Stage::with_nodes(3);
    stage.pass(151, &["n2"]);
    stage.add_run("r", counting());
    stage.go();
    stage.pass(599, &["n2"]);
    stage.ends("n0", "uid-r/1", Outcome::Pass, "CountRight");
    let (plan, _) = stage.go();
    assert_eq!(plan.wake_at, Some(stage.now.plus(1)));
    stage.pass(1, &["n2"]);
    let (_, orders) = stage.go();
    assert_eq!(
        lines(stage.status("r")),
        ["n0 Done Pass CountRight", "n1 Done Inconclusive DeadlineExceeded", "n2 Done Inconclusive DeadlineExceeded"]
    );
    assert_eq!(stage.status("r").phase, Phase::Inconclusive);
    assert_eq!(orders.released_after["n1"], [0]);
    assert!(!orders.released_after.contains_key("n2"), "it never had an order");
}

#[test]
fn a_result_that_is_there_at_the_deadline_still_counts() {
    let mut stage = Stage::with_nodes(1);
    stage.add_run("r", counting());
    stage.go();
    stage.ends("n0", "uid-r/1", Outcome::Pass, "CountRight");
    stage.pass(700, &[]);
    stage.go();
    assert_eq!(stage.status("r").phase, Phase::Passed);
}

#[test]
fn cancelling_skips_what_has_not_ended_at_once_and_releases_the_nodes() {
    let mut stage = Stage::with_nodes(2);
    stage.add_run("r", counting());
    stage.go();
    stage.ends("n0", "uid-r/1", Outcome::Pass, "CountRight");
    stage.cancel("r");
    let (plan, orders) = stage.go();
    let status = stage.status("r");
    assert_eq!(lines(status), ["n0 Done Pass CountRight", "n1 Done Skipped Cancelled"]);
    assert_eq!(status.phase, Phase::Cancelled);
    assert_eq!(status.observed_generation, Some(2));
    assert_eq!(status.summary.message.as_deref(), Some("cancelled; 1 of 2 nodes had already finished"));
    assert!(orders.by_node.is_empty());
    assert_eq!(orders.released_after["n1"], [1]);
    assert!(plan.events[0].warning);
}

#[test]
fn a_failure_outranks_the_cancellation() {
    let mut stage = Stage::with_nodes(2);
    stage.add_run("r", counting());
    stage.go();
    stage.ends("n0", "uid-r/1", Outcome::Fail, "GpuMissing");
    stage.cancel("r");
    stage.go();
    assert_eq!(stage.status("r").phase, Phase::Failed);
}

#[test]
fn a_run_that_was_cancelled_before_it_began_assigns_nothing() {
    let mut stage = Stage::with_nodes(1);
    stage.add_run("r", counting());
    stage.cancel("r");
    let (_, orders) = stage.go();
    assert_eq!(stage.status("r").phase, Phase::Cancelled);
    assert_eq!(orders, Orders::default());
}

#[test]
fn observed_generation_follows_after_the_end_and_nothing_else_changes() {
    let mut stage = Stage::with_nodes(1);
    stage.add_run("r", counting());
    stage.go();
    stage.ends("n0", "uid-r/1", Outcome::Pass, "CountRight");
    stage.go();
    let before = stage.status("r").clone();
    stage.pass(60, &[]);
    stage.cancel("r");
    stage.go();
    let after = stage.status("r").clone();
    assert_eq!(after.observed_generation, Some(2));
    assert!(after.conditions.iter().all(|c| c.observed_generation == Some(2)));
    assert_eq!((after.phase, after.completion_time), (before.phase, before.completion_time));
    assert_eq!(after.targets, before.targets);
    assert!(stage.go().0.is_empty());
}

#[test]
fn a_run_goes_when_its_time_to_live_is_over_and_stays_without_one() {
    for (ttl, goes) in [(Some(100), true), (Some(0), true), (None, false)] {
        let mut stage = Stage::with_nodes(1);
        let spec = HealthCheckRunSpec { ttl_seconds_after_finished: ttl, ..counting() };
        stage.add_run("r", spec);
        stage.go();
        stage.ends("n0", "uid-r/1", Outcome::Pass, "CountRight");
        stage.go();
        let (plan, _) = stage.decide();
        if ttl == Some(100) {
            assert!(plan.is_empty());
            assert_eq!(plan.wake_at, Some(stage.now.plus(100)));
        }
        stage.pass(100, &[]);
        let (plan, _) = stage.go();
        let delete = Write::DeleteRun { run: "r".into(), uid: "uid-r".into() };
        let deletes = plan.steps.iter().any(|s| s.write == delete);
        assert_eq!(deletes, goes);
        assert_eq!(stage.world.runs.is_empty(), goes);
    }
}

#[test]
fn a_rejected_run_goes_by_its_time_to_live_too() {
    let mut stage = Stage::with_nodes(1);
    let spec = HealthCheckRunSpec { ttl_seconds_after_finished: Some(5), ..on(&["nobody"], counting()) };
    stage.add_run("r", spec);
    stage.go();
    stage.pass(5, &[]);
    stage.go();
    assert!(stage.world.runs.is_empty());
}

#[test]
fn a_run_that_is_deleted_releases_its_nodes() {
    let mut stage = Stage::with_nodes(1);
    stage.add_run("r", counting());
    stage.go();
    stage.edit_run("r", |r| {
        r.metadata.deletion_timestamp = r.metadata.creation_timestamp.clone();
    });
    assert_eq!(stage.go().1, Orders::default());
    stage.world.runs = crate::world::runs::Runs::default();
    assert_eq!(stage.go().1, Orders::default());
}
