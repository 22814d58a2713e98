//! What identifies an object: kind and name; uid and resourceVersion identify one state of it.
//!
//! This is the only place that maps a write, an Event or an observation to its object.

use crate::{
    plan::{Regarding, Write},
    world::Node,
};
use crds::{HealthCheckRun, NodeHardwareProfile, NodeHealth, NodeHealthPolicy, names};
use std::fmt;

/// The kinds that the operator watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// v1 Node.
    Node,
    /// NodeHealth.
    NodeHealth,
    /// HealthCheckRun.
    Run,
    /// NodeHealthPolicy.
    Policy,
    /// NodeHardwareProfile.
    Profile,
    /// The agents' Leases.
    Lease,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 6] = [Self::Node, Self::NodeHealth, Self::Run, Self::Policy, Self::Profile, Self::Lease];
    /// The kinds that the operator writes.
    pub const WRITTEN: [Self; 4] = [Self::Node, Self::NodeHealth, Self::Run, Self::Policy];

    /// The name of the kind in the Kubernetes API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Node => "Node",
            Self::NodeHealth => "NodeHealth",
            Self::Run => "HealthCheckRun",
            Self::Policy => "NodeHealthPolicy",
            Self::Profile => "NodeHardwareProfile",
            Self::Lease => "Lease",
        }
    }

    /// Group and version of the kind in the Kubernetes API.
    pub fn api_version(self) -> String {
        match self {
            Self::Node => "v1".to_owned(),
            Self::NodeHealth | Self::Run | Self::Policy | Self::Profile => {
                format!("{}/{}", names::GROUP, names::VERSION)
            }
            Self::Lease => "coordination.k8s.io/v1".to_owned(),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Its kind.
    pub kind: Kind,
    /// Its name.
    pub name: String,
}

impl Key {
    /// The key of an object.
    pub fn new(kind: Kind, name: impl Into<String>) -> Self {
        Self { kind, name: name.into() }
    }

    /// The object that is written. At most one request per key is in flight.
    pub fn of(write: &Write) -> Self {
        match write {
            Write::NodeHealthSpec(write) => Self::new(Kind::NodeHealth, &write.name),
            Write::NodeHealthStatus(write) => Self::new(Kind::NodeHealth, &write.name),
            Write::DeleteNodeHealth { name, .. } => Self::new(Kind::NodeHealth, name),
            Write::NodeTaints { node, .. } | Write::NodeMarks { node, .. } | Write::NodeCondition { node, .. } => {
                Self::new(Kind::Node, node)
            }
            Write::RunStatus { run, .. } | Write::DeleteRun { run, .. } => Self::new(Kind::Run, run),
            Write::PolicyStatus { policy, .. } => Self::new(Kind::Policy, policy),
        }
    }

    /// The object that an Event is about, and its uid.
    pub fn regarded(regarding: &Regarding) -> (Self, &str) {
        match regarding {
            Regarding::Node(name, uid) => (Self::new(Kind::Node, name), uid),
            Regarding::NodeHealth(name, uid) => (Self::new(Kind::NodeHealth, name), uid),
            Regarding::Run(name, uid) => (Self::new(Kind::Run, name), uid),
            Regarding::Policy(name, uid) => (Self::new(Kind::Policy, name), uid),
        }
    }

    /// What an Event about this object names; `None` for kinds that the operator does not write.
    pub fn regarding(&self, uid: &str) -> Option<Regarding> {
        let (name, uid) = (self.name.clone(), uid.to_owned());
        match self.kind {
            Kind::Node => Some(Regarding::Node(name, uid)),
            Kind::NodeHealth => Some(Regarding::NodeHealth(name, uid)),
            Kind::Run => Some(Regarding::Run(name, uid)),
            Kind::Policy => Some(Regarding::Policy(name, uid)),
            Kind::Profile | Kind::Lease => None,
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.name)
    }
}

/// An object in one of its versions.
pub trait Identified {
    /// Its name.
    fn name(&self) -> &str;
    /// Its uid.
    fn uid(&self) -> &str;
    /// Its resourceVersion.
    fn resource_version(&self) -> &str;
}

impl Identified for Node {
    fn name(&self) -> &str {
        &self.name
    }

    fn uid(&self) -> &str {
        &self.uid
    }

    fn resource_version(&self) -> &str {
        &self.resource_version
    }
}

macro_rules! identified_by_metadata {
    ($($type:ident),+) => {
        $(impl Identified for $type {
            fn name(&self) -> &str {
                self.metadata.name.as_deref().unwrap_or_default()
            }

            fn uid(&self) -> &str {
                self.metadata.uid.as_deref().unwrap_or_default()
            }

            fn resource_version(&self) -> &str {
                self.metadata.resource_version.as_deref().unwrap_or_default()
            }
        })+
    };
}

identified_by_metadata!(NodeHealth, HealthCheckRun, NodeHealthPolicy, NodeHardwareProfile);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_names_the_object_that_its_key_names() {
        for kind in Kind::WRITTEN {
            let key = Key::new(kind, "a");
            let regarding = key.regarding("u").unwrap();
            assert_eq!(Key::regarded(&regarding), (key, "u"));
        }
        assert_eq!(Key::new(Kind::Lease, "a").regarding("u"), None);
    }
}
