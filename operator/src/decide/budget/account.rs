//! The budget of one policy in one decision.

use super::slots::Allocation;
use crate::{decide::govern::selection::Ranked, world::Node};
use crds::{NodeHealthPolicy, node_health_policy::Claim};

/// The budget of one policy in this decision.
#[derive(Clone, Debug)]
pub(crate) struct Account<'w> {
    /// The policy, and whether it selects any node.
    pub(crate) ranked: Ranked<'w>,
    /// Whether its claims may change.
    pub(crate) is_frozen: bool,
    /// The indices of the cases that it governs.
    pub(crate) governed: Vec<usize>,
    /// What the budget allows: granted in Enforce, hypothetical otherwise.
    pub(crate) allocation: Allocation<'w>,
    /// The claims whose Nodes exist (all claims, if frozen).
    pub(crate) standing: Vec<&'w Claim>,
    /// The claims that this plan adds.
    pub(crate) added: Vec<Claim>,
    /// The nodes whose claims are no longer needed and are dropped after every write to those nodes.
    pub(crate) served: Vec<&'w str>,
    /// The step that writes the added claims.
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
}
