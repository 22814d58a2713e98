//! The invariants about single writes: their bounds, their times, whom they are about.

use super::checks::{Seen, ensure};
use crate::{plan::Write, world::Node};
use crds::{
    Condition, NodeHealth, NodeHealthPolicy,
    node_health::{MAX_CAUSES, MAX_HISTORY},
};

/// Invariant 6.
pub(super) fn bounds_are_kept(seen: &Seen<'_>) -> Result<(), String> {
    for step in &seen.plan.steps {
        match &step.write {
            Write::NodeHealthStatus(write) => {
                let d = &write.decision;
                let within = d.causes.len() <= MAX_CAUSES
                    && d.history.len() <= MAX_HISTORY
                    && d.held.len() <= 4
                    && d.message.len() <= 512
                    && !d.reason.is_empty()
                    && d.reason.len() <= 63
                    && write.gpus.len() <= 16
                    && write.conditions.len() <= 8
                    && d.fleet_findings.len() <= 8
                    && d.causes.iter().all(|c| {
                        (1..=80).contains(&c.check.len())
                            && (1..=64).contains(&c.target.len())
                            && (1..=63).contains(&c.reason.len())
                            && c.message.len() <= 256
                            && (1..=128).contains(&c.lift.text.len())
                            && c.lift.required_passes >= 1
                    });
                ensure(within, || format!("a bound is broken in {write:?}"))?;
            }
            Write::NodeHealthSpec(write) => {
                let within = write.spec.assignments.len() <= crds::node_health::MAX_ASSIGNMENTS
                    && write.spec.monitors.len() <= 32;
                ensure(within, || format!("a bound is broken in {write:?}"))?;
            }
            Write::PolicyClaims { claims, .. } => {
                let within = claims.len() <= crds::node_health_policy::MAX_CLAIMS;
                ensure(within, || format!("{} claims", claims.len()))?;
            }
            Write::PolicyStatus { status, .. } => {
                ensure(status.conditions.len() <= 8, || format!("a bound is broken in {status:?}"))?;
            }
            Write::RunStatus { run, status, .. } => {
                let within = status.targets.len() <= 1_000 && status.worst.len() <= 50 && status.conditions.len() <= 8;
                ensure(within, || format!("a bound is broken in {status:?}"))?;
                let frozen = |s: &crds::health_check_run::HealthCheckRunStatus| {
                    let targets = s.targets.iter();
                    targets.map(|t| (t.node.clone(), t.uid.clone())).collect::<Vec<_>>()
                };
                let before = seen.before.world.runs.get(run).and_then(|r| r.status.as_ref());
                let same = before.is_none_or(|b| b.start_time.is_none() || frozen(b) == frozen(status));
                ensure(same, || format!("the frozen targets of {run} changed"))?;
            }
            Write::DeleteNodeHealth { .. }
            | Write::NodeTaints { .. }
            | Write::NodeMarks { .. }
            | Write::NodeCondition { .. }
            | Write::RunObserved { .. }
            | Write::ResultCreate(_)
            | Write::DeleteRun { .. } => {}
        }
    }
    Ok(())
}

/// Invariant 8.
pub(super) fn transition_times_are_kept(seen: &Seen<'_>) -> Result<(), String> {
    let health = |h: &NodeHealth| h.status.as_ref().map(|s| s.conditions.clone());
    let (before, after) = (&seen.before.world, &seen.after.world);
    for (name, new) in &after.node_healths {
        let same = |old: &&std::sync::Arc<NodeHealth>| old.metadata.uid == new.metadata.uid;
        let old = before.node_healths.get(name).filter(same);
        kept(name, old.and_then(|o| health(o)), health(new))?;
    }
    for (name, new) in &after.nodes {
        let old = before.nodes.get(name).filter(|o| o.uid == new.uid);
        let conditions = |n: &Node| Some(n.condition.iter().cloned().collect());
        kept(name, old.and_then(|o| conditions(o)), conditions(new))?;
    }
    for (name, new) in &after.policies {
        let conditions = |p: &NodeHealthPolicy| p.status.as_ref().map(|s| s.conditions.clone());
        kept(name, before.policies.get(name).and_then(|o| conditions(o)), conditions(new))?;
    }
    for (name, new) in after.runs.iter() {
        let old = before.runs.get(name).and_then(|o| o.status.as_ref());
        let new = new.status.as_ref();
        kept(name, old.map(|s| s.conditions.clone()), new.map(|s| s.conditions.clone()))?;
    }
    Ok(())
}

fn kept(name: &str, before: Option<Vec<Condition>>, after: Option<Vec<Condition>>) -> Result<(), String> {
    let before = before.unwrap_or_default();
    for new in after.unwrap_or_default() {
        let old = before.iter().find(|o| o.type_ == new.type_);
        let moved = old.is_some_and(|o| {
            (o.status == new.status) != (o.last_transition_time == new.last_transition_time) && o.status == new.status
        });
        ensure(!moved, || format!("{name}: {old:?} -> {new:?}"))?;
    }
    Ok(())
}

/// Invariant 10: the plan names the uid of what it decided on, and does nothing to a Node that came later.
pub(super) fn uids_are_kept(seen: &Seen<'_>) -> Result<(), String> {
    let mut replaced = seen.before.clone();
    let names: Vec<String> = replaced.world.nodes.keys().cloned().collect();
    for name in &names {
        let uid = replaced.next_uid("node");
        replaced.edit_node(name, |n| n.uid = uid);
    }
    // The version is the one that was read: the uid alone must stop the write.
    for name in &names {
        if let (Some(node), Some(before)) = (replaced.world.nodes.get_mut(name), seen.before.world.nodes.get(name)) {
            std::sync::Arc::make_mut(node).resource_version.clone_from(&before.resource_version);
        }
    }
    let before = replaced.world.nodes.clone();
    replaced.apply(seen.plan);
    ensure(before == replaced.world.nodes, || "a write reached a Node that was replaced".to_owned())?;
    for step in &seen.plan.steps {
        if let Write::NodeHealthStatus(write) = &step.write {
            let node = seen.before.world.nodes.get(&write.name);
            let health = seen.before.world.node_healths.get(&write.name);
            let about = health.map(|h| h.spec.node.uid.as_str()).filter(|u| !u.is_empty());
            let same = about.is_none_or(|uid| node.is_some_and(|n| n.uid == uid));
            ensure(same, || format!("{} is judged as another Node", write.name))?;
        }
    }
    Ok(())
}
