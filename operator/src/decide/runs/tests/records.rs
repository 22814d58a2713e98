//! What nodes measured outlives their reports.

use super::*;
use crate::key::{Key, Kind};
use crds::{health_check_run::Phase, node_health::Aggregate};

fn measured(outcome: Outcome, reason: &str) -> CheckResult {
    let aggregate =
        Aggregate { name: "sendMbps".into(), min: 91, median: 95, max: 99, worst: Some("0000:10:00.0".into()) };
    CheckResult { aggregates: vec![aggregate], duration_ms: 1_200, ..result("a", outcome, reason) }
}

fn one_node() -> Stage {
    let mut stage = Stage::with_nodes(1);
    stage.add_run("r", counting());
    stage.go();
    stage.answer("n0", ended("uid-r/1", vec![measured(Outcome::Fail, "BelowFloor")]));
    stage
}

#[test]
fn a_result_is_written_before_the_status_on_which_the_order_leaves() {
    let mut stage = one_node();
    let (plan, orders) = stage.go();
    assert!(matches!(plan.steps[0].write, Write::ResultCreate(_)), "{plan:?}");
    assert!(matches!(plan.steps[1].write, Write::RunStatus { .. }));
    assert_eq!(plan.steps[1].after, [0]);
    assert_eq!(orders.released_after["n0"], [1]);
    let made = &stage.results["r-n0"];
    let owner = &made.metadata.owner_references.as_ref().unwrap()[0];
    assert_eq!((owner.kind.as_str(), owner.uid.as_str()), ("HealthCheckRun", "uid-r"));
    let labels = made.metadata.labels.as_ref().unwrap();
    assert_eq!((labels["gpuhealth.dev/run"].as_str(), labels["gpuhealth.dev/node"].as_str()), ("r", "n0"));
    let spec = &made.spec;
    assert_eq!((spec.node.uid.as_str(), spec.attempt, spec.outcome.clone()), ("uid-n0", 1, Outcome::Fail));
    let values: Vec<String> =
        spec.checks[0].values.iter().map(|v| format!("{} {} {}", v.target, v.name, v.value)).collect();
    assert_eq!(values, ["0000:10:00.0 sendMbps.min 91", "node sendMbps.median 95", "node sendMbps.max 99"]);
    assert_eq!(spec.summary.worst.as_deref(), Some("a BelowFloor"));
    assert_eq!(spec.summary.value.as_deref(), Some("sendMbps.min 91 Mbit/s"));
    assert!(stage.decide().0.is_empty());
}

#[test]
fn a_result_that_is_refused_does_not_keep_the_run_from_ending() {
    let mut stage = one_node();
    stage.world.refused_texts.insert(Key::new(Kind::Result, "r-n0"));
    stage.go();
    assert_eq!(stage.status("r").phase, Phase::Failed);
    assert!(stage.results.is_empty());
}

#[test]
fn a_node_that_measured_nothing_leaves_no_result_and_one_cut_short_by_the_deadline_leaves_what_it_has() {
    let mut stage = Stage::with_nodes(2);
    let mut spec = counting();
    spec.checks.as_mut().unwrap().push(CheckSpec { name: "b".into(), ..custom("b") });
    stage.add_run("r", spec);
    stage.go();
    let half = RunReport { state: RunState::Running, ..ended("uid-r/1", vec![measured(Outcome::Pass, "Fine")]) };
    stage.answer("n0", half);
    stage.pass(600, &[]);
    stage.go();
    assert_eq!(stage.status("r").phase, Phase::Inconclusive);
    assert_eq!(stage.results.keys().collect::<Vec<_>>(), ["r-n0"]);
    let spec = &stage.results["r-n0"].spec;
    assert_eq!((spec.outcome.clone(), spec.checks.len()), (Outcome::Inconclusive, 1));
}
