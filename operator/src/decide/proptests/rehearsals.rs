//! Drills: what they say, how long they last, and what they leave alone.

use super::checks::{Seen, ensure, is_held, winner};
use crate::{plan::Write, world::Node};
use crds::{
    HealthCheckRun, Outcome,
    check::Drill,
    node_health::{Cause, Decision},
};

/// A drill is shown as a drill, lasts no longer than its run and the permission of its policy, marks nothing unless it is
/// ordered to, and never outranks a real cause.
pub(super) fn drills_are_labelled_and_end(seen: &Seen<'_>) -> Result<(), String> {
    for step in &seen.plan.steps {
        let Write::NodeHealthStatus(write) = &step.write else { continue };
        let (name, decision) = (write.name.as_str(), &write.decision);
        let drills: Vec<&Cause> = decision.causes.iter().filter(|c| c.is_drill()).collect();
        for cause in &drills {
            ensure(cause.reason.starts_with("Drill"), || {
                format!("{name}: {} does not say that it is a drill", cause.reason)
            })?;
            let ordered = orders(seen, name, cause);
            ensure(!ordered.is_empty(), || format!("{name}: a drill without an order: {cause:?}"))?;
            let marks = ordered.iter().any(|drill| drill.marks);
            ensure(marks || cause.outcome != Outcome::Fail, || {
                format!("{name}: a drill without marks counts as condemning")
            })?;
            ensure(allowed(seen, name), || format!("{name}: a drill that no policy allows"))?;
        }
        is_labelled(name, decision)?;
        let condemned = decision.causes.iter().any(|c| c.outcome == Outcome::Fail && c.severity.condemns());
        let node = |model: &super::Model| model.world.nodes.get(name).is_some_and(|n| is_held(n));
        let newly_marked = node(seen.after) && !node(seen.before);
        ensure(!newly_marked || condemned, || format!("{name} is marked by a drill that must not mark"))?;
    }
    Ok(())
}

/// If the worst cause is a drill, the first word of the message says so; a condemning real cause is always the worst.
fn is_labelled(name: &str, decision: &Decision) -> Result<(), String> {
    let Some(worst) = decision.causes.first() else { return Ok(()) };
    let says_so = decision.reason == "Adopted" || !worst.is_drill() || decision.message.starts_with("DRILL ");
    // A node that is silent says only that.
    let is_unknown = decision.state == crds::State::Unknown;
    ensure(says_so || is_unknown, || format!("{name}: {}", decision.message))?;
    let real = decision.causes.iter().any(|c| !c.is_drill() && c.condemns());
    ensure(!real || !worst.is_drill(), || format!("{name}: a drill hides what is real"))
}

/// The drills of this target that runs which have not ended, once the plan is written, ask of this node.
fn orders<'a>(seen: &Seen<'a>, node: &str, cause: &Cause) -> Vec<&'a Drill> {
    let is_open = |run: &&HealthCheckRun| {
        !run.spec.cancel
            && run.metadata.deletion_timestamp.is_none()
            && run.status.as_ref().is_some_and(|s| !s.phase.is_final() && s.targets.iter().any(|t| t.node == node))
    };
    let runs = seen.after.world.runs.values().map(|run| &**run).filter(is_open);
    runs.flat_map(|run| run.spec.checks.iter().flatten())
        .filter_map(|check| check.drill.as_ref())
        .filter(|drill| drill.finding.target.as_deref().unwrap_or("node") == cause.target)
        .collect()
}

fn allowed(seen: &Seen<'_>, name: &str) -> bool {
    let node: Option<&Node> = seen.before.world.nodes.get(name).map(|n| &**n);
    let policy = node.and_then(|n| winner(seen.before, n)).and_then(|p| seen.before.world.policies.get(&p));
    policy.is_some_and(|p| p.spec.drills.as_ref().is_some_and(|d| d.allow))
}
