//! The stores, the decision, the queue and the backoffs, joined: what follows from what arrives. Plain state, no IO: both
//! clocks are arguments, and what is to be sent is returned.
//!
//! ```text
//! observations ─┐                          ┌▶ WriteQueue ─▶ Errand
//! answers ──────┼▶ Stores ─▶ decide ─Plan──┤
//! time ─────────┘     Backoffs ────────────┘
//! ```
//!
//! Whoever drives it calls [`Engine::turn`] after each thing that arrived, [`Engine::decide`] and [`Engine::admit`] if that
//! says so, and [`Engine::start`] for what is to be sent. The brain drives it with the real API server, the simulation with
//! a model of one.

mod alarm;
mod answers;
mod patience;
#[cfg(test)]
mod refusal_tests;
#[cfg(test)]
mod simulation;

use crate::{
    decide::{Memo, Room, decide_within},
    key::{Key, Kind},
    plan::{EventNote, Plan, Write},
    queue::{Admission, Start, StepId, WriteQueue, backoff::Backoffs},
    stores::{
        Stores,
        observation::{Answer, Observation},
        store::Change,
    },
    wire::{
        act::{CLAIMS_OF_POLICY, TAINTS_OF_NODE, act},
        content::content,
        refusal::Class,
    },
};
use alarm::Alarm;
pub use alarm::time_of;
use crds::Time;
use patience::Patience;
use std::{
    collections::BTreeSet,
    time::{Duration, Instant, SystemTime},
};

/// The longest wait between two turns: liveness depends on it, and the wall clock may have been set meanwhile.
pub const BEAT: Duration = Duration::from_secs(5);
/// The most GETs under way at once: after an outage thousands of objects may be in doubt.
const LOOKS_AT_ONCE: usize = 8;

/// The most nodes that one decision plans again although nothing about them changed: in a wave of writes to every node, a
/// fault must not wait for the plans of the others.
const NODES_AGAIN: usize = 500;

/// Stores, decision, queue and backoffs.
#[derive(Debug, Default)]
pub struct Engine {
    stores: Stores,
    queue: WriteQueue,
    backoffs: Backoffs,
    alarm: Alarm,
    /// What the last decision left.
    memo: Memo,
    /// When it was made, by the operator's clock.
    decided_at: Option<Time>,
    to_look: Vec<Key>,
    looking: usize,
    /// With results that are refused.
    patience: Patience,
}

/// What is to be sent.
#[derive(Debug)]
pub enum Errand {
    /// A step of a plan.
    Write {
        /// The step.
        start: Box<Start>,
        /// The version that the world shows. The watch may show our write before the answer.
        before: Option<String>,
    },
    /// A GET of this object.
    Look(Key),
}

/// What an observation was about.
#[derive(Debug)]
pub struct Noted {
    /// The object, if it was about one.
    pub key: Option<Key>,
    /// How soon it needs a decision.
    pub change: Change,
    /// Whether the first lists of all kinds are complete from now on.
    pub completes: bool,
}

/// A write that has ended.
#[derive(Debug)]
pub struct Wrote {
    /// The step.
    pub id: StepId,
    /// The object.
    pub key: Key,
    /// What was to be written.
    pub write: Write,
    /// The version that the world showed when the request was sent.
    pub before: Option<String>,
    /// The answer, or what follows from the error.
    pub answer: Result<Answer, Class>,
}

/// What is to be done after an answer, and what is worth telling.
#[derive(Debug, Default)]
pub struct Outcome {
    /// The Events that waited for this write.
    pub events: Vec<EventNote>,
    /// Whether the write succeeded and yet is in backoff: it does not satisfy the decision that asked for it.
    pub is_futile: bool,
}

impl Engine {
    /// An engine with empty stores.
    pub fn new(hold_everything: bool) -> Self {
        Self { stores: Stores::new(hold_everything), ..Self::default() }
    }

    /// What it knows of the cluster.
    pub fn stores(&self) -> &Stores {
        &self.stores
    }

    /// How many steps have not ended.
    pub fn open_steps(&self) -> usize {
        self.queue.len()
    }

    /// How many objects, and kinds of write to an object, are in backoff.
    pub fn in_backoff(&self) -> usize {
        self.backoffs.len()
    }

    /// When the next turn is due, if nothing arrives before.
    pub fn next_turn(&self, at: Instant, wall: SystemTime) -> Instant {
        // Nothing is decided before every kind is listed, however long that takes.
        let alarm = self.alarm.next(at, wall).filter(|_| self.stores.are_complete());
        let due = alarm.into_iter().chain(self.backoffs.next()).chain([at + BEAT]);
        due.min().unwrap_or(at)
    }

