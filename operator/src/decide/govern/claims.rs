//! The claims as read: which are valid, for which Nodes, and what each pays for.
//!
//! A claim names the version of its Node for which it was made. While the Node bears no mark, a mark is only ever written
//! to that version: the API server refuses it once the Node has moved on. So a claim whose Node is seen at a later version
//! without a mark pays for nothing, and nothing can come for it any more, whoever else decides and however late a write
//! arrives. A claim whose Node we see at an earlier version belongs to somebody who knows more than we do.

use crate::world::{Node, World};
use crds::{
    NodeHealthPolicy,
    node_health_policy::{Claim, Mode},
};
use std::{cmp::Ordering, collections::BTreeMap};

/// The claims of existing Nodes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Claims<'w> {
    /// By node: the name of the policy, and the claim.
    by_node: BTreeMap<&'w str, Vec<(&'w str, &'w Claim)>>,
}

/// A claim, compared with its Node as read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Age {
    /// It was made for a later state of the Node than the one that we see.
    Ahead,
    /// It was made for this version of the Node.
    Current,
    /// The Node has changed since.
    Past,
}

impl<'w> Claims<'w> {
    /// Reads the claims of every policy; a claim for a Node that was deleted or replaced is ignored.
    pub(crate) fn read(world: &'w World) -> Self {
        let mut by_node: BTreeMap<&str, Vec<_>> = BTreeMap::new();
        for (name, policy) in &world.policies {
            for claim in claims_of(policy).filter(|claim| is_for_present_node(world, claim)) {
                by_node.entry(claim.node.as_str()).or_default().push((name.as_str(), claim));
            }
        }
        Self { by_node }
    }

    /// Every claim of this node, with the name of the policy.
    pub(crate) fn of_node(&self, node: &str) -> &[(&'w str, &'w Claim)] {
        self.by_node.get(node).map_or(&[], Vec::as_slice)
    }

    /// The claim of this policy for the node of this name.
    pub(crate) fn of(&self, policy: &str, node: &str) -> Option<&'w Claim> {
        self.of_node(node).iter().find(|(name, _)| *name == policy).map(|(_, claim)| *claim)
    }

    /// Whether a policy other than `policy` has a claim of this or a later version for the node.
    pub(crate) fn is_outdone(&self, policy: &str, claim: &Claim) -> bool {
        let version = number(&claim.node_version);
        self.of_node(&claim.node).iter().any(|(name, other)| *name != policy && number(&other.node_version) >= version)
    }
}

/// Whether the Node of this claim is gone. We must have seen later changes of Nodes than the one that the claim was made
/// for: else it may be a Node that we have not seen yet.
pub(crate) fn is_of_gone_node(world: &World, claim: &Claim) -> bool {
    if is_for_present_node(world, claim) {
        return false;
    }
    let latest = || world.nodes.values().map(|node| number(&node.resource_version)).max().unwrap_or(0);
    let seen = world.nodes.get(&claim.node).map_or_else(latest, |node| number(&node.resource_version));
    seen > number(&claim.node_version)
}

/// How old the claim is, by its Node as read.
pub(crate) fn age(claim: &Claim, node: &Node) -> Age {
    match number(&claim.node_version).cmp(&number(&node.resource_version)) {
        Ordering::Greater => Age::Ahead,
        Ordering::Equal => Age::Current,
        Ordering::Less => Age::Past,
    }
}

/// Whether the first claim was made for a later version of the node than the second one.
pub(crate) fn is_later(one: &Claim, other: &Claim) -> bool {
    number(&one.node_version) > number(&other.node_version)
}

/// Versions of one kind are growing numbers (official since Kubernetes 1.35, and so in etcd always). A claim without one
/// is older than any Node; a Node without one is never later than a claim.
fn number(version: &str) -> u64 {
    version.parse().unwrap_or(0)
}

/// Whether the claims of a policy may not change.
pub(crate) fn is_frozen(world: &World, policy: &NodeHealthPolicy) -> bool {
    world.hold_everything || policy.spec.mode == Mode::Hold
}

/// The current claims of a policy.
pub(crate) fn claims_of(policy: &NodeHealthPolicy) -> impl Iterator<Item = &Claim> {
    policy.status.iter().flat_map(|s| &s.budget.claims)
}

/// Whether the Node of a claim still exists, with the same uid.
pub(crate) fn is_for_present_node(world: &World, claim: &Claim) -> bool {
    world.nodes.get(&claim.node).is_some_and(|node| node.uid == claim.uid)
}
