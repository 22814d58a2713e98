//! A stage for the tests of runs: a small world, agents that answer, and the writes of a plan applied to it.

mod admission;
mod agents;
mod ends;
mod group_results;
mod groups;
mod permits;
mod properties;
mod records;
mod results;
mod sampling;
mod start;
mod texts;
mod validation;

use super::{Orders, decide};
use crate::{
    decide::govern::{claims::Claims, fleet::Fleet, roster::Roster},
    plan::{Plan, Write},
    world::{Node, World},
};
use crds::{
    CheckSpec, HealthCheckResult, HealthCheckRun, NodeHealth, Outcome, Severity, Time,
    check::{Check, Custom, NetworkBandwidth, NoParameters, Pattern},
    health_check_run::{HealthCheckRunSpec, HealthCheckRunStatus, Target, Targets, WhenBusy},
    node_health::{CheckResult, Edge, RunReport, RunState},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// The time at which every stage opens.
const START: i64 = 1_000_000;

struct Stage {
    world: World,
    /// When each agent last renewed its Lease.
    heard: BTreeMap<String, Time>,
    now: Time,
    versions: u64,
    results: BTreeMap<String, HealthCheckResult>,
}

impl Stage {
    /// A world with nodes `n0`, `n1`, …, each with an accelerator, an address and an agent that reports.
    fn with_nodes(count: usize) -> Self {
        let mut stage = Self {
            world: World::default(),
            heard: BTreeMap::new(),
            now: Time::from_unix(START),
            versions: 0,
            results: BTreeMap::new(),
        };
        for index in 0..count {
            stage.add_node(&format!("n{index}"), &format!("uid-n{index}"));
        }
        stage
    }

    fn add_node(&mut self, name: &str, uid: &str) {
        let address = format!("10.0.0.{}", self.world.nodes.len() + 1);
        let node = Node {
            name: name.into(),
            uid: uid.into(),
            accelerators: BTreeMap::from([("nvidia.com/gpu".to_owned(), 8)]).into(),
            addresses: vec![address],
            ready: true,
            ..Node::default()
        };
        self.world.nodes.insert(name.into(), Arc::new(node));
        self.remake_health(name);
        self.hear(name);
    }

    /// A NodeHealth as the operator makes it, and the first report of the agent.
    fn remake_health(&mut self, name: &str) {
        let node = self.world.nodes[name].clone();
        let mut health = NodeHealth::new(name, crds::node_health::NodeHealthSpec::default());
        health.spec.node.uid.clone_from(&node.uid);
        let status = health.status.get_or_insert_default();
        let report = status.report.get_or_insert_default();
        report.agent.addresses.clone_from(&node.addresses);
        self.world.node_healths.insert(name.into(), Arc::new(health));
    }

    fn hear(&mut self, node: &str) {
        self.heard.insert(node.into(), self.now);
        self.world.silent.remove(node);
    }

    fn edit_node(&mut self, name: &str, edit: impl FnOnce(&mut Node)) {
        edit(Arc::make_mut(self.world.nodes.get_mut(name).unwrap()));
    }

    fn edit_health(&mut self, name: &str, edit: impl FnOnce(&mut NodeHealth)) {
        edit(Arc::make_mut(self.world.node_healths.get_mut(name).unwrap()));
    }

    fn edit_run(&mut self, name: &str, edit: impl FnOnce(&mut HealthCheckRun)) {
        self.versions += 1;
        let version = self.versions.to_string();
        self.world.runs.edit(name, |run| {
            edit(run);
            run.metadata.resource_version = Some(version);
        });
    }

    /// Adds a run; a run that is added later is younger.
    fn add_run(&mut self, name: &str, spec: HealthCheckRunSpec) {
        let mut run = HealthCheckRun::new(name, spec);
        let created = START + i64::try_from(self.world.runs.len()).unwrap();
        let created = k8s_openapi::jiff::Timestamp::from_second(created).unwrap();
        run.metadata.uid = Some(format!("uid-{name}"));
        run.metadata.generation = Some(1);
        run.metadata.creation_timestamp = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(created));
        run.metadata.resource_version = Some("0".into());
        self.world.runs.insert(name.into(), Arc::new(run));
    }

    fn cancel(&mut self, run: &str) {
        self.edit_run(run, |r| {
            r.spec.cancel = true;
            r.metadata.generation = Some(r.metadata.generation.unwrap_or(0) + 1);
        });
    }

    /// Lets time pass; every agent but the muted ones renews its Lease.
    fn pass(&mut self, seconds: i64, muted: &[&str]) {
        self.now = self.now.plus(seconds);
        let names: Vec<String> = self.world.nodes.keys().cloned().collect();
        for name in names.iter().filter(|n| !muted.contains(&n.as_str())) {
            self.hear(name);
        }
        let silent = |since: Time| self.now.since(since) > 150;
        let silent = self.heard.iter().filter(|(_, since)| silent(**since));
        self.world.silent = silent.map(|(node, _)| node.clone()).collect();
    }

    fn decide(&self) -> (Plan, Orders) {
        let mut plan = Plan::default();
        let mut roster = Roster::default();
        roster.update(&self.world, &Claims::read(&self.world), None, &mut Fleet::default());
        let orders = decide(&self.world, &roster, self.now, &mut plan);
        (plan, orders)
    }

    /// Decides and writes everything, orders included.
    fn go(&mut self) -> (Plan, Orders) {
        let (plan, orders) = self.decide();
        self.write(&plan, &orders, |_| true, |_| true);
        (plan, orders)
    }

    /// Writes the steps and specs that are let through, with the preconditions of the API server and the order of the
    /// plan.
    fn write(
        &mut self,
        plan: &Plan,
        orders: &Orders,
        passes: impl Fn(usize) -> bool,
        spec_passes: impl Fn(&str) -> bool,
    ) {
        let mut done = BTreeSet::new();
        for (index, step) in plan.steps.iter().enumerate() {
            let is_free = step.after.iter().all(|i| done.contains(i));
            if is_free && passes(index) && self.write_one(&step.write) {
                done.insert(index);
            }
        }
        let names: Vec<String> = self.world.node_healths.keys().cloned().collect();
        for name in names.iter().filter(|n| spec_passes(n)) {
            let node = orders.by_node.get(name).cloned().unwrap_or_default();
            let released = orders.released_after.get(name);
            let mut first = node.after.iter().chain(released.into_iter().flatten());
            if first.all(|i| done.contains(i)) {
                self.edit_health(name, |h| h.spec.assignments = node.assignments);
            }
        }
    }

    fn write_one(&mut self, write: &Write) -> bool {
        match write {
            Write::RunStatus { run, uid, resource_version, status } => {
                let fits = self.world.runs.get(run).is_some_and(|r| {
                    r.metadata.uid.as_ref() == Some(uid)
                        && r.metadata.resource_version.as_ref() == Some(resource_version)
                });
                if fits {
                    self.edit_run(run, |r| r.status = Some((**status).clone()));
                }
                fits
            }
            Write::RunObserved { run, resource_version, generation, conditions, .. } => {
                let fits = self.world.runs[run].metadata.resource_version.as_ref() == Some(resource_version);
                if fits {
                    self.edit_run(run, |r| {
                        let status = r.status.as_mut().unwrap();
                        status.observed_generation = *generation;
                        status.conditions.clone_from(conditions);
                    });
                }
                fits
            }
            Write::ResultCreate(result) => {
                let name = result.metadata.name.clone().unwrap();
                self.results.entry(name).or_insert_with(|| (**result).clone());
                true
            }
            Write::DeleteRun { run, .. } => self.world.runs.remove(run).is_some(),
            other => panic!("runs never write {other:?}"),
        }
    }

    fn status(&self, run: &str) -> &HealthCheckRunStatus {
        self.world.runs[run].status.as_ref().unwrap()
    }

    fn target(&self, run: &str, node: &str) -> &Target {
        let targets = &self.status(run).targets;
        targets.iter().find(|t| t.node == node).unwrap()
    }

    /// What the agent of a node says about a work order; it forgets orders that left the spec.
    fn answer(&mut self, node: &str, answer: RunReport) {
        self.edit_health(node, |h| {
            let ids: Vec<String> = h.spec.assignments.iter().map(|a| a.id.clone()).collect();
            let report = h.status.get_or_insert_default().report.as_mut().unwrap();
            report.runs.retain(|r| r.id != answer.id && ids.contains(&r.id));
            report.runs.push(answer);
        });
    }

    fn says(&mut self, node: &str, id: &str, state: RunState) {
        self.answer(node, RunReport { id: id.into(), state, ..RunReport::default() });
    }

    /// The agent ends a run of the one check `a` with this outcome.
    fn ends(&mut self, node: &str, id: &str, outcome: Outcome, reason: &str) {
        self.answer(node, ended(id, vec![result("a", outcome, reason)]));
    }
}

