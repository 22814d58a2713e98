//! The write queue: which steps of a plan may run now. Plain state, no IO, no clock.
//!
//! ```text
//! admit(plan) ─▶ waiting ─▶ ready (every step in `after` succeeded) ─▶ start ─▶ running ─▶ finished
//!       └▶ dropped: the object is busy, the queue is full, or a step that it depends on was dropped or failed. The brain
//!          decides again.
//! ```
//!
//! An object is busy from the admission of its first step to the end of its last, so an older decision about it never
//! overtakes a later one. A step of higher rank replaces those of lower rank that wait for the same object, so that a taint
//! never waits for the labels of an older decision: what was replaced is decided again. A policy is busy only while a step on
//! it is ready or running: its status is written with its resourceVersion, so the API server refuses an outdated write, and
//! claims for other nodes must not wait until the labels, conditions and decisions of these nodes are written.
//!
//! `rank` says what comes first, `pace` how many writes are under way at once.

pub mod backoff;
mod pace;
#[cfg(test)]
mod plain;
mod rank;
#[cfg(test)]
mod tests;

use crate::{
    key::{Key, Kind},
    plan::{EventNote, Step, Write},
};
use pace::{MOST_HELD, UnderWay};
use rank::{URGENT, WORDS, may_replace, rank};
use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound::{Excluded, Unbounded},
};

/// A step that was admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StepId(u64);

#[derive(Debug)]
struct Admitted {
    plan: u64,
    key: Key,
    rank: u8,
    /// `None` while it is running.
    write: Option<Write>,
    /// How many of the steps that it comes after have not succeeded yet.
    unmet: usize,
    /// The steps that come after this one.
    dependents: Vec<StepId>,
    events: Vec<EventNote>,
}

impl Admitted {
    fn is_running(&self) -> bool {
        self.write.is_none()
    }
}

/// The steps of one plan on one object, which run in their order.
#[derive(Debug, Default)]
struct Lane {
    steps: BTreeSet<StepId>,
    /// The version that the last of them got back.
    version: Option<String>,
}

/// The steps on one object.
#[derive(Debug, Default)]
struct Object {
    /// By plan. Only a policy has more than one.
    lanes: BTreeMap<u64, Lane>,
    /// How many steps are ready or running.
    ready: usize,
    is_running: bool,
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

/// The most urgent step that an object was too busy for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freed {
    /// None that somebody waits for.
    Nothing,
    /// What agents or users wait for.
    Order,
    /// A claim or a taint.
    Mark,
}

/// The steps that were admitted and have not ended. Each operation costs the logarithm of their number for each step that
/// it is about, whatever else waits.
#[derive(Debug, Default)]
pub struct WriteQueue {
    steps: BTreeMap<StepId, Admitted>,
    ready: BTreeSet<(u8, StepId)>,
    objects: BTreeMap<Key, Object>,
    /// The objects for which a step was dropped because they are busy, and the best rank of such a step.
    blocked: BTreeMap<Key, u8>,
    /// How many there are of each rank.
    lengths: [usize; WORDS as usize + 1],
    under_way: UnderWay,
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
    /// How many waiting steps of older plans were dropped, because this plan has more urgent ones for their objects.
    pub replaced: usize,
    /// Events that depend on no step.
    pub events: Vec<EventNote>,
}

impl WriteQueue {
    /// Whether a step on this object waits or is under way.
    pub fn has_step_on(&self, key: &Key) -> bool {
        self.objects.get(key).is_some_and(|object| !object.lanes.is_empty())
    }

    /// Admits the steps of a plan whose objects are not busy and need not wait for another reason, as long as there is room. A
    /// claim is admitted also if the taint that it pays for is not: the same write ends the claims of other nodes.
    pub fn admit(
        &mut self,
        steps: Vec<Step>,
        events: Vec<EventNote>,
        must_wait: impl Fn(&Key, &Write) -> bool,
    ) -> Admission {
        self.next_plan += 1;
        let mut ids: Vec<Option<StepId>> = Vec::with_capacity(steps.len());
        let mut own: BTreeSet<Key> = BTreeSet::new();
        let mut admission = Admission::default();
        for Step { write, after } in steps {
            let id = self.admit_one(write, &after, &ids, &mut own, &must_wait, &mut admission.replaced);
            ids.push(id);
            match id {
                Some(_) => admission.admitted += 1,
                None => admission.dropped += 1,
            }
        }
        self.keep_events(events, &ids, &mut admission);
        admission
    }

