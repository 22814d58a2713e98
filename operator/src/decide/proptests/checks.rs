//! The invariants, each as a function that looks at one plan in its world.

use crate::{
    decide::{
        decide,
        model::{Model, Writer},
    },
    key::Key,
    plan::{Plan, Write},
    world::{Node, Taint},
};
use crds::{
    NodeHealthPolicy, Outcome, Scale, Severity, names,
    node_health::{Cause, Decision, Report},
    node_health_policy::{Claim, DomainBudget, Mode},
};
use std::collections::BTreeSet;

/// One plan in its world.
pub(super) struct Seen<'a> {
    /// What was decided upon.
    pub(super) before: &'a Model,
    /// What was decided.
    pub(super) plan: &'a Plan,
    /// The world once every step was tried.
    pub(super) after: &'a Model,
}

pub(super) type Checker = fn(&Seen<'_>) -> Result<(), String>;

pub(super) fn ensure(holds: bool, message: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(message()) }
}

/// Invariant 1. A plan that creates or deletes an object, or frees a slot, may be followed by a few others, then by none.
/// Neither does time alone leave something to do before the plan asks to be woken.
pub(super) fn nothing_is_left_to_do(seen: &Seen<'_>) -> Result<(), String> {
    let mut model = seen.after.clone();
    let mut plan = decide(&model.world, model.now);
    if opens_a_way(seen) {
        for _ in 0..5 {
            model.apply(&plan);
            plan = decide(&model.world, model.now);
        }
    }
    ensure(plan.is_empty(), || format!("left to do: {plan:#?}"))?;
    let never = model.now.plus(100_000);
    let asleep = plan.wake_at.map_or(never, |at| at.plus(-1)).max(model.now);
    let later = decide(&model.world, asleep);
    ensure(later.is_empty(), || format!("{} s later, not woken: {later:#?}", asleep.since(model.now)))
}

/// Whether what the plan does gives the next decision something that this one could not have.
fn opens_a_way(seen: &Seen<'_>) -> bool {
    let claims = |model: &Model| -> BTreeSet<(String, String)> {
        model.claims().map(|(policy, claim)| (policy.to_owned(), claim.node.clone())).collect()
    };
    let dropped = !claims(seen.before).is_subset(&claims(seen.after));
    // The next decision sees that a Node has changed since its claim, or since the claim of one that is gone.
    let versions = |model: &Model| -> Vec<String> {
        model.world.nodes.values().map(|node| node.resource_version.clone()).collect()
    };
    let has_moved = seen.after.claims().next().is_some() && versions(seen.before) != versions(seen.after);
    // A claim was added to the new policy of a node, and is then dropped from the old one.
    let nodes: BTreeSet<&str> = seen.after.claims().map(|(_, claim)| claim.node.as_str()).collect();
    let is_doubled = seen.after.claims().count() > nodes.len();
    // Marks count as used by what was read.
    let held = |model: &Model| -> Vec<bool> { model.world.nodes.values().map(|node| is_held(node)).collect() };
    dropped
        || has_moved
        || held(seen.before) != held(seen.after)
        || is_doubled
        || seen.plan.steps.iter().any(|step| match &step.write {
            Write::NodeHealthSpec(write) => write.read.is_none(),
            Write::DeleteNodeHealth { .. } | Write::DeleteRun { .. } => true,
            Write::NodeHealthStatus(_)
            | Write::NodeTaints { .. }
            | Write::NodeMarks { .. }
            | Write::NodeCondition { .. }
            | Write::RunStatus { .. }
            | Write::PolicyClaims { .. }
            | Write::RunObserved { .. }
            | Write::ResultCreate(_)
            | Write::PolicyStatus { .. } => false,
        })
}

/// Whether our taint keeps pods away from the node.
pub(super) fn is_held(node: &Node) -> bool {
    node.taints.iter().any(|t| t.key == names::TAINT_UNHEALTHY && t.effect != "PreferNoSchedule")
}

/// Whether some policy has a claim for exactly this Node.
pub(super) fn is_claimed(model: &Model, node: &Node) -> bool {
    model.claims().any(|(_, claim)| claim.node == node.name && claim.uid == node.uid)
}

