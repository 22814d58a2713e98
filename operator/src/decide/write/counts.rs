//! The numbers in the status of a policy: its nodes by state, and the use of its budget per failure domain.

use crate::decide::{
    budget::{account::Account, domains::Domains, slots},
    case::Case,
    govern::selection::Subject,
    judge::coverage::gaps,
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
        counts.covered += i64::from(is_covered(case));
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

/// Whether the agent reports, and every enabled monitor judges all that it is for.
fn is_covered(case: &Case<'_>) -> bool {
    let report = case.subject.health.current().and_then(|health| health.status.as_ref()?.report.as_ref());
    let is_heard = case.judgement.as_ref().is_some_and(|judgement| !judgement.silent);
    is_heard && report.is_some_and(|report| gaps(&case.subject, report).is_none())
}

/// The use of the limit of each failure domain, if the policy has such a limit.
pub(crate) fn per_domain(account: &Account<'_>, claims: &[Claim], subjects: &[&Subject<'_>]) -> Vec<DomainStatus> {
    let used = slots::used(&claims.iter().collect::<Vec<_>>(), subjects);
    let domains = Domains::new(&account.policy().spec.budget, subjects, &used);
    domains.map(|domains| domains.fullest()).unwrap_or_default()
}

/// A count as the API has it.
pub(crate) fn number(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}
