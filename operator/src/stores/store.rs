//! The objects of one kind: what the watch showed, and our own writes on top.

use super::{
    overlay::{Overlay, Settled},
    projection::Projection,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// What a watch shows.
#[derive(Clone, Debug)]
pub enum Seen<T> {
    /// A list begins.
    ListBegan,
    /// An object of the list.
    Listed(T),
    /// The list is complete: what it does not hold is gone.
    ListEnded,
    /// An object was made or changed.
    Applied(T),
    /// An object was deleted.
    Deleted(T),
    /// An object that does not parse: it is left alone until it does.
    Malformed {
        /// Its name.
        name: String,
        /// Why.
        error: String,
        /// Whether it came with a list.
        listed: bool,
    },
    /// An object that does not parse was deleted.
    MalformedDeleted {
        /// Its name.
        name: String,
    },
    /// The watch broke and is made again.
    Broken {
        /// Why.
        error: String,
    },
}

impl<T> Seen<T> {
    /// The same, with the object turned into something else.
    pub fn map<U>(self, turn: impl FnOnce(T) -> U) -> Seen<U> {
        match self {
            Self::ListBegan => Seen::ListBegan,
            Self::Listed(object) => Seen::Listed(turn(object)),
            Self::ListEnded => Seen::ListEnded,
            Self::Applied(object) => Seen::Applied(turn(object)),
            Self::Deleted(object) => Seen::Deleted(turn(object)),
            Self::Malformed { name, error, listed } => Seen::Malformed { name, error, listed },
            Self::MalformedDeleted { name } => Seen::MalformedDeleted { name },
            Self::Broken { error } => Seen::Broken { error },
        }
    }
}

/// How much a change matters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[must_use]
pub enum Change {
    /// No decision can be different.
    #[default]
    None,
    /// A decision may be different.
    Changed,
    /// A decision must be made at once.
    Urgent,
}

/// What of the world one kind shows.
pub type View<T> = BTreeMap<String, Arc<T>>;

/// The objects of one kind.
#[derive(Debug)]
pub struct Store<T> {
    stored: View<T>,
    overlay: Overlay<T>,
    listed: Option<BTreeSet<String>>,
    complete: bool,
    malformed: BTreeSet<String>,
    doubtful: Vec<String>,
}

impl<T> Default for Store<T> {
    fn default() -> Self {
        Self {
            stored: View::new(),
            overlay: Overlay::default(),
            listed: None,
            complete: false,
            malformed: BTreeSet::new(),
            doubtful: Vec::new(),
        }
    }
}

impl<T: Projection> Store<T> {
    /// Takes in what the watch shows and brings `view` up to date.
    pub fn observe(&mut self, seen: Seen<Arc<T>>, view: &mut View<T>) -> Change {
        match seen {
            Seen::ListBegan => {
                self.overlay.list_began();
                self.listed = Some(BTreeSet::new());
                Change::None
            }
            Seen::Listed(object) => {
                self.note_listed(object.name());
                self.apply(object, view)
            }
            Seen::ListEnded => self.list_ended(view),
            Seen::Applied(object) => self.apply(object, view),
            Seen::Deleted(object) => self.delete(&object, view),
            Seen::Malformed { name, listed, .. } => {
                if listed {
                    self.note_listed(&name);
                }
                self.malformed.insert(name);
                Change::None
            }
            Seen::MalformedDeleted { name } => {
                self.malformed.remove(&name);
                match self.stored.get(&name).cloned() {
                    Some(last) => self.delete(&last, view),
                    None => Change::Changed,
                }
            }
            Seen::Broken { .. } => Change::None,
        }
    }

    /// A request for this object leaves.
    pub fn begin(&mut self, name: &str) {
        self.overlay.begin(name);
    }

    /// The request ended and changed nothing that is known.
    pub fn ended(&mut self, name: &str) {
        self.overlay.ended(name);
    }

    /// The request was answered with the object.
    pub fn answered(&mut self, object: Arc<T>, view: &mut View<T>) -> (Change, Settled) {
        let name = object.name().to_owned();
        let settled = self.overlay.answered(self.stored.get(&name), object);
        (self.refresh(&name, view), settled)
    }

    /// Our request deleted the object of this uid.
    pub fn deleted(&mut self, name: &str, uid: &str, view: &mut View<T>) -> (Change, Settled) {
        let settled = self.overlay.deleted(name, uid, self.stored.get(name));
        (self.refresh(name, view), settled)
    }

    /// The server said that there is no object of this name.
    pub fn gone(&mut self, name: &str, view: &mut View<T>) -> Change {
        self.overlay.gone(name, self.stored.get(name));
        self.refresh(name, view)
    }

    /// Whether the first list is complete.
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// Whether the object of this name does not parse.
    pub fn is_malformed(&self, name: &str) -> bool {
        self.malformed.contains(name)
    }

    /// How many objects do not parse.
    pub fn malformed(&self) -> usize {
        self.malformed.len()
    }

    /// How many of our writes the watch has not shown yet.
    pub fn unseen(&self) -> usize {
        self.overlay.len()
    }

    /// The names that a GET must settle; each is returned once.
    pub fn take_doubtful(&mut self) -> Vec<String> {
        std::mem::take(&mut self.doubtful)
    }

    fn note_listed(&mut self, name: &str) {
        if let Some(listed) = &mut self.listed {
            listed.insert(name.to_owned());
        }
    }

    fn apply(&mut self, object: Arc<T>, view: &mut View<T>) -> Change {
        let name = object.name().to_owned();
        let was_malformed = self.malformed.remove(&name);
        self.overlay.store_applied(&object);
        self.stored.insert(name.clone(), object);
        let change = self.refresh(&name, view);
        if was_malformed { change.max(Change::Changed) } else { change }
    }

    fn delete(&mut self, object: &T, view: &mut View<T>) -> Change {
        self.overlay.store_deleted(object);
        self.malformed.remove(object.name());
        self.stored.remove(object.name());
        self.refresh(object.name(), view)
    }

    fn list_ended(&mut self, view: &mut View<T>) -> Change {
        let listed = self.listed.take().unwrap_or_default();
        self.stored.retain(|name, _| listed.contains(name));
        self.malformed.retain(|name| listed.contains(name));
        self.doubtful.extend(self.overlay.list_ended(&listed));
        let shown: Vec<String> = view.keys().cloned().collect();
        let change = shown.iter().map(|name| self.refresh(name, view)).max().unwrap_or_default();
        // The first list is news even where it is empty.
        let first = !std::mem::replace(&mut self.complete, true);
        if first { change.max(Change::Changed) } else { change }
    }

    /// Brings the entry of one name up to date. The newest version is taken even where it says nothing new.
    fn refresh(&self, name: &str, view: &mut View<T>) -> Change {
        let after = self.overlay.effective(name, self.stored.get(name));
        let before = view.get(name);
        let change = match (before, &after) {
            (None, None) => Change::None,
            (Some(before), Some(after)) if Arc::ptr_eq(before, after) => Change::None,
            (before, Some(after)) if after.is_urgent_after(before.map(Arc::as_ref)) => Change::Urgent,
            (Some(before), Some(after)) if before.says_the_same(after) => Change::None,
            _ => Change::Changed,
        };
        match after {
            Some(after) => drop(view.insert(name.to_owned(), after)),
            None => drop(view.remove(name)),
        }
        change
    }
}
