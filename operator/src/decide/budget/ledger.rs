//! The claims of all policies: those that stay, those that are added, and those that are over.
//!
//! | the Node, as read | its claim |
//! |---|---|
//! | bears no mark, and has changed since the claim | is over; made anew if the node is still to be marked |
//! | bears no mark, and has not changed | stays: a mark may still come; if none is wanted the Node is touched |
//! | bears a mark, and its policy has a later claim | is over: the claim has moved to that policy |
//! | bears a mark | stays |
//! | is gone or replaced | is over |
//!
//! So a claim ends by what was read back, and by nothing that this plan intends: no refused write to one node keeps the
//! claim of another.

use super::{
    account::{Account, Ranked},
    domains::Domains,
    limit::limit,
    slots::{self, Used, Wish},
    tally::is_used_anyway,
};
use crate::{
    decide::{
        case::Case,
        govern::{
            claims::{Age, Claims, age, claims_of, is_for_present_node, is_frozen, is_later, is_of_gone_node},
            roster::Roster,
        },
    },
    key::{Key, Kind},
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
    roster: &'w Roster,
    /// Node and the policy that grants it a claim in this plan.
    granted: BTreeMap<&'w str, &'w str>,
}

impl<'c, 'w> Ledger<'c, 'w> {
    /// The ledger before anything is granted.
    pub(crate) fn new(claims: &'c Claims<'w>, roster: &'w Roster) -> Self {
        Self { claims, roster, granted: BTreeMap::new() }
    }

    /// The policy whose claim pays for the mark of this node, if its governing policy has one or gets one now.
    pub(crate) fn slot(&self, case: &Case<'w>) -> Option<&'w str> {
        let name = case.subject.policy?.metadata.name.as_deref()?;
        let node = case.subject.node;
        let own = if case.subject.is_claimed { self.claims.of(name, &node.name) } else { None };
        let stands = own.is_some_and(|claim| case.is_marked || age(claim, node) == Age::Current);
        (stands || self.granted.get(node.name.as_str()) == Some(&name)).then_some(name)
    }

    /// Whether this plan gives the node a claim of this policy.
    pub(crate) fn grants(&self, policy: &str, node: &str) -> bool {
        self.granted.get(node) == Some(&policy)
    }

    /// Works out what the budget of one policy allows, and grants it as far as its mode allows. `cases`: every node that
    /// has a claim, bears a mark, needs one or was judged now, by name.
    pub(crate) fn allocate(&mut self, world: &World, ranked: Ranked<'w>, cases: &[Case<'w>], now: Time) -> Account<'w> {
        let policy = ranked.policy;
        let budget = &policy.spec.budget;
        let name = policy.metadata.name.as_deref().unwrap_or_default();
        let is_frozen = is_frozen(world, policy);
        let governed: Vec<usize> = (0..cases.len()).filter(|&i| cases[i].subject.is_governed_by(policy)).collect();
        let mut kept: Vec<&Claim> = claims_of(policy)
            .filter(|claim| is_frozen || !self.is_over(world, name, claim, Case::find(cases, &claim.node)))
            .collect();
        let claimed = kept.iter().map(|claim| claim.node.as_str()).collect();
        let (used, domains) = self.usage(ranked, kept.iter().copied());
        let wishes = governed.iter().filter_map(|&i| self.wish(name, &cases[i])).collect();
        let allocation = slots::allocate(limit(budget, ranked.tally.governed), claimed, used, domains, wishes);
        let mut added = Vec::new();
        if !is_frozen {
            let is_without_texts = world.refused_texts.contains(&Key::new(Kind::Policy, name));
            let granted: BTreeSet<&str> = allocation.granted.iter().copied().collect();
            for case in governed.iter().map(|&i| &cases[i]) {
                // A mark that stands is paid for in every mode; only Enforce sets a new one.
                let may = policy.spec.mode == Mode::Enforce || case.is_marked;
                if let Some(judgement) = case.judgement.as_ref().filter(|_| may)
                    && granted.contains(case.node().name.as_str())
                {
                    let since = self.claims.of(name, &case.node().name).map_or(now, |own| own.since);
                    added.push(slots::claim(case.node(), judgement, is_without_texts, since));
                    self.granted.insert(case.subject.node.name.as_str(), name);
                }
            }
        }
        let renewed: BTreeSet<&str> = added.iter().map(|claim| claim.node.as_str()).collect();
        kept.retain(|claim| !renewed.contains(claim.node.as_str()));
        let (used, domains) = self.usage(ranked, kept.iter().copied().chain(&added));
        let used = used.len();
        let per_domain = domains.map(|domains| domains.fullest()).unwrap_or_default();
        Account { ranked, governed, allocation, used, per_domain, kept, added, claim_step: None }
    }

    /// What the node asks of its own policy, if anything.
    fn wish<'j>(&self, policy: &str, case: &'j Case<'w>) -> Option<Wish<'w, 'j>> {
        let judgement = case.judgement.as_ref()?;
        let own = if case.subject.is_claimed { self.claims.of(policy, &case.node().name) } else { None };
        let is_wanted = if case.is_marked {
            // Its mark is paid for by nobody, or by a former policy; or our claim is not the latest one yet.
            case.stays_marked()
                && own.is_none_or(|own| self.claims.is_outdone(policy, own) && age(own, case.node()) == Age::Past)
        } else {
            case.needs_claim() && own.is_none_or(|own| age(own, case.node()) == Age::Past)
        };
        is_wanted.then_some(Wish { subject: &case.subject, judgement, is_used: case.is_marked || own.is_some() })
    }

    /// Whether a claim of this policy pays for nothing any more.
    fn is_over(&self, world: &World, policy: &str, claim: &Claim, case: Option<&Case<'w>>) -> bool {
        let Some(node) = world.nodes.get(&claim.node).filter(|_| is_for_present_node(world, claim)) else {
            return is_of_gone_node(world, claim);
        };
        let winner = case.and_then(|case| case.subject.policy?.metadata.name.as_deref());
        if crate::decide::marks::taints::is_marked(node) {
            // Two leaders that disagree on who governs the node agree on which claim is the later one.
            let moved = winner.filter(|winner| *winner != policy).and_then(|winner| self.claims.of(winner, &node.name));
            return moved.is_some_and(|moved| is_later(moved, claim));
        }
        // One of our own policy that is still wanted is made anew: it stays used meanwhile.
        let is_renewed = winner == Some(policy) && case.is_some_and(Case::may_be_marked);
        age(claim, node) == Age::Past && !is_renewed
    }

    /// What is in use with these claims: the nodes of the policy, and the same per failure domain. A claim pays for one node
    /// even if the policy does not govern it, or it is gone.
    fn usage<'u>(
        &self,
        ranked: Ranked<'w>,
        claims: impl Iterator<Item = &'u Claim>,
    ) -> (Used<'u>, Option<Domains<'w>>) {
        let mut governed = Vec::new();
        let mut claimed = BTreeSet::new();
        for claim in claims {
            let subject = self.roster.subject(&claim.node).filter(|subject| subject.is_governed_by(ranked.policy));
            if subject.is_some_and(|subject| is_used_anyway(&subject)) || !claimed.insert(claim.node.as_str()) {
                continue;
            }
            governed.extend(subject.map(|subject| subject.node));
        }
        (Used::new(ranked.tally, claimed), Domains::new(&ranked.policy.spec.budget, ranked.tally, governed))
    }
}
