//! What is refused, with which reason and remedy.

use super::*;
use crds::{
    Scale,
    check::{Drill, GpuMemory, PortRange, Stress},
    health_check_run::Phase,
};

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
    HealthCheckRunSpec { checks: Some(checks), ..counting() }
}

fn network(edit: impl FnOnce(&mut NetworkBandwidth)) -> HealthCheckRunSpec {
    let mut check = CheckSpec::with_defaults(Check::NetworkBandwidth);
    edit(check.network_bandwidth.get_or_insert_default());
    checking(vec![check])
}

#[test]
fn targets_that_cannot_be_tested_reject_the_run_with_a_remedy() {
    let mut selector = counting();
    selector.targets.node_selector.get_or_insert_default().match_labels.insert("rack".into(), "r7".into());
    let many: Vec<String> = (0..1_001).map(|i| format!("x{i}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let mut all_pairs = network(|n| n.pattern = Some(Pattern::AllPairs));
    all_pairs.targets = counting().targets;
    let cases = [
        (2, selector, "NoMatch", "--show-labels"),
        (2, on(&["a", "b"], counting()), "NoMatch", "none of the 2 named nodes exists"),
        (1, on(&many, counting()), "TooMany", "1001 nodes, but a run takes at most 1000; split it"),
        (1, ring(), "GroupTooSmall", "spec.checks[a] needs at least two nodes"),
        (2, on(&["n0", "zz"], ring()), "GroupTooSmall", "spec.checks[a]"),
        (65, all_pairs, "UseSample", "AllPairs is limited to 64 nodes, but spec.targets matches 65"),
    ];
    for (nodes, spec, reason, text) in cases {
        let (found, message) = rejection(nodes, spec);
        assert_eq!(found, reason, "{message}");
        assert!(message.contains(text), "{message}");
    }
}

type Case = (HealthCheckRunSpec, &'static str);

fn assert_rejected(reason: &str, cases: Vec<Case>) {
    for (spec, text) in cases {
        let (found, message) = rejection(2, spec);
        assert_eq!(found, reason, "{message}");
        assert!(message.contains(text), "{message}");
    }
}

fn with(edit: impl FnOnce(&mut HealthCheckRunSpec)) -> HealthCheckRunSpec {
    let mut spec = counting();
    edit(&mut spec);
    spec
}

/// A check of this name that counts accelerators.
fn named(name: &str) -> CheckSpec {
    CheckSpec { name: name.into(), inventory: Some(NoParameters {}), ..CheckSpec::default() }
}

#[test]
fn targets_checks_and_limits_that_bypassed_validation_are_rejected_with_field_and_remedy() {
    let names = || Some(vec!["n0".to_owned()]);
    let level = || Some("basic".to_owned());
    let percent = Scale::Percent(101);
    assert_rejected(
        "InvalidSpec",
        vec![
            (with(|s| s.targets.node_names = names()), "nodeNames and nodeSelector are both set"),
            (with(|s| s.targets = Targets::default()), "nodeSelector: {} selects every"),
            (on(&[], counting()), "spec.targets.nodeNames is empty"),
            (with(|s| s.level = level()), "checks and level are both set"),
            (with(|s| s.checks = None), "for example level: basic"),
            (checking(vec![]), "spec.checks has 0 checks"),
            (with(|s| s.max_concurrent = percent), "spec.maxConcurrent"),
            (with(|s| s.max_concurrent = Scale::Nodes(0)), "spec.maxConcurrent"),
            (with(|s| s.deadline_seconds = 0), "spec.deadlineSeconds is 0"),
            (with(|s| s.ttl_seconds_after_finished = Some(-1)), "spec.ttlSeconds"),
            (with(|s| s.limit = Some(0)), "spec.limit is 0"),
            (with(|s| s.fail_fast = Some(1_001)), "spec.failFast is 1001"),
        ],
    );
}

#[test]
fn checks_that_this_version_does_not_know_are_rejected() {
    let no_kind = CheckSpec { inventory: None, ..named("a") };
    let heroic = with(|s| (s.checks, s.level) = (None, Some("heroic".into())));
    assert_rejected(
        "UnknownCheck",
        vec![
            (checking(vec![no_kind]), "spec.checks[a] sets no kind"),
            (heroic, "unknown level \"heroic\"; this version knows: basic"),
        ],
    );
    let sample = network(|n| n.pattern = Some(Pattern::Sample));
    assert_rejected("NotImplemented", vec![(sample, "use Ring")]);
}

#[test]
fn checks_that_contradict_themselves_or_each_other_are_rejected() {
    let two_kinds = CheckSpec { gpu_memory: Some(GpuMemory::default()), ..named("a") };
    let two_rings = with(|s| {
        let mut checks = ring().checks.unwrap();
        checks.push(CheckSpec { name: "b".into(), ..checks[0].clone() });
        s.checks = Some(checks);
    });
    let mut env = custom("ok");
    env.custom.as_mut().unwrap().env = [("PATH".to_owned(), String::new())].into();
    assert_rejected(
        "InvalidSpec",
        vec![
            (checking(vec![two_kinds]), "spec.checks[a] sets inventory and gpuMemory"),
            (checking(vec![named("a"), named("a")]), "the name \"a\" is used twice"),
            (checking(vec![named("A b")]), "the name \"A b\" must consist of at most 63 lower-case"),
            (two_rings, "a and b both test between nodes"),
            (checking(vec![custom("../sh")]), "custom.program \"../sh\" must be the name"),
            (checking(vec![custom("")]), "custom.program \"\""),
            (checking(vec![env]), "\"PATH\" must begin with CHECK_"),
        ],
    );
}

#[test]
fn numbers_out_of_range_are_rejected_with_the_range() {
    let ports = |first, last| network(|n| n.ports = Some(PortRange { first, last }));
    let stress = CheckSpec {
        stress: Some(Stress { minutes: None, power_caps_percent: vec![60, 130] }),
        inventory: None,
        ..named("s")
    };
    let drill = CheckSpec { drill: Some(Drill::default()), inventory: None, ..named("d") };
    assert_rejected(
        "InvalidSpec",
        vec![
            (ports(10, 5_201), "ports.first is 10; it must be from 1024"),
            (ports(5_300, 5_200), "ports is empty: first (5300) must not be above last (5200)"),
            (network(|n| n.streams = Some(0)), "networkBandwidth.streams is 0"),
            (network(|n| n.duration_seconds = Some(-1)), "durationSeconds is -1"),
            (checking(vec![stress]), "stress.powerCapsPercent[1] is 130"),
            (checking(vec![drill]), "drill.seconds is 0"),
        ],
    );
}