fn ended(id: &str, results: Vec<CheckResult>) -> RunReport {
    RunReport { id: id.into(), state: RunState::Done, results, ..RunReport::default() }
}

fn result(name: &str, outcome: Outcome, reason: &str) -> CheckResult {
    CheckResult {
        name: name.into(),
        check: "inventory".into(),
        severity: if outcome == Outcome::Fail { Severity::Isolate } else { Severity::None },
        outcome,
        reason: Some(reason.into()),
        ..CheckResult::default()
    }
}

fn edge(slot: i64, peer: &str, mbps: i64, outcome: Outcome) -> Edge {
    Edge { slot, peer: peer.into(), mbps: Some(mbps), outcome, ..Edge::default() }
}

/// One check `a` that counts accelerators, on every accelerator node.
fn counting() -> HealthCheckRunSpec {
    HealthCheckRunSpec {
        targets: Targets { node_selector: Some(crds::Selector::default()), node_names: None },
        checks: Some(vec![CheckSpec { name: "a".into(), inventory: Some(NoParameters {}), ..CheckSpec::default() }]),
        deadline_seconds: 600,
        ..HealthCheckRunSpec::default()
    }
}

/// One check `a` that measures the network in a ring, on every accelerator node.
fn ring() -> HealthCheckRunSpec {
    HealthCheckRunSpec {
        checks: Some(vec![CheckSpec {
            name: "a".into(),
            network_bandwidth: Some(NetworkBandwidth { pattern: Some(Pattern::Ring), ..NetworkBandwidth::default() }),
            ..CheckSpec::default()
        }]),
        ..counting()
    }
}

fn on(names: &[&str], spec: HealthCheckRunSpec) -> HealthCheckRunSpec {
    HealthCheckRunSpec {
        targets: Targets { node_names: Some(names.iter().map(|n| (*n).to_owned()).collect()), node_selector: None },
        ..spec
    }
}

fn skipping(spec: HealthCheckRunSpec) -> HealthCheckRunSpec {
    HealthCheckRunSpec { when_busy: WhenBusy::Skip, ..spec }
}

fn custom(program: &str) -> CheckSpec {
    CheckSpec {
        custom: Some(Custom { program: program.into(), ..Custom::default() }),
        ..CheckSpec::with_defaults(Check::Custom)
    }
}

/// Node, state, outcome and reason of each target, as one line each.
fn lines(status: &HealthCheckRunStatus) -> Vec<String> {
    let line = |t: &Target| {
        let outcome = t.outcome.as_ref().map_or("-", |o| o.as_str());
        let reason = t.reason.as_deref().unwrap_or("-");
        format!("{} {} {outcome} {reason}", t.node, t.state)
    };
    status.targets.iter().map(line).collect()
}
