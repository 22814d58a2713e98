//! One node in a decision: the judgement on it, what may be done to it, and when to decide again.

use super::{
    annotation::Annotation,
    govern::{
        Governance,
        authority::{self, Authority},
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
use crds::{State, Time, node_health_policy::TaintEffect};

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
    /// Whether the node has a claim but no mark: a leader died or stalled between the two, or somebody removed the mark.
    /// The claim is dropped, after a write to the Node that stops late marks, before the node can get a new one.
    pub(crate) is_leftover: bool,
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
        let authority = authority::authority(world, &subject, is_released(&subject, now));
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
        Case {
            authority,
            drift: fleet.drift(&subject, now),
            is_leftover: judgement.is_some() && !is_marked && claims.may_be_dropped(world, &node.name),
            is_marked,
            effect,
            judgement,
            subject,
        }
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
            if let Some(release) = self.subject.policy.and_then(|policy| policy.spec.release_all.as_ref()) {
                plan.wake_after(now, release.before);
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

    /// What happens to our taint.
    pub(crate) fn taint_to_be(&self, has_slot: bool) -> TaintToBe {
        let Some(judgement) = &self.judgement else {
            return TaintToBe::Keep;
        };
        if self.is_leftover {
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

/// Whether the policy's `releaseAll` covers the marks of the node: they are older than its time, and that is not in the
/// future. A mark is at least as old as the decision that it shows, and as what its annotation says; one of which neither
/// is known counts as older.
fn is_released(subject: &Subject<'_>, now: Time) -> bool {
    let Some(release) = subject.policy.and_then(|policy| policy.spec.release_all.as_ref()) else { return false };
    let decision = subject.health.current().and_then(|health| health.status.as_ref()?.decision.as_ref());
    let decided = decision.filter(|decision| decision.state == State::Unhealthy).map(|decision| decision.since);
    let annotated = Annotation::read(subject.node).and_then(|annotation| annotation.since);
    release.before <= now && decided.into_iter().chain(annotated).min().is_none_or(|since| since < release.before)
}
