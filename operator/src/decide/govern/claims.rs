//! The claims as they were read: which stand, for which Nodes, and what each was spent for.

use crate::world::World;
use crds::{
    HealthCheckPolicy,
    health_check_policy::{Claim, ClaimFor, Mode},
};
use std::collections::BTreeMap;

/// The claims that stand for Nodes that exist.
#[derive(Clone, Debug, Default)]
pub(crate) struct Claims<'w> {
    /// By node: the name of the policy, and the claim.
    by_node: BTreeMap<&'w str, Vec<(&'w str, &'w Claim)>>,
}

impl<'w> Claims<'w> {
    /// Reads the claims of every policy; one for a Node that is gone or was replaced stands for nothing.
    pub(crate) fn read(world: &'w World) -> Self {
        let mut by_node: BTreeMap<&str, Vec<_>> = BTreeMap::new();
        for (name, policy) in &world.policies {
            for claim in claims_of(policy).filter(|claim| is_for_present_node(world, claim)) {
                by_node.entry(claim.node.as_str()).or_default().push((name.as_str(), claim));
            }
        }
        Self { by_node }
    }

    /// What the claim of this node was spent for: that of its policy, else any.
    pub(crate) fn spent_for(&self, node: &str, policy: Option<&str>) -> Option<&'w ClaimFor> {
        let claims = self.by_node.get(node)?;
        claims.iter().find(|(name, _)| Some(*name) == policy).or_else(|| claims.first()).map(|(_, claim)| &claim.for_)
    }

    /// Whether this policy has a claim for the node of this name.
    pub(crate) fn stands(&self, policy: &str, node: &str) -> bool {
        self.by_node.get(node).is_some_and(|claims| claims.iter().any(|(name, _)| *name == policy))
    }

    /// Whether a claim stands for the node of this name.
    pub(crate) fn is_claimed(&self, node: &str) -> bool {
        self.by_node.contains_key(node)
    }

    /// Whether a claim that may be dropped stands for the node of this name.
    pub(crate) fn may_be_dropped(&self, world: &World, node: &str) -> bool {
        self.by_node.get(node).is_some_and(|claims| {
            claims.iter().filter_map(|(policy, _)| world.policies.get(*policy)).any(|policy| !is_frozen(world, policy))
        })
    }
}

/// Whether the claims of a policy stay as they are.
pub(crate) fn is_frozen(world: &World, policy: &HealthCheckPolicy) -> bool {
    world.hold_everything || policy.spec.mode == Mode::Hold
}

/// The claims of a policy as they stand.
pub(crate) fn claims_of(policy: &HealthCheckPolicy) -> impl Iterator<Item = &Claim> {
    policy.status.iter().flat_map(|s| &s.budget.claims)
}

/// Whether the Node of a claim exists and is the one that it was spent for.
pub(crate) fn is_for_present_node(world: &World, claim: &Claim) -> bool {
    world.nodes.get(&claim.node).is_some_and(|node| node.uid == claim.uid)
}
