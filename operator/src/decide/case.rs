//! One node in a decision: the judgement on it, what may be done to it, and when to decide again.

use super::{
    annotation::Annotation,
    govern::{
        authority::{self, Authority},
        claims::{Age, Claims, age},
        fleet::{Drift, Fleet},
        selection::Subject,
    },
    judge::{
        coverage::gaps,
        facts::Facts,
        rules,
        verdict::{self, Judgement},
    },
    marks::taints::{self, OwnTaint, TaintToBe},
    orders::Orders,
};
use crate::world::{Node, World};
use crds::{
    State, Time,
    node_health::Assignment,
    node_health_policy::{Claim, TaintEffect},
};
use std::ops::Deref;

/// A node in a decision.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case<'w> {
    /// The node, its policy and its profile.
    pub(crate) subject: Subject<'w>,
    /// Whether its marks may be set and lifted.
    pub(crate) authority: Authority<'w>,
    judged: &'w Judged,
}

/// What the judgement on a node comes to. It borrows nothing, so that it can be kept for the next decision.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Judged {
    /// `None` while the node has no NodeHealth of its own: then it is neither judged nor marked.
    pub(crate) judgement: Option<Judgement>,
    /// The effect that the rules give this judgement, whatever the mode.
    pub(crate) effect: TaintEffect,
    /// How the node differs from its fleet.
    pub(crate) drift: Drift,
    /// Whether its agent reports, and every enabled monitor judges all that it is for.
    pub(crate) is_covered: bool,
    /// Whether our taint keeps pods away from the Node now.
    pub(crate) is_marked: bool,
    /// Whether a claim allows a mark that is not wanted and may still come: a leader died or stalled between the two. A write
    /// to the Node stops it.
    pub(crate) is_touched: bool,
    /// Whether a claim was made for a later state of the Node than the one that we see.
    pub(crate) is_behind: bool,
}

impl Deref for Case<'_> {
    type Target = Judged;

    fn deref(&self) -> &Judged {
        self.judged
    }
}

/// What a judgement depends on besides the node's own objects, its policy and its profile.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Circumstances<'w> {
    /// Its work orders.
    pub(crate) orders: &'w [Assignment],
    /// Its claims, each with the name of the policy.
    pub(crate) claims: &'w [(&'w str, &'w Claim)],
    /// Whether its agent is silent.
    pub(crate) silent: bool,
    /// Whether all marks are frozen.
    pub(crate) hold_everything: bool,
}

impl<'w> Circumstances<'w> {
    /// Those of one node.
    pub(crate) fn of(world: &World, claims: &'w Claims<'w>, subject: &Subject<'_>, orders: &'w Orders) -> Self {
        let name = subject.node.name.as_str();
        Self {
            orders: orders.assignments(name),
            claims: if subject.is_claimed { claims.of_node(name) } else { &[] },
            silent: world.agent_is_silent(name),
            hold_everything: world.hold_everything,
        }
    }
}

impl Judged {
    /// Judges one node.
    pub(crate) fn of(subject: &Subject<'_>, circumstances: &Circumstances<'_>, fleet: &Fleet, now: Time) -> Self {
        let node = subject.node;
        let claims = circumstances.claims;
        let authority = authority::authority(circumstances.hold_everything, subject, is_released(subject, now));
        let judgement = subject.health.current().map(|health| {
            let winner = subject.policy.and_then(|p| p.metadata.name.as_deref());
            let own = claims.iter().find(|(policy, _)| Some(*policy) == winner);
            verdict::judge(&Facts {
                subject,
                health,
                orders: circumstances.orders,
                claim: own.or_else(|| claims.first()).map(|(_, claim)| &claim.for_),
                silent: circumstances.silent,
                marks_are_frozen: matches!(authority, Authority::Frozen),
                now,
            })
        });
        let is_marked = taints::is_marked(node);
        let effect = judgement
            .as_ref()
            .map_or(TaintEffect::None, |judgement| rules::effect_of(subject.policy, &judgement.causes));
        let has = |wanted: Age| claims.iter().any(|(_, claim)| age(claim, node) == wanted);
        let report = subject.health.current().and_then(|health| health.status.as_ref()?.report.as_ref());
        Self {
            is_covered: !circumstances.silent && report.is_some_and(|report| gaps(subject, report).is_none()),
            drift: fleet.drift(subject, now),
            is_touched: !is_marked && has(Age::Current) && !may_be_marked(authority, effect),
            is_behind: !is_marked && has(Age::Ahead),
            is_marked,
            effect,
            judgement,
        }
    }

    /// Whether the budget of a policy may have to do with the node: it bears a mark, or needs one.
    pub(crate) fn concerns_budget(&self) -> bool {
        self.judgement.is_some() && (self.is_marked || rules::needs_claim(self.effect))
    }
}

/// When time alone changes the judgement on a node next: a maintenance overruns, a certification expires, or the time of
/// `releaseAll` comes.
pub(crate) fn changes_at(subject: &Subject<'_>, now: Time) -> Option<Time> {
    let health = subject.health.current()?;
    let certifications = health.status.iter().flat_map(|status| &status.certifications).map(|c| c.expires_at);
    let maintenance = health.spec.maintenance.as_ref().and_then(|m| m.until);
    let overrun = maintenance.filter(|_| subject.node.maintenance().is_some());
    let release = subject.policy.and_then(|policy| policy.spec.release_all.as_ref()).map(|release| release.before);
    certifications.chain(overrun).chain(release).filter(|at| *at > now).min()
}

fn may_be_marked(authority: Authority<'_>, effect: TaintEffect) -> bool {
    match authority {
        Authority::Enforce(_) => rules::needs_claim(effect),
        Authority::Frozen | Authority::Observe { .. } => false,
    }
}

impl<'w> Case<'w> {
    /// What may be done to a judged node.
    pub(crate) fn new(world: &World, subject: Subject<'w>, judged: &'w Judged, now: Time) -> Self {
        let authority = authority::authority(world.hold_everything, &subject, is_released(&subject, now));
        Self { subject, authority, judged }
    }

    /// The case of this node, if it is among these, which are ordered by name.
    pub(crate) fn find<'c>(cases: &'c [Self], node: &str) -> Option<&'c Self> {
        cases.binary_search_by(|case| case.subject.node.name.as_str().cmp(node)).ok().map(|index| &cases[index])
    }

    /// The Node.
    pub(crate) fn node(&self) -> &'w Node {
        self.subject.node
    }

    /// Whether the judgement asks for a mark that needs a claim, whatever the mode.
    pub(crate) fn needs_claim(&self) -> bool {
        rules::needs_claim(self.effect)
    }

    /// Whether the judgement asks for such a mark, and the mode allows a new one.
    pub(crate) fn may_be_marked(&self) -> bool {
        may_be_marked(self.authority, self.effect)
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
