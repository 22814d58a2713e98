//! What identifies an object: kind and name; uid and resourceVersion identify one state of it.
//!
//! Which object a write or an Event is about: [`crate::plan`].

use crds::{HealthCheckRun, NodeHardwareProfile, NodeHealth, NodeHealthPolicy, names};
use std::fmt;

/// The kinds that the operator watches or writes.
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
    /// HealthCheckResult: written once, never read.
    Result,
}

impl Kind {
    /// Every kind that is watched.
    pub const ALL: [Self; 6] = [Self::Node, Self::NodeHealth, Self::Run, Self::Policy, Self::Profile, Self::Lease];
    /// The kinds that the operator watches and writes.
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
            Self::Result => "HealthCheckResult",
        }
    }

    /// Group and version of the kind in the Kubernetes API.
    pub fn api_version(self) -> String {
        match self {
            Self::Node => "v1".to_owned(),
            Self::NodeHealth | Self::Run | Self::Policy | Self::Profile | Self::Result => {
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
