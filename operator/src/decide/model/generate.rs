//! Random worlds, made from bytes: proptest makes and shrinks the bytes, zero is the plainest choice.

use super::fixtures;
use crate::world::{Node, World};
use crds::{
    CheckSpec, HealthCheckRun, Outcome, Scale, Selector, Severity, Time,
    check::{Check, Custom, Drill, DrillFinding, NetworkBandwidth},
    health_check_run::{HealthCheckRunSpec, HealthCheckRunStatus, Target, TargetState, Targets, WhenBusy},
    names,
    node_health::{Assignment, CheckRow, Finding, Report, RunReport, RunState},
    node_health_policy::{
        Budget, DomainBudget, Drills, Effect, Mode, NodeHealthPolicySpec, ReleaseAll, Rule, TaintEffect,
    },
};
use std::sync::Arc;

/// The names that nodes can have.
pub(crate) const NODES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];
/// The names that policies can have.
pub(crate) const POLICIES: [&str; 2] = ["base", "extra"];
/// The names that runs can have.
pub(crate) const RUNS: [&str; 2] = ["burn-in", "ring"];

/// Bytes that are used up by choices.
#[derive(Clone, Debug)]
pub(crate) struct Dice<'a> {
    bytes: std::slice::Iter<'a, u8>,
}

impl<'a> Dice<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes: bytes.iter() }
    }

    /// Whether bytes are left.
    pub(crate) fn is_left(&self) -> bool {
        self.bytes.len() > 0
    }

    /// A number below `n`; 0 when the bytes are used up.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        usize::from(self.bytes.next().copied().unwrap_or(0)) % n
    }

    /// True in `percent` of the cases; false when the bytes are used up.
    pub(crate) fn chance(&mut self, percent: usize) -> bool {
        // 250 of 256 values are used evenly, the rest read as false.
        self.below(256) % 250 >= 250 - percent * 250 / 100
    }

    /// One of the choices.
    pub(crate) fn of<'b, T>(&mut self, choices: &'b [T]) -> &'b T {
        &choices[self.below(choices.len())]
    }
}

/// Always the same lists of bytes.
pub(crate) fn random_bytes(length: usize) -> impl Iterator<Item = Vec<u8>> {
    let mut state: u64 = 0x9e37_79b9_7f4a_7c15;
    std::iter::repeat_with(move || {
        let byte = || {
            // Knuth's MMIX generator; its high bits are random enough.
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            state.to_be_bytes()[0]
        };
        std::iter::repeat_with(byte).take(length).collect()
    })
}

/// A small world: 0 to 6 nodes, 0 to 2 policies, 0 to 1 profile.
pub(crate) fn world(dice: &mut Dice<'_>) -> World {
    let mut world = World::default();
    for name in NODES.iter().take(dice.below(NODES.len() + 1)) {
        let node = node(dice, name);
        if dice.chance(80) {
            let mut health = fixtures::health(&node);
            if dice.chance(90) {
                health = fixtures::with_report(health, report(dice));
            }
            fixtures::add_health(&mut world, health);
        }
        if dice.chance(10) {
            world.silent.insert((*name).to_owned());
        }
        world.nodes.insert((*name).to_owned(), Arc::new(node));
    }
    for name in POLICIES.iter().take(dice.below(POLICIES.len() + 1)) {
        let mut policy = fixtures::policy(name, Mode::Observe);
        policy.spec = policy_spec(dice);
        fixtures::add_policy(&mut world, policy);
    }
    if dice.chance(50) {
        let mut profile = fixtures::profile("p5", 8);
        if dice.chance(20) {
            profile.spec.match_.gpu_models = Some(vec!["H100".into()]);
        }
        world.profiles.insert("p5".into(), Arc::new(profile));
    }
    if dice.chance(20) {
        begin_drill(dice, &mut world);
    }
    world
}

/// A drill that two nodes are in the middle of, and policies that allow it.
fn begin_drill(dice: &mut Dice<'_>, world: &mut World) {
    for name in POLICIES {
        let Some(policy) = world.policies.get_mut(name) else { continue };
        Arc::make_mut(policy).spec.drills = Some(Drills { allow: true, max_nodes: 2 });
    }
    let check = drill(dice);
    let target = check.drill.as_ref().and_then(|d| d.finding.target.clone()).unwrap_or_else(|| "node".to_owned());
    let mut run = run_of(dice, RUNS[0], fixtures::START, check.clone());
    run.spec.deadline_seconds = 3600;
    let mut status = HealthCheckRunStatus { start_time: Some(fixtures::START), ..HealthCheckRunStatus::default() };
    let id = format!("{}/1", run.metadata.uid.as_deref().unwrap_or_default());
    for (name, node) in world.nodes.iter().take(2) {
        let Some(health) = world.node_healths.get_mut(name) else { continue };
        status.targets.push(Target {
            node: name.clone(),
            uid: node.uid.clone(),
            state: TargetState::Running,
            attempt: Some(1),
            since: Some(fixtures::START),
            ..Target::default()
        });
        let health = Arc::make_mut(health);
        health.spec.assignments.push(Assignment {
            id: id.clone(),
            run: RUNS[0].to_owned(),
            checks: vec![check.clone()],
            deadline: fixtures::START.plus(3600),
            ..Assignment::default()
        });
        if let Some(report) = health.status.as_mut().and_then(|s| s.report.as_mut()) {
            report.findings.retain(|f| f.check != "drill");
            report.findings.push(fixtures::finding("drill", &target, Outcome::Fail, Severity::Isolate, "Xid79"));
            report.runs.push(RunReport { id: id.clone(), state: RunState::Running, ..RunReport::default() });
        }
    }
    if !status.targets.is_empty() {
        run.status = Some(status);
        world.runs.insert(RUNS[0].to_owned(), Arc::new(run));
    }
}

