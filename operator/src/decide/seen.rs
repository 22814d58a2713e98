//! What a decision saw of the world: the next one looks at the nodes for which that has changed.

use super::orders::Orders;
use crate::{
    key::{Key, Kind},
    world::{World, table::Moment},
};
use crds::{NodeHealthPolicy, Time, node_health_policy::Claim};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// What a decision saw, and when.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) at: Time,
    pub(crate) nodes: Moment,
    pub(crate) node_healths: Moment,
    pub(crate) policies: BTreeMap<String, Arc<NodeHealthPolicy>>,
    pub(crate) malformed: BTreeSet<Key>,
    pub(crate) silent: BTreeSet<String>,
    pub(crate) refused_texts: BTreeSet<Key>,
    pub(crate) hold_everything: bool,
    pub(crate) orders: Orders,
    /// The edition of the fleet's usual versions.
    pub(crate) edition: u64,
}

/// Nodes by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Names {
    /// All of them.
    All,
    /// These.
    These(BTreeSet<String>),
}

impl Seen {
    /// What this decision sees.
    pub(crate) fn now(self, world: &World, orders: Orders, edition: u64, now: Time) -> Self {
        Self {
            at: now,
            nodes: world.nodes.moment(),
            node_healths: world.node_healths.moment(),
            policies: (*world.policies).clone(),
            malformed: updated(self.malformed, &world.malformed),
            silent: updated(self.silent, &world.silent),
            refused_texts: updated(self.refused_texts, &world.refused_texts),
            hold_everything: world.hold_everything,
            orders,
            edition,
        }
    }

    /// The nodes with another Node or NodeHealth than before, or with a NodeHealth that parses now or no longer does.
    pub(crate) fn with_other_objects(&self, world: &World) -> Names {
        let nodes = world.nodes.changed_since(self.nodes);
        let (Some(nodes), Some(healths)) = (nodes, world.node_healths.changed_since(self.node_healths)) else {
            return Names::All;
        };
        let malformed = differing(&self.malformed, &world.malformed).filter(|key| key.kind == Kind::NodeHealth);
        Names::These(nodes.chain(healths).chain(malformed.map(|key| key.name.as_str())).map(str::to_owned).collect())
    }

    /// The nodes with other claims than before.
    pub(crate) fn with_other_claims(&self, world: &World) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        for policy in self.policies.keys().chain(world.policies.keys()) {
            let (before, after) = (self.policies.get(policy), world.policies.get(policy));
            if let (Some(before), Some(after)) = (before, after)
                && Arc::ptr_eq(before, after)
            {
                continue;
            }
            let (before, after) = (claims_by_node(before), claims_by_node(after));
            let differ = |node: &&&str| before.get(**node) != after.get(**node);
            names.extend(before.keys().chain(after.keys()).filter(differ).map(|node| (*node).to_owned()));
        }
        names
    }

    /// The nodes whose circumstances differ otherwise: their agent is silent or no longer, their orders, whether their status
    /// may have texts. All of them, if what is usual in the fleet or the master switch differs, or if the clock was set back.
    pub(crate) fn with_other_circumstances(&self, world: &World, orders: &Orders, edition: u64, now: Time) -> Names {
        if self.edition != edition || self.hold_everything != world.hold_everything || now < self.at {
            return Names::All;
        }
        let silent = differing(&self.silent, &world.silent).map(String::as_str);
        let refused = differing(&self.refused_texts, &world.refused_texts).filter(|key| key.kind == Kind::NodeHealth);
        let ordered = self.orders.by_node.keys().chain(orders.by_node.keys()).map(String::as_str);
        let reordered = ordered.filter(|node| self.orders.assignments(node) != orders.assignments(node));
        Names::These(silent.chain(refused.map(|key| key.name.as_str())).chain(reordered).map(str::to_owned).collect())
    }
}

fn claims_by_node(policy: Option<&Arc<NodeHealthPolicy>>) -> BTreeMap<&str, Vec<&Claim>> {
    let mut by_node: BTreeMap<&str, Vec<&Claim>> = BTreeMap::new();
    for claim in policy.into_iter().flat_map(|policy| &policy.status).flat_map(|status| &status.budget.claims) {
        by_node.entry(&claim.node).or_default().push(claim);
    }
    by_node
}

/// What is in one of two sets only.
fn differing<'s, T: Ord>(before: &'s BTreeSet<T>, after: &'s BTreeSet<T>) -> impl Iterator<Item = &'s T> {
    before.symmetric_difference(after)
}

/// The same as `after`, copied only if it differs.
fn updated<T: Ord + Clone>(before: BTreeSet<T>, after: &BTreeSet<T>) -> BTreeSet<T> {
    if before == *after { before } else { after.clone() }
}
