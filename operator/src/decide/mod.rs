//! The decision, a pure function: what to write, given the world and the time. Only this file knows the order of the
//! steps.
//!
//! ```text
//! govern ─▶ runs ─▶ fleet ─▶ judge ─▶ allocate ─▶ claims ─▶ taints ─▶ words ─▶ orders ─▶ claims no longer needed
//! (policy,   (work   (usual   (state,   (room in     (one write  (after    (after             are dropped (after every
//!  profile)  orders)  versions) causes)  the budget)  per policy)  claims)   taints)            write to their nodes)
//! ```
//!
//! Statuses of runs come first: a work order is written after the step that records it. For each NodeHealth the status is
//! planned before the spec: the status carries the resourceVersion that was read, the spec only the uid.

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

use crate::{plan::Plan, world::World};
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
        let account = ledger.allocate(world, *ranked, &cases, now);
        accounts.push(account);
    }
    for account in &mut accounts {
        ledger.settle(account, &cases, &by_name);
        write::policy::plan_claims(account, &cases, now, plan);
    }
    let mut steps_of = vec![Vec::new(); cases.len()];
    for (case, steps) in cases.iter().zip(&mut steps_of) {
        let slot = ledger.slot(case);
        let waits_for = slot.and_then(|policy| {
            accounts.iter().find(|a| a.name() == policy && a.grants(case.node())).and_then(|a| a.claim_step)
        });
        write::node::plan_node(case, slot.is_some(), waits_for, orders, now, plan, steps);
    }
    for account in &accounts {
        write::policy::plan_end(account, &cases, &by_name, &steps_of, now, plan);
    }
}
