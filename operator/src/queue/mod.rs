//! The write queue: which steps of a plan may run now. Plain state, no IO, no clock.
//!
//! ```text
//! admit(plan) ─▶ waiting ─▶ ready (every step in `after` succeeded) ─▶ start ─▶ running ─▶ finished
//!       └▶ dropped: the object is busy, or a step that it depends on was dropped or failed. The brain decides again.
//! ```
//!
//! An object is busy from the admission of its first step to the end of its last, so an older decision about it never
//! overtakes a later one. A policy is busy only while a step on it is ready or running: its status is written with its
//! resourceVersion, so the API server refuses an outdated write, and claims for other nodes must not wait until the
//! labels, conditions and decisions of these nodes are written.

pub mod backoff;
#[cfg(test)]
mod tests;

use crate::{
    key::{Key, Kind},
    plan::{EventNote, Step, Write},
};
use std::collections::{BTreeMap, BTreeSet};

/// The most ordinary writes under way at once. Measured: above 8 only latency grows, and at 32 the API server's priority
/// level `workload-low` begins to queue requests.
const ORDINARY_AT_ONCE: usize = 12;
/// The most writes under way at once, claims and taints included, so that these never wait for ordinary writes.
const AT_ONCE: usize = 28;

/// A step that was admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StepId(u64);

#[derive(Debug)]
struct Admitted {
    plan: u64,
    key: Key,
    write: Write,
    /// These must have succeeded.
    after: BTreeSet<StepId>,
    /// Earlier steps of the plan on the same object. These must have ended, in whatever way.
    behind: BTreeSet<StepId>,
    events: Vec<EventNote>,
    /// The version that the previous step of this plan on the same object got back.
    version: Option<String>,
    running: bool,
}

/// A step to run now.
#[derive(Clone, Debug, PartialEq)]
pub struct Start {
    /// Which step.
    pub id: StepId,
    /// The object.
    pub key: Key,
    /// What to write.
    pub write: Write,
    /// The version that the previous step of this plan on the same object got back.
    pub version: Option<String>,
}

/// How a step ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The object was written and now has this version (`None`: it was deleted).
    Written(Option<String>),
    /// The server refused this write. Other writes to the object go on.
    Refused,
    /// The object has changed since the decision, or its state is unknown. All other waiting writes to it are dropped.
    Stale,
}

/// The steps that were admitted and have not ended.
#[derive(Debug, Default)]
pub struct WriteQueue {
    steps: BTreeMap<StepId, Admitted>,
    ready: BTreeSet<(u8, StepId)>,
    /// By how many steps an object is busy.
    busy: BTreeMap<Key, usize>,
    running: BTreeSet<Key>,
    next_step: u64,
    next_plan: u64,
}

/// What became of a plan.
#[derive(Debug, Default, PartialEq)]
pub struct Admission {
    /// How many steps wait or are ready.
    pub admitted: usize,
    /// How many were dropped because their object, or the object of a step they depend on, is busy.
    pub dropped: usize,
    /// Events that depend on no step.
    pub events: Vec<EventNote>,
}

/// Claims and taints first: the taint is what protects a job. Then what agents and users wait for, then what describes a
/// node.
fn rank(write: &Write) -> u8 {
    match write {
        Write::PolicyStatus { .. } | Write::NodeTaints { .. } => 0,
        Write::RunStatus { .. } | Write::ResultCreate(_) | Write::NodeHealthSpec(_) => 1,
        Write::NodeHealthStatus(_)
        | Write::NodeMarks { .. }
        | Write::NodeCondition { .. }
        | Write::DeleteNodeHealth { .. }
        | Write::RunObserved { .. }
        | Write::DeleteRun { .. } => 2,
    }
}

impl WriteQueue {
    /// Admits the steps of a plan whose objects are not busy and need not wait for another reason.
    pub fn admit(
        &mut self,
        steps: Vec<Step>,
        events: Vec<EventNote>,
        must_wait: impl Fn(&Key, &Write) -> bool,
    ) -> Admission {
        self.next_plan += 1;
        let busy: BTreeSet<Key> = self.busy.keys().cloned().collect();
        let mut ids: Vec<Option<StepId>> = Vec::with_capacity(steps.len());
        let mut on_object: BTreeMap<Key, BTreeSet<StepId>> = BTreeMap::new();
        let mut admission = Admission::default();
        for Step { write, after } in steps {
            let key = Key::of(&write);
            let after: Option<BTreeSet<StepId>> =
                after.into_iter().map(|index| ids.get(index).copied().flatten()).collect();
            let after = after.filter(|_| !busy.contains(&key) && !must_wait(&key, &write));
            let Some(after) = after else {
                ids.push(None);
                admission.dropped += 1;
                continue;
            };
            let behind = on_object.entry(key.clone()).or_default();
            let id = self.insert(key, write, after, behind.clone());
            behind.insert(id);
            ids.push(Some(id));
            admission.admitted += 1;
        }
        for mut event in events {
            match event.after.take() {
                None => admission.events.push(event),
                Some(index) => {
                    let id = ids.get(index).copied().flatten();
                    if let Some(step) = id.and_then(|id| self.steps.get_mut(&id)) {
                        step.events.push(event);
                    }
                }
            }
        }
        admission
    }

