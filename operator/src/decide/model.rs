//! A model of the API server for tests: it applies a [`Plan`] to a [`World`] with the preconditions that the real one
//! checks (uid, resourceVersion), so that decisions can be played against random events, crashes and late writers.
//!
//! `fixtures` builds small objects for unit tests, `generate` makes random worlds and `happenings` random events from bytes.

pub(crate) mod fixtures;
pub(crate) mod generate;
pub(crate) mod happenings;

use crate::{
    plan::{NodeHealthSpecWrite, NodeHealthStatusWrite, Plan, Write},
    world::World,
};
use crds::{HealthCheckRun, NodeHealth, NodeHealthPolicy, Time, node_health_policy::Claim};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use std::{collections::BTreeMap, sync::Arc};

/// A world that can be written to, and its clock.
#[derive(Clone, Debug)]
pub(crate) struct Model {
    /// The current objects.
    pub(crate) world: World,
    /// The operator's clock.
    pub(crate) now: Time,
    versions: u64,
    uids: u64,
}

/// A writer that works through a plan and may stop at any step.
#[derive(Clone, Debug)]
pub(crate) struct Writer {
    /// The plan it works on.
    pub(crate) plan: Plan,
    /// Whether each step that was tried succeeded.
    done: Vec<bool>,
    /// The version that this writer's last write of a policy got back.
    policy_versions: BTreeMap<String, String>,
}

impl Writer {
    pub(crate) fn new(plan: Plan) -> Self {
        Self { plan, done: Vec::new(), policy_versions: BTreeMap::new() }
    }

    /// The index of the next step, if one is left.
    pub(crate) fn next(&self) -> Option<usize> {
        (self.done.len() < self.plan.steps.len()).then_some(self.done.len())
    }

    /// Tries the next step; it is dropped if one that it waits for failed. Returns whether it was written.
    pub(crate) fn step(&mut self, model: &mut Model) -> bool {
        let Some(index) = self.next() else {
            return false;
        };
        let step = &self.plan.steps[index];
        let free = step.after.iter().all(|&i| i < index && self.done[i]);
        let written = free && model.write(&step.write, &mut self.policy_versions);
        self.done.push(written);
        written
    }

    /// Marks the next step as refused by the API server, without trying it.
    pub(crate) fn fail(&mut self) {
        if self.next().is_some() {
            self.done.push(false);
        }
    }

    /// Tries every step that is left.
    pub(crate) fn finish(&mut self, model: &mut Model) {
        while self.next().is_some() {
            self.step(model);
        }
    }
}

impl Model {
    pub(crate) fn new(world: World, now: Time) -> Self {
        Self { world, now, versions: 1_000_000, uids: 0 }
    }

    /// Applies every step of a plan.
    pub(crate) fn apply(&mut self, plan: &Plan) {
        Writer::new(plan.clone()).finish(self);
    }

    /// Decides and applies until nothing is left to do, at most `rounds` times; returns the last plan.
    pub(crate) fn settle(&mut self, rounds: usize) -> Plan {
        let mut plan = Plan::default();
        for _ in 0..rounds {
            plan = crate::decide::decide(&self.world, self.now);
            if plan.is_empty() {
                break;
            }
            self.apply(&plan);
        }
        plan
    }

    /// A resourceVersion that was never used.
    pub(crate) fn next_version(&mut self) -> String {
        self.versions += 1;
        self.versions.to_string()
    }

    /// A uid that was never used.
    pub(crate) fn next_uid(&mut self, kind: &str) -> String {
        self.uids += 1;
        format!("{kind}-made-{}", self.uids)
    }

    /// Changes a Node on behalf of others: its resourceVersion moves if anything changed.
    pub(crate) fn edit_node(&mut self, name: &str, edit: impl FnOnce(&mut crate::world::Node)) {
        let version = self.next_version();
        if let Some(node) = self.world.nodes.get_mut(name) {
            let before = (**node).clone();
            edit(Arc::make_mut(node));
            if **node != before {
                Arc::make_mut(node).resource_version = version;
            }
        }
    }

    /// Changes a NodeHealth on behalf of others, such as the agent.
    pub(crate) fn edit_health(&mut self, name: &str, edit: impl FnOnce(&mut NodeHealth)) {
        let version = self.next_version();
        if let Some(health) = self.world.node_healths.get_mut(name) {
            let before = (**health).clone();
            let health = Arc::make_mut(health);
            edit(health);
            if health.spec != before.spec {
                health.metadata.generation = Some(before.metadata.generation.unwrap_or(0) + 1);
            }
            if *health != before {
                health.metadata.resource_version = Some(version);
            }
        }
    }

    /// Changes a policy as a person would.
    pub(crate) fn edit_policy(&mut self, name: &str, edit: impl FnOnce(&mut NodeHealthPolicy)) {
        let version = self.next_version();
        if let Some(policy) = self.world.policies.get_mut(name) {
            let before = (**policy).clone();
            let policy = Arc::make_mut(policy);
            edit(policy);
            if policy.spec != before.spec {
                policy.metadata.generation = Some(before.metadata.generation.unwrap_or(0) + 1);
            }
            if *policy != before {
                policy.metadata.resource_version = Some(version);
            }
        }
    }

    /// Changes a run as a person would.
    pub(crate) fn edit_run(&mut self, name: &str, edit: impl FnOnce(&mut HealthCheckRun)) {
        let version = self.next_version();
        if let Some(run) = self.world.runs.get_mut(name) {
            let before = (**run).clone();
            let run = Arc::make_mut(run);
            edit(run);
            if run.spec != before.spec {
                run.metadata.generation = Some(before.metadata.generation.unwrap_or(0) + 1);
            }
            if *run != before {
                run.metadata.resource_version = Some(version);
            }
        }
    }

