use super::groups::{ID, group, started};
use super::*;
use crds::{health_check_run::Phase, node_health::Role};

/// The answer of a member whose slots all went well at this rate.
fn measured(stage: &Stage, node: &str, id: &str, mbps: i64) -> RunReport {
    let spec = &stage.world.node_healths[node].spec;
    let order = spec.assignments.iter().find(|a| a.id == id).unwrap();
    let slots = order.group.as_ref().unwrap().slots.iter();
    let mut report = ended(id, vec![result("a", Outcome::Pass, "Measured")]);
    report.edges =
        slots.filter(|s| s.role == Role::Client).map(|s| edge(s.slot, &s.peer, mbps, Outcome::Pass)).collect();
    report
}

#[test]
fn edges_of_members_that_end_at_different_times_come_together_in_the_status() {
    let mut stage = started(3);
    for (node, mbps) in [("n0", 100), ("n1", 200)] {
        let answer = measured(&stage, node, ID, mbps);
        stage.answer(node, answer);
    }
    stage.says("n2", ID, RunState::Running);
    stage.pass(10, &[]);
    let (_, orders) = stage.go();
    assert_eq!(stage.status("r").counts.running, 3, "results wait while slots go on");
    assert!(orders.by_node.contains_key("n0"));
    // 3 s of lead, 3 slots of 10 s, 5 s to report.
    stage.pass(28, &[]);
    stage.go();
    assert_eq!(lines(stage.status("r")), ["n0 Done Pass Measured", "n1 Done Pass Measured", "n2 Running - -"]);
    assert_eq!(stage.status("r").network[0].edges.len(), 2);
    let answer = measured(&stage, "n2", ID, 300);
    stage.answer("n2", answer);
    stage.pass(2, &[]);
    stage.go();
    let status = stage.status("r");
    assert_eq!(status.phase, Phase::Passed);
    let network = &status.network[0];
    assert_eq!(network.summary.measured, 3);
    assert_eq!(
        (network.summary.min_mbps, network.summary.mean_mbps, network.summary.max_mbps),
        (Some(100), Some(200), Some(300))
    );
    assert_eq!(network.summary.aggregate_mbps, Some(600));
    let edges: Vec<_> = network.edges.iter().map(|e| format!("{}>{}", e.from, e.to)).collect();
    assert_eq!(edges, ["n0>n1", "n1>n2", "n2>n0"]);
}

#[test]
fn a_failed_edge_fails_its_client_and_two_of_them_name_the_node_between() {
    let mut stage = started(4);
    for node in ["n0", "n1", "n2", "n3"] {
        let mut answer = measured(&stage, node, ID, 100);
        if matches!(node, "n0" | "n1") {
            answer.edges[0].outcome = Outcome::Fail;
            answer.edges[0].reason = Some("BelowFloor".into());
        }
        stage.answer(node, answer);
    }
    stage.go();
    assert_eq!(stage.target("r", "n0").reason.as_deref(), Some("BelowFloor"));
    assert_eq!(stage.target("r", "n2").outcome, Some(Outcome::Pass));
    let suspects = &stage.status("r").network[0].suspects;
    assert_eq!((suspects.len(), suspects[0].target.as_str()), (1, "n1"));
}

#[test]
fn edges_that_were_not_ordered_are_ignored() {
    let mut stage = started(4);
    for node in ["n0", "n1", "n2", "n3"] {
        let answer = measured(&stage, node, ID, 100);
        stage.answer(node, answer);
    }
    let mut answer = measured(&stage, "n0", ID, 100);
    answer.edges.push(edge(0, "n2", 1, Outcome::Fail));
    answer.edges.push(edge(0, "elsewhere", 1, Outcome::Fail));
    answer.edges.push(edge(0, "n1", 1, Outcome::Fail));
    stage.answer("n0", answer);
    stage.go();
    let status = stage.status("r");
    assert_eq!(status.phase, Phase::Passed);
    assert_eq!(status.network[0].summary.measured, 4);
}

#[test]
fn a_taken_port_gets_one_more_attempt_with_other_ports() {
    let mut stage = started(2);
    for attempt in 1..=2 {
        let id = format!("uid-r/{attempt}");
        for node in ["n0", "n1"] {
            stage.says(node, &id, RunState::Ready);
        }
        let (_, orders) = stage.go();
        let port = group(&orders, "n0").slots[0].port;
        assert_eq!(port, if attempt == 1 { 5_202 } else { 5_234 });
        let answer = measured(&stage, "n0", &id, 100);
        stage.answer("n0", answer);
        stage.ends("n1", &id, Outcome::Inconclusive, "PortTaken");
        stage.pass(5, &[]);
        stage.go();
        if attempt == 1 {
            assert_eq!(lines(stage.status("r")), ["n0 Assigned - -", "n1 Assigned - -"]);
            assert_eq!(stage.target("r", "n0").attempt, Some(2));
        }
    }
    assert_eq!(lines(stage.status("r")), ["n0 Done Pass Measured", "n1 Done Inconclusive PortTaken"]);
}

#[test]
fn a_run_with_other_checks_is_not_repeated_for_a_taken_port() {
    let mut stage = Stage::with_nodes(2);
    let mut spec = ring();
    spec.checks.as_mut().unwrap().push(custom("once"));
    stage.add_run("r", spec);
    stage.go();
    for node in ["n0", "n1"] {
        let results = vec![result("a", Outcome::Inconclusive, "PortTaken"), result("custom", Outcome::Pass, "Ok")];
        stage.answer(node, ended(ID, results));
    }
    stage.go();
    assert_eq!(stage.status("r").counts.inconclusive, 2);
}