    fn insert(&mut self, key: Key, write: Write, after: BTreeSet<StepId>, behind: BTreeSet<StepId>) -> StepId {
        let id = StepId(self.next_step);
        self.next_step += 1;
        let is_ready = after.is_empty() && behind.is_empty();
        if is_ready {
            self.ready.insert((rank(&write), id));
        }
        if is_ready || key.kind != Kind::Policy {
            *self.busy.entry(key.clone()).or_default() += 1;
        }
        let step = Admitted {
            plan: self.next_plan,
            key,
            write,
            after,
            behind,
            events: Vec::new(),
            version: None,
            running: false,
        };
        self.steps.insert(id, step);
        id
    }

    /// The steps to run now, most urgent first.
    pub fn start(&mut self) -> Vec<Start> {
        let mut starts = Vec::new();
        let ready: Vec<(u8, StepId)> = self.ready.iter().copied().collect();
        for (rank, id) in ready {
            let limit = if rank == 0 { AT_ONCE } else { ORDINARY_AT_ONCE };
            if self.running.len() >= limit {
                break;
            }
            let Some(step) = self.steps.get_mut(&id) else {
                continue;
            };
            if !self.running.insert(step.key.clone()) {
                continue;
            }
            step.running = true;
            self.ready.remove(&(rank, id));
            starts.push(Start { id, key: step.key.clone(), write: step.write.clone(), version: step.version.clone() });
        }
        starts
    }

    /// A step has ended. Returns the events that waited for its success.
    pub fn finished(&mut self, id: StepId, ended: &Ended) -> Vec<EventNote> {
        let Some(step) = self.remove(id) else {
            return Vec::new();
        };
        match ended {
            Ended::Written(version) => {
                self.succeeded(id, &step, version.as_deref());
                step.events
            }
            Ended::Refused => {
                self.drop_dependents(vec![id]);
                self.no_longer_behind(id);
                Vec::new()
            }
            Ended::Stale => {
                let same = self.steps.iter().filter(|(_, s)| s.key == step.key);
                let mut failed: Vec<StepId> = same.filter(|(_, s)| !s.running).map(|(id, _)| *id).collect();
                for id in &failed {
                    self.remove(*id);
                }
                failed.push(id);
                self.drop_dependents(failed);
                Vec::new()
            }
        }
    }

    fn succeeded(&mut self, id: StepId, done: &Admitted, version: Option<&str>) {
        for step in self.steps.values_mut() {
            if step.plan == done.plan {
                step.after.remove(&id);
                if step.key == done.key {
                    step.version = version.map(str::to_owned);
                }
            }
        }
        self.no_longer_behind(id);
    }

    fn no_longer_behind(&mut self, id: StepId) {
        for (other, step) in &mut self.steps {
            step.behind.remove(&id);
            let is_ready = step.after.is_empty() && step.behind.is_empty() && !step.running;
            if is_ready && self.ready.insert((rank(&step.write), *other)) {
                // A policy becomes busy only now.
                if step.key.kind == Kind::Policy {
                    *self.busy.entry(step.key.clone()).or_default() += 1;
                }
            }
        }
    }

    fn drop_dependents(&mut self, mut failed: Vec<StepId>) {
        while let Some(id) = failed.pop() {
            let dependents = self.steps.iter().filter(|(_, s)| s.after.contains(&id));
            let dependents: Vec<StepId> = dependents.map(|(id, _)| *id).collect();
            for dependent in &dependents {
                self.remove(*dependent);
            }
            failed.extend(dependents);
            self.no_longer_behind(id);
        }
    }

    fn remove(&mut self, id: StepId) -> Option<Admitted> {
        let step = self.steps.remove(&id)?;
        let was_ready = self.ready.remove(&(rank(&step.write), id));
        if step.running {
            self.running.remove(&step.key);
        }
        let made_busy = step.running || was_ready || step.key.kind != Kind::Policy;
        if made_busy && let Some(count) = self.busy.get_mut(&step.key) {
            *count -= 1;
            if *count == 0 {
                self.busy.remove(&step.key);
            }
        }
        Some(step)
    }

    /// Drops every step that is not running. Called when the process is stopping.
    pub fn stop(&mut self) {
        let waiting = self.steps.iter().filter(|(_, s)| !s.running);
        let waiting: Vec<StepId> = waiting.map(|(id, _)| *id).collect();
        for id in waiting {
            self.remove(id);
        }
    }

    /// How many steps have not ended.
    pub fn len(&self) -> usize {
        self.steps.len()
    }

    /// Whether every step has ended.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Whether the object is busy.
    pub fn is_busy(&self, key: &Key) -> bool {
        self.busy.contains_key(key)
    }
}
