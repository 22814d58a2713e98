//! What the operator knows of the cluster: fed synchronously, kept small, joined with our own unseen writes into the
//! [`World`].
//!
//! ```text
//! watch (one task per kind) ─▶ Observation ─▶ Stores::observe ─▶ World, Change (does the brain have to wake?)
//! apply (answers to writes) ─────────────────▶ Stores::answered, deleted, gone
//! ```

mod leases;
pub mod overlay;
pub mod projection;
pub mod store;
#[cfg(test)]
mod tests;
pub mod watch;

use crate::{
    key::{Key, Kind},
    world,
};
use crds::{HardwareProfile, HealthCheckPolicy, HealthCheckRun, NodeHealth, Time};
use leases::Leases;
use overlay::Settled;
use projection::{Projection, Renewal};
use std::sync::Arc;
use store::{Change, Seen, Store};
use world::World;

/// What one watch shows.
#[derive(Clone, Debug)]
pub enum Observation {
    /// Of Nodes.
    Node(Seen<Arc<world::Node>>),
    /// Of NodeHealths.
    NodeHealth(Seen<Arc<NodeHealth>>),
    /// Of HealthCheckRuns.
    Run(Seen<Arc<HealthCheckRun>>),
    /// Of HealthCheckPolicies.
    Policy(Seen<Arc<HealthCheckPolicy>>),
    /// Of HardwareProfiles.
    Profile(Seen<Arc<HardwareProfile>>),
    /// Of the agents' Leases.
    Lease(Seen<Renewal>),
}

/// An object that the server returned.
#[derive(Clone, Debug)]
pub enum Object {
    /// A Node.
    Node(Arc<world::Node>),
    /// A NodeHealth.
    NodeHealth(Arc<NodeHealth>),
    /// A HealthCheckRun.
    Run(Arc<HealthCheckRun>),
    /// A HealthCheckPolicy.
    Policy(Arc<HealthCheckPolicy>),
}

impl Object {
    /// Its version.
    pub fn resource_version(&self) -> &str {
        match self {
            Self::Node(o) => o.resource_version(),
            Self::NodeHealth(o) => o.resource_version(),
            Self::Run(o) => o.resource_version(),
            Self::Policy(o) => o.resource_version(),
        }
    }
}

/// All stores, and the world that they show.
#[derive(Debug, Default)]
pub struct Stores {
    world: World,
    nodes: Store<world::Node>,
    node_healths: Store<NodeHealth>,
    runs: Store<HealthCheckRun>,
    policies: Store<HealthCheckPolicy>,
    profiles: Store<HardwareProfile>,
    leases: Leases,
}

/// Does the same with the store of a kind that the operator writes.
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
            Kind::Profile | Kind::Lease => $default,
        }
    };
}

impl Stores {
    /// Empty stores. Silence of agents is counted from `now`.
    pub fn new(hold_everything: bool, now: Time) -> Self {
        let world = World { hold_everything, started_at: now, ..World::default() };
        Self { world, ..Self::default() }
    }

    /// The world: what the watches showed, our own unseen writes on top.
    pub fn world(&self) -> &World {
        &self.world
    }

    /// Takes in what a watch shows at `now`.
    pub fn observe(&mut self, observation: Observation, now: Time) -> Change {
        let world = &mut self.world;
        match observation {
            Observation::Node(seen) => {
                let change = self.nodes.observe(seen, &mut world.nodes);
                if change != Change::None {
                    leases::forget_old(world, now);
                }
                change
            }
            Observation::NodeHealth(seen) => self.node_healths.observe(seen, &mut world.node_healths),
            Observation::Run(seen) => self.runs.observe(seen, &mut world.runs),
            Observation::Policy(seen) => self.policies.observe(seen, &mut world.policies),
            Observation::Profile(seen) => self.profiles.observe(seen, &mut world.profiles),
            Observation::Lease(seen) => self.leases.observe(seen, world, now),
        }
    }

    /// Whether every store has completed its first list: before, nothing is decided.
    pub fn are_complete(&self) -> bool {
        self.nodes.is_complete()
            && self.node_healths.is_complete()
            && self.runs.is_complete()
            && self.policies.is_complete()
            && self.profiles.is_complete()
            && self.leases.is_complete()
    }

