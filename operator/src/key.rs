//! Which object: a kind that the operator watches, and a name.

use crate::plan::Write;
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
    /// HealthCheckPolicy.
    Policy,
    /// HardwareProfile.
    Profile,
    /// The agents' Leases.
    Lease,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 6] = [Self::Node, Self::NodeHealth, Self::Run, Self::Policy, Self::Profile, Self::Lease];

    /// The kind as Kubernetes writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Node => "Node",
            Self::NodeHealth => "NodeHealth",
            Self::Run => "HealthCheckRun",
            Self::Policy => "HealthCheckPolicy",
            Self::Profile => "HardwareProfile",
            Self::Lease => "Lease",
        }
    }

    /// The kind of the object that is written.
    pub const fn of(write: &Write) -> Self {
        match write {
            Write::NodeHealthSpec(_) | Write::DeleteNodeHealth { .. } | Write::NodeHealthStatus(_) => Self::NodeHealth,
            Write::NodeTaints { .. } | Write::NodeMarks { .. } | Write::NodeCondition { .. } => Self::Node,
            Write::RunStatus { .. } | Write::DeleteRun { .. } => Self::Run,
            Write::PolicyStatus { .. } => Self::Policy,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One object: steps on the same key are never under way at once.
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

    /// The object that is written.
    pub fn of(write: &Write) -> Self {
        Self::new(Kind::of(write), write.object().1)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.name)
    }
}
