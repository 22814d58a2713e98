//! What must hold whatever happens.

use super::server::{Fault, Server};
use crate::{
    engine::Engine,
    key::Key,
    plan::Write,
    wire::{act::act, content::content, refusal::Class},
};
use crds::{NodeHealth, reason};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

/// How long before it is written a silence has begun, less what the write takes.
const SILENT_FOR: Duration = Duration::from_secs(140);

/// The last failure of a kind of write to an object.
#[derive(Clone, Copy, Debug)]
struct Failed {
    class: Class,
    times: u32,
    content: u64,
    at: Instant,
}

impl Failed {
    /// The shortest time until the next try.
    fn pause(&self, is_same: bool) -> Duration {
        let (first, longest) = match self.class {
            Class::Conflict | Class::Gone if self.times <= 3 => return Duration::ZERO,
            Class::Conflict | Class::Gone => {
                let pause = Duration::from_millis(50) * 2_u32.pow((self.times - 4).min(5));
                return pause.min(Duration::from_secs(1));
            }
            Class::Unknown => (Duration::from_millis(100), Duration::from_secs(60)),
            Class::Forbidden | Class::OldSchema | Class::Invalid => (Duration::from_secs(1), Duration::from_secs(60)),
        };
        let pause = (first * 2_u32.pow(self.times.saturating_sub(1).min(10))).min(longest);
        if is_same { pause } else { pause.min(Duration::from_secs(1)) }
    }
}

/// What has happened so far, as far as a law needs it.
#[derive(Debug)]
pub(super) struct Laws {
    failed: BTreeMap<(Key, &'static str), Failed>,
    /// The nodes whose agent has ever not renewed its Lease.
    ever_silent: BTreeSet<String>,
    /// When each agent last renewed its Lease.
    renewed: BTreeMap<String, Instant>,
    /// When the NodeHealth of this uid was written as silent.
    silenced: BTreeMap<String, Instant>,
}

impl Laws {
    pub(super) fn new(server: &Server) -> Self {
        Self {
            failed: BTreeMap::new(),
            ever_silent: server.model.world.silent.iter().cloned().collect(),
            renewed: BTreeMap::new(),
            silenced: BTreeMap::new(),
        }
    }

    /// Another process knows nothing of what was tried.
    pub(super) fn forget_attempts(&mut self) {
        self.failed.clear();
    }

    /// Some agents may have stopped.
    pub(super) fn look(&mut self, server: &Server) {
        self.ever_silent.extend(server.model.world.silent.iter().cloned());
    }

    /// The agent of this node renewed its Lease.
    pub(super) fn renewed(&mut self, node: &str, at: Instant) {
        self.renewed.insert(node.to_owned(), at);
    }

    /// An agent that renews whenever it can is never silent. Without a NodeHealth it has no Lease, and cannot.
    pub(super) fn silent_agents(&self, engine: &Engine, server: &Server) -> Result<(), String> {
        let silent = &engine.stores().world().silent;
        let renews = |node: &&String| server.is_alive(node) && server.leases.contains_key(*node);
        match silent.iter().filter(renews).find(|node| !self.ever_silent.contains(*node)) {
            Some(node) => Err(format!("the agent of {node} renews its Lease and is called silent")),
            None => Ok(()),
        }
    }

    /// A node that was written as silent is heard only once its agent has renewed its Lease.
    pub(super) fn health_written(
        &mut self,
        before: Option<&NodeHealth>,
        after: Option<&NodeHealth>,
        at: Instant,
    ) -> Result<(), String> {
        let Some(after) = after else { return Ok(()) };
        let (name, uid) = (after.metadata.name.clone().unwrap_or_default(), after.metadata.uid.clone());
        let (was, is) = (before.is_some_and(is_silent), is_silent(after));
        let is_same = before.is_some_and(|before| before.metadata.uid == uid);
        let uid = uid.unwrap_or_default();
        if is && !was {
            self.silenced.insert(uid, at);
            return Ok(());
        }
        let Some(since) = self.silenced.get(&uid).filter(|_| was && !is && is_same) else { return Ok(()) };
        let is_heard = self.renewed.get(&name).is_some_and(|renewed| *renewed + SILENT_FOR > *since);
        if is_heard { Ok(()) } else { Err(format!("{name} is no longer silent, but its agent has not been heard")) }
    }

    /// A write is sent.
    pub(super) fn sent(&self, key: &Key, write: &Write, at: Instant) -> Result<(), String> {
        let Some(failed) = self.failed.get(&(key.clone(), act(write))) else { return Ok(()) };
        let pause = failed.pause(failed.content == content(write));
        let waited = at.saturating_duration_since(failed.at);
        if waited >= pause {
            return Ok(());
        }
        Err(format!("{} {key} after {waited:?} instead of {pause:?}: {failed:?}", act(write)))
    }

    /// A write has ended.
    pub(super) fn ended(&mut self, key: &Key, write: &Write, failed: Option<Class>, is_futile: bool, at: Instant) {
        let place = (key.clone(), act(write));
        let class = failed.or_else(|| is_futile.then_some(Class::Invalid));
        let Some(class) = class else {
            self.failed.remove(&place);
            return;
        };
        let is_conflict = |class| matches!(class, Class::Conflict | Class::Gone);
        let series = self.failed.get(&place).filter(|failed| is_conflict(failed.class) == is_conflict(class));
        let times = series.map_or(0, |failed| failed.times) + 1;
        self.failed.insert(place, Failed { class, times, content: content(write), at });
    }
}

fn is_silent(health: &NodeHealth) -> bool {
    let conditions = health.status.iter().flat_map(|status| &status.conditions);
    conditions.into_iter().any(|c| c.type_ == "AgentReporting" && c.reason == reason::AGENT_SILENT)
}

/// The kinds of write that these faults concern.
pub(super) fn refused(faults: &BTreeMap<(Key, &'static str), Fault>, write: &Write) -> bool {
    faults.contains_key(&(Key::of(write), act(write)))
}