/// Tries the next step of a writer, and checks the two sides of "our marks are a subset of the claims": no mark is
/// set without a claim, and no claim is dropped under a mark. Returns the object if it was written.
pub(super) fn step_within_claims(writer: &mut Writer, model: &mut Model) -> Result<Option<Key>, String> {
    let before = model.clone();
    let Some(key) = writer.step(model) else {
        return Ok(None);
    };
    for (name, node) in &model.world.nodes {
        let was = before.world.nodes.get(name).filter(|n| n.uid == node.uid);
        let newly_held = is_held(node) && !was.is_some_and(|n| is_held(n));
        ensure(!newly_held || is_claimed(model, node), || format!("{name} was marked without a claim"))?;
        let unpaid = is_held(node) && is_claimed(&before, node) && !is_claimed(model, node);
        ensure(!unpaid, || format!("the claim of {name} was dropped under its mark"))?;
    }
    Ok(Some(key))
}

/// Invariant 2, for one writer: claims before marks, and claims only while there is room.
pub(super) fn claims_come_first(seen: &Seen<'_>) -> Result<(), String> {
    every_claim_has_room(seen.before, seen.plan)?;
    let mut model = seen.before.clone();
    let mut writer = Writer::new(seen.plan.clone());
    while writer.next().is_some() {
        step_within_claims(&mut writer, &mut model)?;
    }
    Ok(())
}

/// Whether the plan adds claims only while there is room in the world that was decided upon.
pub(super) fn every_claim_has_room(model: &Model, plan: &Plan) -> Result<(), String> {
    for step in &plan.steps {
        if let Write::PolicyClaims { policy, claims, .. } = &step.write
            && let Some(standing) = model.world.policies.get(policy)
        {
            claims_have_room(model, standing, claims)?;
        }
    }
    Ok(())
}

/// Whether added claims stay within the limit, counted independently of the code under test. The claim of a node that is
/// out of service by our mark or by a standing claim takes no room.
fn claims_have_room(model: &Model, policy: &NodeHealthPolicy, claims: &[Claim]) -> Result<(), String> {
    let before: Vec<&Claim> = policy.status.iter().flat_map(|s| &s.budget.claims).collect();
    let is_new = |claim: &&Claim| {
        let is_known = before.iter().any(|b| b.node == claim.node && b.uid == claim.uid);
        !is_known && !model.world.nodes.get(&claim.node).is_some_and(|node| is_held(node))
    };
    if !claims.iter().any(|claim| is_new(&claim)) {
        return Ok(());
    }
    let name = policy.metadata.name.as_deref().unwrap_or_default();
    let governed: Vec<&Node> = governed_by(model, name);
    let is_out = |node: &Node| node.unschedulable || !node.ready || is_held(node);
    let held_by_others = governed.iter().filter(|n| is_out(n)).map(|n| n.name.as_str());
    let used: BTreeSet<&str> = claims.iter().map(|c| c.node.as_str()).chain(held_by_others).collect();
    let budget = &policy.spec.budget;
    let limit = |max: Scale, nodes: usize| {
        let number = |n: i64| usize::try_from(n).unwrap_or(0);
        match max {
            Scale::Nodes(nodes) => number(nodes),
            Scale::Percent(percent) => (nodes * number(percent) / 100).max(number(budget.minimum)),
        }
    };
    ensure(used.len() <= limit(budget.max_unavailable, governed.len()), || {
        format!("{name}: {used:?} is above the limit over {} nodes", governed.len())
    })?;
    let Some(DomainBudget { topology_key: key, max_unavailable }) = &budget.per_domain else {
        return Ok(());
    };
    let max = max_unavailable.unwrap_or(budget.max_unavailable);
    for claim in claims.iter().filter(is_new) {
        let domain = |node: &Node| node.labels.get(key).unwrap_or_default().to_owned();
        let here = model.world.nodes.get(&claim.node).map(|n| domain(n));
        let nodes: Vec<&&Node> = governed.iter().filter(|n| Some(domain(n)) == here).collect();
        let used_here = nodes.iter().filter(|n| used.contains(n.name.as_str())).count();
        ensure(used_here <= limit(max, nodes.len()), || {
            format!("{name}: the domain of {} is above its limit", claim.node)
        })?;
    }
    Ok(())
}

/// The nodes that a policy governs, found in a simpler way than the code under test does.
pub(super) fn governed_by<'a>(model: &'a Model, policy: &str) -> Vec<&'a Node> {
    let world = &model.world;
    let wins = |node: &&Node| winner(model, node).as_deref() == Some(policy);
    world.nodes.values().map(|n| &**n).filter(wins).collect()
}

