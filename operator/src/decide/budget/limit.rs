//! How many nodes may be out of service at once.

use crds::node_health_policy::{Budget, DEFAULT_BUDGET_MINIMUM, DEFAULT_MAX_UNAVAILABLE_PERCENT};

/// How many of `nodes` may be out of service: the lower of number and percentage, rounded down, but at least the minimum.
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
