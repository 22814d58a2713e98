//! Ways to make a memo forget, for the mutants of the property on memos.

use super::{Rulings, Tallies};

impl Rulings {
    /// No ruling ends by itself.
    pub(crate) fn forget_times(&mut self) {
        self.times.clear();
    }

    /// Every node counts as one that had nothing to write.
    pub(crate) fn forget_unsettled(&mut self) {
        self.unsettled.clear();
    }

    /// No node is looked at again.
    pub(crate) fn forget_open(&mut self) {
        self.open.clear();
    }

    /// No node is counted.
    pub(crate) fn forget_tallies(&mut self, policies: usize) {
        self.tallies = Tallies::of_policies(policies);
    }
}
