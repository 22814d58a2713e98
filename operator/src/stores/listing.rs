//! How far the lists of one kind have come, and which objects do not parse.

use crate::key::{Key, Kind};
use std::collections::BTreeSet;

/// The state of the lists of one kind.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// The names in the list that is being read.
    present: Option<BTreeSet<String>>,
    complete: bool,
    malformed: BTreeSet<String>,
    /// How often an object was found to parse no more, or to parse again.
    changes: u64,
}

/// A list that is complete.
#[derive(Debug)]
pub(super) struct List {
    /// The names in it.
    pub(super) present: BTreeSet<String>,
    /// Whether it is the first one.
    pub(super) is_first: bool,
}

impl Listing {
    /// A list begins.
    pub(super) fn began(&mut self) {
        self.present = Some(BTreeSet::new());
    }

    /// This name is in the list that is being read.
    pub(super) fn note(&mut self, name: &str) {
        if let Some(present) = &mut self.present {
            present.insert(name.to_owned());
        }
    }

    /// The list is complete.
    pub(super) fn ended(&mut self) -> List {
        let present = self.present.take().unwrap_or_default();
        let before = self.malformed.len();
        self.malformed.retain(|name| present.contains(name));
        self.changes += u64::from(self.malformed.len() < before);
        let is_first = !std::mem::replace(&mut self.complete, true);
        List { present, is_first }
    }

    /// Whether the first list is complete.
    pub(super) fn is_complete(&self) -> bool {
        self.complete
    }

    /// The objects that do not parse.
    pub(super) fn names_of_malformed(&self, kind: Kind) -> impl Iterator<Item = Key> {
        self.malformed.iter().map(move |name| Key::new(kind, name))
    }

    /// The object of this name does not parse.
    pub(super) fn mark_malformed(&mut self, name: String, listed: bool) {
        if listed {
            self.note(&name);
        }
        self.changes += u64::from(self.malformed.insert(name));
    }

    /// The object of this name parses, or is gone. Returns whether it did not parse before.
    pub(super) fn clear_malformed(&mut self, name: &str) -> bool {
        let was_malformed = self.malformed.remove(name);
        self.changes += u64::from(was_malformed);
        was_malformed
    }

    /// Whether the object of this name does not parse.
    pub(super) fn is_malformed(&self, name: &str) -> bool {
        self.malformed.contains(name)
    }

    /// A number that grows whenever the objects that do not parse become others.
    pub(super) fn changes(&self) -> u64 {
        self.changes
    }

    /// How many objects do not parse.
    pub(super) fn malformed(&self) -> usize {
        self.malformed.len()
    }
}