/// The name of the policy that governs a node.
pub(super) fn winner(model: &Model, node: &Node) -> Option<String> {
    let world = &model.world;
    let is_accelerator_node = node.shows_accelerator()
        || world.node_healths.contains_key(&node.name)
        || is_claimed(model, node)
        || node.labels.get(names::LABEL_AGENT).is_some_and(|v| v == "true")
        || node.taints.iter().any(|t| t.key == names::TAINT_UNHEALTHY);
    world
        .policies
        .values()
        .filter(|p| is_accelerator_node && p.spec.node_selector.matches(|key| node.labels.get(key)))
        .max_by(|a, b| {
            let age = |p: &NodeHealthPolicy| p.metadata.creation_timestamp.clone().map(|t| t.0);
            (a.spec.priority.cmp(&b.spec.priority))
                .then(age(b).cmp(&age(a)))
                .then(b.metadata.name.cmp(&a.metadata.name))
        })
        .and_then(|p| p.metadata.name.clone())
}

fn foreign_taints(node: &Node) -> Vec<&Taint> {
    node.taints.iter().filter(|t| t.key != names::TAINT_UNHEALTHY).collect()
}

fn is_our_label(label: &str) -> bool {
    [names::LABEL_HEALTH, names::LABEL_SEVERITY, names::LABEL_AGENT].contains(&label)
        || label.starts_with(names::LABEL_CERTIFIED_PREFIX)
}

/// Invariant 3.
pub(super) fn foreign_marks_survive(seen: &Seen<'_>) -> Result<(), String> {
    for (name, before) in &seen.before.world.nodes {
        let Some(after) = seen.after.world.nodes.get(name) else {
            return Err(format!("Node {name} is gone"));
        };
        ensure(foreign_taints(before) == foreign_taints(after), || {
            format!("foreign taints of {name}: {:?} -> {:?}", before.taints, after.taints)
        })?;
        let foreign = |node: &Node| -> Vec<(String, String)> {
            let labels = node.labels.iter().filter(|(k, _)| !is_our_label(k));
            labels.map(|(k, v)| (k.to_owned(), v.to_owned())).collect()
        };
        ensure(foreign(before) == foreign(after), || format!("foreign labels of {name}"))?;
        ensure(before.unschedulable == after.unschedulable, || format!("cordon of {name}"))?;
    }
    Ok(())
}

/// Invariant 4.
pub(super) fn modes_are_kept(seen: &Seen<'_>) -> Result<(), String> {
    for (name, before) in &seen.before.world.nodes {
        let Some(after) = seen.after.world.nodes.get(name) else {
            return Err(format!("Node {name} is gone"));
        };
        let mode = winner(seen.before, before).and_then(|p| seen.before.world.policies.get(&p)).map(|p| p.spec.mode);
        let added = marks_of(after).difference(&marks_of(before)).cloned().collect::<Vec<_>>();
        let lifted = marks_of(before).difference(&marks_of(after)).cloned().collect::<Vec<_>>();
        if seen.before.world.hold_everything || mode == Some(Mode::Hold) {
            ensure(added.is_empty() && lifted.is_empty(), || {
                format!("Hold changed {name}: added {added:?}, lifted {lifted:?}")
            })?;
        } else if mode.is_none_or(|m| m == Mode::Observe) {
            ensure(added.is_empty(), || format!("Observe added {added:?} to {name}"))?;
        }
    }
    for step in &seen.plan.steps {
        match &step.write {
            Write::NodeTaints { node, .. } => taint_has_evidence(seen, node)?,
            Write::NodeHealthStatus(write) => causes_lift_by_a_pass(seen, &write.name, &write.decision)?,
            Write::NodeHealthSpec(_)
            | Write::DeleteNodeHealth { .. }
            | Write::NodeMarks { .. }
            | Write::NodeCondition { .. }
            | Write::RunStatus { .. }
            | Write::RunObserved { .. }
            | Write::ResultCreate(_)
            | Write::DeleteRun { .. }
            | Write::PolicyClaims { .. }
            | Write::PolicyStatus { .. } => {}
        }
    }
    Ok(())
}

/// Every mark of a decision on a Node, as text.
fn marks_of(node: &Node) -> BTreeSet<String> {
    let taints = node
        .taints
        .iter()
        .filter(|t| t.key == names::TAINT_UNHEALTHY)
        .map(|t| format!("taint {}:{}", t.value, t.effect));
    let labels = node
        .labels
        .iter()
        .filter(|(k, _)| is_our_label(k) && *k != names::LABEL_AGENT)
        .map(|(k, v)| format!("label {k}={v}"));
    let summary = node.summary.iter().map(|s| format!("annotation {s}"));
    let condition = node.condition.iter().map(|c| format!("condition {c:?}"));
    taints.chain(labels).chain(summary).chain(condition).collect()
}

