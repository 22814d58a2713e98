//! The effect of our taint, from the rules of a policy and the open causes.

use crate::world::Taint;
use crds::{
    NodeHealthPolicy, names,
    node_health::Cause,
    node_health_policy::{Rule, TaintEffect},
};

/// The effect that the policy's rules give a node with these causes, worst first: the strongest of all causes that
/// condemn. Each takes the first rule that matches, NoSchedule where none does. `None` where nothing condemns or the
/// policy writes no taints. A drill is ignored if there is a real cause that condemns.
pub(crate) fn effect_of(policy: Option<&NodeHealthPolicy>, causes: &[Cause]) -> TaintEffect {
    let spec = policy.map(|p| &p.spec);
    let taints_are_on = spec.is_none_or(|s| s.outputs.taints.enabled);
    if !taints_are_on {
        return TaintEffect::None;
    }
    let rules = spec.map_or(&[][..], |s| s.rules.as_slice());
    let is_drill = causes.first().is_some_and(Cause::is_drill);
    causes
        .iter()
        .filter(|cause| cause.condemns() && (is_drill || !cause.is_drill()))
        .map(|cause| {
            rules
                .iter()
                .find(|rule| rule.is_applied() && matches(rule, cause))
                .and_then(|rule| rule.effect.as_ref())
                .map_or_else(TaintEffect::default, |effect| effect.taint)
        })
        .max_by_key(|effect| strength(*effect))
        .unwrap_or(TaintEffect::None)
}

const fn strength(effect: TaintEffect) -> u8 {
    match effect {
        TaintEffect::None => 0,
        TaintEffect::PreferNoSchedule => 1,
        TaintEffect::NoSchedule => 2,
        TaintEffect::NoExecute => 3,
    }
}

/// Whether a taint with this effect removes capacity and so needs a claim.
pub(crate) const fn needs_claim(effect: TaintEffect) -> bool {
    match effect {
        TaintEffect::None | TaintEffect::PreferNoSchedule => false,
        TaintEffect::NoSchedule | TaintEffect::NoExecute => true,
    }
}

fn matches(rule: &Rule, cause: &Cause) -> bool {
    let wanted = &rule.match_;
    (wanted.checks.is_empty() || wanted.checks.contains(&cause.check))
        && (wanted.reasons.is_empty() || wanted.reasons.contains(&cause.reason))
        && (wanted.codes.is_empty()
            || cause.code.as_ref().is_some_and(|code| wanted.codes.iter().any(|c| c.0 == *code)))
        && (wanted.severities.is_empty() || wanted.severities.contains(&cause.severity))
        && (wanted.outcomes.is_empty() || wanted.outcomes.contains(&cause.outcome))
}

/// Whether this is our taint in a form that keeps pods away.
pub(crate) fn removes_capacity(taint: &Taint) -> bool {
    taint.key == names::TAINT_UNHEALTHY && taint.effect != "PreferNoSchedule"
}
