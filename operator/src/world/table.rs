//! Objects by name, and which of them changed lately.

use std::{
    collections::{BTreeMap, VecDeque},
    ops::Deref,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// The most changes that are remembered. Who looked last before these has to look at every object.
const REMEMBERED: u64 = 4_096;

/// Objects by name (as which they can be read). Only [`Table::insert`] and its like change it, and they note the name: so
/// who looks again sees what has changed without a look at the rest.
#[derive(Debug)]
pub struct Table<T> {
    objects: BTreeMap<String, Arc<T>>,
    /// Which table it is. A copy is another one, because the two may change apart.
    id: u64,
    /// The names that changed last, the latest at the end.
    changed: VecDeque<String>,
    /// How many changes came before these.
    forgotten: u64,
}

/// A moment in the life of one table. That of the default is before all of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    table: u64,
    changes: u64,
}

impl<T> Table<T> {
    /// Adds or replaces an object. Returns the one that it replaces.
    pub fn insert(&mut self, name: String, object: Arc<T>) -> Option<Arc<T>> {
        if !self.objects.get(&name).is_some_and(|known| Arc::ptr_eq(known, &object)) {
            self.note(&name);
        }
        self.objects.insert(name, object)
    }

    /// Removes an object.
    pub fn remove(&mut self, name: &str) -> Option<Arc<T>> {
        let removed = self.objects.remove(name)?;
        self.note(name);
        Some(removed)
    }

    /// An object that is about to change.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut Arc<T>> {
        if self.objects.contains_key(name) {
            self.note(name);
        }
        self.objects.get_mut(name)
    }

    /// Keeps the objects of these names only.
    pub fn retain(&mut self, mut is_kept: impl FnMut(&str) -> bool) {
        let gone: Vec<String> = self.objects.keys().filter(|name| !is_kept(name)).cloned().collect();
        for name in gone {
            self.remove(&name);
        }
    }

    /// Removes every object.
    pub fn clear(&mut self) {
        self.retain(|_| false);
    }

    /// The present moment.
    pub fn moment(&self) -> Moment {
        Moment { table: self.id, changes: self.forgotten + length(&self.changed) }
    }

    /// The names of the objects that were added, replaced or removed since (some perhaps more than once); `None` if it is
    /// not known any more, or if that was a moment of another table.
    pub fn changed_since(&self, moment: Moment) -> Option<impl Iterator<Item = &str>> {
        let known = moment.changes.checked_sub(self.forgotten).filter(|_| moment.table == self.id)?;
        let known = usize::try_from(known).ok()?;
        Some(self.changed.iter().skip(known).map(String::as_str))
    }

    fn note(&mut self, name: &str) {
        if length(&self.changed) == REMEMBERED {
            self.changed.pop_front();
            self.forgotten += 1;
        }
        self.changed.push_back(name.to_owned());
    }
}

fn length(names: &VecDeque<String>) -> u64 {
    u64::try_from(names.len()).unwrap_or(u64::MAX)
}

/// The id of a new table; 0 is that of none.
fn next_id() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    LAST.fetch_add(1, Ordering::Relaxed) + 1
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        BTreeMap::new().into()
    }
}

impl<T> Clone for Table<T> {
    fn clone(&self) -> Self {
        self.objects.clone().into()
    }
}

impl<T> From<BTreeMap<String, Arc<T>>> for Table<T> {
    fn from(objects: BTreeMap<String, Arc<T>>) -> Self {
        Self { objects, id: next_id(), changed: VecDeque::new(), forgotten: 0 }
    }
}

impl<T: PartialEq> PartialEq for Table<T> {
    fn eq(&self, other: &Self) -> bool {
        self.objects == other.objects
    }
}

impl<T> Deref for Table<T> {
    type Target = BTreeMap<String, Arc<T>>;

    fn deref(&self) -> &Self::Target {
        &self.objects
    }
}

impl<T> IntoIterator for Table<T> {
    type Item = (String, Arc<T>);
    type IntoIter = std::collections::btree_map::IntoIter<String, Arc<T>>;

    fn into_iter(self) -> Self::IntoIter {
        self.objects.into_iter()
    }
}

impl<'t, T> IntoIterator for &'t Table<T> {
    type Item = (&'t String, &'t Arc<T>);
    type IntoIter = std::collections::btree_map::Iter<'t, String, Arc<T>>;

    fn into_iter(self) -> Self::IntoIter {
        self.objects.iter()
    }
}

impl<T> Extend<(String, Arc<T>)> for Table<T> {
    fn extend<I: IntoIterator<Item = (String, Arc<T>)>>(&mut self, objects: I) {
        for (name, object) in objects {
            self.insert(name, object);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(table: &Table<u8>, moment: Moment) -> Option<Vec<&str>> {
        table.changed_since(moment).map(Iterator::collect)
    }

    #[test]
    fn every_way_to_change_an_object_is_noted_and_a_look_is_not() {
        let mut table: Table<u8> = Table::default();
        table.extend(["a", "b", "c", "d"].map(|name| (name.to_owned(), Arc::new(0))));
        let before = table.moment();
        table.insert("b".into(), Arc::new(1));
        table.insert("d".into(), Arc::clone(&table["d"]));
        table.get_mut("c");
        table.get_mut("nobody");
        table.remove("a");
        table.remove("nobody");
        table.retain(|name| name != "d");
        assert_eq!(table.get("b"), Some(&Arc::new(1)));
        assert_eq!(names(&table, before), Some(vec!["b", "c", "a", "d"]));
        assert_eq!(names(&table, table.moment()), Some(vec![]));
    }

    #[test]
    fn a_moment_of_another_table_or_too_long_ago_tells_nothing() {
        let mut table: Table<u8> = Table::default();
        let before = table.moment();
        let copy = table.clone();
        assert_eq!(names(&copy, before), None);
        assert_eq!(names(&table, Moment::default()), None);
        for _ in 0..REMEMBERED {
            table.insert("a".into(), Arc::new(0));
        }
        assert_eq!(names(&table, before).map(|names| names.len()), Some(4_096));
        table.insert("a".into(), Arc::new(0));
        assert_eq!(names(&table, before), None);
    }
}
