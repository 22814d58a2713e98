use super::*;
use crds::{
    Scale,
    check::{Drill, GpuMemory, PortRange, Stress},
    health_check_run::Phase,
};

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
    let spec = HealthCheckRunSpec {
        checks: None,
        level: Some("basic".into()),
        ..counting()
    };
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
    assert_eq!(
        lines(stage.status("r")),
        ["n0 Assigned - -", "zz Done Inconclusive UnknownNode"]
    );
    assert_eq!(stage.target("r", "zz").uid, "");
}

fn rejection(nodes: usize, spec: HealthCheckRunSpec) -> (String, String) {
    let mut stage = Stage::with_nodes(nodes);
    stage.add_run("r", spec);
    let (plan, orders) = stage.go();
    assert_eq!(orders, Orders::default());
    let status = stage.status("r");
    assert_eq!(status.phase, Phase::Rejected);
    assert_eq!(status.start_time, None);
    assert_eq!(status.completion_time, Some(stage.now));
    assert!(plan.events[0].warning);
    let summary = status.summary.clone();
    assert_eq!(Some(&plan.events[0].reason), summary.reason.as_ref());
    assert!(stage.go().0.is_empty());
    (summary.reason.unwrap(), summary.message.unwrap())
}

fn checking(checks: Vec<CheckSpec>) -> HealthCheckRunSpec {
    HealthCheckRunSpec {
        checks: Some(checks),
        ..counting()
    }
}

fn network(edit: impl FnOnce(&mut NetworkBandwidth)) -> HealthCheckRunSpec {
    let mut check = CheckSpec::with_defaults(Check::NetworkBandwidth);
    edit(check.network_bandwidth.get_or_insert_default());
    checking(vec![check])
}

