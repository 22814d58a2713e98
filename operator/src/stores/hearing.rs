//! For how long each agent has not been heard. Plain state: the operator's monotonic clock is an argument.
//!
//! Only time in which the watch of Leases is proven to work counts. A proof is an event of that watch with a higher
//! resourceVersion than any before: whatever was renewed earlier has been delivered. The time between two proofs is added
//! to a clock of its own, [`Hearing::listened`], and an agent is silent once that clock has advanced by
//! [`SILENT_AFTER_SECONDS`] since its last renewal. What would be mistaken for silence does not advance it:
//!
//! - the start and a list: no earlier proof
//! - a watch that failed: the agents may have failed to reach the API server too
//! - a watch that is open but delivers nothing: [`LONGEST_INTERVAL`]
//! - a stopped process, or a decision that takes too long: [`LONGEST_ABSENCE`]
//! - an operator's clock that is set: it is never read
//!
//! None of these ends a silence either: that takes a renewal.

use crate::world::SILENT_AFTER_SECONDS;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

/// The longest time between two proofs that counts. Each watch request ends with a bookmark and lasts 20 s (see
/// [`super::watch`]), so two missing ones in a row mean that the watch delivers nothing.
const LONGEST_INTERVAL: Duration = Duration::from_secs(45);
/// The longest time between two turns of the decision loop. It turns at least every 5 s.
const LONGEST_ABSENCE: Duration = Duration::from_secs(12);

/// What is known of one agent.
#[derive(Debug)]
struct Agent {
    /// What [`Hearing::listened`] showed when it was last heard, or when it was first expected.
    since: Duration,
    is_silent: bool,
}

#[derive(Clone, Copy, Debug)]
struct Proof {
    at: Instant,
    version: u64,
}

/// For how long each agent has not been heard.
#[derive(Debug, Default)]
pub(super) struct Hearing {
    listened: Duration,
    proof: Option<Proof>,
    looked: Option<Instant>,
    agents: BTreeMap<Arc<str>, Agent>,
    /// The agents that are not silent, the one heard longest ago first.
    waiting: BTreeSet<(Duration, Arc<str>)>,
}

impl Hearing {
    /// The decision loop turns. If it has not for long, what happened meanwhile proves nothing.
    pub(super) fn look(&mut self, at: Instant) {
        let absent = self.looked.replace(at).map(|last| at.saturating_duration_since(last));
        if absent.is_some_and(|absent| absent > LONGEST_ABSENCE) {
            self.proof = None;
        }
    }

    /// The watch of Leases failed, or begins anew with a list.
    pub(super) fn broke(&mut self) {
        self.proof = None;
    }

    /// The watch of Leases delivered this version. Returns the agents that are silent from now on.
    pub(super) fn proven(&mut self, version: &str, at: Instant) -> Vec<String> {
        // A version that is no number (none of Kubernetes' own) proves nothing.
        let Ok(version) = version.parse::<u64>() else { return Vec::new() };
        if let Some(last) = self.proof {
            if version <= last.version {
                return Vec::new();
            }
            let interval = at.saturating_duration_since(last.at);
            if interval <= LONGEST_INTERVAL {
                self.listened += interval;
            }
        }
        self.proof = Some(Proof { at, version });
        self.fallen_silent()
    }

    fn fallen_silent(&mut self) -> Vec<String> {
        let limit = Duration::from_secs(SILENT_AFTER_SECONDS);
        let mut fallen = Vec::new();
        while let Some((since, node)) = self.waiting.first()
            && self.listened.saturating_sub(*since) > limit
        {
            if let Some(agent) = self.agents.get_mut(node) {
                agent.is_silent = true;
            }
            fallen.push(node.to_string());
            self.waiting.pop_first();
        }
        fallen
    }

    /// The agent of this node was heard. Returns whether that ends a silence.
    pub(super) fn heard(&mut self, node: &str) -> bool {
        let was_silent = self.agents.get(node).is_some_and(|agent| agent.is_silent);
        self.put(node);
        was_silent
    }

    /// The agent of this node is expected to be heard: its NodeHealth exists. `was_silent` is what that says of it. Returns
    /// whether the agent counts as silent: then it was so before this operator started, and nobody has heard it since.
    pub(super) fn expect(&mut self, node: &str, was_silent: bool) -> bool {
        if self.agents.contains_key(node) {
            return false;
        }
        self.put(node);
        if was_silent && let Some(agent) = self.agents.get_mut(node) {
            agent.is_silent = true;
            self.waiting.remove(&(agent.since, Arc::from(node)));
        }
        was_silent
    }

    fn put(&mut self, node: &str) {
        let since = self.listened;
        let known = self.agents.get_key_value(node).map(|(name, agent)| (name.clone(), agent.since));
        let name = match known {
            Some((name, before)) => {
                self.waiting.remove(&(before, name.clone()));
                name
            }
            None => Arc::from(node),
        };
        self.waiting.insert((since, name.clone()));
        self.agents.insert(name, Agent { since, is_silent: false });
    }

    /// Nothing is expected of this agent any more.
    pub(super) fn forget(&mut self, node: &str) {
        if let Some((name, agent)) = self.agents.remove_entry(node) {
            self.waiting.remove(&(agent.since, name));
        }
    }

    /// Forgets the agents of all other nodes.
    pub(super) fn retain(&mut self, keep: impl Fn(&str) -> bool) {
        self.agents.retain(|node, _| keep(node));
        self.waiting.retain(|(_, node)| keep(node));
    }
}
