//! Failure domains: a second limit for the nodes of each domain.

use super::{
    limit::domain_limit,
    tally::{DomainTally, Tally, domain_of},
};
use crate::world::Node;
use crds::node_health_policy::{Budget, DomainStatus, MAX_DOMAINS};
use std::collections::BTreeMap;

/// The failure domains of a policy: per value of a label, how many nodes are used and how many may be.
pub(crate) struct Domains<'w> {
    key: &'w str,
    used_and_limit: BTreeMap<&'w str, (usize, usize)>,
}

impl<'w> Domains<'w> {
    /// The nodes of each domain, and those of them that are used; `None` if the budget has no limit per domain. `claimed`: the
    /// governed nodes that are used for their claim alone.
    pub(crate) fn new<'c>(
        budget: &'w Budget,
        tally: &'w Tally,
        claimed: impl IntoIterator<Item = &'c Node>,
    ) -> Option<Self> {
        let key = budget.per_domain.as_ref()?.topology_key.as_str();
        let of_tally = |(domain, counts): (&'w String, &DomainTally)| {
            (domain.as_str(), (counts.used_anyway, domain_limit(budget, counts.nodes)))
        };
        let mut domains = Self { key, used_and_limit: tally.domains.iter().map(of_tally).collect() };
        claimed.into_iter().for_each(|node| domains.take(node));
        Some(domains)
    }

    /// Whether the domain of this node has room for one more.
    pub(crate) fn has_room(&self, node: &Node) -> bool {
        self.used_and_limit.get(domain_of(node, self.key)).is_none_or(|(used, limit)| used < limit)
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
        if let Some((used, _)) = self.used_and_limit.get_mut(domain_of(node, self.key)) {
            *used += 1;
        }
    }
}
