//! The decision, a pure function: what to write, given the world and the time. Only this file knows the order of the
//! steps.
//!
//! ```text
//! govern ─▶ runs ─▶ fleet ─▶ judge ─▶ allocate ─▶ claims ─▶ taints ─▶ words ─▶ orders ─▶ counts
//! (policy,   (work   (usual   (state,   (room in     (one write  (after    (after             (of each policy,
//!  profile)  orders)  versions) causes)  the budget)  per policy)  claims)   taints)            after nothing)
//! ```
//!
//! Statuses of runs come first: a work order is written after the step that records it. Every write of an object carries the
//! resourceVersion that was read, or the one that the step before it left: what a deposed leader sends late is refused.

mod annotation;
mod budget;
mod case;
mod govern;
mod judge;
mod marks;
#[cfg(test)]
pub(crate) mod model;
mod orders;
#[cfg(test)]
mod proptests;
mod runs;
mod tell;
#[cfg(test)]
mod tests;
mod write;

use crate::{
    key::{Key, Kind},
    plan::Plan,
    world::World,
};
use budget::ledger::Ledger;
use case::Case;
use crds::Time;
use govern::{Governance, fleet::Fleet};
use orders::Orders;
use std::collections::BTreeMap;

/// What to write, given the world and the time, and when to decide again.
pub fn decide(world: &World, now: Time) -> Plan {
    let mut plan = Plan::default();
    let governance = Governance::of(world);
    let orders = runs::decide(world, &governance.subjects, now, &mut plan);
    decide_nodes(world, &governance, &orders, now, &mut plan);
    plan
}

/// Decides every node and every policy.
fn decide_nodes<'w>(world: &'w World, governance: &Governance<'w>, orders: &Orders, now: Time, plan: &mut Plan) {
    let fleet = Fleet::of(&governance.subjects);
    let judged = governance.subjects.iter().map(|subject| Case::of(world, governance, *subject, orders, &fleet, now));
    let cases: Vec<Case<'_>> = judged.collect();
    for case in &cases {
        case.wake(world, now, plan);
    }
    let by_name: BTreeMap<&str, usize> =
        cases.iter().enumerate().map(|(index, case)| (case.subject.node.name.as_str(), index)).collect();
    let mut ledger = Ledger::new(&governance.claims);
    let mut accounts = Vec::with_capacity(governance.policies.len());
    for ranked in &governance.policies {
        let mut account = ledger.allocate(world, *ranked, &cases, &by_name);
        write::policy::plan_claims(&mut account, plan);
        accounts.push(account);
    }
    for case in &cases {
        let slot = ledger.slot(case);
        let waits_for = slot.and_then(|policy| {
            accounts.iter().find(|a| a.name() == policy && a.grants(case.node())).and_then(|a| a.claim_step)
        });
        let key = Key::new(Kind::NodeHealth, &case.node().name);
        let is_without_texts = world.refused_texts.contains(&key);
        write::node::plan_node(case, slot.is_some(), waits_for, orders, is_without_texts, now, plan);
    }
    for account in &accounts {
        write::policy::plan_counts(account, &cases, now, plan);
    }
}
