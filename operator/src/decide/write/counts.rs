//! The numbers in the status of a policy.

use crate::decide::budget::account::Account;
use crds::node_health_policy::NodeCounts;

/// The nodes that the policy governs, by state. `waiting`: how many wait for budget.
pub(crate) fn nodes(account: &Account<'_>, waiting: usize) -> NodeCounts {
    let tally = account.ranked.tally;
    NodeCounts {
        matched: number(tally.governed),
        covered: number(tally.covered),
        healthy: number(tally.healthy),
        suspect: number(tally.suspect),
        unhealthy: number(tally.unhealthy),
        unknown: number(tally.unknown),
        maintenance: number(tally.maintenance),
        waiting: number(waiting),
    }
}

/// A count as the API has it.
pub(crate) fn number(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}
