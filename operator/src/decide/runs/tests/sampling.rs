//! Which nodes a run takes, when it stops to take more, and what its results are good for.

use super::*;
use crds::{Scale, health_check_run::Phase};

fn nodes(stage: &Stage, run: &str) -> Vec<String> {
    stage.status(run).targets.iter().map(|t| t.node.clone()).collect()
}

/// Ends a run on one node with a pass.
fn tested(stage: &mut Stage, run: &str, node: &str) {
    stage.add_run(run, on(&[node], counting()));
    stage.go();
    stage.ends(node, &format!("uid-{run}/1"), Outcome::Pass, "CountRight");
    stage.go();
    stage.pass(10, &[]);
}

#[test]
fn a_limit_takes_those_that_were_tested_longest_ago_and_excluded_nodes_are_never_taken() {
    let mut stage = Stage::with_nodes(5);
    for (run, node) in [("old", "n1"), ("older", "n3"), ("new", "n0")] {
        tested(&mut stage, run, node);
    }
    let exclude = Some(vec!["n2".to_owned()]);
    stage.add_run("r", HealthCheckRunSpec { limit: Some(2), exclude: exclude.clone(), ..counting() });
    stage.add_run("all", HealthCheckRunSpec { exclude, ..counting() });
    stage.go();
    assert_eq!(nodes(&stage, "r"), ["n1", "n4"], "n4 never, n1 first of the tested");
    assert_eq!(nodes(&stage, "all"), ["n0", "n1", "n3", "n4"]);
    let exclude = Some((0..5).map(|n| format!("n{n}")).collect());
    stage.add_run("none", HealthCheckRunSpec { exclude, ..counting() });
    stage.go();
    let rejected = stage.status("none");
    assert_eq!((rejected.phase.clone(), rejected.summary.reason.as_deref()), (Phase::Rejected, Some("NoMatch")));
    assert!(rejected.summary.message.as_ref().unwrap().contains("spec.exclude"));
}

#[test]
fn enough_failed_nodes_end_the_admission_and_what_runs_ends_by_itself() {
    let mut stage = Stage::with_nodes(5);
    let spec = HealthCheckRunSpec { fail_fast: Some(1), max_concurrent: Scale::Nodes(2), ..counting() };
    stage.add_run("r", spec);
    stage.go();
    stage.ends("n0", "uid-r/1", Outcome::Fail, "GpuMissing");
    stage.pass(2, &[]);
    stage.go();
    assert_eq!(
        lines(stage.status("r")),
        [
            "n0 Done Fail GpuMissing",
            "n1 Assigned - -",
            "n2 Done Skipped FailFast",
            "n3 Done Skipped FailFast",
            "n4 Done Skipped FailFast"
        ]
    );
    stage.ends("n1", "uid-r/1", Outcome::Pass, "CountRight");
    stage.go();
    assert_eq!(stage.status("r").phase, Phase::Failed);
}

#[test]
fn a_suspended_run_starts_nothing_more_and_goes_on_when_it_is_resumed() {
    let mut stage = Stage::with_nodes(2);
    stage.add_run("r", HealthCheckRunSpec { max_concurrent: Scale::Nodes(1), ..counting() });
    stage.go();
    stage.edit_run("r", |r| r.spec.suspend = true);
    stage.ends("n0", "uid-r/1", Outcome::Pass, "CountRight");
    stage.pass(2, &[]);
    let (_, orders) = stage.go();
    assert!(orders.by_node.is_empty());
    let status = stage.status("r");
    assert_eq!((status.phase.clone(), status.summary.reason.as_deref()), (Phase::Pending, Some("Suspended")));
    let message = status.summary.message.clone().unwrap();
    assert_eq!(message, "suspended, 1 of 2 nodes not tested: set spec.suspend to false to go on");
    assert!(status.conditions.iter().any(|c| c.type_ == "Reconciling" && c.reason == "Suspended"));
    assert!(stage.decide().0.is_empty());
    stage.edit_run("r", |r| r.spec.suspend = false);
    stage.pass(2, &[]);
    stage.go();
    assert_eq!(lines(stage.status("r")), ["n0 Done Pass CountRight", "n1 Assigned - -"]);
}

#[test]
fn a_run_suspended_from_the_beginning_chooses_its_nodes_when_it_begins_and_cancel_ends_it_at_once() {
    for cancel in [false, true] {
        let mut stage = Stage::with_nodes(1);
        stage.add_run("r", HealthCheckRunSpec { suspend: true, ..counting() });
        stage.go();
        let status = stage.status("r");
        assert_eq!((status.phase.clone(), status.targets.len(), status.start_time), (Phase::Pending, 0, None));
        assert!(stage.decide().0.is_empty());
        stage.add_node("n1", "uid-n1");
        if cancel {
            stage.cancel("r");
            stage.go();
            assert_eq!(stage.status("r").phase, Phase::Cancelled);
        } else {
            stage.edit_run("r", |r| r.spec.suspend = false);
            stage.go();
            assert_eq!(nodes(&stage, "r"), ["n0", "n1"]);
        }
    }
    let mut stage = Stage::with_nodes(1);
    stage.add_run("r", HealthCheckRunSpec { suspend: true, ..on(&["nobody"], counting()) });
    stage.go();
    assert_eq!(stage.status("r").phase, Phase::Rejected, "what is wrong is told at once");
}

#[test]
fn the_order_of_a_run_that_only_reports_says_so() {
    let mut stage = Stage::with_nodes(1);
    stage.add_run("r", HealthCheckRunSpec { report_only: true, ..counting() });
    let (_, orders) = stage.go();
    assert!(orders.by_node["n0"].assignments[0].report_only);
}
