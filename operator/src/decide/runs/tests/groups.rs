use super::*;
use crds::{health_check_run::Phase, node_health::Group};

pub(super) const ID: &str = "uid-r/1";

/// A ring over `nodes` nodes whose members have all said that they are ready.
pub(super) fn ready(nodes: usize) -> Stage {
    let mut stage = Stage::with_nodes(nodes);
    stage.add_run("r", ring());
    stage.go();
    for index in 0..nodes {
        stage.says(&format!("n{index}"), ID, RunState::Ready);
    }
    stage
}

/// The same, started.
pub(super) fn started(nodes: usize) -> Stage {
    let mut stage = ready(nodes);
    stage.go();
    stage
}

pub(super) fn group(orders: &Orders, node: &str) -> Group {
    orders.by_node[node].assignments[0].group.clone().unwrap()
}

fn slots(orders: &Orders, node: &str) -> Vec<String> {
    let slots = group(orders, node).slots;
    slots.iter().map(|s| format!("{} {:?} {} {}:{}", s.slot, s.role, s.peer, s.address, s.port)).collect()
}

#[test]
fn a_group_first_gets_ready_and_starts_when_every_member_is() {
    let mut stage = Stage::with_nodes(3);
    stage.add_run("r", ring());
    let (_, orders) = stage.go();
    assert_eq!(group(&orders, "n0"), Group::default());
    for node in ["n0", "n1"] {
        stage.says(node, ID, RunState::Ready);
    }
    stage.says("n2", ID, RunState::Accepted);
    let (plan, orders) = stage.go();
    assert_eq!(group(&orders, "n0"), Group::default());
    assert_eq!(plan.wake_at, Some(stage.now.plus(2)));
    stage.says("n2", ID, RunState::Ready);
    let (plan, orders) = stage.go();
    assert!(plan.is_empty(), "the specs alone carry the start");
    // Whole seconds: 3 of them are at least 2 s.
    assert_eq!(group(&orders, "n0").start_at, Some(stage.now.plus(3)));
    assert_eq!(group(&orders, "n0").slot_seconds, Some(10));
    assert_eq!(slots(&orders, "n0"), ["0 Client n1 10.0.0.2:5202", "2 Server n2 10.0.0.1:5201"]);
    assert_eq!(slots(&orders, "n1"), ["0 Server n0 10.0.0.2:5202", "1 Client n2 10.0.0.3:5203"]);
    assert_eq!(slots(&orders, "n2"), ["1 Server n1 10.0.0.3:5203", "2 Client n0 10.0.0.1:5201"]);
}

#[test]
fn two_members_test_both_directions_one_after_the_other() {
    let (_, orders) = ready(2).go();
    assert_eq!(slots(&orders, "n0"), ["0 Client n1 10.0.0.2:5202", "1 Server n1 10.0.0.1:5201"]);
}

#[test]
fn a_written_start_is_not_changed() {
    let mut stage = started(2);
    let (_, before) = stage.decide();
    stage.pass(1, &[]);
    stage.says("n0", ID, RunState::Running);
    let (_, after) = stage.decide();
    assert_eq!(before.by_node["n0"].assignments, after.by_node["n0"].assignments);
    assert_eq!(before.by_node["n1"].assignments, after.by_node["n1"].assignments);
}

#[test]
fn members_that_a_crash_left_without_the_start_get_the_same_while_there_is_time() {
    let mut stage = ready(3);
    let (plan, orders) = stage.decide();
    stage.write(&plan, &orders, |_| true, |node| node == "n1");
    stage.pass(1, &[]);
    let (_, again) = stage.go();
    for node in ["n0", "n1", "n2"] {
        assert_eq!(group(&again, node), group(&orders, node));
    }
}

#[test]
fn where_the_start_passed_before_it_reached_everybody_the_group_tries_again_under_a_new_id() {
    let mut stage = ready(3);
    let (plan, orders) = stage.decide();
    stage.write(&plan, &orders, |_| true, |node| node == "n1");
    stage.pass(2, &[]);
    let (plan, orders) = stage.decide();
    assert_eq!(group(&orders, "n0"), Group::default(), "too late to join");
    assert!(plan.is_empty());
    stage.pass(2, &[]);
    let (plan, orders) = stage.go();
    assert_eq!(plan.steps.len(), 1);
    assert_eq!(lines(stage.status("r")), vec!["n0 Assigned - -", "n1 Assigned - -", "n2 Assigned - -"]);
    for node in ["n0", "n1", "n2"] {
        assert_eq!(orders.by_node[node].assignments[0].id, "uid-r/2");
        assert_eq!(orders.by_node[node].after, [0]);
        assert_eq!(group(&orders, node), Group::default());
    }
}

#[test]
fn after_three_attempts_those_whom_the_start_never_reached_are_not_ready() {
    let mut stage = Stage::with_nodes(2);
    stage.add_run("r", ring());
    stage.go();
    for attempt in 1..=3 {
        for node in ["n0", "n1"] {
            stage.says(node, &format!("uid-r/{attempt}"), RunState::Ready);
        }
        let (plan, orders) = stage.decide();
        stage.write(&plan, &orders, |_| true, |node| node == "n1");
        stage.pass(4, &[]);
        stage.go();
    }
    assert_eq!(lines(stage.status("r")), ["n0 Done Inconclusive NotReady", "n1 Assigned - -"]);
}

