//! Statuses of policies: counts, conditions and claims. Claims are added before marks are set and dropped after they
//! are gone.

use super::counts::{self, number};
use crate::{
    decide::{
        budget::{account::Account, slots},
        case::Case,
        govern::acceptance,
    },
    plan::{Plan, Write},
};
use crds::{
    Time,
    condition::{Wanted, merge},
    node_health_policy::{BudgetStatus, Claim, NodeHealthPolicyStatus},
    reason,
};
use std::collections::{BTreeMap, BTreeSet};

/// The most waiting nodes that a message lists by name.
const NAMED: usize = 8;

/// Plans the write that adds claims. It must succeed before the marks that the claims pay for are written.
pub(crate) fn plan_claims(account: &mut Account<'_>, cases: &[Case<'_>], now: Time, plan: &mut Plan) {
    if !account.added.is_empty() {
        let status = status(account, cases, &BTreeSet::new(), now);
        account.claim_step = Some(push(account, status, true, Vec::new(), plan));
    }
}

/// Plans the last write of a policy's status, which drops claims no longer needed. It follows every write to their
/// nodes.
pub(crate) fn plan_end(
    account: &Account<'_>,
    cases: &[Case<'_>],
    by_name: &BTreeMap<&str, usize>,
    steps_of: &[Vec<usize>],
    now: Time,
    plan: &mut Plan,
) {
    if account.claim_step.is_some() && account.served.is_empty() {
        return;
    }
    let dropped: BTreeSet<&str> = account.served.iter().copied().collect();
    let status = status(account, cases, &dropped, now);
    if account.policy().status.as_ref() == Some(&status) {
        return;
    }
    let mut after: Vec<usize> = account.claim_step.into_iter().collect();
    for node in &account.served {
        if let Some(&index) = by_name.get(node) {
            after.extend_from_slice(&steps_of[index]);
        }
    }
    after.sort_unstable();
    push(account, status, account.claim_step.is_none(), after, plan);
}

fn push(
    account: &Account<'_>,
    status: NodeHealthPolicyStatus,
    is_first: bool,
    after: Vec<usize>,
    plan: &mut Plan,
) -> usize {
    let meta = &account.policy().metadata;
    plan.push(
        Write::PolicyStatus {
            policy: account.name().to_owned(),
            uid: meta.uid.clone().unwrap_or_default(),
            resource_version: is_first.then(|| meta.resource_version.clone().unwrap_or_default()),
            status: Box::new(status),
        },
        after,
    )
}

/// The complete status, without the claims of the nodes in `dropped`.
fn status(account: &Account<'_>, cases: &[Case<'_>], dropped: &BTreeSet<&str>, now: Time) -> NodeHealthPolicyStatus {
    let policy = account.policy();
    let before = policy.status.as_ref();
    let claims: Vec<Claim> = account
        .standing
        .iter()
        .copied()
        .chain(&account.added)
        .filter(|claim| account.is_frozen || !dropped.contains(claim.node.as_str()))
        .cloned()
        .collect();
    let subjects: Vec<_> = account.governed.iter().map(|&i| &cases[i].subject).collect();
    let used = slots::used(&claims.iter().collect::<Vec<_>>(), &subjects).len();
    let waiting = waiting(account, cases);
    NodeHealthPolicyStatus {
        observed_generation: policy.metadata.generation,
        counts: counts::nodes(account, cases, waiting.len()),
        budget: BudgetStatus {
            limit: number(account.allocation.limit),
            used: number(used),
            per_domain: counts::per_domain(account, &claims, &subjects),
            claims,
        },
        storms: before.map(|b| b.storms.clone()).unwrap_or_default(),
        schedules: before.map(|b| b.schedules.clone()).unwrap_or_default(),
        conditions: merge(
            before.map_or(&[], |b| b.conditions.as_slice()),
            conditions(account, &waiting),
            policy.metadata.generation,
            now,
        ),
    }
}

/// The nodes that the budget has no room for, without those that are already marked.
fn waiting<'w>(account: &Account<'w>, cases: &[Case<'w>]) -> Vec<&'w str> {
    let marked: BTreeSet<&str> = account
        .governed
        .iter()
        .filter(|&&i| cases[i].stays_marked())
        .map(|&i| cases[i].subject.node.name.as_str())
        .collect();
    account.allocation.waiting.iter().copied().filter(|node| !marked.contains(node)).collect()
}

fn conditions(account: &Account<'_>, waiting: &[&str]) -> Vec<Wanted> {
    let overruled = account.governed.is_empty() && account.ranked.selects_some;
    let objections = acceptance::objections(&account.policy().spec);
    let (why, text) = if overruled {
        (
            reason::OVERRULED,
            "Every node that this policy selects is governed by another policy, which has a higher priority or is older at the same priority.".to_owned(),
        )
    } else if account.governed.is_empty() {
        (reason::NO_MATCH, "No accelerator node matches spec.nodeSelector.".to_owned())
    } else {
        (reason::POLICY_ACCEPTED, format!("Nodes governed by this policy: {}.", account.governed.len()))
    };
    let accepted = match objections.first() {
        Some(first) => Wanted::new("Accepted", false, first.reason, acceptance::text(&objections, &text)),
        None => Wanted::new("Accepted", !overruled, why, text.clone()),
    };
    let limit = account.allocation.limit;
    let exhausted = if waiting.is_empty() {
        Wanted::new("BudgetExhausted", false, reason::WITHIN_BUDGET, "No node is waiting for budget.")
    } else {
        let named = waiting[..waiting.len().min(NAMED)].join(", ");
        let more = match waiting.len().saturating_sub(NAMED) {
            0 => String::new(),
            n => format!(" and {n} more"),
        };
        Wanted::new(
            "BudgetExhausted",
            true,
            reason::BUDGET_EXHAUSTED,
            format!(
                "Budget exhausted (limit {limit}). Nodes waiting: {named}{more}. Repair or replace the nodes that are out of service, or raise spec.budget."
            ),
        )
    };
    vec![accepted, exhausted, Wanted::new("Ready", !overruled, why, text)]
}
