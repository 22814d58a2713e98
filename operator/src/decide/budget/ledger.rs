//! The claims of all policies: existing, added now, and no longer needed.

use super::{
    account::Account,
    slots::{self, Wish},
};
use crate::{
    decide::{
        case::Case,
        govern::{
            claims::{Claims, claims_of, is_for_present_node, is_frozen},
            selection::{Ranked, Subject},
        },
        marks::taints::TaintToBe,
    },
    world::World,
};
use crds::{
    Time,
    node_health_policy::{Claim, Mode},
};
use std::collections::{BTreeMap, BTreeSet};

/// The existing claims, and those that this plan adds.
#[derive(Debug)]
pub(crate) struct Ledger<'c, 'w> {
    claims: &'c Claims<'w>,
    /// Node and the policy that grants it a claim in this plan.
    granted: BTreeMap<&'w str, &'w str>,
}

impl<'c, 'w> Ledger<'c, 'w> {
    /// The ledger before anything is granted.
    pub(crate) fn new(claims: &'c Claims<'w>) -> Self {
        Self { claims, granted: BTreeMap::new() }
    }

    /// The policy whose claim pays for the mark of this node, if its governing policy has one or gets one now. A claim
    /// pays for an existing mark, or for one written by the plan that adds it.
    pub(crate) fn slot(&self, case: &Case<'w>) -> Option<&'w str> {
        let name = case.subject.policy?.metadata.name.as_deref()?;
        let node = case.subject.node.name.as_str();
        let standing = case.is_marked && self.claims.has(name, node);
        (standing || self.granted.get(node) == Some(&name)).then_some(name)
    }

    /// Works out what the budget of one policy allows, and grants it if the policy enforces.
    pub(crate) fn allocate(&mut self, world: &World, ranked: Ranked<'w>, cases: &[Case<'w>], now: Time) -> Account<'w> {
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
        let allocation = slots::allocate(policy, &standing, &subjects, wishes);
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
                    added.push(slots::claim(case.node(), judgement, now));
                    self.granted.insert(case.subject.node.name.as_str(), name);
                }
            }
        }
        Account { ranked, is_frozen, governed, allocation, standing, added, served: Vec::new(), claim_step: None }
    }

    /// Finds the claims of a policy to drop: those whose mark is removed by this plan, and leftovers.
    ///
    /// Every claim is dropped after a write to its Node that carries the resourceVersion, so that a late mark of another
    /// leader is refused, or found under a claim that still stands.
    pub(crate) fn settle(&self, account: &mut Account<'w>, cases: &[Case<'w>], by_name: &BTreeMap<&str, usize>) {
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
