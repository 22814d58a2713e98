//! Nodes: which have a NodeHealth, what it orders, how the node is judged, and what is marked.
//!
//! ```text
//! select ─▶ judge ─▶ effect ─▶ allocate ─▶ claims ─▶ taints ─▶ words ─▶ claims that have served are dropped
//! (policy,   (state,  (of the    (room in    (one write  (after    (after      (after every write to their nodes)
//!  profile)   causes)  rules)     the budget) per policy) claims)   taints)
//! ```
//!
//! Of one NodeHealth the status is planned before the spec: the status carries the resourceVersion that was read, the
//! spec only the uid.

mod budget;
mod causes;
mod claims;
mod drift;
mod drills;
mod events;
mod judge;
mod marks;
mod policy_status;
mod selection;
mod spec;
mod words;
mod writes;

#[cfg(test)]
mod tests;

use crate::{
    decide::orders::Orders,
    plan::Plan,
    world::{Node, SILENT_AFTER_SECONDS, World},
};
use claims::Ledger;
use crds::{HealthCheckPolicy, Time, health_check_policy::TaintEffect, node_health::NodeHealthStatus};
use drift::{Drift, Fleet};
use judge::Judgement;
use marks::{Authority, TaintToBe};
use selection::Subject;
use std::collections::BTreeMap;

/// A node under decision.
#[derive(Clone, Debug)]
struct Case<'w> {
    subject: Subject<'w>,
    /// `None` while it has no NodeHealth of its own: nothing is judged and nothing is marked then.
    judgement: Option<Judgement>,
    authority: Authority<'w>,
    /// The taint that rules give this judgement, whatever the mode.
    effect: TaintEffect,
    /// How it differs from its fleet.
    drift: Drift,
    /// Whether our taint keeps pods away from the Node now.
    is_marked: bool,
    /// Whether a claim stands for the node without a mark: a leader died or sleeps between claim and mark, or somebody
    /// removed the mark. It is dropped, after a write to the Node that stops late marks, before the node is claimed anew.
    is_leftover: bool,
}

impl Case<'_> {
    /// The Node.
    fn node(&self) -> &Node {
        self.subject.node
    }

    /// Whether the judgement asks for a mark that needs a claim, whatever the mode.
    fn needs_claim(&self) -> bool {
        marks::needs_claim(self.effect)
    }

    /// What becomes of our taint.
    fn taint_to_be(&self, has_slot: bool) -> TaintToBe {
        let Some(judgement) = &self.judgement else {
            return TaintToBe::Keep;
        };
        if self.is_leftover {
            let bears_taint = self.node().taint(crds::names::TAINT_UNHEALTHY).is_some();
            return marks::touch(self.authority, bears_taint);
        }
        let (authority, effect) = (self.authority, self.effect);
        marks::taint_to_be(authority, judgement, effect, has_slot, self.is_marked)
    }

    /// Whether our taint keeps pods away afterwards, even if no claim pays for it.
    fn stays_marked(&self) -> bool {
        self.removes_capacity(self.taint_to_be(false))
    }

    /// Whether our taint keeps pods away afterwards.
    fn removes_capacity(&self, to_be: TaintToBe) -> bool {
        match to_be {
            TaintToBe::Keep => self.is_marked,
            TaintToBe::Set(effect) => marks::needs_claim(effect),
            TaintToBe::Remove => false,
        }
    }
}

/// Decides every node and every policy.
pub fn decide(world: &World, orders: &Orders, now: Time, plan: &mut Plan) {
    let mut ledger = Ledger::read(world);
    let (subjects, policies) = selection::select(world, |node| ledger.holds_one_for(node));
    let fleet = Fleet::of(&subjects);
    let cases: Vec<Case<'_>> =
        subjects.into_iter().map(|subject| case(world, subject, orders, &fleet, &ledger, now, plan)).collect();
    let by_name: BTreeMap<&str, usize> =
        cases.iter().enumerate().map(|(index, case)| (case.subject.node.name.as_str(), index)).collect();
    let mut accounts = Vec::with_capacity(policies.len());
    for ranked in policies {
        let account = ledger.allocate(world, ranked, &cases);
        accounts.push(account);
    }
    for account in &mut accounts {
        ledger.settle(account, &cases, &by_name);
        policy_status::plan_claims(account, &cases, now, plan);
    }
    let mut steps_of = vec![Vec::new(); cases.len()];
    for (case, steps) in cases.iter().zip(&mut steps_of) {
        let slot = ledger.slot(case);
        let waits_for = slot.and_then(|policy| {
            accounts.iter().find(|a| a.name() == policy && a.grants(case.node())).and_then(|a| a.claim_step)
        });
        writes::plan_node(case, slot.is_some(), waits_for, orders, now, plan, steps);
    }
    for account in &accounts {
        policy_status::plan_end(account, &cases, &by_name, &steps_of, now, plan);
    }
}

/// The policy that governs each node that has one.
pub(super) fn policies_by_node(world: &World) -> BTreeMap<&str, &HealthCheckPolicy> {
    let ledger = Ledger::read(world);
    let (subjects, _) = selection::select(world, |node| ledger.holds_one_for(node));
    subjects.iter().filter_map(|subject| Some((subject.node.name.as_str(), subject.policy?))).collect()
}

/// Judges one node and finds out what may be done to it.
fn case<'w>(
    world: &World,
    subject: Subject<'w>,
    orders: &Orders,
    fleet: &Fleet<'w>,
    ledger: &Ledger<'w>,
    now: Time,
    plan: &mut Plan,
) -> Case<'w> {
    let node = subject.node;
    let authority = marks::authority(world, &subject);
    let marks_are_frozen = matches!(authority, Authority::Frozen);
    let judgement = subject.health.current().map(|health| {
        let silent = world.agent_is_silent(&node.name, now);
        wake(world, &node.name, health.status.as_ref(), silent, now, plan);
        if node.maintenance().is_some()
            && let Some(until) = health.spec.maintenance.as_ref().and_then(|m| m.until).filter(|until| *until > now)
        {
            plan.wake(until);
        }
        let winner = subject.policy.and_then(|p| p.metadata.name.as_deref());
        let claim = ledger.claim_for(&node.name, winner);
        let ordered = spec::assignments(orders, &node.name);
        judge::judge(&subject, health, ordered, claim, silent, marks_are_frozen, now)
    });
    let is_marked = marks::is_marked(node);
    let effect = judgement.as_ref().map_or(TaintEffect::None, |judgement| marks::effect_of(subject.policy, judgement));
    Case {
        authority,
        drift: fleet.drift(&subject, now),
        is_leftover: judgement.is_some() && !is_marked && ledger.may_drop_one_for(world, &node.name),
        is_marked,
        effect,
        judgement,
        subject,
    }
}

/// Time alone changes three things: an agent falls silent, a maintenance overruns, and a certification expires.
fn wake(world: &World, node: &str, status: Option<&NodeHealthStatus>, silent: bool, now: Time, plan: &mut Plan) {
    let Some(status) = status else { return };
    if status.report.is_some() && !silent {
        plan.wake(world.agent_last_heard(node).plus(SILENT_AFTER_SECONDS + 1));
    }
    for certification in &status.certifications {
        if certification.expires_at > now {
            plan.wake(certification.expires_at);
        }
    }
}