    /// Admits one step, if it may be.
    fn admit_one(
        &mut self,
        write: Write,
        after: &[usize],
        ids: &[Option<StepId>],
        own: &mut BTreeSet<Key>,
        must_wait: impl Fn(&Key, &Write) -> bool,
        replaced: &mut usize,
    ) -> Option<StepId> {
        let key = Key::of(&write);
        let after = after.iter().map(|index| ids.get(*index).copied().flatten());
        let after: BTreeSet<StepId> = after.collect::<Option<_>>()?;
        if must_wait(&key, &write) || self.is_full(rank(&write)) {
            return None;
        }
        if !own.contains(&key) {
            let rank = rank(&write);
            let Some(dropped) = self.make_room(&key, rank, may_replace(&write)) else {
                self.blocked.entry(key).and_modify(|best| *best = rank.min(*best)).or_insert(rank);
                return None;
            };
            *replaced += dropped;
            own.insert(key.clone());
        }
        Some(self.insert(key, write, after))
    }

    /// Whether there are so many steps of this rank that more are left to later decisions. Claims and taints always have room.
    fn is_full(&self, rank: u8) -> bool {
        rank != URGENT && self.lengths[usize::from(rank)] >= MOST_HELD
    }

    /// Drops the steps that wait for the object if all of them have a lower rank. Returns how many steps were dropped;
    /// `None` if the object stays busy.
    fn make_room(&mut self, key: &Key, rank: u8, may_replace: bool) -> Option<usize> {
        let Some(object) = self.objects.get(key).filter(|_| self.is_busy(key)) else {
            return Some(0);
        };
        if object.is_running || !may_replace {
            return None;
        }
        let waiting: Vec<StepId> = object.lanes.values().flat_map(|lane| lane.steps.iter().copied()).collect();
        let all_lower = waiting.iter().filter_map(|id| self.steps.get(id)).all(|step| step.rank > rank);
        all_lower.then(|| self.drop_all(waiting))
    }

    fn keep_events(&mut self, events: Vec<EventNote>, ids: &[Option<StepId>], admission: &mut Admission) {
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
    }

    fn insert(&mut self, key: Key, write: Write, after: BTreeSet<StepId>) -> StepId {
        let id = StepId(self.next_step);
        self.next_step += 1;
        let (unmet, rank) = (after.len(), rank(&write));
        for earlier in after {
            if let Some(step) = self.steps.get_mut(&earlier) {
                step.dependents.push(id);
            }
        }
        let plan = self.next_plan;
        let object = self.objects.entry(key.clone()).or_default();
        object.lanes.entry(plan).or_default().steps.insert(id);
        let (dependents, events) = (Vec::new(), Vec::new());
        self.lengths[usize::from(rank)] += 1;
        self.steps.insert(id, Admitted { plan, key, rank, write: Some(write), unmet, dependents, events });
        self.ready_if_first(id);
        id
    }

    /// Makes a step ready if nothing is left that it waits for.
    fn ready_if_first(&mut self, id: StepId) {
        let Some(step) = self.steps.get(&id) else { return };
        let Some(object) = self.objects.get_mut(&step.key) else { return };
        let is_first = object.lanes.get(&step.plan).is_some_and(|lane| lane.steps.first() == Some(&id));
        if is_first && step.unmet == 0 && !step.is_running() && self.ready.insert((step.rank, id)) {
            object.ready += 1;
        }
    }

    /// The steps to run now, most urgent first.
    pub fn start(&mut self) -> Vec<Start> {
        let mut starts = Vec::new();
        let mut next = self.ready.first().copied();
        while let Some((rank, id)) = next {
            let urgent_waits = self.ready.first().is_some_and(|(rank, _)| *rank == URGENT);
            let has_room = self.under_way.has_room(rank, urgent_waits);
            let passed = if has_room { id } else { StepId(u64::MAX) };
            next = self.ready.range((Excluded((rank, passed)), Unbounded)).next().copied();
            starts.extend(has_room.then(|| self.start_one(rank, id)).flatten());
        }
        starts
    }

