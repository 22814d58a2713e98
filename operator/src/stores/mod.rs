//! What the operator knows of the cluster: fed synchronously, kept small, joined with our own unseen writes into the
//! [`World`].
//!
//! ```text
//! watch (one task per kind) ─▶ Observation ─▶ Stores::observe ─▶ World, Change (must the brain decide?)
//! answers to our requests ───▶ Object ──────▶ Stores::answered, deleted, gone
//! ```
//!
//! Each file imports only files above it: `wire`, `known`, `projection`, `observation`, `overlay`, `listing`, `store`, `hearing`, `leases`,
//! `refusals`, this one, `watch`.

mod hearing;
mod known;
mod leases;
mod listing;
pub mod observation;
pub mod overlay;
pub mod projection;
mod refusals;
pub mod store;
#[cfg(test)]
mod tests;
pub mod watch;
pub mod wire;

use crate::{
    key::{Identified, Key, Kind},
    world::{
        Node, World,
        runs::{Runs, thinned},
    },
};
use crds::{HealthCheckRun, NodeHardwareProfile, NodeHealth, NodeHealthPolicy};
use known::Known;
use leases::Leases;
use listing::Listing;
use observation::{Object, Observation, Seen};
use overlay::Settled;
use projection::exchanged;
use refusals::Refusals;
use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
    time::Instant,
};
use store::{Change, Store};

/// All stores, and the world as they show it.
#[derive(Debug, Default)]
pub struct Stores {
    world: World,
    nodes: Store<Node>,
    node_healths: Store<NodeHealth>,
    runs: Store<HealthCheckRun>,
    policies: Store<NodeHealthPolicy>,
    profiles: Store<NodeHardwareProfile>,
    leases: Leases,
    known: Known,
    refusals: Refusals,
}

/// What is kept of a run.
fn kept(runs: &mut Runs, run: Arc<HealthCheckRun>) -> Arc<HealthCheckRun> {
    if run.status.as_ref().is_none_or(|status| !status.phase.is_final()) {
        return run;
    }
    runs.note_tested(&run);
    Arc::new(thinned(&run))
}

/// A number that stands for what the agent of this NodeHealth says; the same for all other kinds.
fn said(world: &World, key: &Key) -> u64 {
    let health = world.node_healths.get(&key.name).filter(|_| key.kind == Kind::NodeHealth);
    let Some(mut report) = health.and_then(|health| health.status.as_ref()?.report.clone()) else { return 0 };
    // They move while the same fault lasts.
    for found in &mut report.findings {
        (found.count, found.last_seen) = Default::default();
    }
    let mut hasher = DefaultHasher::new();
    serde_json::to_vec(&report).unwrap_or_default().hash(&mut hasher);
    hasher.finish()
}

/// Runs `$body` with store and view of a kind that the operator writes.
macro_rules! with_store {
    ($self:ident, $kind:expr, $default:expr, |$store:ident, $view:ident| $body:expr) => {
        match $kind {
            Kind::Node => {
                let ($store, $view) = (&mut $self.nodes, &mut $self.world.nodes);
                $body
            }
            Kind::NodeHealth => {
                let ($store, $view) = (&mut $self.node_healths, &mut $self.world.node_healths);
                $body
            }
            Kind::Run => {
                let ($store, $view) = (&mut $self.runs, &mut $self.world.runs);
                $body
            }
            Kind::Policy => {
                let ($store, $view) = (&mut $self.policies, &mut $self.world.policies);
                $body
            }
            Kind::Profile | Kind::Lease | Kind::Result => $default,
        }
    };
}

impl Stores {
    /// Empty stores.
    pub fn new(hold_everything: bool) -> Self {
        let world = World { hold_everything, ..World::default() };
        Self { world, ..Self::default() }
    }

    /// The world: what the watches showed, with our own unseen writes on top.
    pub fn world(&self) -> &World {
        &self.world
    }

    /// The decision loop turns at `at`, at least every few seconds. If it did not, no agent is silent for that.
    pub fn look(&mut self, at: Instant) -> Change {
        self.leases.look(at);
        if self.refusals.is_empty() {
            return Change::None;
        }
        let mut refusals = std::mem::take(&mut self.refusals);
        let over = refusals.over(at, |key| key.kind == Kind::Result || self.shown(key).is_some());
        self.refusals = refusals;
        for key in &over {
            self.world.refused_texts.remove(key);
        }
        if over.is_empty() { Change::None } else { Change::Changed }
    }

