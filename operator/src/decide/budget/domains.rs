//! Failure domains: a second limit for the nodes of each domain.

use super::limit::domain_limit;
use crate::{decide::govern::selection::Subject, world::Node};
use crds::node_health_policy::{Budget, DomainStatus, MAX_DOMAINS};
use std::collections::{BTreeMap, BTreeSet};

/// The failure domains of a policy: per value of a label, how many nodes are used and how many may be.
pub(crate) struct Domains<'w> {
    key: String,
    used_and_limit: BTreeMap<&'w str, (usize, usize)>,
}

impl<'w> Domains<'w> {
    /// The nodes of each domain, and those of them that are used; `None` if the budget has no limit per domain.
    pub(crate) fn new(budget: &Budget, governed: &[&Subject<'w>], used: &BTreeSet<&str>) -> Option<Self> {
        let key = budget.per_domain.as_ref()?.topology_key.as_str();
        let mut counts: BTreeMap<&'w str, (usize, usize)> = BTreeMap::new();
        for subject in governed {
            let (used_here, nodes) = counts.entry(domain(subject.node, key)).or_default();
            *used_here += usize::from(used.contains(subject.node.name.as_str()));
            *nodes += 1;
        }
        for (_, nodes_then_limit) in counts.values_mut() {
            *nodes_then_limit = domain_limit(budget, *nodes_then_limit);
        }
        Some(Self { key: key.to_owned(), used_and_limit: counts })
    }

    /// Whether the domain of this node has room for one more.
    pub(crate) fn has_room(&self, node: &Node) -> bool {
        self.used_and_limit.get(domain(node, &self.key)).is_none_or(|(used, limit)| used < limit)
    }

    /// The fullest domains: those with the least room first, then those with the most nodes in use.
    pub(crate) fn fullest(&self) -> Vec<DomainStatus> {
        let number = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        let mut all: Vec<DomainStatus> = self
            .used_and_limit
            .iter()
            .map(|(domain, (used, limit))| DomainStatus {
                domain: (*domain).to_owned(),
                limit: number(*limit),
                used: number(*used),
            })
            .collect();
        all.sort_by_key(|domain| (domain.limit.saturating_sub(domain.used), std::cmp::Reverse(domain.used)));
        all.truncate(MAX_DOMAINS);
        all
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
    node.labels.get(key).unwrap_or_default()
}
