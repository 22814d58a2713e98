//! One node in a decision: the judgement on it, what may be done to it, and when to decide again.

use super::{
    govern::{
        Governance,
        authority::{self, Authority},
        claims,
        fleet::{Drift, Fleet},
        selection::Subject,
    },
    judge::{
        facts::Facts,
        rules,
        verdict::{self, Judgement},
    },
    marks::taints::{self, OwnTaint, TaintToBe},
    orders::Orders,
};
use crate::{
    plan::Plan,
    world::{Node, SILENT_AFTER_SECONDS, World},
};
use crds::{Time, node_health_policy::TaintEffect};

/// A node in a decision.
#[derive(Clone, Debug)]
pub(crate) struct Case<'w> {
    /// The node, its policy and its profile.
    pub(crate) subject: Subject<'w>,
    /// `None` while it has no NodeHealth of its own: then it is neither judged nor marked.
    pub(crate) judgement: Option<Judgement>,
    /// Whether its marks may be set and lifted.
    pub(crate) authority: Authority<'w>,
    /// The effect that the rules give this judgement, whatever the mode.
    pub(crate) effect: TaintEffect,
    /// How it differs from its fleet.
    pub(crate) drift: Drift,
    /// Whether our taint keeps pods away from the Node now.
    pub(crate) is_marked: bool,
    /// Whether a claim allows a mark that is not wanted and may still come: a leader died or stalled between the two. A write
    /// to the Node stops it.
    pub(crate) is_touched: bool,
    /// Whether a claim was made for a later state of the Node than the one that we see.
    pub(crate) is_behind: bool,
}

impl<'w> Case<'w> {
    /// Judges one node and determines what may be done to it.
    pub(crate) fn of(
        world: &World,
        governance: &Governance<'w>,
        subject: Subject<'w>,
        orders: &Orders,
        fleet: &Fleet<'w>,
        now: Time,
    ) -> Self {
        let node = subject.node;
        let claims = &governance.claims;
        let authority = authority::authority(world, &subject);
        let judgement = subject.health.current().map(|health| {
            let winner = subject.policy.and_then(|p| p.metadata.name.as_deref());
            verdict::judge(&Facts {
                subject: &subject,
                health,
                orders: orders.assignments(&node.name),
                claim: claims.spent_for(&node.name, winner),
                silent: world.agent_is_silent(&node.name, now),
                marks_are_frozen: matches!(authority, Authority::Frozen),
                now,
            })
        });
        let is_marked = taints::is_marked(node);
        let effect = judgement
            .as_ref()
            .map_or(TaintEffect::None, |judgement| rules::effect_of(subject.policy, &judgement.causes));
        let has = |age: claims::Age| {
            let mut of_node = claims.of_node(&node.name).iter();
            of_node.any(|(_, claim)| claims::age(claim, node) == age)
        };
        let case = Case {
            authority,
            drift: fleet.drift(&subject, now),
            is_touched: false,
            is_behind: !is_marked && has(claims::Age::Ahead),
            is_marked,
            effect,
            judgement,
            subject,
        };
        let is_touched = !is_marked && has(claims::Age::Current) && !case.may_be_marked();
        Case { is_touched, ..case }
    }

    /// Asks to be woken when time alone changes something: an agent falls silent, a maintenance overruns or a
    /// certification expires.
    pub(crate) fn wake(&self, world: &World, now: Time, plan: &mut Plan) {
        let node = self.node();
        let Some(health) = self.subject.health.current() else { return };
        if let Some(status) = &health.status {
            if status.report.is_some() && !world.agent_is_silent(&node.name, now) {
                plan.wake(world.agent_last_heard(&node.name).plus(SILENT_AFTER_SECONDS + 1));
            }
            for certification in &status.certifications {
                plan.wake_after(now, certification.expires_at);
            }
        }
        if node.maintenance().is_some()
            && let Some(until) = health.spec.maintenance.as_ref().and_then(|m| m.until)
        {
            plan.wake_after(now, until);
        }
    }

    /// The Node.
    pub(crate) fn node(&self) -> &Node {
        self.subject.node
    }

    /// Whether the judgement asks for a mark that needs a claim, whatever the mode.
    pub(crate) fn needs_claim(&self) -> bool {
        rules::needs_claim(self.effect)
    }

    /// Whether the judgement asks for such a mark, and the mode allows a new one.
    pub(crate) fn may_be_marked(&self) -> bool {
        match self.authority {
            Authority::Enforce(_) => self.needs_claim(),
            Authority::Frozen | Authority::Observe { .. } => false,
        }
    }

    /// What happens to our taint.
    pub(crate) fn taint_to_be(&self, has_slot: bool) -> TaintToBe {
        let Some(judgement) = &self.judgement else {
            return TaintToBe::Keep;
        };
        if self.is_behind {
            return TaintToBe::Keep;
        }
        if self.is_touched {
            let has_taint = self.node().taint(crds::names::TAINT_UNHEALTHY).is_some();
            return taints::touch(self.authority, has_taint);
        }
        let (authority, effect) = (self.authority, self.effect);
        taints::taint_to_be(authority, judgement, effect, has_slot, self.is_marked)
    }

    /// Our desired taints.
    pub(crate) fn own_taints<'a>(&self, judgement: &'a Judgement, has_slot: bool) -> [OwnTaint<'a>; 1] {
        let (key, value) = (crds::names::TAINT_UNHEALTHY, judgement.severity.label());
        [OwnTaint { key, value, to_be: self.taint_to_be(has_slot) }]
    }

    /// Whether our taint will keep pods away, even if no claim pays for it.
    pub(crate) fn stays_marked(&self) -> bool {
        self.removes_capacity(self.taint_to_be(false))
    }

    /// Whether our taint will keep pods away.
    pub(crate) fn removes_capacity(&self, to_be: TaintToBe) -> bool {
        match to_be {
            TaintToBe::Keep => self.is_marked,
            TaintToBe::Set(effect) => rules::needs_claim(effect),
            TaintToBe::Remove => false,
        }
    }
}