#[test]
fn those_who_are_not_ready_within_30_seconds_end_and_the_others_start_without_them() {
    let mut stage = Stage::with_nodes(3);
    stage.add_run("r", ring());
    stage.go();
    stage.says("n0", ID, RunState::Ready);
    stage.says("n1", ID, RunState::Accepted);
    stage.says("n2", ID, RunState::Ready);
    stage.pass(29, &[]);
    let (plan, _) = stage.go();
    assert_eq!(plan.wake_at, Some(stage.now.plus(1)));
    stage.pass(1, &[]);
    let (_, orders) = stage.go();
    assert_eq!(lines(stage.status("r")), ["n0 Assigned - -", "n1 Done Inconclusive NotReady", "n2 Assigned - -"]);
    assert_eq!(group(&orders, "n0").slots[0].peer, "n2");
    assert_eq!(orders.by_node["n0"].assignments[0].id, ID);
}

#[test]
fn a_member_that_is_ready_but_left_alone_is_not_tested() {
    let mut stage = Stage::with_nodes(2);
    stage.add_run("r", ring());
    stage.go();
    stage.says("n0", ID, RunState::Ready);
    stage.pass(30, &[]);
    stage.go();
    assert_eq!(lines(stage.status("r")), ["n0 Done Inconclusive GroupTooSmall", "n1 Done Inconclusive NotReady"]);
    assert_eq!(stage.status("r").phase, Phase::Inconclusive);
}

fn with_addresses(node: &[&str], reported: &[&str]) -> Stage {
    let texts = |list: &[&str]| list.iter().map(|a| (*a).to_owned()).collect::<Vec<_>>();
    let mut stage = ready(3);
    stage.edit_node("n1", |n| n.addresses = texts(node));
    stage.edit_health("n1", |h| {
        let report = h.status.as_mut().unwrap().report.as_mut().unwrap();
        report.agent.addresses = texts(reported);
    });
    stage.pass(2, &[]);
    stage
}

#[test]
fn a_server_listens_where_its_node_object_says_that_it_can_be_reached() {
    let cases: [(&[&str], &[&str], &str); 4] = [
        (&["10.9.9.9"], &["127.0.0.1", "10.9.9.9"], "10.9.9.9"),
        (&["127.0.0.1"], &["127.0.0.1"], "127.0.0.1"),
        (&[], &["127.0.0.1"], "127.0.0.1"),
        (&["fd00::1", "10.9.9.9"], &["10.9.9.9", "fd00::1"], "10.9.9.9"),
    ];
    for (node, reported, wanted) in cases {
        let (_, orders) = with_addresses(node, reported).go();
        assert_eq!(group(&orders, "n0").slots[0].address, wanted);
    }
}

#[test]
fn an_address_that_the_node_object_does_not_list_is_not_used() {
    let cases: [(&[&str], &[&str]); 5] = [
        (&["10.9.9.9"], &["192.0.2.7"]),
        (&["10.9.9.9"], &["127.0.0.1"]),
        (&["10.9.9.9"], &[]),
        (&[], &["somewhere.example"]),
        (&[], &["0.0.0.0", "224.0.0.1"]),
    ];
    for (node, reported) in cases {
        let mut stage = with_addresses(node, reported);
        let (_, orders) = stage.go();
        assert_eq!(lines(stage.status("r")), ["n0 Assigned - -", "n1 Done Inconclusive NoAddress", "n2 Assigned - -"]);
        assert_eq!(group(&orders, "n0").slots[0].peer, "n2", "the others go on");
    }
}

#[test]
fn servers_that_share_an_address_have_ports_of_their_own() {
    let mut stage = ready(40);
    for index in 0..40 {
        stage.edit_node(&format!("n{index}"), |n| n.addresses.clear());
    }
    let (_, orders) = stage.go();
    let ports: BTreeSet<i64> =
        orders.by_node.values().flat_map(|o| &o.assignments[0].group.as_ref().unwrap().slots).map(|s| s.port).collect();
    assert_eq!(ports.len(), 40);
    assert!(ports.iter().all(|p| (5_201..=5_264).contains(p)));
}

#[test]
fn a_large_group_has_more_time_before_it_starts() {
    let mut stage = Stage::with_nodes(250);
    stage.add_run("r", ring());
    stage.go();
    for index in 0..250 {
        stage.says(&format!("n{index}"), ID, RunState::Ready);
    }
    let (_, orders) = stage.decide();
    assert_eq!(group(&orders, "n0").start_at, Some(stage.now.plus(5)));
}

#[test]
fn a_member_that_falls_away_before_the_start_is_left_out() {
    let mut stage = Stage::with_nodes(3);
    stage.add_run("r", ring());
    stage.go();
    for node in ["n0", "n2"] {
        stage.says(node, ID, RunState::Ready);
    }
    stage.edit_node("n1", |n| n.uid = "uid-new".into());
    stage.pass(2, &[]);
    let (_, orders) = stage.go();
    assert_eq!(stage.target("r", "n1").reason.as_deref(), Some("NodeReplaced"));
    assert_eq!(group(&orders, "n0").slots.len(), 2);
    assert!(group(&orders, "n0").slots.iter().all(|s| s.peer == "n2"));
}

#[test]
fn all_pairs_of_a_small_group_are_tested() {
    let mut stage = Stage::with_nodes(5);
    let mut spec = ring();
    let check = &mut spec.checks.as_mut().unwrap()[0];
    check.network_bandwidth.as_mut().unwrap().pattern = Some(Pattern::AllPairs);
    stage.add_run("r", spec);
    stage.go();
    for index in 0..5 {
        stage.says(&format!("n{index}"), ID, RunState::Ready);
    }
    let (_, orders) = stage.go();
    for node in ["n0", "n1", "n2", "n3", "n4"] {
        let slots = group(&orders, node).slots;
        let peers: BTreeSet<_> = slots.iter().map(|s| &s.peer).collect();
        assert_eq!((slots.len(), peers.len()), (4, 4));
    }
}