    /// The kinds whose first list is not complete.
    pub fn incomplete(&self) -> Vec<Kind> {
        let complete = |kind: &Kind| match kind {
            Kind::Node => self.nodes.is_complete(),
            Kind::NodeHealth => self.node_healths.is_complete(),
            Kind::Run => self.runs.is_complete(),
            Kind::Policy => self.policies.is_complete(),
            Kind::Profile => self.profiles.is_complete(),
            Kind::Lease => self.leases.is_complete(),
        };
        Kind::ALL.into_iter().filter(|k| !complete(k)).collect()
    }

    /// Everything is counted from `now`: called when the stores are complete for the first time.
    pub fn count_silence_from(&mut self, now: Time) {
        self.world.started_at = now;
    }

    /// The version that the world shows of an object that the operator writes.
    pub fn resource_version(&self, key: &Key) -> Option<String> {
        fn of<T: Projection>(view: &store::View<T>, name: &str) -> Option<String> {
            view.get(name).map(|o| o.resource_version().to_owned())
        }
        let world = &self.world;
        match key.kind {
            Kind::Node => of(&world.nodes, &key.name),
            Kind::NodeHealth => of(&world.node_healths, &key.name),
            Kind::Run => of(&world.runs, &key.name),
            Kind::Policy => of(&world.policies, &key.name),
            Kind::Profile | Kind::Lease => None,
        }
    }

    /// A request for this object leaves.
    pub fn begin(&mut self, key: &Key) {
        with_store!(self, key.kind, (), |store, _view| store.begin(&key.name));
    }

    /// The request ended and changed nothing that is known.
    pub fn ended(&mut self, key: &Key) {
        with_store!(self, key.kind, (), |store, _view| store.ended(&key.name));
    }

    /// The request was answered with the object.
    pub fn answered(&mut self, object: Object) -> (Change, Settled) {
        let world = &mut self.world;
        match object {
            Object::Node(o) => self.nodes.answered(o, &mut world.nodes),
            Object::NodeHealth(o) => self.node_healths.answered(o, &mut world.node_healths),
            Object::Run(o) => self.runs.answered(o, &mut world.runs),
            Object::Policy(o) => self.policies.answered(o, &mut world.policies),
        }
    }

    /// Our request deleted the object of this uid.
    pub fn deleted(&mut self, key: &Key, uid: &str) -> (Change, Settled) {
        let unknown = (Change::None, Settled::Clear);
        with_store!(self, key.kind, unknown, |store, view| store.deleted(&key.name, uid, view))
    }

    /// The server said that there is no such object.
    pub fn gone(&mut self, key: &Key) -> Change {
        with_store!(self, key.kind, Change::None, |store, view| store.gone(&key.name, view))
    }

    /// Whether the object does not parse: it is left alone.
    pub fn is_malformed(&self, key: &Key) -> bool {
        match key.kind {
            Kind::Node => self.nodes.is_malformed(&key.name),
            Kind::NodeHealth => self.node_healths.is_malformed(&key.name),
            Kind::Run => self.runs.is_malformed(&key.name),
            Kind::Policy => self.policies.is_malformed(&key.name),
            Kind::Profile => self.profiles.is_malformed(&key.name),
            Kind::Lease => false,
        }
    }

    /// How many objects of each kind do not parse.
    pub fn malformed(&self) -> [(Kind, usize); 6] {
        Kind::ALL.map(|kind| {
            let count = match kind {
                Kind::Node => self.nodes.malformed(),
                Kind::NodeHealth => self.node_healths.malformed(),
                Kind::Run => self.runs.malformed(),
                Kind::Policy => self.policies.malformed(),
                Kind::Profile => self.profiles.malformed(),
                Kind::Lease => self.leases.malformed(),
            };
            (kind, count)
        })
    }

    /// How many of our writes no watch has shown yet.
    pub fn unseen(&self) -> usize {
        self.nodes.unseen() + self.node_healths.unseen() + self.runs.unseen() + self.policies.unseen()
    }

    /// The objects that a GET must settle; each is returned once.
    pub fn take_doubtful(&mut self) -> Vec<Key> {
        const WRITTEN: [Kind; 4] = [Kind::Node, Kind::NodeHealth, Kind::Run, Kind::Policy];
        let mut keys = Vec::new();
        for kind in WRITTEN {
            let names = with_store!(self, kind, Vec::new(), |store, _view| store.take_doubtful());
            keys.extend(names.into_iter().map(|name| Key::new(kind, name)));
        }
        keys
    }
}
