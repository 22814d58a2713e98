use super::*;
use crds::{Scale, health_check_run::Phase, names, node_health::Maintenance};

fn at_most(nodes: i64, spec: HealthCheckRunSpec) -> HealthCheckRunSpec {
    HealthCheckRunSpec { max_concurrent: Scale::Nodes(nodes), ..spec }
}

#[test]
fn only_max_concurrent_nodes_are_at_work_at_once_and_the_next_follow() {
    let mut stage = Stage::with_nodes(3);
    stage.add_run("r", at_most(1, counting()));
    stage.go();
    assert_eq!(lines(stage.status("r")), ["n0 Assigned - -", "n1 Pending - -", "n2 Pending - -"]);
    stage.ends("n0", "uid-r/1", Outcome::Pass, "CountRight");
    stage.pass(2, &[]);
    let (_, orders) = stage.go();
    assert_eq!(lines(stage.status("r")), ["n0 Done Pass CountRight", "n1 Assigned - -", "n2 Pending - -"]);
    assert_eq!(orders.by_node.keys().collect::<Vec<_>>(), ["n1"]);
    assert_eq!(orders.released_after["n0"], [1], "after the result and the status");
}

#[test]
fn a_percentage_admits_at_least_one_node() {
    let mut stage = Stage::with_nodes(3);
    let spec = HealthCheckRunSpec { max_concurrent: Scale::Percent(10), ..counting() };
    stage.add_run("r", spec);
    stage.go();
    assert_eq!(stage.status("r").counts.running, 1);
}