fn status_of<'a>(seen: &'a Seen<'_>, name: &str) -> (Option<&'a Report>, Option<&'a Decision>) {
    let status = seen.before.world.node_healths.get(name).and_then(|h| h.status.as_ref());
    (status.and_then(|s| s.report.as_ref()), status.and_then(|s| s.decision.as_ref()))
}

fn is_condemning(outcome: &Outcome, severity: &Severity) -> bool {
    *outcome == Outcome::Fail && matches!(severity, Severity::Reset | Severity::Reboot | Severity::Isolate)
}

/// A taint of ours comes only where a Fail at Reset or above was reported, now or before, or on a marked node.
fn taint_has_evidence(seen: &Seen<'_>, name: &str) -> Result<(), String> {
    let (report, decision) = status_of(seen, name);
    let found = report.is_some_and(|r| {
        r.findings.iter().any(|f| is_condemning(&f.outcome, &f.severity) || f.check == "drill")
            || r.runs.iter().flat_map(|run| &run.results).any(|result| is_condemning(&result.outcome, &result.severity))
    });
    let remembered = decision.is_some_and(|d| d.causes.iter().any(|c| is_condemning(&c.outcome, &c.severity)));
    let bears = |model: &Model| {
        let node = model.world.nodes.get(name);
        node.is_some_and(|n| n.taints.iter().any(|t| t.key == names::TAINT_UNHEALTHY))
    };
    // The mark of a claim that a dead leader left may appear for a moment (PreferNoSchedule).
    let node = seen.before.world.nodes.get(name);
    let claimed = node.is_some_and(|n| is_claimed(seen.before, n));
    let is_new = bears(seen.after) && !bears(seen.before) && !claimed;
    ensure(found || remembered || !is_new, || format!("{name} was tainted for no known reason"))
}

/// A cause that goes away has a pass in the report, or one of the inventory for an address at which no board is listed, and
/// the agent is not silent; a drill has rules of its own.
fn causes_lift_by_a_pass(seen: &Seen<'_>, name: &str, new: &Decision) -> Result<(), String> {
    let (report, decision) = status_of(seen, name);
    for cause in decision.iter().flat_map(|d| &d.causes) {
        let stays = new.causes.iter().any(|c| c.check == cause.check && c.target == cause.target);
        if stays || cause.is_drill() {
            continue;
        }
        let silent = seen.before.world.agent_is_silent(name);
        let passed = report.is_some_and(|r| passes(r, cause));
        ensure(!silent && passed, || format!("{name}: {} on {} was lifted without a pass", cause.check, cause.target))?;
    }
    Ok(())
}

fn passes(report: &Report, cause: &Cause) -> bool {
    let is_cut = report.truncated.is_some();
    let finding = report.findings.iter().any(|f| f.check == cause.check && f.target == cause.target);
    let judged = |o: &Outcome| matches!(o, Outcome::Pass | Outcome::Warn | Outcome::Fail);
    let row = report.checks.iter().any(|row| {
        judged(&row.outcome)
            && (row.outcome == Outcome::Pass || !is_cut)
            && (cause.check == "adopted" && !is_cut || row.check == cause.check && row.covered.contains(&cause.target))
    });
    let result = report.runs.iter().flat_map(|r| &r.results).any(|r| {
        r.check == cause.check
            && (r.on(&cause.target).is_some_and(|(outcome, _)| *outcome == Outcome::Pass)
                || cause.target == names::TARGET_NODE && r.outcome == Outcome::Pass)
    });
    let is_listed = report.inventory.gpus.iter().any(|gpu| gpu.pci_address == cause.target);
    let left = report
        .checks
        .iter()
        .any(|row| row.check == "inventory" && judged(&row.outcome) && row.covered.contains(&cause.target))
        && cause.target != names::TARGET_NODE
        && !is_listed;
    let all_pass = |check: &str| report.checks.iter().any(|row| row.check == check && row.outcome == Outcome::Pass);
    // The agent named an address at which there never was anything.
    let never_was = cause.target.contains(':') && !is_listed && all_pass("inventory") && all_pass(&cause.check);
    !finding && (row || result || (!is_cut && (left || never_was)))
}
