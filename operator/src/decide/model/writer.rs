//! A writer that works through a plan and may stop at any step.

use super::Model;
use crate::{key::Key, plan::Plan};
use std::collections::BTreeMap;

/// A writer that works through a plan and may stop at any step.
#[derive(Clone, Debug)]
pub(crate) struct Writer {
    /// The plan it works on.
    pub(crate) plan: Plan,
    /// Whether each step that was tried succeeded.
    done: Vec<bool>,
    /// The version that this plan's last write of an object got back.
    versions: BTreeMap<Key, String>,
}

impl Writer {
    pub(crate) fn new(plan: Plan) -> Self {
        Self { plan, done: Vec::new(), versions: BTreeMap::new() }
    }

    /// The index of the next step, if one is left.
    pub(crate) fn next(&self) -> Option<usize> {
        (self.done.len() < self.plan.steps.len()).then_some(self.done.len())
    }

    /// Tries the next step; it is dropped if one that it waits for failed. Returns the object if it was written.
    pub(crate) fn step(&mut self, model: &mut Model) -> Option<Key> {
        let step = &self.plan.steps[self.next()?];
        let key = Key::of(&step.write);
        let is_free = step.after.iter().all(|&i| self.done.get(i) == Some(&true));
        let written = is_free && model.write(&step.write, self.versions.get(&key).map(String::as_str));
        if written && let Some(version) = model.version_of(&key) {
            self.versions.insert(key.clone(), version);
        }
        self.done.push(written);
        written.then_some(key)
    }

    /// Marks the next step as refused by the API server, without trying it.
    pub(crate) fn fail(&mut self) {
        if self.next().is_some() {
            self.done.push(false);
        }
    }

    /// Tries every step that is left.
    pub(crate) fn finish(&mut self, model: &mut Model) {
        while self.next().is_some() {
            self.step(model);
        }
    }
}
