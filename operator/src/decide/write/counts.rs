//! The numbers in the status of a policy: its nodes by state, and the use of its budget per failure domain.

use crate::decide::{
    budget::{account::Account, domains::Domains, slots},
    case::Case,
    govern::selection::Subject,
};
use crds::{
    State,
    node_health_policy::{Claim, DomainStatus, NodeCounts},
};

/// The nodes that the policy governs, by state.
pub(crate) fn nodes(account: &Account<'_>, cases: &[Case<'_>], waiting: usize) -> NodeCounts {
    let mut counts =
        NodeCounts { matched: number(account.governed.len()), waiting: number(waiting), ..NodeCounts::default() };
    for case in account.governed.iter().map(|&i| &cases[i]) {
        counts.maintenance += i64::from(case.node().maintenance().is_some());
        counts.covered += i64::from(case.is_covered);
        match case.judgement.as_ref().map(|judgement| &judgement.state) {
            Some(State::Healthy) => counts.healthy += 1,
            Some(State::Suspect) => counts.suspect += 1,
            Some(State::Unhealthy) => counts.unhealthy += 1,
            Some(State::NotApplicable) => {}
            Some(State::Unknown | State::Unrecognized(_)) | None => counts.unknown += 1,
        }
    }
    counts
}

/// The use of the limit of each failure domain, if the policy has such a limit.
pub(crate) fn per_domain(account: &Account<'_>, cases: &[Case<'_>]) -> Vec<DomainStatus> {
    let budget = &account.policy().spec.budget;
    if budget.per_domain.is_none() {
        return Vec::new();
    }
    let claims: Vec<&Claim> = account.kept.iter().copied().chain(&account.added).collect();
    let subjects: Vec<&Subject<'_>> = account.governed.iter().map(|&i| &cases[i].subject).collect();
    let domains = Domains::new(budget, &subjects, &slots::used(&claims, &subjects));
    domains.map(|domains| domains.fullest()).unwrap_or_default()
}

/// A count as the API has it.
pub(crate) fn number(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}
