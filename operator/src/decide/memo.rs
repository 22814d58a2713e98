//! What one decision leaves to the next: everything that a decision about the same objects would work out again.
//!
//! A [`Ruling`] is kept for a node that had nothing to write. It stands as long as the node's own objects are the same (by
//! identity: the stores replace an object whenever it changes), its policy and its profile say the same, its circumstances
//! are the same, and no time has come that changes it. Everything else is decided anew, so a decision from a memo and one
//! without give the same plan (`proptests::memos`).

use super::{
    case::{Circumstances, Judged},
    govern::{fleet::Fleet, roster::Roster},
};
use crds::Time;

/// What one decision leaves to the next. The default knows nothing.
#[derive(Clone, Debug, Default)]
pub struct Memo {
    pub(crate) roster: Roster,
    pub(crate) fleet: Fleet,
    /// By place in the roster.
    pub(crate) rulings: Vec<Option<Box<Ruling>>>,
}

/// What was decided about one node.
#[derive(Clone, Debug)]
pub(crate) struct Ruling {
    /// The judgement.
    pub(crate) judged: Judged,
    /// What it depended on.
    pub(crate) circumstances: Circumstances<'static>,
    /// When it was made.
    pub(crate) made_at: Time,
    /// When time alone changes it.
    pub(crate) changes_at: Option<Time>,
    /// Whether the node had nothing to write, with or without a claim that pays for its mark; `None` if it had.
    pub(crate) settled: Option<HasSlot>,
}

/// Whether a claim pays for the mark of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HasSlot(pub(crate) bool);

impl Ruling {
    /// Whether it is what would be decided now.
    pub(crate) fn stands(&self, circumstances: &Circumstances<'_>, now: Time) -> bool {
        self.circumstances == *circumstances && now >= self.made_at && self.changes_at.is_none_or(|at| now < at)
    }
}

impl Memo {
    /// Keeps the rulings on nodes whose place in the roster is still the same, or is another one now.
    pub(crate) fn carry(rulings: Vec<Option<Box<Ruling>>>, places: Vec<Option<usize>>) -> Vec<Option<Box<Ruling>>> {
        let mut former = rulings;
        places.into_iter().map(|place| former.get_mut(place?)?.take()).collect()
    }
}