    /// Takes in what a watch shows, at `at`.
    pub fn observe(&mut self, observation: Observation, at: Instant) -> Change {
        let looked = self.look(at);
        let subject = observation.subject();
        let (kind, key) = (subject.kind, subject.key().filter(|_| !self.refusals.is_empty()));
        let changes = |stores: &Self| stores.listing(kind).map(Listing::changes);
        let before = changes(self);
        let change = self.take_in(observation, at).max(looked);
        if let Some(key) = key.filter(|key| self.refusals.contains(key)) {
            self.refusals.says(&key, said(&self.world, &key));
        }
        if changes(self) != before {
            self.world.malformed.retain(|key| key.kind != kind);
            let names = self.listing(kind).into_iter().flat_map(|listing| listing.names_of_malformed(kind));
            let names: Vec<Key> = names.collect();
            self.world.malformed.extend(names);
        }
        change
    }

    /// The server refused the full status of this object as invalid: it is written without texts of agents until they say
    /// something else.
    pub fn refuse_texts(&mut self, key: &Key, at: Instant) {
        if self.refusals.refused(key, said(&self.world, key), at) {
            self.world.refused_texts.insert(key.clone());
        }
    }

    /// The server refuses the mark of this Node, or the claims of this policy, again and again.
    pub fn refuse_mark(&mut self, key: &Key) {
        self.world.refused_marks.insert(key.clone());
    }

    /// Forgets the refused marks that are not wanted any more.
    pub fn keep_refused_marks(&mut self, is_wanted: impl FnMut(&Key) -> bool) {
        self.world.refused_marks.retain(is_wanted);
    }

    fn take_in(&mut self, observation: Observation, at: Instant) -> Change {
        let world = &mut self.world;
        match observation {
            Observation::Node(seen) => {
                let seen = seen.map(|node| exchanged(node, &mut self.known));
                let may_be_gone = matches!(seen, Seen::Deleted(_) | Seen::ListEnded);
                let change = self.nodes.observe(seen, &mut world.nodes);
                if may_be_gone {
                    world.runs.forget_tests(|node| world.nodes.contains_key(node));
                }
                change
            }
            Observation::NodeHealth(seen) => {
                let seen = seen.map(|health| exchanged(health, &mut self.known));
                let name = seen.name_of(|health| health.name()).map(str::to_owned);
                let list_ended = matches!(seen, Seen::ListEnded);
                let change = self.node_healths.observe(seen, &mut world.node_healths);
                match name {
                    Some(name) => self.leases.health_shown(&name, world),
                    None if list_ended => self.leases.healths_listed(world),
                    None => {}
                }
                change
            }
            Observation::Run(seen) => {
                let seen = seen.map(|run| kept(&mut world.runs, run));
                self.runs.observe(seen, &mut world.runs)
            }
            Observation::Policy(seen) => self.policies.observe(seen, &mut world.policies),
            Observation::Profile(seen) => self.profiles.observe(seen, &mut world.profiles),
            Observation::Lease(seen) => self.leases.observe(seen, world, at),
        }
    }

    /// Whether every kind has been listed. Nothing is decided before.
    pub fn are_complete(&self) -> bool {
        Kind::ALL.into_iter().all(|kind| self.listing(kind).is_some_and(Listing::is_complete))
    }

    /// The kinds whose first list is not complete.
    pub fn incomplete(&self) -> Vec<Kind> {
        Kind::ALL.into_iter().filter(|kind| !self.listing(*kind).is_some_and(Listing::is_complete)).collect()
    }

    /// The lists of a kind that is watched.
    fn listing(&self, kind: Kind) -> Option<&Listing> {
        Some(match kind {
            Kind::Node => self.nodes.listing(),
            Kind::NodeHealth => self.node_healths.listing(),
            Kind::Run => self.runs.listing(),
            Kind::Policy => self.policies.listing(),
            Kind::Profile => self.profiles.listing(),
            Kind::Lease => self.leases.listing(),
            Kind::Result => return None,
        })
    }

