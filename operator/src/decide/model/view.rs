//! What a leader sees of the server: each object at some version of the past.
//!
//! Its own writes it sees at once, as the overlay of the stores does. What others write it sees at once, later, or not at
//! all until it lists everything anew. Objects appear and disappear at once, in the order in which the server made them: a
//! watch shows no later change of any object of a kind before it shows a new one.

use super::{Model, generate::Dice};
use crate::{
    key::{Identified, Key, Kind},
    world::{World, runs::Runs, table::Table},
};
use std::collections::{BTreeMap, BTreeSet};

/// What happens to the event that tells of a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It arrives after so many looks.
    Late(usize),
    /// It never arrives.
    Lost,
}

/// What a leader sees.
#[derive(Clone, Debug)]
pub(crate) struct View {
    /// The world as it is shown.
    pub(crate) world: World,
    /// The events that have not arrived: the version that they tell of, and what becomes of them.
    missing: BTreeMap<Key, (String, Fate)>,
}

impl View {
    /// A view that shows everything.
    pub(crate) fn of(model: &Model) -> Self {
        Self { world: model.world.clone(), missing: BTreeMap::new() }
    }

    /// Lists everything anew.
    pub(crate) fn relist(&mut self, model: &Model) {
        *self = Self::of(model);
    }

    /// Takes in the events that have arrived.
    pub(crate) fn look(&mut self, model: &Model, dice: &mut Dice<'_>) {
        let (shown, real, missing) = (&mut self.world, &model.world, &mut self.missing);
        take_in(&mut shown.nodes, &real.nodes, Kind::Node, missing, dice);
        take_in(&mut shown.node_healths, &real.node_healths, Kind::NodeHealth, missing, dice);
        take_in(&mut shown.policies, &real.policies, Kind::Policy, missing, dice);
        take_in_runs(&mut shown.runs, &real.runs, missing, dice);
        shown.profiles.clone_from(&real.profiles);
        shown.silent.clone_from(&real.silent);
        shown.hold_everything = real.hold_everything;
    }

    /// Its own write of this object was answered with what the object is now.
    pub(crate) fn wrote(&mut self, model: &Model, key: &Key) {
        self.missing.remove(key);
        let (shown, real, name) = (&mut self.world, &model.world, &key.name);
        match key.kind {
            Kind::Node => show(&mut shown.nodes, &real.nodes, name),
            Kind::NodeHealth => show(&mut shown.node_healths, &real.node_healths, name),
            Kind::Run => match real.runs.get(name) {
                Some(run) => shown.runs.insert(name.clone(), run.clone()),
                None => drop(shown.runs.remove(name)),
            },
            Kind::Policy => show(&mut shown.policies, &real.policies, name),
            Kind::Profile | Kind::Lease | Kind::Result => {}
        }
    }

    /// The view as a world of its own, in which nothing is refused: what the leader believes.
    pub(crate) fn believed(&self, model: &Model) -> Model {
        let world = World { refused_marks: BTreeSet::new(), ..self.world.clone() };
        Model { world, refused: BTreeSet::new(), ..model.clone() }
    }
}

fn show<T>(shown: &mut Table<T>, real: &Table<T>, name: &str) {
    match real.get(name) {
        Some(object) => shown.insert(name.to_owned(), object.clone()),
        None => shown.remove(name),
    };
}

fn take_in<T: Identified>(
    shown: &mut Table<T>,
    real: &Table<T>,
    kind: Kind,
    missing: &mut BTreeMap<Key, (String, Fate)>,
    dice: &mut Dice<'_>,
) {
    shown.retain(|name| real.contains_key(name));
    for (name, object) in real {
        let version = object.resource_version();
        let Some(known) = shown.get(name) else {
            shown.insert(name.clone(), object.clone());
            continue;
        };
        if known.resource_version() == version {
            continue;
        }
        if !is_missing(Key::new(kind, name), version, missing, dice) {
            shown.insert(name.clone(), object.clone());
        }
    }
}

fn take_in_runs(shown: &mut Runs, real: &Runs, missing: &mut BTreeMap<Key, (String, Fate)>, dice: &mut Dice<'_>) {
    let gone: Vec<String> = shown.keys().filter(|name| !real.contains_key(*name)).cloned().collect();
    for name in gone {
        shown.remove(&name);
    }
    for (name, run) in real.iter() {
        let version = run.resource_version();
        let is_late = match shown.get(name).map(|known| known.resource_version()) {
            Some(known) if known == version => continue,
            Some(_) => is_missing(Key::new(Kind::Run, name), version, missing, dice),
            None => false,
        };
        if !is_late {
            shown.insert(name.clone(), run.clone());
        }
    }
}

/// Whether the event that tells of this version has not arrived.
fn is_missing(key: Key, version: &str, missing: &mut BTreeMap<Key, (String, Fate)>, dice: &mut Dice<'_>) -> bool {
    let fate = match missing.get(&key) {
        Some((told, Fate::Late(looks))) if told == version => looks.checked_sub(1).map(Fate::Late),
        Some((told, Fate::Lost)) if told == version => Some(Fate::Lost),
        Some(_) | None => match dice.below(8) {
            6 => Some(Fate::Late(dice.below(4))),
            7 => Some(Fate::Lost),
            _ => None,
        },
    };
    match fate {
        Some(fate) => drop(missing.insert(key, (version.to_owned(), fate))),
        None => drop(missing.remove(&key)),
    }
    fate.is_some()
}