    /// The claims of every policy.
    pub(crate) fn claims(&self) -> impl Iterator<Item = (&str, &Claim)> {
        self.world.policies.iter().flat_map(|(name, policy)| {
            policy.status.iter().flat_map(|s| &s.budget.claims).map(move |claim| (name.as_str(), claim))
        })
    }

    /// Writes one thing as the API server would; `false` if it refuses.
    #[allow(clippy::too_many_lines)] // A table: one arm per write.
    fn write(&mut self, write: &Write, own: &mut BTreeMap<String, String>) -> bool {
        match write {
            Write::NodeHealthSpec(write) => self.write_spec(write),
            Write::DeleteNodeHealth { name, uid } => {
                let same = self.health_uid(name) == Some(uid.as_str());
                if same {
                    self.world.node_healths.remove(name);
                }
                same
            }
            Write::NodeHealthStatus(write) => self.write_health_status(write),
            Write::NodeTaints { node, uid, resource_version, taints } => {
                let same = self
                    .world
                    .nodes
                    .get(node)
                    .is_some_and(|n| n.uid == *uid && n.resource_version == *resource_version);
                if same {
                    self.edit_node(node, |n| n.taints.clone_from(taints));
                }
                same
            }
            Write::NodeMarks { node, uid, labels, summary, drop_labels } => {
                let same = self.node_uid(node) == Some(uid.as_str());
                if same {
                    self.edit_node(node, |n| {
                        n.labels.extend(labels.iter().map(|(k, v)| (k.clone(), v.clone())));
                        for label in drop_labels {
                            n.labels.remove(label);
                        }
                        n.summary.clone_from(summary);
                    });
                }
                same
            }
            Write::NodeCondition { node, uid, condition } => {
                let same = self.node_uid(node) == Some(uid.as_str());
                if same {
                    self.edit_node(node, |n| n.condition.clone_from(condition));
                }
                same
            }
            Write::RunStatus { run, uid, resource_version, status } => {
                let same = self.world.runs.get(run).is_some_and(|r| {
                    r.metadata.uid.as_ref() == Some(uid)
                        && r.metadata.resource_version.as_ref() == Some(resource_version)
                });
                if same {
                    self.edit_run(run, |r| r.status = Some((**status).clone()));
                }
                same
            }
            Write::DeleteRun { run, uid } => {
                let same = self.world.runs.get(run).is_some_and(|r| r.metadata.uid.as_ref() == Some(uid));
                if same {
                    self.world.runs.remove(run);
                }
                same
            }
            Write::PolicyStatus { policy, uid, resource_version, status } => {
                let version = resource_version.as_ref().or_else(|| own.get(policy));
                let same = self.world.policies.get(policy).is_some_and(|p| {
                    p.metadata.uid.as_ref() == Some(uid)
                        && version.is_some()
                        && p.metadata.resource_version.as_ref() == version
                });
                if same {
                    self.edit_policy(policy, |p| p.status = Some((**status).clone()));
                    if let Some(version) =
                        self.world.policies.get(policy).and_then(|p| p.metadata.resource_version.clone())
                    {
                        own.insert(policy.clone(), version);
                    }
                }
                same
            }
        }
    }

    fn node_uid(&self, name: &str) -> Option<&str> {
        self.world.nodes.get(name).map(|n| n.uid.as_str())
    }

    fn health_uid(&self, name: &str) -> Option<&str> {
        self.world.node_healths.get(name).and_then(|h| h.metadata.uid.as_deref())
    }

    fn write_spec(&mut self, write: &NodeHealthSpecWrite) -> bool {
        match (&write.uid, self.health_uid(&write.name)) {
            (Some(wanted), standing) if standing != Some(wanted) => false,
            (_, Some(_)) => {
                self.edit_health(&write.name, |h| h.spec = write.spec.clone());
                true
            }
            (_, None) => {
                let mut health = NodeHealth::new(&write.name, write.spec.clone());
                health.metadata.uid = Some(self.next_uid("health"));
                health.metadata.resource_version = Some(self.next_version());
                health.metadata.generation = Some(1);
                health.metadata.creation_timestamp = fixtures::timestamp(self.now);
                health.metadata.owner_references = Some(vec![OwnerReference {
                    api_version: "v1".into(),
                    kind: "Node".into(),
                    name: write.name.clone(),
                    uid: write.node_uid.clone(),
                    ..OwnerReference::default()
                }]);
                self.world.node_healths.insert(write.name.clone(), Arc::new(health));
                true
            }
        }
    }

    fn write_health_status(&mut self, write: &NodeHealthStatusWrite) -> bool {
        let same = self.world.node_healths.get(&write.name).is_some_and(|h| {
            h.metadata.uid.as_ref() == Some(&write.uid)
                && h.metadata.resource_version.as_ref() == Some(&write.resource_version)
        });
        if same {
            self.edit_health(&write.name, |h| {
                let status = h.status.get_or_insert_default();
                status.decision = Some(write.decision.clone());
                status.gpus.clone_from(&write.gpus);
                status.certifications.clone_from(&write.certifications);
                status.gpu_count = write.gpu_count;
                status.summary = Some(write.summary.clone());
                status.conditions.clone_from(&write.conditions);
            });
        }
        same
    }
}
