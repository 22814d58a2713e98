//! Turns the agents' reports into the state of the targets, and copies results before their work orders are removed.

use super::{
    course::Course,
    group, network,
    texts::{known, known_severity, word},
    view::{end, enter, is_at_work, node_of, report_of, run_report_of},
};
use crate::world::World;
use crds::{
    CheckSpec, Outcome, Severity, Time,
    condition::truncate,
    health_check_run::{MAX_WORST, Network, NetworkEdge, TargetState, WorstFinding},
    names::TARGET_NODE,
    node_health::{Report, Role, RunReport, RunState},
    reason,
    text::key,
};
use std::collections::BTreeSet;

/// The highest number of a slot that the API takes.
const MAX_SLOT: i64 = 4_095;

/// Brings every target up to date.
pub(super) fn collect(world: &World, course: &mut Course<'_>, now: Time) {
    find_missing_nodes(world, course, now);
    let ending = course.run.spec.cancel || now >= course.deadline();
    let waiting = if ending {
        BTreeSet::new()
    } else {
        find_silent_agents(world, course, now);
        if course.group.is_some() { group::advance(world, course, now) } else { BTreeSet::new() }
    };
    for index in 0..course.status.targets.len() {
        if is_at_work(&course.status.targets[index]) && !waiting.contains(&index) {
            follow(world, course, index, now);
        }
    }
    if ending {
        end_the_rest(course, now);
    }
}

fn find_missing_nodes(world: &World, course: &mut Course<'_>, now: Time) {
    for target in &mut course.status.targets {
        if target.state == TargetState::Done || node_of(world, target).is_some() {
            continue;
        }
        let why = if world.nodes.contains_key(&target.node) { reason::NODE_REPLACED } else { reason::NODE_GONE };
        end(target, Outcome::Inconclusive, Some(why), now);
    }
}

/// A silent agent will not answer; what it reported before still counts.
fn find_silent_agents(world: &World, course: &mut Course<'_>, now: Time) {
    for index in 0..course.status.targets.len() {
        let target = &course.status.targets[index];
        if !is_at_work(target) || !world.agent_is_silent(&target.node) {
            continue;
        }
        let id = course.id(target.attempt.unwrap_or(1));
        let is_done = run_report_of(world, target, &id).is_some_and(|r| r.state == RunState::Done);
        if !is_done {
            let target = &mut course.status.targets[index];
            let silent = Some(reason::AGENT_SILENT);
            end(target, Outcome::Inconclusive, silent, now);
        }
    }
}

fn follow(world: &World, course: &mut Course<'_>, index: usize, now: Time) {
    let target = &course.status.targets[index];
    let id = course.id(target.attempt.unwrap_or(1));
    let (Some(report), Some(answer)) = (report_of(world, target), run_report_of(world, target, &id)) else {
        return;
    };
    match &answer.state {
        RunState::Done => harvest(world, course, index, report, answer, now),
        // A group member does not begin before the group starts; until then its 30 s count from the assignment.
        RunState::Accepted | RunState::Ready if course.group.is_some() => {}
        RunState::Accepted | RunState::Ready | RunState::Running | RunState::Unrecognized(_) => {
            enter(&mut course.status.targets[index], TargetState::Running, None, now);
        }
    }
}

/// Unfinished targets become Inconclusive at the deadline, and Skipped if the run was cancelled.
fn end_the_rest(course: &mut Course<'_>, now: Time) {
    let (outcome, why) = if course.run.spec.cancel {
        (Outcome::Skipped, reason::CANCELLED)
    } else {
        (Outcome::Inconclusive, reason::DEADLINE_EXCEEDED)
    };
    let targets = course.status.targets.iter_mut();
    for target in targets.filter(|t| t.state != TargetState::Done) {
        end(target, outcome.clone(), Some(why), now);
    }
}

/// Copies everything that must outlive the report: outcome, findings, edges.
fn harvest(world: &World, course: &mut Course<'_>, index: usize, report: &Report, answer: &RunReport, now: Time) {
    let edges = edges_of(world, course, index, answer);
    let (outcome, why) = verdict(&course.checks, answer, &edges);
    let findings = findings(&course.checks, &course.status.targets[index].node, report, answer);
    end(&mut course.status.targets[index], outcome, why.as_deref(), now);
    merge_worst(&mut course.status.worst, findings);
    if !edges.is_empty() {
        let pattern = course.group.as_ref().map(|g| g.pattern);
        let members = course.status.targets.len();
        let check = course.group.as_ref().map(|g| g.name.clone()).unwrap_or_default();
        let networks = &mut course.status.network;
        if networks.iter().all(|network| network.check != check) {
            networks.push(Network { check: check.clone(), ..Network::default() });
        }
        let Some(network) = networks.iter_mut().find(|network| network.check == check) else { return };
        network::merge(network, edges);
        network.suspects = network::suspects(network, pattern.unwrap_or_default(), members);
    }
}

