//! Our taints on a Node: what happens to each, and the single list that is written for all of them.

use crate::{
    decide::{
        govern::authority::Authority,
        judge::{rules::removes_capacity, verdict::Judgement},
    },
    world::{Node, Taint},
};
use crds::{State, node_health_policy::TaintEffect};
use std::collections::BTreeMap;

/// What to do with our taint on the Node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TaintToBe {
    /// Leave it as it is.
    Keep,
    /// Set it with this effect (never [`TaintEffect::None`]).
    Set(TaintEffect),
    /// Remove it.
    Remove,
}

/// Whether our taint keeps pods away from this Node now.
pub(crate) fn is_marked(node: &Node) -> bool {
    node.taints.iter().any(removes_capacity)
}

/// What to do with our taint. `has_slot`: whether a claim pays for it.
pub(crate) fn taint_to_be(
    authority: Authority<'_>,
    judgement: &Judgement,
    effect: TaintEffect,
    has_slot: bool,
    is_marked: bool,
) -> TaintToBe {
    let quarantined = judgement.state == State::Unhealthy;
    match authority {
        Authority::Frozen => TaintToBe::Keep,
        Authority::Observe { release } if quarantined && !release => TaintToBe::Keep,
        Authority::Observe { .. } => TaintToBe::Remove,
        Authority::Enforce(_) => match effect {
            TaintEffect::None => TaintToBe::Remove,
            TaintEffect::PreferNoSchedule => TaintToBe::Set(effect),
            TaintEffect::NoSchedule | TaintEffect::NoExecute if has_slot => TaintToBe::Set(effect),
            // Set under a former policy, and this one has no slot for it yet: a mark is never lifted without evidence.
            TaintEffect::NoSchedule | TaintEffect::NoExecute if is_marked => TaintToBe::Keep,
            TaintEffect::NoSchedule | TaintEffect::NoExecute => TaintToBe::Set(TaintEffect::PreferNoSchedule),
        },
    }
}

/// How to touch the taints of a Node whose claim has no mark: the write changes the resourceVersion, so any mark still in
/// flight fails. It toggles PreferNoSchedule, which costs no capacity; the next decision corrects it.
pub(crate) fn touch(authority: Authority<'_>, has_taint: bool) -> TaintToBe {
    match authority {
        Authority::Enforce(_) | Authority::Observe { .. } if has_taint => TaintToBe::Remove,
        Authority::Enforce(_) => TaintToBe::Set(TaintEffect::PreferNoSchedule),
        // Observe adds nothing: the claim stays until the policy enforces again or the Node is deleted.
        Authority::Observe { .. } | Authority::Frozen => TaintToBe::Keep,
    }
}

const fn effect_name(effect: TaintEffect) -> Option<&'static str> {
    match effect {
        TaintEffect::None => None,
        TaintEffect::PreferNoSchedule => Some("PreferNoSchedule"),
        TaintEffect::NoSchedule => Some("NoSchedule"),
        TaintEffect::NoExecute => Some("NoExecute"),
    }
}

/// The desired state of one of our taints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OwnTaint<'a> {
    /// Its key.
    pub(crate) key: &'static str,
    /// Its value if it is set.
    pub(crate) value: &'a str,
    /// What to do with it.
    pub(crate) to_be: TaintToBe,
}

impl OwnTaint<'_> {
    /// The taint to write; `None` if it is removed. A taint that keeps its effect keeps its time.
    fn written(&self, node: &Node) -> Option<Taint> {
        let effect = match self.to_be {
            TaintToBe::Keep | TaintToBe::Remove => return None,
            TaintToBe::Set(effect) => effect_name(effect)?,
        };
        let same = node.taints.iter().find(|t| t.key == self.key && t.effect == effect);
        Some(Taint {
            key: self.key.to_owned(),
            value: self.value.to_owned(),
            effect: effect.to_owned(),
            time_added: same.and_then(|t| t.time_added.clone()),
        })
    }
}

/// The complete list of taints of a Node with ours as desired, or `None` if nothing changes. Foreign taints keep their
/// order, and each of ours its place.
pub(crate) fn list(node: &Node, ours: &[OwnTaint<'_>]) -> Option<Vec<Taint>> {
    let changed = ours.iter().filter(|own| own.to_be != TaintToBe::Keep);
    let mut written: BTreeMap<&str, Option<Taint>> = changed.map(|own| (own.key, own.written(node))).collect();
    if written.iter().all(|(key, taint)| taint.is_none() && node.taint(key).is_none()) {
        return None;
    }
    let mut list = Vec::with_capacity(node.taints.len() + written.len());
    for taint in &node.taints {
        match written.get_mut(taint.key.as_str()) {
            Some(own) => list.extend(own.take()),
            None => list.push(taint.clone()),
        }
    }
    list.extend(written.into_values().flatten());
    (list != node.taints).then_some(list)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crds::names::{TAINT_CHECKING, TAINT_UNHEALTHY};

    fn taint(key: &str, effect: &str) -> Taint {
        Taint { key: key.into(), value: "x".into(), effect: effect.into(), time_added: None }
    }

    fn own(key: &'static str, to_be: TaintToBe) -> OwnTaint<'static> {
        OwnTaint { key, value: "x", to_be }
    }

    #[test]
    fn several_taints_of_ours_change_in_one_list_and_foreign_ones_stay_where_they_are() {
        let taints = vec![taint(TAINT_CHECKING, "NoSchedule"), taint("dedicated", "NoSchedule")];
        let node = Node { taints, ..Node::default() };
        let set = TaintToBe::Set(TaintEffect::NoSchedule);
        let keys = |ours: &[OwnTaint<'_>]| -> Option<Vec<String>> {
            Some(list(&node, ours)?.into_iter().map(|t| t.key).collect())
        };
        assert_eq!(
            keys(&[own(TAINT_UNHEALTHY, set), own(TAINT_CHECKING, TaintToBe::Remove)]).unwrap(),
            ["dedicated", TAINT_UNHEALTHY]
        );
        assert_eq!(
            keys(&[own(TAINT_UNHEALTHY, set), own(TAINT_CHECKING, TaintToBe::Keep)]).unwrap(),
            [TAINT_CHECKING, "dedicated", TAINT_UNHEALTHY]
        );
        assert_eq!(keys(&[own(TAINT_UNHEALTHY, TaintToBe::Remove), own(TAINT_CHECKING, set)]), None);
    }
}