/// A Node: often plain, sometimes cordoned, not ready, tainted by others or by an earlier leader.
pub(crate) fn node(dice: &mut Dice<'_>, name: &str) -> Node {
    let mut node = fixtures::node(name);
    node.unschedulable = dice.chance(8);
    node.ready = !dice.chance(8);
    if dice.chance(20) {
        node.accelerators.clear();
    }
    if dice.chance(30) {
        let foreign = ["dedicated", "nvidia.com/gpu", names::TAINT_UNCERTIFIED];
        node.taints.push(fixtures::taint(dice.of::<&str>(&foreign), "x", "NoSchedule"));
    }
    if dice.chance(8) {
        let effect = *dice.of(&["NoSchedule", "PreferNoSchedule", "NoExecute"]);
        node.taints.push(fixtures::taint(names::TAINT_UNHEALTHY, "reset", effect));
    }
    if dice.chance(20) {
        node.labels.insert("rack".into(), format!("r{}", dice.below(2)).into());
    }
    if dice.chance(8) {
        node.labels.insert(names::LABEL_DRIVER_UPGRADE.into(), "drain-required".into());
    }
    if dice.chance(5) {
        node.labels.insert(names::LABEL_HEALTH.into(), "unhealthy".into());
    }
    node
}

/// The spec of a policy: mostly Enforce, with all kinds of budgets.
pub(crate) fn policy_spec(dice: &mut Dice<'_>) -> NodeHealthPolicySpec {
    let mode = *dice.of(&[Mode::Enforce, Mode::Enforce, Mode::Enforce, Mode::Observe, Mode::Hold]);
    let node_selector = if dice.chance(20) {
        Selector { match_labels: [("rack".to_owned(), "r0".to_owned())].into(), ..Selector::default() }
    } else {
        Selector::default()
    };
    let budget = if dice.chance(70) {
        Budget {
            max_unavailable: scale(dice),
            minimum: i64::try_from(dice.below(2)).unwrap_or(0),
            per_domain: dice.chance(20).then(|| DomainBudget {
                topology_key: "rack".to_owned(),
                max_unavailable: dice.chance(50).then(|| scale(dice)),
            }),
        }
    } else {
        Budget::default()
    };
    let rules = if dice.chance(20) {
        let taint = *dice.of(&[TaintEffect::NoExecute, TaintEffect::PreferNoSchedule, TaintEffect::None]);
        vec![Rule {
            name: "xid".into(),
            match_: crds::node_health_policy::RuleMatch { checks: vec!["xid".into()], ..Default::default() },
            effect: Some(Effect { taint, ..Effect::default() }),
            ..Rule::default()
        }]
    } else {
        Vec::new()
    };
    NodeHealthPolicySpec {
        node_selector,
        priority: i64::try_from(dice.below(3)).unwrap_or(0),
        mode,
        budget,
        rules,
        drills: dice
            .chance(60)
            .then(|| Drills { allow: dice.chance(90), max_nodes: if dice.chance(50) { 2 } else { 1 } }),
        release_all: dice.chance(5).then(|| ReleaseAll {
            before: fixtures::START.plus(i64::try_from(dice.below(4) * 100).unwrap_or(0)),
            reason: "spare parts came".to_owned(),
        }),
        ..NodeHealthPolicySpec::default()
    }
}

/// A few nodes, or some of them.
fn scale(dice: &mut Dice<'_>) -> Scale {
    if dice.chance(60) {
        Scale::Nodes(i64::try_from(dice.below(4)).unwrap_or(0))
    } else {
        Scale::Percent(i64::try_from(dice.below(5) * 25).unwrap_or(0))
    }
}

