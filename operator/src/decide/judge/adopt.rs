//! Causes for a node that has our taint but no recorded cause: an earlier operator marked it, or its NodeHealth was
//! deleted. The mark is adopted; losing the record never counts as a recovery.

use super::{
    drill_causes,
    lift::{ADOPTED_CHECK, one_pass},
    rules::removes_capacity,
};
use crate::{
    decide::annotation::{AnnotatedCause, Annotation},
    world::{Node, Taint},
};
use crds::{
    Outcome, Severity, State, Time,
    condition::truncate,
    names,
    node_health::{Cause, Lift, MAX_CAUSES},
    node_health_policy::ClaimFor,
    reason,
};

/// The causes of a node that has our taint but no known cause: from its claim, else from its annotation, else one cause
/// that is lifted by a pass of every enabled check. A lost drill is not adopted: it is over by then.
pub(crate) fn adopted_causes(node: &Node, claim: Option<&ClaimFor>, now: Time) -> Vec<Cause> {
    let annotation = Annotation::read(node).filter(|annotation| annotation.state == Some(State::Unhealthy));
    let severity = annotation
        .as_ref()
        .and_then(|t| t.severity.clone())
        .into_iter()
        .chain(node.taints.iter().filter(|t| removes_capacity(t)).filter_map(severity_of))
        .find(Severity::condemns)
        .unwrap_or(Severity::Reset);
    let cause = |check: &str, target: &str, why: &str| {
        let lift = if check == ADOPTED_CHECK {
            Lift { text: "1 pass of every enabled check".into(), required_passes: 1, ..Lift::default() }
        } else {
            one_pass(check, target)
        };
        Cause {
            check: truncate(check, 80),
            target: truncate(target, 64),
            outcome: Outcome::Fail,
            severity: severity.clone(),
            reason: truncate(why, 63),
            message: "The Node already had the operator's taint, and no check has lifted this cause since.".into(),
            since: now,
            lift,
            ..Cause::default()
        }
    };
    if let Some(check) =
        claim.and_then(|c| c.check.as_deref()).filter(|c| !c.is_empty() && !drill_causes::is_of_drill(c))
    {
        let target = claim.and_then(|c| c.target.as_deref()).unwrap_or(names::TARGET_NODE);
        let why = claim.and_then(|c| c.reason.as_deref()).unwrap_or(reason::ADOPTED);
        return vec![cause(check, target, why)];
    }
    let listed: Vec<&AnnotatedCause> = annotation
        .iter()
        .flat_map(|t| &t.causes)
        .filter(|c| !c.check.is_empty() && !c.target.is_empty() && !c.reason.is_empty())
        .take(MAX_CAUSES)
        .collect();
    let real = listed.iter().filter(|c| !drill_causes::is_of_drill(&c.check));
    let from_annotation: Vec<Cause> = real.map(|c| cause(&c.check, &c.target, &c.reason)).collect();
    if listed.is_empty() { vec![cause(ADOPTED_CHECK, names::TARGET_NODE, reason::ADOPTED)] } else { from_annotation }
}

/// The severity given by the value of our taint.
fn severity_of(taint: &Taint) -> Option<Severity> {
    Severity::ALL.iter().find(|s| s.label() == taint.value).cloned()
}