/// The reason that a waiting target shows, and what makes it wait.
type Obstacle = (&'static str, fn(&mut Stage));

fn obstacles() -> Vec<Obstacle> {
    vec![
        ("NeverReported", |s| {
            s.edit_health("n0", |h| h.status = None);
        }),
        ("NeverReported", |s| {
            s.edit_health("n0", |h| h.spec.node.uid = "of another node".into());
        }),
        ("NeverReported", |s| {
            s.world.node_healths.remove("n0");
        }),
        ("AgentSilent", |s| {
            s.pass(151, &["n0"]);
        }),
        ("Maintenance", |s| {
            s.edit_health("n0", |h| h.spec.maintenance = Some(Maintenance::default()));
        }),
        ("Maintenance", |s| {
            s.edit_node("n0", |n| {
                n.labels.insert(names::LABEL_MAINTENANCE.into(), "x".into());
            });
        }),
        ("NodeBusy", |s| {
            s.add_run("before-1", on(&["n0"], counting()));
            s.add_run("before-2", on(&["n0"], counting()));
            s.go();
        }),
    ]
}

#[test]
fn a_node_that_cannot_work_now_is_waited_for_and_the_target_says_why() {
    for (reason, arrange) in obstacles() {
        let mut stage = Stage::with_nodes(2);
        arrange(&mut stage);
        stage.add_run("r", counting());
        let (_, orders) = stage.go();
        let waiting = format!("n0 Waiting - {reason}");
        assert_eq!(lines(stage.status("r")), [&waiting, "n1 Assigned - -"]);
        let order = orders.by_node.get("n0");
        assert!(!order.is_some_and(|o| o.assignments.iter().any(|a| a.run == "r")));
    }
}

#[test]
fn with_skip_busy_nodes_and_maintenance_are_skipped_and_silence_is_waited_for() {
    for (reason, arrange) in obstacles() {
        let mut stage = Stage::with_nodes(2);
        arrange(&mut stage);
        stage.add_run("r", skipping(counting()));
        stage.go();
        let wanted = match reason {
            "NodeBusy" | "Maintenance" => format!("n0 Done Skipped {reason}"),
            _ => format!("n0 Waiting - {reason}"),
        };
        assert_eq!(lines(stage.status("r"))[0], wanted);
    }
}

#[test]
fn a_run_whose_nodes_all_wait_says_for_what() {
    let mut stage = Stage::with_nodes(2);
    stage.pass(151, &["n0", "n1"]);
    stage.add_run("r", counting());
    stage.go();
    let status = stage.status("r");
    assert_eq!(status.phase, Phase::WaitingForIdle);
    assert_eq!(status.summary.message.as_deref(), Some("2 of 2 nodes waiting: AgentSilent 2 (n0, n1)"));
}

#[test]
fn while_everything_is_held_no_run_is_admitted_and_running_ones_go_on() {
    let mut stage = Stage::with_nodes(1);
    stage.add_run("first", counting());
    stage.go();
    stage.world.hold_everything = true;
    stage.add_run("second", counting());
    let (_, orders) = stage.go();
    assert_eq!(lines(stage.status("second")), ["n0 Pending - -"]);
    assert!(stage.status("second").summary.message.as_ref().unwrap().contains("--hold-everything"));
    assert_eq!(orders.by_node["n0"].assignments[0].run, "first");
    stage.world.hold_everything = false;
    stage.pass(2, &[]);
    stage.go();
    assert_eq!(lines(stage.status("second")), ["n0 Assigned - -"]);
}

#[test]
fn older_runs_go_first_whatever_their_names_are() {
    let mut stage = Stage::with_nodes(1);
    for name in ["c", "b", "a"] {
        stage.add_run(name, counting());
    }
    let (_, orders) = stage.go();
    let order = &orders.by_node["n0"].assignments;
    let runs: Vec<_> = order.iter().map(|a| a.run.as_str()).collect();
    assert_eq!(runs, ["c", "b"]);
    assert_eq!(lines(stage.status("a")), ["n0 Waiting - NodeBusy"]);
}

#[test]
fn a_node_is_in_one_test_between_nodes_at_a_time_and_a_light_run_may_join() {
    let mut stage = Stage::with_nodes(3);
    stage.add_run("one", on(&["n0", "n1"], ring()));
    stage.add_run("two", on(&["n1", "n2"], ring()));
    stage.add_run("light", on(&["n1"], counting()));
    stage.go();
    assert_eq!(lines(stage.status("one")), ["n0 Assigned - -", "n1 Assigned - -"]);
    assert_eq!(lines(stage.status("two")), ["n1 Waiting - NodeBusy", "n2 Pending - -"]);
    assert_eq!(lines(stage.status("light")), ["n1 Assigned - -"]);
}

#[test]
fn an_exclusive_check_does_not_join_a_test_between_nodes() {
    let mut stage = Stage::with_nodes(2);
    stage.add_run("ring", ring());
    let memory = HealthCheckRunSpec { checks: Some(vec![CheckSpec::with_defaults(Check::GpuMemory)]), ..counting() };
    stage.add_run("memory", memory);
    stage.go();
    assert_eq!(stage.status("memory").counts.waiting, 2);
}

#[test]
fn a_group_is_admitted_whole_or_not_at_all_whatever_max_concurrent_says() {
    let mut stage = Stage::with_nodes(3);
    stage.pass(151, &["n1"]);
    stage.add_run("r", at_most(1, ring()));
    stage.go();
    assert_eq!(lines(stage.status("r")), ["n0 Pending - -", "n1 Waiting - AgentSilent", "n2 Pending - -"]);
    stage.pass(2, &[]);
    stage.go();
    assert_eq!(stage.status("r").counts.running, 3);
}

#[test]
fn a_group_that_waits_for_busy_nodes_keeps_its_members_from_younger_runs() {
    let mut stage = Stage::with_nodes(3);
    stage.add_run("old", on(&["n0", "n1"], ring()));
    stage.go();
    stage.add_run("waits", on(&["n1", "n2"], ring()));
    stage.add_run("young", on(&["n0", "n2"], ring()));
    stage.go();
    assert_eq!(lines(stage.status("waits")), ["n1 Waiting - NodeBusy", "n2 Pending - -"]);
    assert_eq!(lines(stage.status("young")), ["n0 Waiting - NodeBusy", "n2 Waiting - NodeBusy"]);
    stage.cancel("old");
    stage.pass(2, &[]);
    stage.go();
    assert_eq!(stage.status("waits").counts.running, 2);
}

#[test]
fn a_group_that_waits_for_a_silent_node_reserves_no_members() {
    let mut stage = Stage::with_nodes(3);
    stage.pass(151, &["n0"]);
    stage.add_run("waits", on(&["n0", "n1"], ring()));
    stage.add_run("young", on(&["n1", "n2"], ring()));
    stage.go();
    assert_eq!(stage.status("waits").counts.running, 0);
    assert_eq!(stage.status("young").counts.running, 2);
}

#[test]
fn a_group_goes_on_without_the_members_that_can_never_come_or_are_skipped() {
    let mut stage = Stage::with_nodes(4);
    stage.add_run("first", on(&["n0", "n1"], ring()));
    stage.go();
    stage.add_run("r", skipping(on(&["n0", "n2", "n3", "zz"], ring())));
    stage.go();
    assert_eq!(
        lines(stage.status("r")),
        ["n0 Done Skipped NodeBusy", "n2 Assigned - -", "n3 Assigned - -", "zz Done Inconclusive UnknownNode"]
    );
}

#[test]
fn the_last_member_of_a_group_is_not_tested_alone() {
    let mut stage = Stage::with_nodes(3);
    stage.add_run("first", on(&["n0", "n1"], ring()));
    stage.go();
    stage.add_run("r", skipping(on(&["n0", "n2"], ring())));
    stage.go();
    assert_eq!(lines(stage.status("r")), ["n0 Done Skipped NodeBusy", "n2 Done Inconclusive GroupTooSmall"]);
    assert_eq!(stage.status("r").phase, Phase::Inconclusive);
}

#[test]
fn a_run_that_waits_says_behind_which_runs() {
    let mut stage = Stage::with_nodes(3);
    stage.add_run("first", on(&["n0", "n1"], ring()));
    stage.add_run("second", on(&["n1", "n2"], ring()));
    stage.go();
    let message = |stage: &Stage, run: &str| stage.status(run).summary.message.clone().unwrap();
    assert_eq!(message(&stage, "second"), "1 of 2 nodes waiting: NodeBusy 1 (n1); behind the run first (1 node)");
    stage.add_run("third", on(&["n1", "n2"], ring()));
    stage.go();
    assert_eq!(
        message(&stage, "third"),
        "2 of 2 nodes waiting: NodeBusy 2 (n1, n2); behind the runs second (2 nodes), first (1 node)"
    );
    assert!(stage.decide().0.is_empty());
}

#[test]
fn a_run_stuck_on_one_node_does_not_keep_the_other_nodes_from_a_later_run_for_ever() {
    let mut stage = Stage::with_nodes(4);
    let patient = |spec| HealthCheckRunSpec { deadline_seconds: 100_000, ..spec };
    stage.add_run("stuck", patient(on(&["n0", "n1"], ring())));
    stage.go();
    stage.add_run("waits", patient(on(&["n1", "n2", "n3"], ring())));
    stage.go();
    stage.add_run("later", patient(on(&["n2", "n3"], ring())));
    let (plan, _) = stage.go();
    assert_eq!(stage.status("later").counts.running, 0, "the older group has its turn first");
    let turn_ends = stage.status("waits").start_time.unwrap().plus(600);
    assert!(plan.wake_at.is_some_and(|at| at <= turn_ends));
    for node in ["n0", "n1"] {
        stage.says(node, "uid-stuck/1", RunState::Running);
    }
    stage.pass(600, &[]);
    stage.go();
    assert_eq!(stage.status("later").counts.running, 2);
    // An old group gets its turn again.
    assert_eq!(stage.status("waits").counts.running, 0);
    for node in ["n0", "n1"] {
        stage.ends(node, "uid-stuck/1", Outcome::Pass, "Fine");
    }
    for node in ["n2", "n3"] {
        stage.ends(node, "uid-later/1", Outcome::Pass, "Fine");
    }
    stage.pass(600, &[]);
    stage.go();
    stage.go();
    assert_eq!(stage.status("waits").counts.running, 3);
}
