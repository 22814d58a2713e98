//! How many nodes may be out of service at once.

use crds::{Scale, node_health_policy::Budget};

/// How many of the `nodes` of a policy may be out of service.
pub(crate) fn limit(budget: &Budget, nodes: usize) -> usize {
    of(budget, budget.max_unavailable, nodes)
}

/// How many of the `nodes` of one failure domain may be out of service, within the limit of the policy.
pub(crate) fn domain_limit(budget: &Budget, nodes: usize) -> usize {
    let own = budget.per_domain.as_ref().and_then(|domain| domain.max_unavailable);
    of(budget, own.unwrap_or(budget.max_unavailable), nodes)
}

fn of(budget: &Budget, max: Scale, nodes: usize) -> usize {
    max.of(nodes, usize::try_from(budget.minimum).unwrap_or(0))
}
