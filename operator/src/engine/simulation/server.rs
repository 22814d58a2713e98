//! The server: the model's objects, the agents and their Leases, and what becomes of a request.

use crate::{
    decide::model::Model,
    key::{Identified, Key, Kind},
    plan::Write,
    queue::Start,
    stores::{
        observation::{Answer, Object, Observation, Seen},
        projection::Renewal,
    },
    wire::{act::act, refusal::Class},
    world::{Node, World},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// How a request goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The server refuses it: 403, 409 or 422.
    Refused(Class),
    /// 503: nothing is written, which the operator cannot know.
    Unavailable,
    /// It is written, but the answer is lost.
    AnswerLost,
}

/// The API server, and everybody but the operator.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) model: Model,
    /// By object and kind of write: what becomes of it until further notice.
    pub(super) faults: BTreeMap<(Key, &'static str), Fault>,
    /// The Leases: how often each was renewed, and its version.
    pub(super) leases: BTreeMap<String, (u64, String)>,
    /// What the watches have been told.
    told: World,
}

impl Server {
    pub(super) fn new(model: Model) -> Self {
        let told = model.world.clone();
        Self { model, faults: BTreeMap::new(), leases: BTreeMap::new(), told }
    }

    /// Whether the agent of this node works: it renews its Lease, and reports.
    pub(super) fn is_alive(&self, node: &str) -> bool {
        !self.model.world.silent.contains(node)
    }

    /// The agent renews its Lease.
    pub(super) fn renew(&mut self, node: &str) -> Observation {
        let version = self.model.next_version();
        let (renewals, at) = self.leases.entry(node.to_owned()).or_default();
        *renewals += 1;
        at.clone_from(&version);
        Observation::Lease(Seen::Applied(Renewal { node: node.to_owned(), stamp: renewals.to_string(), version }))
    }

    /// Does what a write asks for.
    pub(super) fn write(&mut self, start: &Start, transient: Option<Fault>) -> Result<Answer, Class> {
        let fault = self.faults.get(&(start.key.clone(), act(&start.write))).copied().or(transient);
        match fault {
            Some(Fault::Refused(class)) => return Err(class),
            Some(Fault::Unavailable) => return Err(Class::Unknown),
            Some(Fault::AnswerLost) | None => {}
        }
        let exists = start.key.kind == Kind::Result || self.model.version_of(&start.key).is_some();
        let is_written = self.model.write(&start.write, start.version.as_deref());
        if fault.is_some() {
            return Err(Class::Unknown);
        }
        match &start.write {
            _ if !is_written => Err(if exists { Class::Conflict } else { Class::Gone }),
            Write::ResultCreate(_) => Ok(Answer::Created),
            Write::DeleteNodeHealth { uid, .. } | Write::DeleteRun { uid, .. } => Ok(Answer::Deleted(uid.clone())),
            Write::NodeHealthSpec(_)
            | Write::NodeHealthStatus(_)
            | Write::NodeTaints { .. }
            | Write::NodeMarks { .. }
            | Write::NodeCondition { .. }
            | Write::RunStatus { .. }
            | Write::RunObserved { .. }
            | Write::PolicyClaims { .. }
            | Write::PolicyStatus { .. } => self.object(&start.key).map(Answer::Object).ok_or(Class::Gone),
        }
    }

    /// The object as it is now.
    pub(super) fn object(&self, key: &Key) -> Option<Object> {
        let (world, name) = (&self.model.world, key.name.as_str());
        match key.kind {
            Kind::Node => world.nodes.get(name).cloned().map(Object::Node),
            Kind::NodeHealth => world.node_healths.get(name).cloned().map(Object::NodeHealth),
            Kind::Run => world.runs.get(name).cloned().map(Object::Run),
            Kind::Policy => world.policies.get(name).cloned().map(Object::Policy),
            Kind::Profile | Kind::Lease | Kind::Result => None,
        }
    }

