//! The budget of one policy in one decision.

use super::slots::Allocation;
use crate::{decide::govern::selection::Ranked, world::Node};
use crds::{NodeHealthPolicy, node_health_policy::Claim};

/// The budget of one policy in this decision.
#[derive(Clone, Debug)]
pub(crate) struct Account<'w> {
    /// The policy, and whether it selects any node.
    pub(crate) ranked: Ranked<'w>,
    /// The indices of the cases that it governs.
    pub(crate) governed: Vec<usize>,
    /// What the budget allows: granted in Enforce, hypothetical otherwise.
    pub(crate) allocation: Allocation<'w>,
    /// The claims that stay.
    pub(crate) kept: Vec<&'w Claim>,
    /// The claims that this plan adds, or makes anew for a later version of the Node.
    pub(crate) added: Vec<Claim>,
    /// How many nodes count as used, the added claims included.
    pub(crate) used: usize,
    /// The step that writes the claims.
    pub(crate) claim_step: Option<usize>,
}

impl<'w> Account<'w> {
    /// The policy.
    pub(crate) fn policy(&self) -> &'w NodeHealthPolicy {
        self.ranked.policy
    }

    /// The name of the policy.
    pub(crate) fn name(&self) -> &'w str {
        self.ranked.policy.metadata.name.as_deref().unwrap_or_default()
    }

    /// Whether this plan adds a claim for the node.
    pub(crate) fn grants(&self, node: &Node) -> bool {
        self.added.iter().any(|claim| claim.node == node.name)
    }

    /// All claims after this plan.
    pub(crate) fn claims(&self) -> Vec<Claim> {
        self.kept.iter().copied().chain(&self.added).cloned().collect()
    }
}
