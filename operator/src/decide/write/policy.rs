//! Statuses of policies: the claims, and apart from them counts and conditions.

use super::counts::{self, number};
use crate::{
    decide::{
        budget::account::Account,
        case::Case,
        govern::{acceptance, claims::claims_of},
    },
    plan::{Plan, Write},
};
use crds::{
    Time,
    condition::{Wanted, merge},
    node_health_policy::{BudgetStatus, Claim, NodeHealthPolicyStatus},
    reason,
};
use std::collections::BTreeSet;

/// The most waiting nodes that a message lists by name.
const NAMED: usize = 8;

/// Plans the write of the claims, if they change. It must succeed before the marks that the added ones pay for are written,
/// and waits for nothing itself.
pub(crate) fn plan_claims(account: &mut Account<'_>, plan: &mut Plan) {
    let claims = account.claims();
    if claims_of(account.policy()).ne(&claims) {
        let (policy, uid, resource_version) = identity(account);
        account.claim_step = Some(plan.push(Write::PolicyClaims { policy, uid, resource_version, claims }, Vec::new()));
    }
}

/// Plans the write of the counts and conditions, if they change. It waits for nothing, so that a refused claim does not keep
/// people from being told.
pub(crate) fn plan_counts(account: &Account<'_>, cases: &[Case<'_>], now: Time, plan: &mut Plan) {
    let status = status(account, cases, now);
    if account.policy().status.as_ref() != Some(&status) {
        let (policy, uid, resource_version) = identity(account);
        let status = Box::new(status);
        plan.push(Write::PolicyStatus { policy, uid, resource_version, status }, Vec::new());
    }
}

fn identity(account: &Account<'_>) -> (String, String, String) {
    let meta = &account.policy().metadata;
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    (account.name().to_owned(), text(&meta.uid), text(&meta.resource_version))
}

/// The complete status, with the claims as they stand: these are written apart.
fn status(account: &Account<'_>, cases: &[Case<'_>], now: Time) -> NodeHealthPolicyStatus {
    let policy = account.policy();
    let before = policy.status.as_ref();
    let claims: Vec<Claim> = claims_of(policy).cloned().collect();
    let waiting = waiting(account, cases);
    NodeHealthPolicyStatus {
        observed_generation: policy.metadata.generation,
        counts: counts::nodes(account, waiting.len()),
        budget: BudgetStatus {
            limit: number(account.allocation.limit),
            used: number(account.used),
            per_domain: account.per_domain.clone(),
            claims,
        },
        storms: before.map(|b| b.storms.clone()).unwrap_or_default(),
        schedules: before.map(|b| b.schedules.clone()).unwrap_or_default(),
        conditions: merge(
            before.map_or(&[], |b| b.conditions.as_slice()),
            conditions(account, cases, &waiting),
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

fn conditions(account: &Account<'_>, cases: &[Case<'_>], waiting: &[&str]) -> Vec<Wanted> {
    let tally = account.ranked.tally;
    let overruled = tally.governed == 0 && tally.overruled > 0;
    let objections = account.ranked.objections;
    let (why, text) = if overruled {
        (
            reason::OVERRULED,
            "Every node that this policy selects is governed by another policy, which has a higher priority or is older at the same priority.".to_owned(),
        )
    } else if tally.governed == 0 {
        (reason::NO_MATCH, "No accelerator node matches spec.nodeSelector.".to_owned())
    } else {
        (reason::POLICY_ACCEPTED, format!("Nodes governed by this policy: {}.", tally.governed))
    };
    let accepted = match objections.first() {
        Some(first) => Wanted::new("Accepted", false, first.reason, acceptance::text(objections, &text)),
        None => Wanted::new("Accepted", !overruled, why, text.clone()),
    };
    let limit = account.allocation.limit;
    let exhausted = if waiting.is_empty() {
        Wanted::new("BudgetExhausted", false, reason::WITHIN_BUDGET, "No node is waiting for budget.")
    } else {
        let named = named(waiting);
        Wanted::new(
            "BudgetExhausted",
            true,
            reason::BUDGET_EXHAUSTED,
            format!(
                "Budget exhausted (limit {limit}). Nodes waiting: {named}. Repair or replace the nodes that are out of service, or raise spec.budget."
            ),
        )
    };
    // Ready=False alone reads as "in progress" to those that wait (kstatus): an overruled policy gets nowhere by itself.
    vec![
        accepted,
        exhausted,
        unreadable(account, cases),
        Wanted::new("Ready", !overruled, why, text.clone()),
        Wanted::new("Stalled", overruled, why, text),
    ]
}

/// Whether NodeHealths of the policy do not parse.
fn unreadable(account: &Account<'_>, cases: &[Case<'_>]) -> Wanted {
    let malformed: Vec<&str> = account
        .governed
        .iter()
        .map(|&i| &cases[i].subject)
        .filter(|subject| subject.is_malformed)
        .map(|subject| subject.node.name.as_str())
        .collect();
    if malformed.is_empty() {
        return Wanted::new("Unreadable", false, reason::ALL_READABLE, "Every NodeHealth can be read.");
    }
    let text = format!(
        "NodeHealths that this operator cannot read: {}. Their nodes count as unavailable, and their marks stay. Upgrade the operator, or delete these objects: they are made again.",
        named(&malformed)
    );
    Wanted::new("Unreadable", true, reason::UNREADABLE, text)
}

/// The first of these names, and how many more there are.
fn named(names: &[&str]) -> String {
    let first = names[..names.len().min(NAMED)].join(", ");
    match names.len().saturating_sub(NAMED) {
        0 => first,
        n => format!("{first} and {n} more"),
    }
}