#[test]
fn targets_that_cannot_be_tested_reject_the_run_with_a_remedy() {
    let mut selector = counting();
    selector
        .targets
        .node_selector
        .get_or_insert_default()
        .match_labels
        .insert("rack".into(), "r7".into());
    let many: Vec<String> = (0..1_001).map(|i| format!("x{i}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let mut all_pairs = network(|n| n.pattern = Some(Pattern::AllPairs));
    all_pairs.targets = counting().targets;
    let cases = [
        (2, selector, "NoMatch", "--show-labels"),
        (
            2,
            on(&["a", "b"], counting()),
            "NoMatch",
            "none of the 2 named nodes exists",
        ),
        (
            1,
            on(&many, counting()),
            "TooMany",
            "1001 nodes, and a run takes at most 1000; split it",
        ),
        (
            1,
            ring(),
            "GroupTooSmall",
            "spec.checks[a] tests between nodes and needs at least two",
        ),
        (
            2,
            on(&["n0", "zz"], ring()),
            "GroupTooSmall",
            "spec.checks[a]",
        ),
        (
            65,
            all_pairs,
            "UseSample",
            "AllPairs is limited to 64 nodes and spec.targets give 65",
        ),
    ];
    for (nodes, spec, reason, text) in cases {
        let (found, message) = rejection(nodes, spec);
        assert_eq!(found, reason, "{message}");
        assert!(message.contains(text), "{message}");
    }
}

#[test]
fn a_spec_that_came_around_validation_is_rejected_with_field_and_remedy() {
    let base = counting;
    let named = |name: &str| CheckSpec {
        name: name.into(),
        ..base().checks.unwrap().remove(0)
    };
    let with = |edit: &dyn Fn(&mut HealthCheckRunSpec)| {
        let mut spec = base();
        edit(&mut spec);
        spec
    };
    let two_kinds = CheckSpec {
        gpu_memory: Some(GpuMemory::default()),
        ..named("a")
    };
    let no_kind = CheckSpec {
        name: "a".into(),
        ..CheckSpec::default()
    };
    let stress = CheckSpec {
        name: "s".into(),
        stress: Some(Stress {
            minutes: None,
            power_caps_percent: vec![60, 130],
        }),
        ..CheckSpec::default()
    };
    let drill = CheckSpec {
        name: "d".into(),
        drill: Some(Drill::default()),
        ..CheckSpec::default()
    };
    let mut env = custom("ok");
    env.custom.as_mut().unwrap().env = [("PATH".to_owned(), String::new())].into();
    let ring_and = |name: &str| {
        let mut spec = ring();
        let mut second = spec.checks.as_ref().unwrap()[0].clone();
        second.name = name.into();
        spec.checks.as_mut().unwrap().push(second);
        spec
    };
    let both = with(&|s| s.targets.node_names = Some(vec!["n0".into()]));
    let ports = PortRange { first: 10, last: 9 };
    let cases = [
        (
            both,
            "InvalidSpec",
            "nodeNames and nodeSelector are both given",
        ),
        (
            with(&|s| s.targets = Targets::default()),
            "InvalidSpec",
            "nodeSelector: {} selects every",
        ),
        (
            on(&[], base()),
            "InvalidSpec",
            "spec.targets.nodeNames is empty",
        ),
        (
            with(&|s| s.level = Some("basic".into())),
            "InvalidSpec",
            "checks and level are both given",
        ),
        (
            with(&|s| s.checks = None),
            "InvalidSpec",
            "for example level: basic",
        ),
        (
            checking(vec![]),
            "InvalidSpec",
            "spec.checks holds 0 checks",
        ),
        (
            with(&|s| (s.checks, s.level) = (None, Some("heroic".into()))),
            "UnknownCheck",
            "no level \"heroic\" in this version; known: basic",
        ),
        (
            checking(vec![no_kind]),
            "UnknownCheck",
            "spec.checks[a] names no kind",
        ),
        (
            checking(vec![two_kinds]),
            "InvalidSpec",
            "spec.checks[a] names inventory and gpuMemory",
        ),
        (
            checking(vec![named("a"), named("a")]),
            "InvalidSpec",
            "the name \"a\" is given twice",
        ),
        (
            checking(vec![named("A b")]),
            "InvalidSpec",
            "the name \"A b\" must be of lower-case",
        ),
        (
            checking(vec![custom("../sh")]),
            "InvalidSpec",
            "custom.program \"../sh\" must be the name",
        ),
        (
            checking(vec![custom("")]),
            "InvalidSpec",
            "custom.program \"\"",
        ),
        (
            checking(vec![env]),
            "InvalidSpec",
            "\"PATH\" must begin with CHECK_",
        ),
        (
            network(|n| n.ports = Some(ports)),
            "InvalidSpec",
            "ports.first is 10; it must be from 1024",
        ),
        (
            network(|n| {
                n.ports = Some(PortRange {
                    first: 5300,
                    last: 5200,
                })
            }),
            "InvalidSpec",
            "ports is empty: first (5300) must not be above last (5200)",
        ),
        (
            network(|n| n.streams = Some(0)),
            "InvalidSpec",
            "networkBandwidth.streams is 0",
        ),
        (
            network(|n| n.duration_seconds = Some(-1)),
            "InvalidSpec",
            "durationSeconds is -1",
        ),
        (
            network(|n| n.pattern = Some(Pattern::Sample)),
            "NotImplemented",
            "use Ring",
        ),
        (
            ring_and("b"),
            "InvalidSpec",
            "a and b are both checks between nodes",
        ),
        (
            checking(vec![stress]),
            "InvalidSpec",
            "stress.powerCapsPercent is 130",
        ),
        (checking(vec![drill]), "InvalidSpec", "drill.seconds is 0"),
        (
            with(&|s| s.max_concurrent = Some(Scale::Percent(101))),
            "InvalidSpec",
            "spec.maxConcurrent",
        ),
        (
            with(&|s| s.max_concurrent = Some(Scale::Nodes(0))),
            "InvalidSpec",
            "spec.maxConcurrent",
        ),
        (
            with(&|s| s.deadline_seconds = 0),
            "InvalidSpec",
            "spec.deadlineSeconds is 0",
        ),
        (
            with(&|s| s.ttl_seconds_after_finished = Some(-1)),
            "InvalidSpec",
            "spec.ttlSeconds",
        ),
    ];
    for (spec, reason, text) in cases {
        let (found, message) = rejection(2, spec);
        assert_eq!(found, reason, "{message}");
        assert!(message.contains(text), "{message}");
    }
}