/// A report: three rows over a few GPUs, findings of all kinds.
pub(crate) fn report(dice: &mut Dice<'_>) -> Report {
    let mut report = fixtures::passing_report();
    report.inventory.gpus.truncate(3);
    report.checks.truncate(3);
    if dice.chance(10) {
        report.inventory.driver = Some("570.1".into());
    }
    for row in &mut report.checks {
        row.covered.retain(|t| t == "node" || t.as_str() < "0000:13");
    }
    if dice.chance(30) {
        let at = dice.below(report.checks.len());
        report.checks.remove(at);
    }
    if dice.chance(5) {
        report.checks.clear();
    }
    for row in &mut report.checks {
        if dice.chance(20) {
            unjudged(dice, row);
        }
    }
    for _ in 0..*dice.of(&[0, 0, 1, 1, 2]) {
        let found = finding(dice);
        let known = report.findings.iter().any(|f| f.check == found.check && f.target == found.target);
        if known {
            continue;
        }
        for row in &mut report.checks {
            if row.check == found.check {
                row.outcome = row.outcome.clone().worse(found.outcome.clone());
            }
        }
        report.findings.push(found);
    }
    report.truncated = dice.chance(5).then_some(3);
    report
}

fn unjudged(dice: &mut Dice<'_>, row: &mut CheckRow) {
    let (outcome, reason) = dice
        .of(&[
            (Outcome::Inconclusive, "KernelLogUnreadable"),
            (Outcome::Skipped, "Maintenance"),
            (Outcome::Skipped, "NoAccelerator"),
        ])
        .clone();
    row.outcome = outcome;
    row.reason = Some(reason.into());
    if dice.chance(50) {
        row.covered.clear();
    }
}

fn finding(dice: &mut Dice<'_>) -> Finding {
    let check = *dice.of(&["xid", "inventory", "custom/burn", "drill"]);
    let target = if dice.chance(70) { fixtures::address(dice.below(4)) } else { "node".to_owned() };
    let (outcome, severity) = dice
        .of(&[
            (Outcome::Fail, Severity::Reboot),
            (Outcome::Fail, Severity::Isolate),
            (Outcome::Fail, Severity::Reset),
            (Outcome::Fail, Severity::Monitor),
            (Outcome::Warn, Severity::Isolate),
            (Outcome::Inconclusive, Severity::Isolate),
        ])
        .clone();
    let reason = *dice.of(&["FallenOffTheBus", "GpuMissing", "Xid79"]);
    fixtures::finding(check, &target, outcome, severity, reason)
}

/// A short drill, often on a GPU that real findings are about too.
fn drill(dice: &mut Dice<'_>) -> CheckSpec {
    let finding = DrillFinding {
        severity: dice.of(&[Severity::Isolate, Severity::Reset, Severity::Monitor]).clone(),
        reason: "Xid79".into(),
        target: dice.chance(70).then(|| fixtures::address(dice.below(2))),
    };
    let seconds = *dice.of(&[5, 60, 300]);
    let drill = Drill { finding, seconds, marks: dice.chance(60) };
    CheckSpec { name: "rehearse".into(), drill: Some(drill), ..CheckSpec::default() }
}

/// A run over some nodes.
pub(crate) fn run(dice: &mut Dice<'_>, name: &str, now: Time) -> HealthCheckRun {
    let check = match dice.below(4) {
        3 => drill(dice),
        0 => CheckSpec::with_defaults(Check::Inventory),
        1 => CheckSpec {
            name: "burn".into(),
            custom: Some(Custom { program: "burn".into(), ..Custom::default() }),
            ..CheckSpec::default()
        },
        _ => CheckSpec {
            name: "net".into(),
            network_bandwidth: Some(NetworkBandwidth::default()),
            ..CheckSpec::default()
        },
    };
    run_of(dice, name, now, check)
}

fn run_of(dice: &mut Dice<'_>, name: &str, now: Time, check: CheckSpec) -> HealthCheckRun {
    let is_drill = check.drill.is_some();
    let targets = if dice.chance(50) {
        Targets {
            node_names: Some(NODES.iter().take(1 + dice.below(3)).map(|n| (*n).to_owned()).collect()),
            node_selector: None,
        }
    } else {
        Targets { node_selector: Some(Selector::default()), node_names: None }
    };
    let mut run = fixtures::run(
        name,
        HealthCheckRunSpec {
            targets,
            checks: Some(vec![check]),
            level: None,
            max_concurrent: if dice.chance(30) {
                crds::Scale::Nodes(1 + i64::try_from(dice.below(2)).unwrap_or(0))
            } else {
                crds::Scale::Percent(100)
            },
            when_busy: if dice.chance(30) { WhenBusy::Skip } else { WhenBusy::Wait },
            deadline_seconds: *dice.of(&[3600, 60, 10]),
            ttl_seconds_after_finished: dice.chance(20).then_some(100),
            cancel: false,
            exclude: None,
            limit: dice.chance(10).then_some(2),
            fail_fast: dice.chance(10).then_some(1),
            suspend: dice.chance(10),
            report_only: dice.chance(10) && !is_drill,
        },
    );
    run.metadata.creation_timestamp = fixtures::timestamp(now);
    run
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_bytes_make_the_same_world_and_no_bytes_make_an_empty_one() {
        let bytes: Vec<u8> = (0..200_u8).map(|i| i.wrapping_mul(37)).collect();
        assert_eq!(world(&mut Dice::new(&bytes)), world(&mut Dice::new(&bytes)));
        assert_eq!(world(&mut Dice::new(&[])).nodes.len(), 0);
    }
}
