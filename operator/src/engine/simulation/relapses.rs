//! A mend taken out, and the story that notices.
//!
//! | what is mended | its relapse |
//! |---|---|
//! | a start hears nobody | [`HeardAtStart`] |
//! | a watch that fails hears nobody | [`HeardWhenBroken`] |
//! | silence counts the time in which Leases are seen, by no wall clock | [`SilentByWallClock`] |
//! | a refused write waits ever longer, whatever a GET says | [`ForgivenByGet`] |
//! | a refused write waits ever longer, whatever a watch shows | [`ForgivenByWatch`] |
//! | a refusal holds up one kind of write to one object | [`AllWait`] |
//! | the texts of an agent are tried again | [`TextsRefusedForEver`] |
//! | an object that a list lacks is gone | [`DeafToDeletions`] |
//!
//! What waits behind words: [`super::waves`].

use super::{
    drive::{Relapse, Reply, Sound},
    stories::{faults_end, refusals_stay},
};
use crate::{
    engine::Engine,
    key::{Key, Kind},
    plan::Plan,
    queue::backoff::Backoffs,
    stores::{
        observation::{Observation, Seen},
        projection::Renewal,
    },
};
use std::{
    collections::BTreeMap,
    time::{Duration, Instant, SystemTime},
};

/// As if this agent had renewed its Lease.
fn hear(engine: &mut Engine, node: &str, at: Instant) {
    let renewal = Renewal { node: node.to_owned(), stamp: format!("{at:?}"), version: String::new() };
    engine.observe(Observation::Lease(Seen::Applied(renewal)), at);
}

fn hear_all(engine: &mut Engine, at: Instant) {
    let nodes: Vec<String> = engine.stores().world().node_healths.keys().cloned().collect();
    for node in nodes {
        hear(engine, &node, at);
    }
}

#[derive(Default)]
struct HeardAtStart;

impl Relapse for HeardAtStart {
    fn observed(&mut self, engine: &mut Engine, observation: &Observation, at: Instant) {
        if matches!(observation, Observation::Lease(Seen::ListEnded)) {
            hear_all(engine, at);
        }
    }
}

#[derive(Default)]
struct HeardWhenBroken;

impl Relapse for HeardWhenBroken {
    fn observed(&mut self, engine: &mut Engine, observation: &Observation, at: Instant) {
        if observation.subject().watch_broke {
            hear_all(engine, at);
        }
    }
}

/// When each agent was last heard, by the wall clock.
#[derive(Default)]
struct SilentByWallClock {
    heard: BTreeMap<String, SystemTime>,
    unread: Vec<String>,
}

impl Relapse for SilentByWallClock {
    fn observed(&mut self, _engine: &mut Engine, observation: &Observation, _at: Instant) {
        if let Observation::Lease(Seen::Applied(renewal) | Seen::Listed(renewal)) = observation {
            self.unread.push(renewal.node.clone());
        }
    }

    fn turns(&mut self, engine: &mut Engine, wall: SystemTime) {
        for node in self.unread.drain(..) {
            self.heard.insert(node, wall);
        }
        let limit = Duration::from_secs(crate::world::SILENT_AFTER_SECONDS);
        let nodes: Vec<String> = engine.stores().world().node_healths.keys().cloned().collect();
        for node in nodes {
            let heard = *self.heard.entry(node.clone()).or_insert(wall);
            let is_silent = wall.duration_since(heard).is_ok_and(|passed| passed > limit);
            engine.stores.set_silent(&node, is_silent);
        }
    }
}

#[derive(Default)]
struct ForgivenByGet;

impl Relapse for ForgivenByGet {
    fn answered(&mut self, engine: &mut Engine, _key: &Key, answer: &Reply, _at: Instant) {
        if matches!(answer, Reply::Looked(Ok(_))) {
            engine.backoffs = Backoffs::default();
        }
    }
}

#[derive(Default)]
struct ForgivenByWatch;

impl Relapse for ForgivenByWatch {
    fn observed(&mut self, engine: &mut Engine, observation: &Observation, _at: Instant) {
        if observation.subject().kind == Kind::Lease {
            engine.backoffs = Backoffs::default();
        }
    }
}

/// Nothing is admitted while something is in backoff.
#[derive(Default)]
struct AllWait;

impl Relapse for AllWait {
    fn decided(&mut self, engine: &mut Engine, plan: &mut Plan) {
        if !engine.backoffs.is_empty() {
            plan.steps.clear();
            plan.events.clear();
        }
    }
}

#[derive(Default)]
struct TextsRefusedForEver {
    refused: Vec<Key>,
}

impl Relapse for TextsRefusedForEver {
    fn turns(&mut self, engine: &mut Engine, _wall: SystemTime) {
        for key in &engine.stores.world().refused_texts {
            if !self.refused.contains(key) {
                self.refused.push(key.clone());
            }
        }
        for key in &self.refused {
            engine.stores.set_refused(key);
        }
    }
}

#[derive(Default)]
struct DeafToDeletions;

impl Relapse for DeafToDeletions {
    fn hides(&self, observation: &Observation) -> bool {
        matches!(observation, Observation::Node(Seen::Deleted(_)) | Observation::NodeHealth(Seen::Deleted(_)))
    }
}

/// Most stories that a relapse may take until it is noticed.
const STORIES: usize = 1_500;

type Story = fn(&[u8], &mut dyn Relapse) -> Result<(), String>;

/// Whether a story fails with the relapse, with these words, and not without it.
fn is_seen<R: Relapse + Default>(story: Story, words: &str) -> bool {
    crate::decide::model::generate::random_bytes(300).take(STORIES).any(|bytes| {
        story(&bytes, &mut R::default()).is_err_and(|error| error.contains(words)) && story(&bytes, &mut Sound).is_ok()
    })
}

#[test]
fn every_mend_that_is_taken_out_is_noticed() {
    let unheard = "is no longer silent, but its agent has not been heard";
    let seen = [
        ("HeardAtStart", is_seen::<HeardAtStart>(faults_end, unheard)),
        ("HeardWhenBroken", is_seen::<HeardWhenBroken>(faults_end, unheard)),
        ("SilentByWallClock", is_seen::<SilentByWallClock>(faults_end, "renews its Lease and is called silent")),
        ("ForgivenByGet", is_seen::<ForgivenByGet>(refusals_stay, " instead of ")),
        ("ForgivenByWatch", is_seen::<ForgivenByWatch>(refusals_stay, " instead of ")),
        ("AllWait", is_seen::<AllWait>(refusals_stay, "nobody refuses this")),
        ("TextsRefusedForEver", is_seen::<TextsRefusedForEver>(faults_end, "a fresh operator would write")),
        ("DeafToDeletions", is_seen::<DeafToDeletions>(faults_end, "")),
    ];
    let missed: Vec<&str> = seen.into_iter().filter(|(_, seen)| !seen).map(|(name, _)| name).collect();
    assert!(missed.is_empty(), "not noticed: {missed:?}");
}