    /// The object of this key as the world shows it.
    pub fn shown(&self, key: &Key) -> Option<&dyn Identified> {
        fn of<'a, T: Identified>(view: &'a BTreeMap<String, Arc<T>>, name: &str) -> Option<&'a dyn Identified> {
            view.get(name).map(|object| object.as_ref() as &dyn Identified)
        }
        let (world, name) = (&self.world, key.name.as_str());
        match key.kind {
            Kind::Node => of(&world.nodes, name),
            Kind::NodeHealth => of(&world.node_healths, name),
            Kind::Run => of(&world.runs, name),
            Kind::Policy => of(&world.policies, name),
            Kind::Profile => of(&world.profiles, name),
            // Of a Lease only the time of its last change is kept; results are never read.
            Kind::Lease | Kind::Result => None,
        }
    }

    /// A request for this object is sent.
    pub fn begin(&mut self, key: &Key) {
        with_store!(self, key.kind, (), |store, _view| store.begin(&key.name));
    }

    /// The request ended; whatever it changed is not known.
    pub fn ended(&mut self, key: &Key) {
        with_store!(self, key.kind, (), |store, _view| store.ended(&key.name));
    }

    /// The request was answered with the object.
    pub fn answered(&mut self, object: Object) -> (Change, Settled) {
        let world = &mut self.world;
        match object {
            Object::Node(o) => self.nodes.answered(exchanged(o, &mut self.known), &mut world.nodes),
            Object::NodeHealth(o) => {
                let name = o.name().to_owned();
                let answered = self.node_healths.answered(exchanged(o, &mut self.known), &mut world.node_healths);
                self.leases.health_shown(&name, world);
                answered
            }
            Object::Run(o) => {
                let run = kept(&mut world.runs, o);
                self.runs.answered(run, &mut world.runs)
            }
            Object::Policy(o) => self.policies.answered(o, &mut world.policies),
        }
    }

    /// Our request deleted the object of this uid.
    pub fn deleted(&mut self, key: &Key, uid: &str) -> (Change, Settled) {
        let unknown = (Change::None, Settled::Clear);
        let answered = with_store!(self, key.kind, unknown, |store, view| store.deleted(&key.name, uid, view));
        self.health_may_be_gone(key);
        answered
    }

    fn health_may_be_gone(&mut self, key: &Key) {
        if key.kind == Kind::NodeHealth {
            self.leases.health_shown(&key.name, &mut self.world);
        }
    }

    /// The server answered that there is no such object.
    pub fn gone(&mut self, key: &Key) -> Change {
        let change = with_store!(self, key.kind, Change::None, |store, view| store.gone(&key.name, view));
        self.health_may_be_gone(key);
        change
    }

    /// Calls the agent of this node silent, or not, whatever is known of its Lease.
    #[cfg(test)]
    pub(crate) fn set_silent(&mut self, node: &str, is_silent: bool) {
        if is_silent {
            self.world.silent.insert(node.to_owned());
        } else {
            self.world.silent.remove(node);
        }
    }

    /// Leaves the texts of agents out of the status of this object.
    #[cfg(test)]
    pub(crate) fn set_refused(&mut self, key: &Key) {
        self.world.refused_texts.insert(key.clone());
    }

    /// Whether the object does not parse, and so is left alone.
    pub fn is_malformed(&self, key: &Key) -> bool {
        self.listing(key.kind).is_some_and(|listing| listing.is_malformed(&key.name))
    }

    /// How many objects of each kind do not parse.
    pub fn malformed(&self) -> [(Kind, usize); Kind::ALL.len()] {
        Kind::ALL.map(|kind| (kind, self.listing(kind).map_or(0, Listing::malformed)))
    }

    /// How many of our writes no watch has shown yet.
    pub fn unseen(&self) -> usize {
        self.nodes.unseen() + self.node_healths.unseen() + self.runs.unseen() + self.policies.unseen()
    }

    /// The objects whose state only a GET can tell; each is returned once.
    pub fn take_doubtful(&mut self) -> Vec<Key> {
        let mut keys = Vec::new();
        for kind in Kind::WRITTEN {
            let names = with_store!(self, kind, Vec::new(), |store, _view| store.take_doubtful());
            keys.extend(names.into_iter().map(|name| Key::new(kind, name)));
        }
        keys
    }
}