    /// Takes in what a watch shows.
    pub fn observe(&mut self, observation: Observation, at: Instant) -> Noted {
        let key = observation.subject().key();
        if key.as_ref().is_some_and(|key| self.backoffs.shown(key)) {
            self.alarm.soon(at, "free");
        }
        let was_complete = self.stores.are_complete();
        let change = self.stores.observe(observation, at);
        let completes = !was_complete && self.stores.are_complete();
        if completes {
            self.alarm.at_once(at, "start");
        }
        self.wake_for(change, at);
        for key in self.stores.take_doubtful() {
            self.backoffs.doubt(key, at);
        }
        Noted { key, change, completes }
    }

    fn wake_for(&mut self, change: Change, at: Instant) {
        match change {
            Change::None => {}
            Change::Changed => self.alarm.debounced(at, "change"),
            Change::Urgent => self.alarm.at_once(at, "urgent"),
        }
    }

    /// Time has passed, or something has arrived. Returns why a decision is due, if one is.
    pub fn turn(&mut self, at: Instant, wall: SystemTime) -> Option<&'static str> {
        if self.stores.look(at) != Change::None {
            self.alarm.soon(at, "free");
        }
        let due = self.backoffs.due(at);
        self.to_look.extend(due.look);
        if due.ended {
            self.alarm.soon(at, "free");
        }
        if self.decided_at.is_some_and(|decided| time_of(wall) < decided) {
            // What was decided by a clock that was ahead does not stand.
            self.decided_at = None;
            self.alarm.soon(at, "clock");
        }
        if self.stores.are_complete() { self.alarm.take(at, wall) } else { None }
    }

    /// Decides.
    pub fn decide(&mut self, now: Time) -> Plan {
        let queue = &self.queue;
        let is_pending = |node: &str| {
            [Kind::Node, Kind::NodeHealth].into_iter().any(|kind| queue.has_step_on(&Key::new(kind, node)))
        };
        let room = Room { is_pending: &is_pending, nodes: NODES_AGAIN };
        let (plan, memo) = decide_within(self.stores.world(), now, std::mem::take(&mut self.memo), &room);
        self.memo = memo;
        self.decided_at = Some(now);
        plan
    }

    /// Has a plan carried out as far as nothing speaks against it. `took` is how long the decision took.
    pub fn admit(&mut self, plan: Plan, took: Duration, at: Instant) -> Admission {
        let Plan { steps, events, wake_at } = plan;
        self.alarm.decided(at, took, wake_at);
        if !self.stores.world().refused_marks.is_empty() {
            let is_mark = |write: &Write| matches!(act(write), TAINTS_OF_NODE | CLAIMS_OF_POLICY);
            let marks: BTreeSet<Key> =
                steps.iter().filter(|step| is_mark(&step.write)).map(|step| Key::of(&step.write)).collect();
            self.stores.keep_refused_marks(|key| marks.contains(key));
        }
        let (backoffs, stores) = (&self.backoffs, &self.stores);
        let must_wait = |key: &Key, write: &Write| {
            backoffs.must_wait(key, act(write), at, || content(write)) || stores.is_malformed(key)
        };
        self.queue.admit(steps, events, must_wait)
    }

    /// What is to be sent now.
    pub fn start(&mut self) -> Vec<Errand> {
        let mut errands = Vec::new();
        for start in self.queue.start() {
            self.stores.begin(&start.key);
            let before = self.stores.shown(&start.key).map(|object| object.resource_version().to_owned());
            errands.push(Errand::Write { start: Box::new(start), before });
        }
        while self.looking < LOOKS_AT_ONCE
            && let Some(key) = self.to_look.pop()
        {
            self.looking += 1;
            self.stores.begin(&key);
            errands.push(Errand::Look(key));
        }
        errands
    }

    /// Starts nothing new. Called when the process is stopping.
    pub fn stop(&mut self) {
        self.queue.stop();
    }

    /// The kinds whose first list is not complete.
    pub fn waits_for(&self) -> Vec<Kind> {
        self.stores.incomplete()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stores::observation::Seen;
    use std::{sync::Arc, time::UNIX_EPOCH};

    #[test]
    fn an_engine_that_waits_for_its_first_lists_sleeps_whatever_has_arrived() {
        let (mut engine, at) = (Engine::new(false), Instant::now());
        for seen in [Seen::ListBegan, Seen::Listed(Arc::default()), Seen::ListEnded] {
            engine.observe(Observation::Node(seen), at);
        }
        let later = at + Duration::from_secs(1);
        assert_eq!(engine.turn(later, UNIX_EPOCH), None);
        assert_eq!(engine.next_turn(later, UNIX_EPOCH), later + BEAT);
    }
}
