//! Causes for a node that has our taint but no recorded cause: an earlier operator marked it, or its NodeHealth was
//! deleted. The mark is adopted; losing the record never counts as a recovery.

use super::{
    drill_causes,
    lift::{ADOPTED_CHECK, one_pass},
    rules::removes_capacity,
    stray,
};
use crate::{
    decide::annotation::Annotation,
    world::{Node, Taint},
};
use crds::{
    Outcome, Severity, State, Time,
    condition::{truncate, word},
    names,
    node_health::{Cause, Lift, MAX_CAUSES},
    node_health_policy::ClaimFor,
    reason,
};

/// The causes of a node that has our taint but no known cause: what its claim is for and all that its annotation lists, else
/// one cause that is lifted by a pass of every enabled check. A lost drill is not adopted: it is over by then.
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
            Lift { text: "1 pass of every enabled check that applies".into(), required_passes: 1, ..Lift::default() }
        } else {
            one_pass(check, target)
        };
        Cause {
            check: check.to_owned(),
            target: truncate(target, 64),
            outcome: Outcome::Fail,
            severity: severity.clone(),
            reason: word(why),
            message: "The Node already had the operator's taint, and no check has lifted this cause since.".into(),
            since: now,
            lift,
            ..Cause::default()
        }
    };
    let of_claim = claim.and_then(|claim| {
        let check = claim.check.as_deref().filter(|check| !check.is_empty())?;
        let target = claim.target.as_deref().unwrap_or(names::TARGET_NODE);
        Some((check, target, claim.reason.as_deref().unwrap_or(reason::ADOPTED)))
    });
    let listed = annotation.iter().flat_map(|t| &t.causes);
    let listed = listed.map(|c| (c.check.as_str(), c.target.as_str(), c.reason.as_str()));
    let (mut drills, mut causes) = (0, Vec::<Cause>::new());
    for (check, target, why) in of_claim.into_iter().chain(listed) {
        if drill_causes::is_of_drill(check) {
            drills += 1;
        } else if is_whole(check, target, why) && !causes.iter().any(|c| c.check == check && c.target == target) {
            causes.push(cause(check, target, why));
        }
    }
    if causes.is_empty() && drills == 0 {
        causes.push(cause(ADOPTED_CHECK, names::TARGET_NODE, reason::ADOPTED));
    }
    causes.truncate(MAX_CAUSES);
    causes
}

/// Whether a check can ever lift this cause. What is cut or misspelt is left to the passes of every check.
fn is_whole(check: &str, target: &str, why: &str) -> bool {
    stray::is_check(check) && target.len() <= 64 && stray::is_target(target) && !why.is_empty()
}

/// The severity given by the value of our taint.
fn severity_of(taint: &Taint) -> Option<Severity> {
    Severity::ALL.iter().find(|s| s.label() == taint.value).cloned()
}
