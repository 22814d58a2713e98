//! The claims of all policies: which stand, which are added now, and which have served.

use super::{
    Case,
    budget::{self, Allocation, Wish},
    marks::TaintToBe,
    selection::{Ranked, Subject},
};
use crate::world::{Node, World};
use crds::{
    HealthCheckPolicy,
    health_check_policy::{Claim, ClaimFor, Mode},
};
use std::collections::{BTreeMap, BTreeSet};

/// The claims that stand for Nodes that exist, by node.
#[derive(Clone, Debug, Default)]
pub(super) struct Ledger<'w> {
    by_node: BTreeMap<&'w str, Vec<(&'w str, &'w Claim)>>,
    /// Node and the policy that grants it a claim in this plan.
    granted: BTreeMap<&'w str, &'w str>,
}

/// The budget of one policy in this decision.
#[derive(Clone, Debug)]
pub(super) struct Account<'w> {
    /// The policy, and whether it selects a node.
    pub(super) ranked: Ranked<'w>,
    /// Whether its claims may change.
    pub(super) is_frozen: bool,
    /// The indices of the cases that it governs.
    pub(super) governed: Vec<usize>,
    /// What the budget allows: in Enforce what is granted, else what would be.
    pub(super) allocation: Allocation<'w>,
    /// The claims that stand and whose Nodes exist (all that stand, if frozen).
    pub(super) standing: Vec<&'w Claim>,
    /// The claims that this plan adds.
    pub(super) added: Vec<Claim>,
    /// The nodes whose claims have served: to be dropped after every write to them.
    pub(super) served: Vec<&'w str>,
    /// The step that writes the added claims.
    pub(super) claim_step: Option<usize>,
}

impl<'w> Account<'w> {
    /// The policy.
    pub(super) fn policy(&self) -> &'w HealthCheckPolicy {
        self.ranked.policy
    }

    /// The name of the policy.
    pub(super) fn name(&self) -> &'w str {
        self.ranked.policy.metadata.name.as_deref().unwrap_or_default()
    }

    /// Whether this plan adds a claim for the node.
    pub(super) fn grants(&self, node: &Node) -> bool {
        self.added.iter().any(|claim| claim.node == node.name)
    }
}

impl<'w> Ledger<'w> {
    /// Reads the claims of every policy; one for a Node that is gone or was replaced stands for nothing.
    pub(super) fn read(world: &'w World) -> Self {
        let mut by_node: BTreeMap<&str, Vec<_>> = BTreeMap::new();
        for (name, policy) in &world.policies {
            for claim in claims_of(policy).filter(|claim| is_for_present_node(world, claim)) {
                by_node.entry(claim.node.as_str()).or_default().push((name.as_str(), claim));
            }
        }
        Self { by_node, granted: BTreeMap::new() }
    }

    /// What the claim of this node was spent for: that of its policy, else any.
    pub(super) fn claim_for(&self, node: &str, policy: Option<&str>) -> Option<&'w ClaimFor> {
        let claims = self.by_node.get(node)?;
        claims.iter().find(|(name, _)| Some(*name) == policy).or_else(|| claims.first()).map(|(_, claim)| &claim.for_)
    }

    /// The policy whose claim pays for the mark of this node, if its governing policy holds one or gets one now. A claim
    /// pays for the mark that stands, or for one that is written by the plan that adds it.
    pub(super) fn slot(&self, case: &Case<'w>) -> Option<&'w str> {
        let name = case.subject.policy?.metadata.name.as_deref()?;
        let node = case.subject.node.name.as_str();
        let standing = case.is_marked
            && self.by_node.get(node).is_some_and(|claims| claims.iter().any(|(policy, _)| *policy == name));
        (standing || self.granted.get(node) == Some(&name)).then_some(name)
    }

    /// Whether a claim stands for the node of this name.
    pub(super) fn holds_one_for(&self, node: &str) -> bool {
        self.by_node.contains_key(node)
    }

    /// Whether a claim that may be dropped stands for the node of this name.
    pub(super) fn may_drop_one_for(&self, world: &World, node: &str) -> bool {
        self.by_node.get(node).is_some_and(|claims| {
            claims.iter().filter_map(|(policy, _)| world.policies.get(*policy)).any(|policy| !is_frozen(world, policy))
        })
    }

    /// Finds what the budget of one policy allows, and grants it where the policy enforces.
    pub(super) fn allocate(&mut self, world: &'w World, ranked: Ranked<'w>, cases: &[Case<'w>]) -> Account<'w> {
        let policy = ranked.policy;
        let is_frozen = is_frozen(world, policy);
        let governed: Vec<usize> =
            (0..cases.len()).filter(|&i| cases[i].subject.policy.is_some_and(|p| std::ptr::eq(p, policy))).collect();
        let subjects: Vec<&Subject<'w>> = governed.iter().map(|&i| &cases[i].subject).collect();
        let standing: Vec<&Claim> =
            claims_of(policy).filter(|claim| is_frozen || is_for_present_node(world, claim)).collect();
        let wishes: Vec<Wish<'w, '_>> = governed
            .iter()
            .map(|&i| &cases[i])
            .filter(|case| case.needs_claim() && !case.is_leftover && self.slot(case).is_none())
            .filter_map(|case| {
                case.judgement.as_ref().map(|judgement| Wish {
                    node: case.subject.node,
                    judgement,
                    marked: case.stays_marked(),
                })
            })
            .collect();
        let allocation = budget::allocate(policy, &standing, &subjects, wishes);
        let enforces = !is_frozen && policy.spec.mode == Mode::Enforce;
        let mut added = Vec::new();
        if enforces {
            let granted: BTreeSet<&str> = allocation.granted.iter().copied().collect();
            let name = policy.metadata.name.as_deref().unwrap_or_default();
            for &index in &governed {
                let case = &cases[index];
                if let Some(judgement) = &case.judgement
                    && granted.contains(case.node().name.as_str())
                {
                    added.push(budget::claim(case.node(), judgement));
                    self.granted.insert(case.subject.node.name.as_str(), name);
                }
            }
        }
        Account { ranked, is_frozen, governed, allocation, standing, added, served: Vec::new(), claim_step: None }
    }

    /// Finds the claims of a policy that have served: those whose mark goes in this plan, and leftovers.
    ///
    /// Every claim is dropped after a write to its Node that carries the resourceVersion, so that a late mark of another
    /// leader is refused, or found under a claim that still stands.
    pub(super) fn settle(&self, account: &mut Account<'w>, cases: &[Case<'w>], by_name: &BTreeMap<&str, usize>) {
        if account.is_frozen {
            return;
        }
        let has_served = |case: &Case<'w>| {
            let to_be = case.taint_to_be(self.slot(case).is_some());
            if case.is_marked { !case.removes_capacity(to_be) } else { case.is_leftover && to_be != TaintToBe::Keep }
        };
        account.served = account
            .standing
            .iter()
            .map(|claim| claim.node.as_str())
            .filter(|node| by_name.get(node).is_some_and(|&i| has_served(&cases[i])))
            .collect();
    }
}

/// The claims of a policy as they stand.
fn claims_of(policy: &HealthCheckPolicy) -> impl Iterator<Item = &Claim> {
    policy.status.iter().flat_map(|s| &s.budget.claims)
}

/// Whether the claims of a policy stay as they are.
fn is_frozen(world: &World, policy: &HealthCheckPolicy) -> bool {
    world.hold_everything || policy.spec.mode == Mode::Hold
}

fn is_for_present_node(world: &World, claim: &Claim) -> bool {
    world.nodes.get(&claim.node).is_some_and(|node| node.uid == claim.uid)
}
