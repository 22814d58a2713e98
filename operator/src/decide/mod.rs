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
mod seen;
mod tell;
#[cfg(test)]
mod tests;
mod write;

pub use memo::{Memo, Room};

use crate::{
    key::{Key, Kind},
    plan::Plan,
    world::World,
};
use budget::{account::Ranked, ledger::Ledger, tally::Share};
use case::{Case, Circumstances, Judged, changes_at};
use crds::Time;
use govern::{
    claims::Claims,
    fleet::Fleet,
    roster::{Roster, Update},
};
use memo::{HasSlot, Ruling, Rulings};
use orders::Orders;
use seen::Names;
use std::collections::BTreeSet;
use write::node::{Refusals, Slot};

/// What to write, given the world and the time, and when to decide again.
pub fn decide(world: &World, now: Time) -> Plan {
    decide_again(world, now, Memo::default()).0
}

/// The same plan, worked out from what an earlier decision left; and what this one leaves.
pub fn decide_again(world: &World, now: Time, memo: Memo) -> (Plan, Memo) {
    decide_within(world, now, memo, &Room::UNBOUNDED)
}

/// The same without the nodes for which nothing changed and there is no room now.
pub fn decide_within(world: &World, now: Time, memo: Memo, room: &Room<'_>) -> (Plan, Memo) {
    let Memo { seen, mut roster, mut fleet, mut rulings, mut planned_again } = memo;
    let claims = Claims::read(world);
    let reclaimed = seen.with_other_claims(world);
    let names = match seen.with_other_objects(world) {
        Names::All => None,
        Names::These(names) => Some(names.into_iter().chain(reclaimed.iter().cloned()).collect()),
    };
    let update = roster.update(world, &claims, names, &mut fleet);
    let edition = fleet.conclude();
    let mut plan = Plan::default();
    let orders = runs::decide(world, &roster, now, &mut plan);
    let scene = Scene { world, claims: &claims, roster: &roster, orders: &orders, fleet: &fleet, now };
    let judged = match (update, seen.with_other_circumstances(world, &orders, edition, now)) {
        (Update::Of(mut names), Names::These(others)) => {
            names.extend(reclaimed);
            names.extend(others);
            names.extend(rulings.due(now).cloned());
            let (again, is_all) = rulings.unsettled(&planned_again, room);
            if !is_all {
                plan.wake(now.plus(1));
            }
            planned_again = again.last().cloned().unwrap_or_default();
            names.extend(again);
            names
        }
        (Update::Everything, _) | (_, Names::All) => {
            rulings = Rulings::of_policies(roster.ranks.policies.len());
            roster.names().cloned().collect()
        }
    };
    for name in &judged {
        scene.judge(name, &mut rulings);
    }
    let settled = scene.decide_nodes(&rulings, &judged, &mut plan);
    for (node, settled) in settled {
        rulings.settle(&node, settled);
    }
    let seen = seen.now(world, orders, edition, now);
    (plan, Memo { seen, roster, fleet, rulings, planned_again })
}

/// Everything that a decision looks at.
struct Scene<'w> {
    world: &'w World,
    claims: &'w Claims<'w>,
    roster: &'w Roster,
    orders: &'w Orders,
    fleet: &'w Fleet,
    now: Time,
}

impl Scene<'_> {
    /// Judges one node.
    fn judge(&self, name: &str, rulings: &mut Rulings) {
        let Some(subject) = self.roster.subject(name) else {
            rulings.remove(name);
            return;
        };
        let circumstances = Circumstances::of(self.world, self.claims, &subject, self.orders);
        let judged = Judged::of(&subject, &circumstances, self.fleet, self.now);
        let ruling = Ruling {
            share: Share::of(&subject, &judged),
            is_open: subject.is_claimed || subject.is_malformed || judged.concerns_budget(),
            changes_at: changes_at(&subject, self.now),
            settled: None,
            judged,
        };
        rulings.insert(name, ruling);
    }

    /// Decides every policy, and every node that was judged now or is open. Returns which of them had nothing to write.
    fn decide_nodes(
        &self,
        rulings: &Rulings,
        judged: &BTreeSet<String>,
        plan: &mut Plan,
    ) -> Vec<(String, Option<HasSlot>)> {
        rulings.changes_at().into_iter().for_each(|at| plan.wake(at));
        let (cases, before) = self.cases(rulings, judged);
        let mut ledger = Ledger::new(self.claims, self.roster);
        let mut accounts = Vec::with_capacity(self.roster.ranks.policies.len());
        for ranked in self.ranked(rulings) {
            let mut account = ledger.allocate(self.world, ranked, &cases, self.now);
            write::policy::plan_claims(&mut account, plan);
            accounts.push(account);
        }
        let mut settled = Vec::with_capacity(cases.len());
        for (case, before) in cases.iter().zip(before) {
            let name = &case.node().name;
            let slot = ledger.slot(case);
            let waits_for = slot.filter(|policy| ledger.grants(policy, name)).and_then(|policy| {
                accounts.iter().find(|account| account.name() == policy).and_then(|account| account.claim_step)
            });
            let has_slot = HasSlot(slot.is_some());
            if waits_for.is_none() && before == Some(has_slot) {
                continue;
            }
            let steps = plan.steps.len();
            let refusals = self.refusals(name, slot.filter(|_| waits_for.is_some()));
            let slot = Slot { is_granted: slot.is_some(), claim_step: waits_for };
            write::node::plan_node(case, slot, refusals, self.orders, self.now, plan);
            settled.push((name.clone(), (plan.steps.len() == steps).then_some(has_slot)));
        }
        for account in &accounts {
            write::policy::plan_counts(account, &cases, self.now, plan);
        }
        settled
    }

    /// The cases of these nodes and of the open ones, by name, each with what it was settled as.
    fn cases<'r>(
        &'r self,
        rulings: &'r Rulings,
        judged: &'r BTreeSet<String>,
    ) -> (Vec<Case<'r>>, Vec<Option<HasSlot>>) {
        let case = |name: &'r String| {
            let (subject, ruling) = (self.roster.subject(name)?, rulings.of(name)?);
            Some((Case::new(self.world, subject, &ruling.judged, self.now), ruling.settled))
        };
        judged.union(rulings.open()).filter_map(case).unzip()
    }

    /// What the API server refuses of a node. `payer`: the policy whose claim its mark waits for.
    fn refusals(&self, name: &str, payer: Option<&str>) -> Refusals {
        let World { refused_texts: texts, refused_marks: marks, .. } = self.world;
        let of_payer = |policy| marks.contains(&Key::new(Kind::Policy, policy));
        Refusals {
            texts: !texts.is_empty() && texts.contains(&Key::new(Kind::NodeHealth, name)),
            mark: !marks.is_empty() && (marks.contains(&Key::new(Kind::Node, name)) || payer.is_some_and(of_payer)),
        }
    }

    /// The policies, the highest rank first.
    fn ranked<'r>(&'r self, rulings: &'r Rulings) -> impl Iterator<Item = Ranked<'r>> {
        let ranks = &self.roster.ranks;
        ranks.policies.iter().zip(&ranks.objections).enumerate().filter_map(|(rank, (policy, objections))| {
            Some(Ranked { policy, tally: rulings.tallies().of_rank(rank)?, objections })
        })
    }
}
