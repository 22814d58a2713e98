//! Budgets: how many nodes a policy may take out of use, who gets a slot, and which claims have served.
//!
//! A claim is written before the mark that it pays for, and dropped after the mark is gone. What is used is the claims
//! and the nodes that others cordoned or that are not ready; a new claim needs room under the policy's limit and under
//! that of its failure domain.

use crate::{
    decide::{govern::selection::Subject, judge::verdict::Judgement},
    world::Node,
};
use crds::{
    HealthCheckPolicy,
    health_check_policy::{
        Budget, Claim, ClaimFor, DEFAULT_BUDGET_MINIMUM, DEFAULT_MAX_UNAVAILABLE_PERCENT, MAX_CLAIMS,
    },
};
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

/// What a policy's budget allows now.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Allocation<'w> {
    /// How many nodes may be out of use.
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
    pub(crate) node: &'w Node,
    /// Why.
    pub(crate) judgement: &'j Judgement,
    /// Whether the node bears our mark already, left by a former policy or a former life.
    pub(crate) marked: bool,
}

/// How many of `nodes` may be out of use: the lower of number and percentage, rounded down, but at least the minimum.
pub(crate) fn limit(budget: Option<&Budget>, nodes: usize) -> usize {
    let number = |n: i64| usize::try_from(n).unwrap_or(0);
    let (max, percent, minimum) =
        budget.map_or((None, None, None), |b| (b.max_unavailable, b.max_unavailable_percent, b.minimum));
    let percent = match (max, percent) {
        (None, None) => Some(DEFAULT_MAX_UNAVAILABLE_PERCENT),
        (_, given) => given,
    };
    let by_percent = percent.map(|p| nodes.saturating_mul(number(p)) / 100);
    let lower = [max.map(number), by_percent].into_iter().flatten().min();
    lower.unwrap_or(0).max(number(minimum.unwrap_or(DEFAULT_BUDGET_MINIMUM)))
}

/// Whether others, or its kubelet, hold the node out of use.
pub(crate) fn is_held_by_others(node: &Node) -> bool {
    node.unschedulable || !node.ready
}

/// The nodes that count as used: those with a claim, and those that others hold.
pub(crate) fn used<'w>(claims: &[&'w Claim], governed: &[&Subject<'w>]) -> BTreeSet<&'w str> {
    claims
        .iter()
        .map(|claim| claim.node.as_str())
        .chain(governed.iter().filter(|s| is_held_by_others(s.node)).map(|s| s.node.name.as_str()))
        .collect()
}

/// Gives the free slots to the worst nodes, then to those that wait longest. Marks that stand without a claim come
/// first: they hold the node already. Drills come last.
pub(crate) fn allocate<'w>(
    policy: &HealthCheckPolicy,
    claims: &[&'w Claim],
    governed: &[&Subject<'w>],
    mut wishes: Vec<Wish<'w, '_>>,
) -> Allocation<'w> {
    let budget = policy.spec.budget.as_ref();
    let total = limit(budget, governed.len());
    let mut used = used(claims, governed);
    let mut domains =
        budget.and_then(|b| b.topology_key.as_deref()).map(|key| Domains::new(key, budget, governed, &used));
    wishes.sort_by_key(|wish| {
        let judgement = wish.judgement;
        let badness = (Reverse(wish.marked), judgement.is_drill(), Reverse(judgement.severity.rank()));
        (badness, judgement.since, wish.node.name.as_str())
    });
    let mut allocation = Allocation { limit: total, ..Allocation::default() };
    for wish in wishes {
        let name = wish.node.name.as_str();
        let room = used.len() < total
            && domains.as_ref().is_none_or(|d| d.has_room(wish.node))
            && claims.len() + allocation.granted.len() < MAX_CLAIMS;
        if room {
            if used.insert(name)
                && let Some(domains) = &mut domains
            {
                domains.take(wish.node);
            }
            allocation.granted.push(name);
        } else {
            allocation.waiting.push(name);
        }
    }
    allocation
}

/// The failure domains of a policy: per value of a label, how many nodes are used and how many may be.
struct Domains<'w> {
    key: String,
    used_and_limit: BTreeMap<&'w str, (usize, usize)>,
}

impl<'w> Domains<'w> {
    fn new(key: &str, budget: Option<&Budget>, governed: &[&Subject<'w>], used: &BTreeSet<&str>) -> Self {
        let mut counts: BTreeMap<&'w str, (usize, usize)> = BTreeMap::new();
        for subject in governed {
            let (used_here, nodes) = counts.entry(domain(subject.node, key)).or_default();
            *used_here += usize::from(used.contains(subject.node.name.as_str()));
            *nodes += 1;
        }
        for (_, nodes_then_limit) in counts.values_mut() {
            *nodes_then_limit = limit(budget, *nodes_then_limit);
        }
        Self { key: key.to_owned(), used_and_limit: counts }
    }

    fn has_room(&self, node: &Node) -> bool {
        self.used_and_limit.get(domain(node, &self.key)).is_none_or(|(used, limit)| used < limit)
    }

    fn take(&mut self, node: &Node) {
        if let Some((used, _)) = self.used_and_limit.get_mut(domain(node, &self.key)) {
            *used += 1;
        }
    }
}

/// The failure domain of a node; nodes without the label are one domain.
fn domain<'n>(node: &'n Node, key: &str) -> &'n str {
    node.labels.get(key).map_or("", String::as_str)
}

/// The claim that pays for the mark of this judgement.
pub(crate) fn claim(node: &Node, judgement: &Judgement) -> Claim {
    let worst = judgement.causes.first();
    Claim {
        node: node.name.clone(),
        uid: node.uid.clone(),
        for_: ClaimFor {
            check: worst.map(|c| c.check.clone()),
            target: worst.map(|c| c.target.clone()),
            reason: worst.map(|c| c.reason.clone()),
            run: None,
        },
    }
}
