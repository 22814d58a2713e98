//! Our condition on a Node.

use super::metadata::Shown;
use crate::{decide::govern::authority::Authority, world::Node};
use crds::{
    Condition, State, Time,
    condition::{Status, Wanted, merge},
    names,
};

/// The condition's status: False if Unhealthy, Unknown if Unknown, else True.
pub(crate) fn status_of(state: &State) -> Status {
    match state {
        State::Unhealthy => Status::False,
        State::Unknown | State::Unrecognized(_) => Status::Unknown,
        State::Healthy | State::Suspect | State::NotApplicable => Status::True,
    }
}

/// The desired Node condition; `None` if nothing changes, `Some(None)` to remove it.
#[allow(clippy::option_option)]
pub(crate) fn node_condition(
    node: &Node,
    authority: Authority<'_>,
    shown: Shown<'_>,
    now: Time,
) -> Option<Option<Condition>> {
    let wanted = match authority {
        Authority::Frozen => return None,
        Authority::Observe { release } => {
            if shown.judgement.state == State::Unhealthy && !release {
                return None;
            }
            None
        }
        Authority::Enforce(policy) => policy.spec.outputs.node_condition.enabled.then(|| {
            Wanted::new(
                names::NODE_CONDITION,
                status_of(&shown.judgement.state),
                &shown.judgement.reason,
                shown.message,
            )
        }),
    };
    let wanted = wanted.and_then(|wanted| merge(node.condition.as_slice(), vec![wanted], None, now).into_iter().next());
    (wanted != node.condition).then_some(wanted)
}
