//! What reaches the stores: what the watches show, and the objects that the API server returned to our own requests.

use super::projection::{Projection, Renewal};
use crate::{
    key::{Identified, Key, Kind},
    world,
};
use crds::{HealthCheckRun, NodeHardwareProfile, NodeHealth, NodeHealthPolicy};
use std::sync::Arc;

/// What the watch of one kind shows.
#[derive(Clone, Debug)]
pub enum Seen<T> {
    /// A list begins.
    ListBegan,
    /// An object in the list.
    Listed(T),
    /// The list is complete: objects that were not in it are gone.
    ListEnded,
    /// An object was created or changed.
    Applied(T),
    /// An object was deleted.
    Deleted(T),
    /// An object that does not parse. It is left alone until it does.
    Malformed {
        /// Its name.
        name: String,
        /// The parser's message.
        error: String,
        /// Whether it was in a list.
        listed: bool,
    },
    /// An object that does not parse was deleted.
    MalformedDeleted {
        /// Its name.
        name: String,
    },
    /// The watch works: it has shown everything up to this version. Told by the watch of Leases only.
    Alive {
        /// The resourceVersion.
        version: String,
    },
    /// The watch failed and is being restarted.
    Broken {
        /// Why.
        error: String,
    },
}

impl<T> Seen<T> {
    /// The same, with the object converted.
    pub fn map<U>(self, convert: impl FnOnce(T) -> U) -> Seen<U> {
        match self {
            Self::ListBegan => Seen::ListBegan,
            Self::Listed(object) => Seen::Listed(convert(object)),
            Self::ListEnded => Seen::ListEnded,
            Self::Applied(object) => Seen::Applied(convert(object)),
            Self::Deleted(object) => Seen::Deleted(convert(object)),
            Self::Malformed { name, error, listed } => Seen::Malformed { name, error, listed },
            Self::MalformedDeleted { name } => Seen::MalformedDeleted { name },
            Self::Alive { version } => Seen::Alive { version },
            Self::Broken { error } => Seen::Broken { error },
        }
    }

    /// The name of the object that this is about, if it is about one.
    pub(super) fn name_of<'a>(&'a self, name_of: impl FnOnce(&'a T) -> &'a str) -> Option<&'a str> {
        match self {
            Self::Listed(object) | Self::Applied(object) | Self::Deleted(object) => Some(name_of(object)),
            Self::Malformed { name, .. } | Self::MalformedDeleted { name } => Some(name.as_str()),
            Self::ListBegan | Self::ListEnded | Self::Alive { .. } | Self::Broken { .. } => None,
        }
    }

    fn subject<'a>(&'a self, kind: Kind, name_of: impl FnOnce(&'a T) -> &'a str) -> Subject<'a> {
        let name = self.name_of(name_of);
        Subject { kind, name, watch_broke: matches!(self, Self::Broken { .. }) }
    }
}

/// What one of the watches shows.
#[derive(Clone, Debug)]
pub enum Observation {
    /// Of Nodes.
    Node(Seen<Arc<world::Node>>),
    /// Of NodeHealths.
    NodeHealth(Seen<Arc<NodeHealth>>),
    /// Of HealthCheckRuns.
    Run(Seen<Arc<HealthCheckRun>>),
    /// Of NodeHealthPolicies.
    Policy(Seen<Arc<NodeHealthPolicy>>),
    /// Of NodeHardwareProfiles.
    Profile(Seen<Arc<NodeHardwareProfile>>),
    /// Of the agents' Leases.
    Lease(Seen<Renewal>),
}

/// What an observation is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subject<'a> {
    /// The kind that the watch shows.
    pub kind: Kind,
    /// The name of the object, if the observation is about one.
    pub name: Option<&'a str>,
    /// Whether the watch failed.
    pub watch_broke: bool,
}

impl Subject<'_> {
    /// The key of the object, if the observation is about one.
    pub fn key(&self) -> Option<Key> {
        self.name.map(|name| Key::new(self.kind, name))
    }
}

impl Observation {
    /// What it is about.
    pub fn subject(&self) -> Subject<'_> {
        fn of<T: Projection>(seen: &Seen<Arc<T>>) -> Subject<'_> {
            seen.subject(T::KIND, |object| object.name())
        }
        match self {
            Self::Node(seen) => of(seen),
            Self::NodeHealth(seen) => of(seen),
            Self::Run(seen) => of(seen),
            Self::Policy(seen) => of(seen),
            Self::Profile(seen) => of(seen),
            Self::Lease(seen) => seen.subject(Kind::Lease, |renewal| &renewal.node),
        }
    }
}

/// An object that the API server returned.
#[derive(Clone, Debug)]
pub enum Object {
    /// A Node.
    Node(Arc<world::Node>),
    /// A NodeHealth.
    NodeHealth(Arc<NodeHealth>),
    /// A HealthCheckRun.
    Run(Arc<HealthCheckRun>),
    /// A NodeHealthPolicy.
    Policy(Arc<NodeHealthPolicy>),
}

impl Object {
    /// Its resourceVersion.
    pub fn resource_version(&self) -> &str {
        match self {
            Self::Node(object) => object.resource_version(),
            Self::NodeHealth(object) => object.resource_version(),
            Self::Run(object) => object.resource_version(),
            Self::Policy(object) => object.resource_version(),
        }
    }
}

/// How the API server answered a write.
#[derive(Clone, Debug)]
pub enum Answer {
    /// With the object as it is now.
    Object(Object),
    /// The object with this uid was deleted.
    Deleted(String),
    /// The object is there now, as it was to be created.
    Created,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_observation_tells_which_object_it_is_about() {
        let node = world::Node { name: "n1".into(), ..world::Node::default() };
        let applied = Observation::Node(Seen::Applied(Arc::new(node)));
        assert_eq!(applied.subject().key(), Some(Key::new(Kind::Node, "n1")));
        let renewed = Observation::Lease(Seen::Applied(Renewal { node: "n1".into(), ..Renewal::default() }));
        assert_eq!(renewed.subject().key(), Some(Key::new(Kind::Lease, "n1")));
        let broken = Observation::Run(Seen::Broken { error: "connection refused".into() });
        assert_eq!(broken.subject(), Subject { kind: Kind::Run, name: None, watch_broke: true });
    }
}
