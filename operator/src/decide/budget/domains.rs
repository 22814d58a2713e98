//! Failure domains: the policy's limit applies to the nodes of each domain as well.

use super::limit::limit;
use crate::{decide::govern::selection::Subject, world::Node};
use crds::node_health_policy::Budget;
use std::collections::{BTreeMap, BTreeSet};

/// The failure domains of a policy: per value of a label, how many nodes are used and how many may be.
pub(crate) struct Domains<'w> {
    key: String,
    used_and_limit: BTreeMap<&'w str, (usize, usize)>,
}

impl<'w> Domains<'w> {
    /// The nodes of each domain, and those of them that are used.
    pub(crate) fn new(key: &str, budget: Option<&Budget>, governed: &[&Subject<'w>], used: &BTreeSet<&str>) -> Self {
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

    /// Whether the domain of this node has room for one more.
    pub(crate) fn has_room(&self, node: &Node) -> bool {
        self.used_and_limit.get(domain(node, &self.key)).is_none_or(|(used, limit)| used < limit)
    }

    /// Counts this node as used.
    pub(crate) fn take(&mut self, node: &Node) {
        if let Some((used, _)) = self.used_and_limit.get_mut(domain(node, &self.key)) {
            *used += 1;
        }
    }
}

/// The failure domain of a node; nodes without the label form one domain.
fn domain<'n>(node: &'n Node, key: &str) -> &'n str {
    node.labels.get(key).map_or("", String::as_str)
}
