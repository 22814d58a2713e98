//! The budget of one policy in one decision.

use super::{slots::Allocation, tally::Tally};
use crate::decide::govern::acceptance::Objection;
use crds::{
    NodeHealthPolicy,
    node_health_policy::{Claim, DomainStatus},
};

/// A policy, its rank, and what is known of it before anything is granted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ranked<'w> {
    /// The policy.
    pub(crate) policy: &'w NodeHealthPolicy,
    /// Its numbers.
    pub(crate) tally: &'w Tally,
    /// What this version does not do with it.
    pub(crate) objections: &'w [Objection],
}

/// The budget of one policy in this decision.
#[derive(Clone, Debug)]
pub(crate) struct Account<'w> {
    /// The policy.
    pub(crate) ranked: Ranked<'w>,
    /// The indices of the open cases that it governs.
    pub(crate) governed: Vec<usize>,
    /// What the budget allows: granted in Enforce, hypothetical otherwise.
    pub(crate) allocation: Allocation<'w>,
    /// The claims that stay.
    pub(crate) kept: Vec<&'w Claim>,
    /// The claims that this plan adds, or makes anew for a later version of the Node.
    pub(crate) added: Vec<Claim>,
    /// How many nodes count as used, the added claims included.
    pub(crate) used: usize,
    /// The same per failure domain, the fullest first.
    pub(crate) per_domain: Vec<DomainStatus>,
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

    /// All claims after this plan.
    pub(crate) fn claims(&self) -> Vec<Claim> {
        self.kept.iter().copied().chain(&self.added).cloned().collect()
    }
}
