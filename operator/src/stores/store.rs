//! The objects of one kind: what the watch showed, with our own unseen writes on top.

use super::{
    listing::Listing,
    observation::Seen,
    overlay::{Overlay, Settled},
    projection::Projection,
};
use crate::world::{runs::Runs, table::Table};
use crds::HealthCheckRun;
use std::{collections::BTreeMap, sync::Arc};

/// How soon a change needs a decision.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[must_use]
pub enum Change {
    /// No decision depends on it.
    #[default]
    None,
    /// A decision may depend on it.
    Changed,
    /// Decide at once.
    Urgent,
}

/// Where the objects of one kind are shown.
pub trait Show<T> {
    /// The object of this name.
    fn shown(&self, name: &str) -> Option<&Arc<T>>;
    /// Adds or replaces an object.
    fn show(&mut self, name: &str, object: Arc<T>);
    /// Removes an object.
    fn hide(&mut self, name: &str);
    /// The names of all objects.
    fn names(&self) -> Vec<String>;
}

impl<T> Show<T> for Table<T> {
    fn shown(&self, name: &str) -> Option<&Arc<T>> {
        self.get(name)
    }

    fn show(&mut self, name: &str, object: Arc<T>) {
        self.insert(name.to_owned(), object);
    }

    fn hide(&mut self, name: &str) {
        self.remove(name);
    }

    fn names(&self) -> Vec<String> {
        self.keys().cloned().collect()
    }
}

impl Show<HealthCheckRun> for Runs {
    fn shown(&self, name: &str) -> Option<&Arc<HealthCheckRun>> {
        self.get(name)
    }

    fn show(&mut self, name: &str, object: Arc<HealthCheckRun>) {
        self.insert(name.to_owned(), object);
    }

    fn hide(&mut self, name: &str) {
        self.remove(name);
    }

    fn names(&self) -> Vec<String> {
        self.keys().cloned().collect()
    }
}

/// The objects of one kind.
#[derive(Debug)]
pub struct Store<T> {
    stored: BTreeMap<String, Arc<T>>,
    overlay: Overlay<T>,
    listing: Listing,
    doubtful: Vec<String>,
}

impl<T> Default for Store<T> {
    fn default() -> Self {
        Self { stored: BTreeMap::new(), overlay: Overlay::default(), listing: Listing::default(), doubtful: Vec::new() }
    }
}

impl<T: Projection> Store<T> {
    /// Takes in what the watch shows and updates `view`.
    pub fn observe(&mut self, seen: Seen<Arc<T>>, view: &mut impl Show<T>) -> Change {
        match seen {
            Seen::ListBegan => {
                self.overlay.list_began();
                self.listing.began();
                Change::None
            }
            Seen::Listed(object) => {
                self.listing.note(object.name());
                self.apply(object, view)
            }
            Seen::ListEnded => self.list_ended(view),
            Seen::Applied(object) => self.apply(object, view),
            Seen::Deleted(object) => self.delete(&object, view),
            Seen::Malformed { name, listed, .. } => {
                let is_known = self.listing.is_malformed(&name);
                self.listing.mark_malformed(name, listed);
                if is_known { Change::None } else { Change::Changed }
            }
            Seen::MalformedDeleted { name } => {
                self.listing.clear_malformed(&name);
                match self.stored.get(&name).cloned() {
                    Some(last) => self.delete(&last, view),
                    None => Change::Changed,
                }
            }
            Seen::Alive { .. } | Seen::Broken { .. } => Change::None,
        }
    }

    /// A request for this object is sent.
    pub fn begin(&mut self, name: &str) {
        self.overlay.begin(name);
    }

    /// The request ended; whatever it changed is not known.
    pub fn ended(&mut self, name: &str) {
        self.overlay.ended(name);
    }

    /// The request was answered with the object.
    pub fn answered(&mut self, object: Arc<T>, view: &mut impl Show<T>) -> (Change, Settled) {
        let name = object.name().to_owned();
        let settled = self.overlay.answered(self.stored.get(&name), object);
        (self.refresh(&name, view), settled)
    }

    /// Our request deleted the object of this uid.
    pub fn deleted(&mut self, name: &str, uid: &str, view: &mut impl Show<T>) -> (Change, Settled) {
        let settled = self.overlay.deleted(name, uid, self.stored.get(name));
        (self.refresh(name, view), settled)
    }

    /// The server answered that no object has this name.
    pub fn gone(&mut self, name: &str, view: &mut impl Show<T>) -> Change {
        self.overlay.gone(name, self.stored.get(name));
        self.refresh(name, view)
    }

    /// How far the lists have come.
    pub(super) fn listing(&self) -> &Listing {
        &self.listing
    }

    /// How many of our writes the watch has not shown yet.
    pub fn unseen(&self) -> usize {
        self.overlay.len()
    }

    /// The names whose state only a GET can tell; each is returned once.
    pub fn take_doubtful(&mut self) -> Vec<String> {
        std::mem::take(&mut self.doubtful)
    }

    fn apply(&mut self, object: Arc<T>, view: &mut impl Show<T>) -> Change {
        let name = object.name().to_owned();
        let was_malformed = self.listing.clear_malformed(&name);
        self.overlay.store_applied(&object);
        self.stored.insert(name.clone(), object);
        let change = self.refresh(&name, view);
        if was_malformed { change.max(Change::Changed) } else { change }
    }

    fn delete(&mut self, object: &T, view: &mut impl Show<T>) -> Change {
        self.overlay.store_deleted(object);
        self.listing.clear_malformed(object.name());
        self.stored.remove(object.name());
        self.refresh(object.name(), view)
    }

    fn list_ended(&mut self, view: &mut impl Show<T>) -> Change {
        let list = self.listing.ended();
        self.stored.retain(|name, _| list.present.contains(name));
        self.doubtful.extend(self.overlay.list_ended(&list.present));
        let shown = view.names();
        let change = shown.iter().map(|name| self.refresh(name, view)).max().unwrap_or_default();
        // The end of the first list is a change even if the list is empty.
        if list.is_first { change.max(Change::Changed) } else { change }
    }

    /// Updates one entry of `view`. The newest version replaces the old one even if nothing else differs.
    fn refresh(&self, name: &str, view: &mut impl Show<T>) -> Change {
        let after = self.overlay.effective(name, self.stored.get(name));
        let before = view.shown(name);
        let change = match (before, &after) {
            (None, None) => Change::None,
            (Some(before), Some(after)) if Arc::ptr_eq(before, after) => Change::None,
            (before, Some(after)) if after.is_urgent_after(before.map(Arc::as_ref)) => Change::Urgent,
            (Some(before), Some(after)) if before.says_the_same(after) => Change::None,
            _ => Change::Changed,
        };
        match after {
            Some(after) => view.show(name, after),
            None => view.hide(name),
        }
        change
    }
}
