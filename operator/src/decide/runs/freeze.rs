//! The start of a run: its targets are resolved once and never change afterwards.

use super::{group_check::GroupCheck, rejection::Rejection, validate};
use crate::world::World;
use crds::{
    CheckSpec, HealthCheckRun, Outcome, Time,
    check::Pattern,
    health_check_run::{HealthCheckRunSpec, MAX_TARGETS, Target, TargetState, Targets},
    node_health::MAX_SLOTS,
    reason,
};
use std::collections::BTreeSet;

/// The targets of a run, sorted by name, or why it is rejected. A named node that does not exist becomes a target without
/// uid that has already ended.
pub(super) fn freeze(world: &World, run: &HealthCheckRun, now: Time) -> Result<Vec<Target>, Rejection> {
    let checks = validate::validate(&run.spec)?;
    let mut names = resolve(world, &run.spec.targets);
    for excluded in run.spec.exclude.iter().flatten() {
        names.remove(excluded.as_str());
    }
    let names = sample(world, names, run.spec.limit);
    if names.len() > MAX_TARGETS {
        return Err(Rejection::new(
            reason::TOO_MANY,
            format!(
                "spec.targets matches {} nodes, but a run takes at most {MAX_TARGETS}; split it into several runs, for example one per topology.kubernetes.io/zone or rack",
                names.len()
            ),
        ));
    }
    let targets: Vec<Target> = names.into_iter().map(|node| target(world, node, now)).collect();
    let known = targets.iter().filter(|t| !t.uid.is_empty()).count();
    if known == 0 {
        return Err(no_match(&run.spec));
    }
    group_fits(&checks, known)?;
    Ok(targets)
}

fn resolve<'a>(world: &'a World, targets: &'a Targets) -> BTreeSet<&'a str> {
    if let Some(names) = &targets.node_names {
        return names.iter().map(String::as_str).collect();
    }
    let Some(selector) = &targets.node_selector else {
        return BTreeSet::new();
    };
    world
        .nodes
        .iter()
        .filter(|(name, node)| {
            (node.shows_accelerator() || world.node_healths.contains_key(*name))
                && selector.matches(|key| node.labels.get(key))
        })
        .map(|(name, _)| name.as_str())
        .collect()
}

/// The nodes that were tested longest ago: those of which no test is known, then by its time, each by name. Named nodes that
/// do not exist come last, because they cannot be tested.
fn sample<'a>(world: &World, names: BTreeSet<&'a str>, limit: Option<i64>) -> BTreeSet<&'a str> {
    let Some(limit) = limit.and_then(|limit| usize::try_from(limit).ok()).filter(|limit| *limit < names.len()) else {
        return names;
    };
    let mut by_age: Vec<(bool, Option<Time>, &str)> = names
        .into_iter()
        .map(|name| {
            let node = world.nodes.get(name);
            (node.is_none(), node.and_then(|node| world.runs.tested_at(name, &node.uid)), name)
        })
        .collect();
    by_age.sort_unstable();
    by_age.into_iter().take(limit).map(|(_, _, name)| name).collect()
}

fn target(world: &World, node: &str, now: Time) -> Target {
    let mut target = Target { node: node.to_owned(), since: Some(now), ..Target::default() };
    if let Some(found) = world.nodes.get(node) {
        target.uid.clone_from(&found.uid);
    } else {
        target.state = TargetState::Done;
        target.outcome = Some(Outcome::Inconclusive);
        target.reason = Some(reason::UNKNOWN_NODE.to_owned());
    }
    target
}

fn no_match(spec: &HealthCheckRunSpec) -> Rejection {
    let message = match &spec.targets.node_names {
        _ if spec.exclude.is_some() => {
            "spec.targets matches no node that spec.exclude leaves; check both with kubectl get nodes".to_owned()
        }
        Some(names) => format!(
            "spec.targets.nodeNames: none of the {} named nodes exists; check with kubectl get nodes",
            names.len()
        ),
        None => "spec.targets.nodeSelector matches no accelerator node; check with kubectl get nodes --show-labels and kubectl get nodehealth".to_owned(),
    };
    Rejection::new(reason::NO_MATCH, message)
}

fn group_fits(checks: &[CheckSpec], known: usize) -> Result<(), Rejection> {
    let Some(group) = GroupCheck::of(checks) else {
        return Ok(());
    };
    if known < 2 {
        return Err(Rejection::new(
            reason::GROUP_TOO_SMALL,
            format!("spec.checks[{}] needs at least two nodes, but spec.targets matches only one", group.name),
        ));
    }
    // Each of n nodes has n - 1 partners, and a work order has room for MAX_SLOTS.
    if group.pattern != Pattern::Ring && known > MAX_SLOTS {
        return Err(Rejection::new(
            reason::USE_SAMPLE,
            format!(
                "spec.checks[{}]: AllPairs is limited to {MAX_SLOTS} nodes, but spec.targets matches {known}; test fewer pairs, for example with pattern: Ring",
                group.name
            ),
        ));
    }
    Ok(())
}