    /// What has changed since the last call, as events. The Lease of a NodeHealth that is gone goes too.
    pub(super) fn events(&mut self) -> Vec<Observation> {
        let Self { model, told, leases, .. } = self;
        let mut events = Vec::new();
        let now = model.world.clone();
        let mut version = || model.next_version();
        differ(&told.nodes, &now.nodes, Observation::Node, &mut version, &mut events);
        differ(&told.node_healths, &now.node_healths, Observation::NodeHealth, &mut version, &mut events);
        differ(&told.runs, &now.runs, Observation::Run, &mut version, &mut events);
        differ(&told.policies, &now.policies, Observation::Policy, &mut version, &mut events);
        let orphans: Vec<String> =
            leases.keys().filter(|node| !now.node_healths.contains_key(*node)).cloned().collect();
        for node in orphans {
            if let Some((renewals, _)) = leases.remove(&node) {
                let gone = Renewal { node, stamp: renewals.to_string(), version: version() };
                events.push(Observation::Lease(Seen::Deleted(gone)));
            }
        }
        *told = now;
        events
    }

    /// A list of everything of a kind.
    pub(super) fn list(&mut self, kind: Kind) -> Vec<Observation> {
        let version = self.model.next_version();
        let (world, leases) = (&self.model.world, &self.leases);
        match kind {
            Kind::Node => listed(world.nodes.values(), Observation::Node),
            Kind::NodeHealth => listed(world.node_healths.values(), Observation::NodeHealth),
            Kind::Run => listed(world.runs.values(), Observation::Run),
            Kind::Policy => listed(world.policies.values(), Observation::Policy),
            Kind::Profile => listed(world.profiles.values(), Observation::Profile),
            Kind::Lease => {
                let renewals = leases.iter().map(|(node, (renewals, version))| {
                    let (node, stamp, version) = (node.clone(), renewals.to_string(), version.clone());
                    Seen::Listed(Renewal { node, stamp, version })
                });
                let ends = [Seen::ListEnded, Seen::Alive { version }];
                [Seen::ListBegan].into_iter().chain(renewals).chain(ends).map(Observation::Lease).collect()
            }
            Kind::Result => Vec::new(),
        }
    }

    /// The names of the nodes whose agent should be heard.
    pub(super) fn watched(&self) -> BTreeSet<String> {
        self.model.world.node_healths.keys().cloned().collect()
    }
}

fn listed<'a, T: Clone + 'a>(
    objects: impl Iterator<Item = &'a Arc<T>>,
    wrap: fn(Seen<Arc<T>>) -> Observation,
) -> Vec<Observation> {
    let objects = objects.cloned().map(Seen::Listed);
    [Seen::ListBegan].into_iter().chain(objects).chain([Seen::ListEnded]).map(wrap).collect()
}

/// An object whose version can be set.
trait Versioned: Identified + Clone {
    fn set_version(&mut self, version: String);
}

impl Versioned for Node {
    fn set_version(&mut self, version: String) {
        self.resource_version = version;
    }
}

macro_rules! versioned_by_metadata {
    ($($type:ident),+) => {
        $(impl Versioned for crds::$type {
            fn set_version(&mut self, version: String) {
                self.metadata.resource_version = Some(version);
            }
        })+
    };
}

versioned_by_metadata!(NodeHealth, HealthCheckRun, NodeHealthPolicy);

/// The events that lead from one state to the other.
fn differ<T: Versioned>(
    before: &BTreeMap<String, Arc<T>>,
    after: &BTreeMap<String, Arc<T>>,
    wrap: fn(Seen<Arc<T>>) -> Observation,
    version: &mut impl FnMut() -> String,
    events: &mut Vec<Observation>,
) {
    for (name, old) in before {
        if after.get(name).is_none_or(|new| new.uid() != old.uid()) {
            let mut gone = T::clone(old);
            gone.set_version(version());
            events.push(wrap(Seen::Deleted(Arc::new(gone))));
        }
    }
    for (name, new) in after {
        let is_known = before
            .get(name)
            .is_some_and(|old| old.uid() == new.uid() && old.resource_version() == new.resource_version());
        if !is_known {
            events.push(wrap(Seen::Applied(new.clone())));
        }
    }
}
