//! A mark that the API server refuses: what is known of the node is told all the same.

use super::{Engine, Errand, Wrote};
use crate::{
    decide::model::{Model, fixtures},
    key::Kind,
    plan::{Plan, Step, Write},
    stores::observation::{Answer, Object, Observation, Seen},
    wire::{
        act::{CLAIMS_OF_POLICY, TAINTS_OF_NODE, act},
        refusal::Class,
    },
    world::World,
};
use crds::{Quarantine, State, node_health_policy::Mode};
use std::time::{Duration, Instant, SystemTime};

/// An engine, the server that it writes to, and the time.
struct Stage {
    engine: Engine,
    model: Model,
    at: Instant,
}

impl Stage {
    /// A node that has lost a GPU, under a policy that enforces.
    fn set() -> Self {
        let mut world = fixtures::world(&["a"]);
        fixtures::add_policy(&mut world, fixtures::policy("base", Mode::Enforce));
        let mut model = Model::new(world, fixtures::START.plus(5));
        model.settle(8);
        model.edit_health("a", |health| *health = fixtures::with_report(health.clone(), fixtures::lost_gpu_report(0)));
        let (mut engine, at) = (Engine::new(false), Instant::now());
        for observation in lists(&model.world) {
            engine.observe(observation, at);
        }
        Self { engine, model, at }
    }

    /// So many turns, with an answer to each write: that of the server, or `refuse`'s.
    fn turn(&mut self, turns: usize, refuse: impl Fn(&Write) -> Option<Class>) {
        for _ in 0..turns {
            self.at += Duration::from_millis(500);
            self.engine.turn(self.at, SystemTime::now());
            let plan = self.engine.decide(self.model.now);
            self.engine.admit(plan, Duration::ZERO, self.at);
            loop {
                let errands = self.engine.start();
                if errands.is_empty() {
                    break;
                }
                for errand in errands {
                    self.answer(errand, &refuse);
                }
            }
        }
    }

    fn answer(&mut self, errand: Errand, refuse: impl Fn(&Write) -> Option<Class>) {
        match errand {
            Errand::Look(key) => {
                let object = self.object(key.kind, &key.name);
                self.engine.looked(key, Ok(object), self.at);
            }
            Errand::Write { start, before } => {
                let answer = match refuse(&start.write) {
                    Some(class) => Err(class),
                    None => self.write(&start.write, start.key.kind, &start.key.name),
                };
                let wrote = Wrote { id: start.id, key: start.key, write: start.write, before, answer };
                self.engine.wrote(wrote, self.at);
            }
        }
    }

    fn write(&mut self, write: &Write, kind: Kind, name: &str) -> Result<Answer, Class> {
        let version = |stage: &Self| stage.object(kind, name).map(|object| object.resource_version().to_owned());
        let before = version(self);
        let step = Step { write: write.clone(), after: Vec::new() };
        self.model.apply(&Plan { steps: vec![step], ..Plan::default() });
        let object = self.object(kind, name).filter(|_| version(self) != before);
        object.map(Answer::Object).ok_or(Class::Conflict)
    }

    fn object(&self, kind: Kind, name: &str) -> Option<Object> {
        let world = &self.model.world;
        match kind {
            Kind::Node => world.nodes.get(name).cloned().map(Object::Node),
            Kind::NodeHealth => world.node_healths.get(name).cloned().map(Object::NodeHealth),
            Kind::Policy => world.policies.get(name).cloned().map(Object::Policy),
            Kind::Run | Kind::Profile | Kind::Lease | Kind::Result => None,
        }
    }

    fn is(&self, state: &State, quarantine: &Quarantine) -> bool {
        let status = self.model.world.node_healths["a"].status.as_ref();
        let decision = status.and_then(|status| status.decision.as_ref());
        decision.is_some_and(|decision| decision.state == *state && decision.quarantine == *quarantine)
    }
}

/// The first lists of all kinds.
fn lists(world: &World) -> Vec<Observation> {
    let mut all = Vec::new();
    macro_rules! list {
        ($kind:ident, $objects:expr) => {
            all.push(Observation::$kind(Seen::ListBegan));
            all.extend($objects.map(|object| Observation::$kind(Seen::Listed(object))));
            all.push(Observation::$kind(Seen::ListEnded));
        };
    }
    list!(Node, world.nodes.values().cloned());
    list!(NodeHealth, world.node_healths.values().cloned());
    list!(Policy, world.policies.values().cloned());
    list!(Run, std::iter::empty());
    list!(Profile, std::iter::empty());
    list!(Lease, std::iter::empty());
    all
}

#[test]
fn a_refused_taint_or_claim_is_told_at_once_and_forgotten_once_it_is_written() {
    for refused in [TAINTS_OF_NODE, CLAIMS_OF_POLICY] {
        let mut stage = Stage::set();
        stage.turn(4, |write| (act(write) == refused).then_some(Class::Forbidden));
        assert!(stage.is(&State::Unhealthy, &Quarantine::Refused), "{refused}");
        assert!(!stage.engine.stores().world().refused_marks.is_empty());
        // The pause after a refusal grows to a minute.
        stage.turn(200, |_| None);
        assert!(stage.is(&State::Unhealthy, &Quarantine::Active), "{refused}");
        assert!(stage.engine.stores().world().refused_marks.is_empty());
    }
}

#[test]
fn a_taint_that_fails_again_and_again_without_a_word_why_counts_as_refused_and_one_that_fails_once_does_not() {
    let mut stage = Stage::set();
    stage.turn(1, |write| (act(write) == TAINTS_OF_NODE).then_some(Class::Unknown));
    assert!(stage.engine.stores().world().refused_marks.is_empty());
    stage.turn(20, |write| (act(write) == TAINTS_OF_NODE).then_some(Class::Unknown));
    assert!(stage.is(&State::Unhealthy, &Quarantine::Refused));
}
