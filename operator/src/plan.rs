//! What the operator wants to write, as values.

use crate::{
    key::{Key, Kind},
    world::Taint,
};
use crds::{
    Condition, HealthCheckResult, Time,
    health_check_run::HealthCheckRunStatus,
    node_health::{Certification, Decision, GpuCount, GpuVerdict, NodeHealthSpec, NodeSummary},
    node_health_policy::{Claim, NodeHealthPolicyStatus},
};
use std::collections::BTreeMap;

/// Everything to write now, and when to decide again.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// The writes. A step runs when every step that it names in `after` has succeeded, and is dropped when one of them
    /// failed: the object has changed, so the brain decides again.
    pub steps: Vec<Step>,
    /// The Events to send.
    pub events: Vec<EventNote>,
    /// When to decide again even if nothing changes; `None` if time alone changes nothing.
    pub wake_at: Option<Time>,
}

/// One write and what must have succeeded before it.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// What to write.
    pub write: Write,
    /// Indices into [`Plan::steps`], each smaller than this step's own.
    pub after: Vec<usize>,
}

/// One write.
#[derive(Clone, Debug, PartialEq)]
pub enum Write {
    /// Apply metadata and spec of a NodeHealth (create it where `read` is `None`).
    NodeHealthSpec(Box<NodeHealthSpecWrite>),
    /// Delete a NodeHealth whose Node was replaced; it is then created again for the new Node. Precondition: `uid`.
    DeleteNodeHealth {
        /// Its name.
        name: String,
        /// Its uid.
        uid: String,
    },
    /// Apply the operator's fields of a NodeHealth's status.
    NodeHealthStatus(Box<NodeHealthStatusWrite>),
    /// Replace the list of taints of a Node; carries uid and resourceVersion.
    NodeTaints {
        /// The name of the Node.
        node: String,
        /// Its uid.
        uid: String,
        /// The version that the list was computed from.
        resource_version: String,
        /// The complete new list, foreign taints included and in their order.
        taints: Vec<Taint>,
    },
    /// Apply our labels and annotation on a Node, all together; carries uid and resourceVersion.
    NodeMarks {
        /// The name of the Node.
        node: String,
        /// Its uid.
        uid: String,
        /// The version that they were computed from.
        resource_version: String,
        /// Our desired labels, complete.
        labels: BTreeMap<String, String>,
        /// Our annotation; `None` removes it.
        summary: Option<String>,
        /// Our labels on the Node that must be removed.
        drop_labels: Vec<String>,
    },
    /// Apply our condition on a Node's status; carries uid and resourceVersion. `None` removes it.
    NodeCondition {
        /// The name of the Node.
        node: String,
        /// Its uid.
        uid: String,
        /// The version that it was computed from.
        resource_version: String,
        /// The condition.
        condition: Option<Condition>,
    },
    /// Apply the status of a HealthCheckRun; carries resourceVersion.
    RunStatus {
        /// The name of the run.
        run: String,
        /// Its uid.
        uid: String,
        /// The version that the status was computed from.
        resource_version: String,
        /// The complete new status.
        status: Box<HealthCheckRunStatus>,
    },
    /// Bring `observedGeneration` and conditions of a HealthCheckRun that has ended up to date, and nothing else: the rest of
    /// its status is not in memory any more. Carries resourceVersion.
    RunObserved {
        /// The name of the run.
        run: String,
        /// Its uid.
        uid: String,
        /// The version that the conditions were computed from.
        resource_version: String,
        /// The generation.
        generation: Option<i64>,
        /// All conditions.
        conditions: Vec<Condition>,
    },
    /// Create a HealthCheckResult. If it exists already, it was created by a decision whose other writes were lost.
    ResultCreate(Box<HealthCheckResult>),
    /// Delete a HealthCheckRun whose TTL has expired. Precondition: `uid`.
    DeleteRun {
        /// The name of the run.
        run: String,
        /// Its uid.
        uid: String,
    },
    /// Apply the claims of a NodeHealthPolicy, and nothing else of its status; carries resourceVersion, so a 409 means:
    /// decide again. No step of a plan comes before it.
    PolicyClaims {
        /// The name of the policy.
        policy: String,
        /// Its uid.
        uid: String,
        /// The version that the claims were computed from.
        resource_version: String,
        /// All claims.
        claims: Vec<Claim>,
    },
    /// Apply the status of a NodeHealthPolicy without its claims; carries resourceVersion.
    PolicyStatus {
        /// The name of the policy.
        policy: String,
        /// Its uid.
        uid: String,
        /// The version that the status was computed from.
        resource_version: String,
        /// The new status; its list of claims is not written.
        status: Box<NodeHealthPolicyStatus>,
    },
}

