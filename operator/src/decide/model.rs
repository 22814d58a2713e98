//! A model of the API server for tests: it applies a [`Plan`] to a [`World`] with the preconditions that the real one
//! checks (uid, resourceVersion), so that decisions can be played against random events, crashes and late writers.
//!
//! `server` accepts or refuses one write, `writer` works through a plan, and `view` is what a leader sees of the server: late,
//! and not everything. `fixtures` builds small objects for unit tests, `generate` makes random worlds and `happenings` random
//! events from bytes.

pub(crate) mod fixtures;
pub(crate) mod generate;
pub(crate) mod happenings;
mod server;
pub(crate) mod view;
mod writer;

use crate::{key::Key, plan::Plan, world::World};
use crds::{HealthCheckResult, HealthCheckRun, NodeHealth, NodeHealthPolicy, Time, node_health_policy::Claim};
pub(crate) use server::ANY_VERSION;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
pub(crate) use writer::Writer;

/// A world that can be written to, and its clock.
#[derive(Clone, Debug)]
pub(crate) struct Model {
    /// The current objects.
    pub(crate) world: World,
    /// The operator's clock.
    pub(crate) now: Time,
    /// What the server refuses until further notice: a kind of write to an object, as [`server::kind_of`] names it.
    pub(crate) refused: BTreeSet<(Key, &'static str)>,
    /// The results that were created; the operator never reads them.
    pub(crate) results: BTreeMap<String, HealthCheckResult>,
    versions: u64,
    uids: u64,
}

impl Model {
    pub(crate) fn new(world: World, now: Time) -> Self {
        Self { world, now, refused: BTreeSet::new(), results: BTreeMap::new(), versions: 1_000_000, uids: 0 }
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
        self.world.runs.edit(name, |run| {
            let before = run.clone();
            edit(run);
            if run.spec != before.spec {
                run.metadata.generation = Some(before.metadata.generation.unwrap_or(0) + 1);
            }
            if *run != before {
                run.metadata.resource_version = Some(version);
            }
        });
    }

    /// The claims of every policy.
    pub(crate) fn claims(&self) -> impl Iterator<Item = (&str, &Claim)> {
        self.world.policies.iter().flat_map(|(name, policy)| {
            policy.status.iter().flat_map(|s| &s.budget.claims).map(move |claim| (name.as_str(), claim))
        })
    }
}
