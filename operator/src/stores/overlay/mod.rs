//! Our own writes that the watch has not shown yet.
//!
//! ```text
//! begin ─▶ request under way ─▶ answered: the returned object replaces the store's older one
//!                            ├▶ deleted, gone: the object is hidden until the store sees the deletion
//!                            └▶ ended: nothing was written (or it is in doubt, and a GET begins)
//! the store reaches that version, sees the deletion, or completes a list that began later ─▶ the entry ends
//! ```
//!
//! Answers and watch events arrive in any order; `tests.rs` generates all of them.

#[cfg(test)]
mod tests;

use super::projection::{Projection, at_least};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// The unseen writes of one kind.
#[derive(Debug)]
pub struct Overlay<T> {
    own: BTreeMap<String, Own<T>>,
    under_way: BTreeMap<String, UnderWay>,
    lists_begun: u64,
}

#[derive(Debug)]
struct Own<T> {
    what: What<T>,
    /// How many lists had begun when the entry was made: the end of a later one ends the entry.
    lists_begun: u64,
}

#[derive(Debug)]
enum What<T> {
    Written(Arc<T>),
    /// The object with this uid was deleted, at or after this version.
    Deleted {
        uid: String,
        since: String,
    },
}

/// What the store saw of an object while a request for it was under way.
#[derive(Debug, Default)]
struct UnderWay {
    applied: bool,
    deleted: Option<(String, String)>,
    missing_from_list: bool,
}

/// What is known after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Settled {
    /// The state of the object is known.
    Clear,
    /// Unknown whether the object still exists: only a GET can tell.
    Doubt,
}

impl<T> Default for Overlay<T> {
    fn default() -> Self {
        Self { own: BTreeMap::new(), under_way: BTreeMap::new(), lists_begun: 0 }
    }
}

impl<T: Projection> Overlay<T> {
    /// How many writes the store has not seen yet.
    pub fn len(&self) -> usize {
        self.own.len()
    }

    /// Whether the store has seen all our writes.
    pub fn is_empty(&self) -> bool {
        self.own.is_empty()
    }

    /// What the world shows under this name, given what is in the store.
    pub fn effective(&self, name: &str, stored: Option<&Arc<T>>) -> Option<Arc<T>> {
        match self.own.get(name).map(|own| &own.what) {
            Some(What::Written(object)) => Some(object.clone()),
            Some(What::Deleted { .. }) => None,
            None => stored.cloned(),
        }
    }

    /// A request for this object is sent.
    pub fn begin(&mut self, name: &str) {
        self.under_way.insert(name.to_owned(), UnderWay::default());
    }

    /// The request ended; whatever it changed is not known.
    pub fn ended(&mut self, name: &str) {
        self.under_way.remove(name);
    }

    /// The request was answered with the object.
    pub fn answered(&mut self, stored: Option<&Arc<T>>, object: Arc<T>) -> Settled {
        let name = object.name().to_owned();
        let seen = self.under_way.remove(&name).unwrap_or_default();
        let version = object.resource_version();
        if stored.is_some_and(|s| at_least(s.resource_version(), version)) {
            self.own.remove(&name);
            return Settled::Clear;
        }
        if seen.missing_from_list {
            return Settled::Doubt;
        }
        if seen.deleted.is_some_and(|(_, at)| at_least(&at, version)) {
            self.own.remove(&name);
            return Settled::Clear;
        }
        self.put(name, What::Written(object));
        Settled::Clear
    }

    /// Our request deleted the object of this uid.
    pub fn deleted(&mut self, name: &str, uid: &str, stored: Option<&Arc<T>>) -> Settled {
        let seen = self.under_way.remove(name).unwrap_or_default();
        if seen.missing_from_list {
            return Settled::Doubt;
        }
        if seen.deleted.is_some_and(|(of, _)| of == uid) {
            self.own.remove(name);
            return Settled::Clear;
        }
        let since = match self.own.get(name).map(|own| &own.what) {
            Some(What::Written(object)) if object.uid() == uid => Some(object.resource_version()),
            _ => stored.filter(|s| s.uid() == uid).map(|s| s.resource_version()),
        };
        match since.map(str::to_owned) {
            Some(since) => self.put(name.to_owned(), What::Deleted { uid: uid.to_owned(), since }),
            None => drop(self.own.remove(name)),
        }
        Settled::Clear
    }

    /// The server answered that no object has this name.
    pub fn gone(&mut self, name: &str, stored: Option<&Arc<T>>) {
        let seen = self.under_way.remove(name).unwrap_or_default();
        if seen.missing_from_list {
            self.own.remove(name);
            return;
        }
        // What the store saw meanwhile may be newer than the answer. If not, the watch will show the deletion.
        if seen.applied || seen.deleted.is_some() {
            return;
        }
        let last = match self.own.get(name).map(|own| &own.what) {
            Some(What::Written(object)) => Some((object.uid(), object.resource_version())),
            Some(What::Deleted { .. }) => return,
            None => stored.map(|s| (s.uid(), s.resource_version())),
        };
        if let Some((uid, since)) = last {
            let (uid, since) = (uid.to_owned(), since.to_owned());
            self.put(name.to_owned(), What::Deleted { uid, since });
        }
    }

    /// The store received this object.
    pub fn store_applied(&mut self, object: &T) {
        let name = object.name();
        if let Some(seen) = self.under_way.get_mut(name) {
            seen.applied = true;
            seen.missing_from_list = false;
        }
        let ends = match self.own.get(name).map(|own| &own.what) {
            Some(What::Written(own)) => at_least(object.resource_version(), own.resource_version()),
            Some(What::Deleted { uid, since }) => object.uid() != uid && at_least(object.resource_version(), since),
            None => false,
        };
        if ends {
            self.own.remove(name);
        }
    }

    /// The store saw the deletion of this object.
    pub fn store_deleted(&mut self, object: &T) {
        let name = object.name();
        if let Some(seen) = self.under_way.get_mut(name) {
            let version = object.resource_version().to_owned();
            seen.deleted = Some((object.uid().to_owned(), version));
        }
        let ends = match self.own.get(name).map(|own| &own.what) {
            Some(What::Written(own)) => {
                object.uid() == own.uid() || at_least(object.resource_version(), own.resource_version())
            }
            Some(What::Deleted { uid, .. }) => object.uid() == uid,
            None => false,
        };
        if ends {
            self.own.remove(name);
        }
    }

    /// The store began a new list.
    pub fn list_began(&mut self) {
        self.lists_begun += 1;
    }

    /// The store completed a list of the names in `present`. Returns the names whose state only a GET can tell: they were
    /// written while the list was being read but are not in it, so they were deleted before or created after.
    pub fn list_ended(&mut self, present: &BTreeSet<String>) -> Vec<String> {
        for (name, seen) in &mut self.under_way {
            seen.missing_from_list = !present.contains(name);
        }
        let lists_begun = self.lists_begun;
        let mut doubtful = Vec::new();
        self.own.retain(|name, own| {
            // An object that was answered before the list began is either in the list or gone.
            let kept = own.lists_begun == lists_begun && present.contains(name);
            if own.lists_begun == lists_begun && !kept && matches!(own.what, What::Written(_)) {
                doubtful.push(name.clone());
            }
            kept
        });
        doubtful
    }

    fn put(&mut self, name: String, what: What<T>) {
        let lists_begun = self.lists_begun;
        self.own.insert(name, Own { what, lists_begun });
    }
}