    /// Starts a ready step unless another one on its object is running.
    fn start_one(&mut self, rank: u8, id: StepId) -> Option<Start> {
        let step = self.steps.get_mut(&id)?;
        let object = self.objects.get_mut(&step.key).filter(|object| !object.is_running)?;
        let write = step.write.take()?;
        object.is_running = true;
        self.under_way.began(rank);
        self.ready.remove(&(rank, id));
        let version = object.lanes.get(&step.plan).and_then(|lane| lane.version.clone());
        Some(Start { id, key: step.key.clone(), write, version })
    }

    /// A step has ended. Returns the events that waited for its success.
    pub fn finished(&mut self, id: StepId, ended: &Ended) -> Vec<EventNote> {
        match ended {
            Ended::Written(version) => self.succeeded(id, version.as_deref()),
            Ended::Refused => {
                self.drop_all(vec![id]);
                Vec::new()
            }
            Ended::Stale => {
                let object = self.steps.get(&id).and_then(|step| self.objects.get(&step.key));
                let lanes = object.into_iter().flat_map(|object| object.lanes.values());
                let all = lanes.flat_map(|lane| lane.steps.iter().copied()).collect();
                self.drop_all(all);
                Vec::new()
            }
        }
    }

    fn succeeded(&mut self, id: StepId, version: Option<&str>) -> Vec<EventNote> {
        if let Some(step) = self.steps.get(&id)
            && let Some(lane) = self.objects.get_mut(&step.key).and_then(|object| object.lanes.get_mut(&step.plan))
        {
            lane.version = version.map(str::to_owned);
        }
        let Some(step) = self.remove(id) else {
            return Vec::new();
        };
        for dependent in step.dependents {
            if let Some(step) = self.steps.get_mut(&dependent) {
                step.unmet -= 1;
            }
            self.ready_if_first(dependent);
        }
        step.events
    }

    /// Drops these steps and everything that comes after them. Returns how many there were.
    fn drop_all(&mut self, mut ids: Vec<StepId>) -> usize {
        let mut dropped = 0;
        while let Some(id) = ids.pop() {
            if let Some(step) = self.remove(id) {
                dropped += 1;
                ids.extend(step.dependents);
            }
        }
        dropped
    }

    /// Removes a step, which may make the next one on its object ready.
    fn remove(&mut self, id: StepId) -> Option<Admitted> {
        let step = self.steps.remove(&id)?;
        self.lengths[usize::from(step.rank)] -= 1;
        let was_ready = self.ready.remove(&(step.rank, id));
        let object = self.objects.get_mut(&step.key)?;
        if step.is_running() {
            object.is_running = false;
            self.under_way.ended(step.rank);
        }
        if step.is_running() || was_ready {
            object.ready -= 1;
        }
        let mut first = None;
        if let Some(lane) = object.lanes.get_mut(&step.plan) {
            lane.steps.remove(&id);
            first = lane.steps.first().copied();
            if first.is_none() {
                object.lanes.remove(&step.plan);
            }
        }
        if object.lanes.is_empty() {
            self.objects.remove(&step.key);
        }
        if let Some(first) = first {
            self.ready_if_first(first);
        }
        Some(step)
    }

    /// Drops every step that is not running. Called when the process is stopping.
    pub fn stop(&mut self) {
        let waiting = self.steps.iter().filter(|(_, step)| !step.is_running());
        let waiting: Vec<StepId> = waiting.map(|(id, _)| *id).collect();
        self.drop_all(waiting);
    }

    /// What was dropped because this object was busy, which it no longer is. Asked once, after a step has ended.
    pub fn freed(&mut self, key: &Key) -> Freed {
        if self.is_busy(key) {
            return Freed::Nothing;
        }
        match self.blocked.remove(key) {
            Some(0) => Freed::Mark,
            Some(rank) if rank < WORDS => Freed::Order,
            Some(_) | None => Freed::Nothing,
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
        self.objects.get(key).is_some_and(|object| key.kind != Kind::Policy || object.ready > 0)
    }
}
