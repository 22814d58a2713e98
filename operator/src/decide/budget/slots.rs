//! Budgets: how many nodes a policy may take out of service, and which nodes get a slot.
//!
//! A claim is written before the mark that it pays for, and dropped after the mark is gone. Nodes with a claim count as
//! used, and so do nodes that bear our mark without one (of a policy that was deleted, or moved), that are cordoned or not
//! ready. A new claim needs room under the policy's limit and under that of its failure domain; a claim for a node that
//! counts as used anyway takes no room, so that the claim of a mark can always move to the policy that governs the node.

use super::{
    domains::Domains,
    tally::{Tally, is_used_anyway},
};
use crate::{
    decide::{govern::selection::Subject, judge::verdict::Judgement},
    world::Node,
};
use crds::{
    Time,
    node_health_policy::{Claim, ClaimFor, MAX_CLAIMS},
};
use std::{cmp::Reverse, collections::BTreeSet};

/// What a policy's budget allows now.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Allocation<'w> {
    /// How many nodes may be out of service.
    pub(crate) limit: usize,
    /// The nodes that get a slot now, worst first.
    pub(crate) granted: Vec<&'w str>,
    /// The nodes for which there is no room, worst first.
    pub(crate) waiting: Vec<&'w str>,
}

/// A node that asks for a slot.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wish<'w, 'j> {
    /// The node.
    pub(crate) subject: &'j Subject<'w>,
    /// Why.
    pub(crate) judgement: &'j Judgement,
    /// Whether the node counts as used without this claim: it bears our mark, or has a claim that is made anew.
    pub(crate) is_used: bool,
}

/// The nodes that count as used: those that do anyway, and those with a claim.
pub(crate) struct Used<'w> {
    anyway: usize,
    claimed: BTreeSet<&'w str>,
}

impl<'w> Used<'w> {
    /// `claimed`: the nodes that are used for their claim alone.
    pub(crate) fn new(tally: &Tally, claimed: BTreeSet<&'w str>) -> Self {
        Self { anyway: tally.used_anyway, claimed }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.anyway + self.claimed.len()
    }
}

/// Gives the free slots to the worst nodes, then to those that have waited longest; drills come last. Nodes that count as
/// used anyway get theirs first, and need no room.
///
/// `claimed`: the nodes with a claim. `used` and `domains`: what is in use with those claims.
pub(crate) fn allocate<'w>(
    total: usize,
    mut claimed: BTreeSet<&'w str>,
    mut used: Used<'w>,
    mut domains: Option<Domains<'_>>,
    mut wishes: Vec<Wish<'w, '_>>,
) -> Allocation<'w> {
    wishes.sort_by_key(|wish| {
        let judgement = wish.judgement;
        let badness = (Reverse(wish.is_used), judgement.is_drill(), Reverse(judgement.severity.rank()));
        (badness, judgement.since, wish.subject.node.name.as_str())
    });
    let mut allocation = Allocation { limit: total, ..Allocation::default() };
    for wish in wishes {
        let node = wish.subject.node;
        let name = node.name.as_str();
        let has_room = used.len() < total && domains.as_ref().is_none_or(|d| d.has_room(node));
        let has_entry = claimed.len() < MAX_CLAIMS || claimed.contains(name);
        if (wish.is_used || has_room) && has_entry {
            claimed.insert(name);
            if !is_used_anyway(wish.subject)
                && used.claimed.insert(name)
                && let Some(domains) = &mut domains
            {
                domains.take(node);
            }
            allocation.granted.push(name);
        } else {
            allocation.waiting.push(name);
        }
    }
    allocation
}

/// The claim that pays for the mark of this judgement on this version of the Node.
pub(crate) fn claim(node: &Node, judgement: &Judgement, is_without_texts: bool, since: Time) -> Claim {
    let worst = judgement.causes.first().filter(|_| !is_without_texts);
    Claim {
        node: node.name.clone(),
        uid: node.uid.clone(),
        node_version: node.resource_version.clone(),
        since,
        for_: ClaimFor {
            check: worst.map(|c| c.check.clone()),
            target: worst.map(|c| c.target.clone()),
            reason: worst.map(|c| c.reason.clone()),
            run: None,
        },
    }
}
