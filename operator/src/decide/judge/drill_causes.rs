//! The cause that a drill opens on its node: plainly marked as a drill, and gone once its work order is.
//!
//! The content of a drill comes from its work order, never from the agent: a finding of the check `drill` without an order
//! opens no cause. The order is removed when the drill is over by the operator's clock, when its run is cancelled or
//! deleted, when its agent is silent, or when the policy no longer allows drills; the cause is removed in the same decision.
//! So no drill outlives its time, and it affects no cause of another check.

use crds::{
    Check, Outcome, Time,
    check::Drill,
    condition::truncate,
    names,
    node_health::{Assignment, Cause, Finding, Lift, Report, RunState},
    reason,
};

/// The drills among these orders.
fn ordered(orders: &[Assignment]) -> impl Iterator<Item = (&Assignment, &Drill)> {
    orders.iter().flat_map(|order| order.checks.iter().filter_map(move |c| Some((order, c.drill.as_ref()?))))
}

fn target(drill: &Drill) -> &str {
    drill.finding.target.as_deref().unwrap_or(names::TARGET_NODE)
}

/// Whether a finding or a result comes from a drill.
pub(crate) fn is_of_drill(check: &str) -> bool {
    check == Check::Drill.name()
}

/// Whether the drill sets no marks on the Node.
pub(crate) fn is_unmarked(cause: &Cause) -> bool {
    cause.is_drill() && cause.outcome != Outcome::Fail
}

/// The cause that a drill's finding opens, if it was ordered. Without `marks` it is a warning, which quarantines nothing.
pub(crate) fn cause(finding: &Finding, orders: &[Assignment], now: Time) -> Option<Cause> {
    let is_meant = |drill: &Drill| target(drill) == finding.target;
    let same_reason = |drill: &Drill| finding.reason.ends_with(drill.finding.reason.as_str());
    let (order, drill) = ordered(orders)
        .find(|(_, drill)| is_meant(drill) && same_reason(drill))
        .or_else(|| ordered(orders).find(|(_, drill)| is_meant(drill)))?;
    Some(Cause {
        check: Check::Drill.name().to_owned(),
        target: truncate(&finding.target, 64),
        run: Some(truncate(&order.run, 253)),
        outcome: if drill.marks { Outcome::Fail } else { Outcome::Warn },
        severity: drill.finding.severity.clone(),
        reason: truncate(&format!("{}{}", reason::DRILL, drill.finding.reason), 63),
        message: truncate(&finding.message, 256),
        since: now,
        lift: Lift {
            text: format!("the end of the drill, at most {} s after it starts", drill.seconds),
            required_passes: 1,
            ..Lift::default()
        },
        ..Cause::default()
    })
}

/// Whether the drill of this cause is still running.
pub(crate) fn is_running(cause: &Cause, orders: &[Assignment], report: Option<&Report>) -> bool {
    let is_found = report.is_some_and(|r| r.findings.iter().any(|f| is_of_drill(&f.check) && f.target == cause.target));
    let is_done = |order: &Assignment| {
        report.is_some_and(|r| r.runs.iter().any(|run| run.id == order.id && run.state == RunState::Done))
    };
    ordered(orders).any(|(order, drill)| target(drill) == cause.target && (is_found || !is_done(order)))
}
