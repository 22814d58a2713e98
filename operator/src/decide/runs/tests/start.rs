use super::*;

#[test]
fn a_run_freezes_its_targets_and_assigns_them_in_one_write() {
    let mut stage = Stage::with_nodes(2);
    stage.add_run("r", counting());
    let (plan, orders) = stage.go();
    assert_eq!(plan.steps.len(), 1);
    let status = stage.status("r");
    assert_eq!(lines(status), ["n0 Assigned - -", "n1 Assigned - -"]);
    assert_eq!(status.targets[1].uid, "uid-n1");
    assert_eq!(status.start_time, Some(stage.now));
    assert_eq!((status.counts.total, status.counts.running), (2, 2));
    assert_eq!(status.summary.deadline, Some(stage.now.plus(600)));
    let order = &orders.by_node["n0"];
    assert_eq!(order.after, [0]);
    assert_eq!(order.assignments[0].id, "uid-r/1");
    assert_eq!(order.assignments[0].run, "r");
    assert_eq!(order.assignments[0].deadline, stage.now.plus(600));
    assert_eq!(order.assignments[0].checks, counting().checks.unwrap());
    assert_eq!(order.assignments[0].group, None);
    assert_eq!(plan.events[0].reason, "Started");
    assert_eq!(plan.events[0].after, Some(0));
}

#[test]
fn a_level_is_resolved_into_its_checks() {
    let mut stage = Stage::with_nodes(1);
    let spec = HealthCheckRunSpec { checks: None, level: Some("basic".into()), ..counting() };
    stage.add_run("r", spec);
    let (_, orders) = stage.go();
    let checks = &orders.by_node["n0"].assignments[0].checks;
    assert_eq!(checks, &crds::level::checks_of("basic").unwrap());
}

#[test]
fn nodes_that_come_later_do_not_join_the_targets() {
    let mut stage = Stage::with_nodes(1);
    stage.add_run("r", counting());
    stage.go();
    stage.add_node("n9", "uid-n9");
    stage.pass(10, &[]);
    let (plan, orders) = stage.go();
    assert!(plan.is_empty());
    assert_eq!(orders.by_node.len(), 1);
}

#[test]
fn an_empty_selector_selects_accelerator_nodes_and_those_that_have_a_node_health() {
    let mut stage = Stage::with_nodes(3);
    stage.edit_node("n0", |n| n.accelerators.clear());
    stage.edit_node("n1", |n| n.accelerators.clear());
    stage.world.node_healths.remove("n1");
    stage.add_run("r", counting());
    stage.go();
    let names: Vec<_> = stage.status("r").targets.iter().map(|t| &t.node).collect();
    assert_eq!(names, ["n0", "n2"]);
}

#[test]
fn a_named_node_that_does_not_exist_is_inconclusive_and_the_others_go_on() {
    let mut stage = Stage::with_nodes(1);
    stage.add_run("r", on(&["zz", "n0"], counting()));
    stage.go();
    assert_eq!(lines(stage.status("r")), ["n0 Assigned - -", "zz Done Inconclusive UnknownNode"]);
    assert_eq!(stage.target("r", "zz").uid, "");
}
