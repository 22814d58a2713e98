//! The claims as read: which are valid, for which Nodes, and what each pays for.

use crate::world::World;
use crds::{
    NodeHealthPolicy,
    node_health_policy::{Claim, ClaimFor, Mode},
};
use std::collections::BTreeMap;

/// The claims of existing Nodes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Claims<'w> {
    /// By node: the name of the policy, and the claim.
    by_node: BTreeMap<&'w str, Vec<(&'w str, &'w Claim)>>,
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

    /// The claim of this node: that of its own policy, else any.
    pub(crate) fn spent_for(&self, node: &str, policy: Option<&str>) -> Option<&'w ClaimFor> {
        let claims = self.by_node.get(node)?;
        claims.iter().find(|(name, _)| Some(*name) == policy).or_else(|| claims.first()).map(|(_, claim)| &claim.for_)
    }

    /// Whether this policy has a claim for the node of this name.
    pub(crate) fn has(&self, policy: &str, node: &str) -> bool {
        self.by_node.get(node).is_some_and(|claims| claims.iter().any(|(name, _)| *name == policy))
    }

    /// The nodes that there is a claim for, by name.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = &'w str> {
        self.by_node.keys().copied()
    }

    /// Whether there is a claim for the node of this name that may be dropped.
    pub(crate) fn may_be_dropped(&self, world: &World, node: &str) -> bool {
        self.by_node.get(node).is_some_and(|claims| {
            claims.iter().filter_map(|(policy, _)| world.policies.get(*policy)).any(|policy| !is_frozen(world, policy))
        })
    }
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
