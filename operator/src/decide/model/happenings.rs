//! Random events that are not our doing: people, agents, kubelets, other controllers, and time.

use super::{
    Model, fixtures,
    generate::{Dice, NODES, POLICIES, RUNS, policy_spec, report, run},
};
use crds::{
    CheckSpec, Condition, NodeHealth, Outcome, Severity, names,
    node_health::{CheckResult, Report, RunReport, RunState},
    node_health_policy::{Mode, NodeHealthPolicySpec},
};
use std::sync::Arc;

/// Something that happens to the world and is not our doing. Returns what it was, for messages.
#[allow(clippy::too_many_lines)] // A table: one arm per event.
pub(crate) fn event(dice: &mut Dice<'_>, model: &mut Model) -> &'static str {
    let name = NODES[dice.below(NODES.len())];
    let policy = POLICIES[dice.below(POLICIES.len())];
    match dice.below(24) {
        0 => {
            let seconds = i64::try_from(dice.below(400)).unwrap_or(0);
            model.now = model.now.plus(seconds);
            "time passes"
        }
        1 => {
            model.world.silent.insert(name.to_owned());
            "an agent falls silent"
        }
        2 => {
            model.world.silent.clear();
            "every agent renews its Lease"
        }
        3..=5 => {
            let report = report(dice);
            agent_reports(model, name, report);
            "an agent reports anything"
        }
        6 | 7 => {
            let mut report = fixtures::passing_report();
            report.inventory.gpus.truncate(3);
            agent_reports(model, name, report);
            "an agent reports that all is well"
        }
        8 => {
            let edit = dice.below(2) == 0;
            model.edit_node(name, |n| {
                if edit {
                    n.unschedulable = !n.unschedulable;
                } else {
                    n.ready = !n.ready;
                }
            });
            "somebody cordons or uncordons, or a kubelet comes or goes"
        }
        9 => {
            let front = dice.chance(50);
            model.edit_node(name, |n| {
                let taint = fixtures::taint("dedicated", "team", "NoSchedule");
                if let Some(at) = n.taints.iter().position(|t| t.key == taint.key) {
                    n.taints.remove(at);
                } else {
                    n.taints.insert(if front { 0 } else { n.taints.len() }, taint);
                }
                n.labels.insert("team".into(), "vision".into());
            });
            "somebody else taints and labels"
        }
        10 => {
            model.edit_node(name, |n| {
                n.taints.retain(|t| t.key != names::TAINT_UNHEALTHY);
            });
            "somebody removes our taint"
        }
        11 => {
            model.world.node_healths.remove(name);
            "somebody deletes a NodeHealth"
        }
        12 => {
            replace_node(model, name);
            "a Node is replaced under its name"
        }
        13 => {
            if model.world.nodes.remove(name).is_none() {
                replace_node(model, name);
            }
            "a Node goes or comes"
        }
        14..=16 => {
            let spec = policy_spec(dice);
            if model.world.policies.contains_key(policy) {
                model.edit_policy(policy, |p| p.spec = spec);
            } else {
                add_policy(model, policy, spec);
            }
            "a policy is made or changed"
        }
        17 => {
            model.world.policies.remove(policy);
            "a policy is deleted"
        }
        18 => {
            model.world.hold_everything = !model.world.hold_everything && dice.chance(50);
            "--hold-everything is switched"
        }
        19 => {
            let name = RUNS[dice.below(RUNS.len())];
            let now = model.now;
            if model.world.runs.contains_key(name) {
                model.edit_run(name, |r| r.spec.cancel = true);
            } else {
                let mut run = run(dice, name, now);
                run.metadata.uid = Some(model.next_uid("run"));
                run.metadata.resource_version = Some(model.next_version());
                model.world.runs.insert(name.to_owned(), Arc::new(run));
            }
            "a run is made or cancelled"
        }
        20 => {
            model.edit_node(name, |n| {
                for label in [names::LABEL_MAINTENANCE, names::LABEL_DRIVER_UPGRADE] {
                    if n.labels.remove(label).is_none() {
                        n.labels.insert(label.into(), "firmware".into());
                    }
                }
                n.condition = n.condition.take().map(|c| Condition { reason: "Tampered".into(), ..c });
            });
            "a maintenance begins or ends"
        }
        _ => {
            agent_works(dice, model, name);
            "an agent works on its orders"
        }
    }
}

/// The agent of this node replaces its report, and keeps what it knows of its orders.
pub(crate) fn agent_reports(model: &mut Model, node: &str, report: Report) {
    model.edit_health(node, |health| {
        let generation = health.metadata.generation;
        let status = health.status.get_or_insert_default();
        let runs = status.report.take().map(|r| r.runs).unwrap_or_default();
        status.report = Some(Report { observed_generation: generation, runs, ..report });
    });
    model.world.silent.remove(node);
}

/// The agent of this node takes up new orders, moves old ones on, and forgets those that are gone.
pub(crate) fn agent_works(dice: &mut Dice<'_>, model: &mut Model, node: &str) {
    let (now, step) = (model.now, dice.below(4));
    let outcome = dice.of(&[Outcome::Pass, Outcome::Pass, Outcome::Fail, Outcome::Warn, Outcome::Inconclusive]).clone();
    let severity = dice.of(&[Severity::Monitor, Severity::Isolate]).clone();
    model.edit_health(node, |health: &mut NodeHealth| {
        let assignments = health.spec.assignments.clone();
        let status = health.status.get_or_insert_default();
        let report = status.report.get_or_insert_default();
        report.runs.retain(|r| assignments.iter().any(|a| a.id == r.id));
        for order in &assignments {
            if !report.runs.iter().any(|r| r.id == order.id) {
                report.runs.push(RunReport {
                    id: order.id.clone(),
                    report_only: order.report_only,
                    ..RunReport::default()
                });
            }
        }
        for run in &mut report.runs {
            let Some(order) = assignments.iter().find(|a| a.id == run.id) else {
                continue;
            };
            run.state = match step {
                0 => RunState::Accepted,
                1 => RunState::Ready,
                2 => RunState::Running,
                _ => RunState::Done,
            };
            run.started_at = Some(now);
            let drills = order.checks.iter().filter_map(|spec| spec.drill.as_ref());
            for drill in drills {
                let target = drill.finding.target.as_deref().unwrap_or(names::TARGET_NODE);
                report.findings.retain(|f| f.check != "drill" || f.target != target);
                if run.state == RunState::Running {
                    let severity = drill.finding.severity.clone();
                    report.findings.push(fixtures::finding("drill", target, Outcome::Fail, severity, "Xid79"));
                }
            }
            if run.state == RunState::Done {
                run.finished_at = Some(now);
                run.results = order.checks.iter().map(|spec| result(spec, &outcome, &severity)).collect();
            }
        }
    });
}

fn result(spec: &CheckSpec, outcome: &Outcome, severity: &Severity) -> CheckResult {
    let check = match (&spec.custom, spec.kind()) {
        (Some(custom), _) => format!("custom/{}", custom.program),
        (None, Some(kind)) => kind.name().to_owned(),
        (None, None) => "unknown".to_owned(),
    };
    CheckResult {
        name: spec.name.clone(),
        check,
        outcome: outcome.clone(),
        severity: if outcome.rank() > Outcome::Inconclusive.rank() { severity.clone() } else { Severity::None },
        reason: Some("Measured".into()),
        tested: vec!["node".into(), fixtures::address(0)],
        ..CheckResult::default()
    }
}

fn replace_node(model: &mut Model, name: &str) {
    let mut node = fixtures::node(name);
    node.uid = model.next_uid("node");
    node.resource_version = model.next_version();
    model.world.nodes.insert(name.to_owned(), Arc::new(node));
}

fn add_policy(model: &mut Model, name: &str, spec: NodeHealthPolicySpec) {
    let mut policy = fixtures::policy(name, Mode::Observe);
    policy.spec = spec;
    policy.metadata.uid = Some(model.next_uid("policy"));
    policy.metadata.resource_version = Some(model.next_version());
    policy.metadata.creation_timestamp = fixtures::timestamp(model.now);
    model.world.policies.insert(name.to_owned(), Arc::new(policy));
}