/// The worst of all results and edges, and its reason. A requested check without a result is Inconclusive.
fn verdict(checks: &[CheckSpec], answer: &RunReport, edges: &[NetworkEdge]) -> (Outcome, Option<String>) {
    let mut worst = (Outcome::Pass, None);
    let mut weigh = |outcome: Outcome, why: Option<String>| {
        if outcome.rank() > worst.0.rank() || (outcome.rank() == worst.0.rank() && worst.1.is_none()) {
            worst = (outcome, why);
        }
    };
    for check in checks {
        match answer.results.iter().find(|r| r.name == check.name) {
            Some(result) => {
                let why = result.reason.as_deref().map(|reason| word(reason, &result.outcome));
                weigh(known(&result.outcome), why);
            }
            None => weigh(Outcome::Inconclusive, Some(reason::NO_OUTPUT.to_owned())),
        }
    }
    for edge in edges {
        weigh(edge.outcome.clone(), edge.reason.clone());
    }
    worst
}

fn findings(checks: &[CheckSpec], node: &str, report: &Report, answer: &RunReport) -> Vec<WorstFinding> {
    let mut findings = Vec::new();
    let asked = |name: &str| checks.iter().any(|c| c.name == name);
    for result in answer.results.iter().filter(|r| asked(&r.name)) {
        let outcome = known(&result.outcome);
        if matches!(outcome, Outcome::Pass | Outcome::Skipped) {
            continue;
        }
        let worst = |target: &str, outcome: &Outcome, severity: &Severity, why: &str, text: &str| WorstFinding {
            node: node.to_owned(),
            check: truncate(&result.check, 80),
            target: truncate(target, 64),
            severity: known_severity(severity),
            reason: word(why, &known(outcome)),
            outcome: known(outcome),
            code: None,
            message: truncate(text, 256),
        };
        let found = report.findings.iter().filter(|f| f.check == result.check);
        let before = findings.len();
        findings.extend(found.map(|f| WorstFinding {
            code: f.code.as_deref().map(|code| truncate(code, 32)),
            ..worst(&f.target, &f.outcome, &f.severity, &f.reason, &f.message)
        }));
        if findings.len() > before {
            continue;
        }
        let why = result.reason.as_deref().unwrap_or(outcome.as_str());
        let text = result.message.as_deref().unwrap_or_default();
        let failed = result.failed.iter();
        findings.extend(
            failed.map(|f| worst(&f.target, &f.outcome, &f.severity, f.reason.as_deref().unwrap_or(why), text)),
        );
        if findings.len() == before {
            findings.push(worst(TARGET_NODE, &outcome, &result.severity, why, text));
        }
    }
    findings
}

/// Adds findings and keeps the worst: Fail first, by severity.
fn merge_worst(worst: &mut Vec<WorstFinding>, more: Vec<WorstFinding>) {
    worst.extend(more);
    let key = |f: &WorstFinding| {
        let badness = (f.outcome.rank(), f.severity.rank());
        let place = (f.node.clone(), f.check.clone(), f.target.clone());
        (std::cmp::Reverse(badness), place)
    };
    worst.sort_by_cached_key(key);
    worst.dedup();
    worst.truncate(MAX_WORST);
}

/// The edges that the member was ordered to test as client. If its order is lost (somebody deleted the NodeHealth), any
/// edge to a target of the run is accepted.
pub(super) fn edges_of(world: &World, course: &Course<'_>, index: usize, answer: &RunReport) -> Vec<NetworkEdge> {
    if course.group.is_none() {
        return Vec::new();
    }
    let targets = &course.status.targets;
    let from = &targets[index];
    let health = super::view::health_of(world, from);
    let ordered = health
        .and_then(|h| h.spec.assignments.iter().find(|a| a.id == answer.id))
        .and_then(|a| a.group.as_ref())
        .filter(|g| g.start_at.is_some());
    let was_asked = |slot: i64, peer: &str| match ordered {
        Some(group) => group.slots.iter().any(|s| s.role == Role::Client && s.slot == slot && s.peer == peer),
        None => peer != from.node && targets.binary_search_by(|t| t.node.as_str().cmp(peer)).is_ok(),
    };
    let mut seen = BTreeSet::new();
    let edges = answer.edges.iter();
    edges
        .filter(|e| was_asked(e.slot, &e.peer) && seen.insert(&e.peer))
        .map(|e| NetworkEdge {
            slot: e.slot.clamp(0, MAX_SLOT),
            from: from.node.clone(),
            to: e.peer.clone(),
            check: course.group.as_ref().map(|g| g.name.clone()).unwrap_or_default(),
            rail: e.rail.as_deref().map(|rail| key(rail, 32)),
            interface: e.interface.as_deref().map(|interface| key(interface, 32)),
            hop_class: None,
            mbps: e.mbps.map(|m| m.clamp(0, network::MAX_MBPS)),
            outcome: known(&e.outcome),
            reason: e.reason.as_deref().map(|reason| word(reason, &e.outcome)),
        })
        .collect()
}
