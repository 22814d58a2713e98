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
mod memo;
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

pub use memo::Memo;

use crate::{plan::Plan, world::World};
use budget::ledger::Ledger;
use case::{Case, Circumstances, Judged, changes_at};
use crds::Time;
use govern::{Governance, claims::Claims, fleet::Fleet};
use memo::{HasSlot, Ruling};
use orders::Orders;
use std::collections::BTreeMap;

/// What to write, given the world and the time, and when to decide again.
pub fn decide(world: &World, now: Time) -> Plan {
    decide_again(world, now, Memo::default()).0
}

/// The same plan, worked out from what an earlier decision left; and what this one leaves.
pub fn decide_again(world: &World, now: Time, memo: Memo) -> (Plan, Memo) {
    let Memo { mut roster, mut fleet, rulings } = memo;
    let claims = Claims::read(world);
    let places = roster.update(world, &claims, &mut fleet);
    let rulings = Memo::carry(rulings, places);
    let edition = fleet.conclude();
    let (places, subjects): (Vec<usize>, Vec<_>) = roster.subjects().unzip();
    let governance = Governance { claims, subjects, policies: roster.policies() };
    let mut plan = Plan::default();
    let orders = runs::decide(world, &governance.subjects, now, &mut plan);
    let mut docket = Docket { places, rulings, edition };
    docket.judge(world, &governance, &orders, &fleet, now);
    let settled = decide_nodes(world, &governance, &docket, &orders, now, &mut plan);
    let rulings = docket.close(&settled);
    drop(governance);
    (plan, Memo { roster, fleet, rulings })
}

/// The rulings of one decision.
struct Docket {
    /// The place of each subject in the roster.
    places: Vec<usize>,
    /// By place in the roster.
    rulings: Vec<Option<Box<Ruling>>>,
    /// The edition of the fleet's usual versions.
    edition: u64,
}

impl Docket {
    /// Judges every node whose ruling does not stand.
    fn judge(&mut self, world: &World, governance: &Governance<'_>, orders: &Orders, fleet: &Fleet, now: Time) {
        for (subject, &place) in governance.subjects.iter().zip(&self.places) {
            let circumstances = Circumstances::of(world, &governance.claims, subject, orders, self.edition);
            let ruling = &mut self.rulings[place];
            if ruling.as_ref().is_some_and(|ruling| ruling.stands(&circumstances, now)) {
                continue;
            }
            *ruling = Some(Box::new(Ruling {
                judged: Judged::of(subject, &circumstances, fleet, now),
                circumstances: circumstances.into_owned(),
                made_at: now,
                changes_at: changes_at(subject, now),
                settled: None,
            }));
        }
    }

    /// The ruling on each subject.
    fn rulings(&self) -> impl Iterator<Item = &Ruling> {
        self.places.iter().filter_map(|&place| self.rulings[place].as_deref())
    }

    /// Keeps the rulings on nodes that had nothing to write.
    fn close(mut self, settled: &[Option<HasSlot>]) -> Vec<Option<Box<Ruling>>> {
        for (&place, settled) in self.places.iter().zip(settled) {
            match (settled, &mut self.rulings[place]) {
                (Some(_), Some(ruling)) => ruling.settled = *settled,
                (_, ruling) => *ruling = None,
            }
        }
        self.rulings
    }
}

/// Decides every node and every policy. Returns which nodes had nothing to write.
fn decide_nodes<'w>(
    world: &'w World,
    governance: &'w Governance<'w>,
    docket: &'w Docket,
    orders: &Orders,
    now: Time,
    plan: &mut Plan,
) -> Vec<Option<HasSlot>> {
    let subjects = governance.subjects.iter().zip(docket.rulings());
    let cases: Vec<Case<'_>> =
        subjects.map(|(subject, ruling)| Case::new(world, *subject, &ruling.judged, now)).collect();
    for at in docket.rulings().filter_map(|ruling| ruling.changes_at) {
        plan.wake(at);
    }
    let by_name: BTreeMap<&str, usize> =
        cases.iter().enumerate().map(|(index, case)| (case.subject.node.name.as_str(), index)).collect();
    let mut ledger = Ledger::new(&governance.claims);
    let mut accounts = Vec::with_capacity(governance.policies.len());
    for ranked in &governance.policies {
        let mut account = ledger.allocate(world, *ranked, &cases, &by_name, now);
        write::policy::plan_claims(&mut account, plan);
        accounts.push(account);
    }
    let mut settled = Vec::with_capacity(cases.len());
    for (case, ruling) in cases.iter().zip(docket.rulings()) {
        let slot = ledger.slot(case);
        let waits_for = slot.and_then(|policy| {
            accounts.iter().find(|a| a.name() == policy && a.grants(case.node())).and_then(|a| a.claim_step)
        });
        let has_slot = HasSlot(slot.is_some());
        if waits_for.is_none() && ruling.settled == Some(has_slot) {
            settled.push(ruling.settled);
            continue;
        }
        let before = plan.steps.len();
        let is_without_texts = ruling.circumstances.is_without_texts;
        write::node::plan_node(case, slot.is_some(), waits_for, orders, is_without_texts, now, plan);
        settled.push((plan.steps.len() == before).then_some(has_slot));
    }
    for account in &accounts {
        write::policy::plan_counts(account, &cases, now, plan);
    }
    settled
}