/// Metadata and spec of a NodeHealth.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeHealthSpecWrite {
    /// Its name, which is the Node's.
    pub name: String,
    /// Its uid and resourceVersion; `None` if it does not exist yet, and then it is written only if it still does not.
    pub read: Option<(String, String)>,
    /// The uid of the owning Node.
    pub node_uid: String,
    /// The complete spec.
    pub spec: NodeHealthSpec,
}

/// The operator's fields of a NodeHealth's status, complete.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeHealthStatusWrite {
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
    /// The version that the decision was computed from.
    pub resource_version: String,
    /// The decision.
    pub decision: Decision,
    /// The verdict on each GPU.
    pub gpus: Vec<GpuVerdict>,
    /// The certifications that have not expired.
    pub certifications: Vec<Certification>,
    /// The number of GPUs, if an agent has reported them.
    pub gpu_count: Option<GpuCount>,
    /// The column texts.
    pub summary: NodeSummary,
    /// The conditions Healthy, AgentReporting and ProfileResolved.
    pub conditions: Vec<Condition>,
}

/// What an Event is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Regarding {
    /// A Node, by name and uid.
    Node(String, String),
    /// A NodeHealth, by name and uid.
    NodeHealth(String, String),
    /// A HealthCheckRun, by name and uid.
    Run(String, String),
    /// A NodeHealthPolicy, by name and uid.
    Policy(String, String),
}

/// An Event to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventNote {
    /// What it is about.
    pub regarding: Regarding,
    /// Whether its type is Warning; otherwise Normal.
    pub warning: bool,
    /// The reason, in PascalCase.
    pub reason: String,
    /// Which series it belongs to, besides object and reason: what the message is about. Events of one series are shown as
    /// one with a count, under the message of the first.
    pub series: String,
    /// A sentence.
    pub message: String,
    /// The step that must succeed before it is sent.
    pub after: Option<usize>,
}

impl Plan {
    /// Adds a step and returns its index.
    pub fn push(&mut self, write: Write, after: Vec<usize>) -> usize {
        self.steps.push(Step { write, after });
        self.steps.len() - 1
    }

    /// Asks to be woken at `at` or earlier.
    pub fn wake(&mut self, at: Time) {
        self.wake_at = Some(self.wake_at.map_or(at, |earlier| earlier.min(at)));
    }

    /// Asks to be woken at `at` if that lies in the future.
    pub fn wake_after(&mut self, now: Time, at: Time) {
        if at > now {
            self.wake(at);
        }
    }

    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }
}

impl Key {
    /// The object that is written. At most one request per key is in flight.
    pub fn of(write: &Write) -> Self {
        match write {
            Write::NodeHealthSpec(write) => Self::new(Kind::NodeHealth, &write.name),
            Write::NodeHealthStatus(write) => Self::new(Kind::NodeHealth, &write.name),
            Write::DeleteNodeHealth { name, .. } => Self::new(Kind::NodeHealth, name),
            Write::NodeTaints { node, .. } | Write::NodeMarks { node, .. } | Write::NodeCondition { node, .. } => {
                Self::new(Kind::Node, node)
            }
            Write::RunStatus { run, .. } | Write::RunObserved { run, .. } | Write::DeleteRun { run, .. } => {
                Self::new(Kind::Run, run)
            }
            Write::ResultCreate(result) => Self::new(Kind::Result, result.metadata.name.as_deref().unwrap_or_default()),
            Write::PolicyClaims { policy, .. } | Write::PolicyStatus { policy, .. } => Self::new(Kind::Policy, policy),
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
            Kind::Profile | Kind::Lease | Kind::Result => None,
        }
    }
}

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
