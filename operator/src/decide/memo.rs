//! What one decision leaves to the next: everything that a decision about the same objects would work out again.
//!
//! A [`Ruling`] stands until something that it depends on differs: an object of the node (by identity: the stores replace an
//! object whenever it changes), the policies and profiles, the circumstances that [`super::seen`] compares, or the time. A
//! node that had something to write is judged anew each time, until it has nothing to write. So a decision from a memo gives
//! the same plan as one without (`proptests::memos`), and takes as long as what changed is much.

#[cfg(test)]
mod tamper;

use super::{
    budget::tally::{Share, Tallies},
    case::Judged,
    govern::{fleet::Fleet, roster::Roster},
    seen::Seen,
};
use crds::Time;
use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
};

/// What one decision leaves to the next. The default knows nothing.
#[derive(Clone, Debug, Default)]
pub struct Memo {
    pub(crate) seen: Seen,
    pub(crate) roster: Roster,
    pub(crate) fleet: Fleet,
    pub(crate) rulings: Rulings,
    /// The last node that was planned again although nothing about it had changed.
    pub(crate) planned_again: String,
}

/// What carries plans out, as far as a decision must know it: a node for which nothing changed since it was planned last is
/// planned again only if that may lead to a write.
pub struct Room<'q> {
    /// Whether a step for this node still waits or is under way.
    pub is_pending: &'q dyn Fn(&str) -> bool,
    /// How many nodes to plan again at most; the others follow.
    pub nodes: usize,
}

impl Room<'_> {
    /// Room for every node.
    pub const UNBOUNDED: Room<'static> = Room { is_pending: &|_| false, nodes: usize::MAX };
}

/// What was decided about one node.
#[derive(Clone, Debug)]
pub(crate) struct Ruling {
    /// The judgement.
    pub(crate) judged: Judged,
    /// What the node adds to the numbers of the policies.
    pub(crate) share: Share,
    /// Whether each decision looks at the node again: it has a claim, bears a mark or needs one, or cannot be read.
    pub(crate) is_open: bool,
    /// When time alone changes it.
    pub(crate) changes_at: Option<Time>,
    /// Whether the node had nothing to write, with or without a claim that pays for its mark; `None` if it had.
    pub(crate) settled: Option<HasSlot>,
}

/// Whether a claim pays for the mark of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HasSlot(pub(crate) bool);

/// The rulings on all nodes, and what is looked up in them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rulings {
    /// Boxed: a map keeps room for twice its entries.
    by_node: BTreeMap<String, Box<Ruling>>,
    tallies: Tallies,
    /// When time alone changes a ruling.
    times: BTreeSet<(Time, String)>,
    /// The nodes whose ruling is open.
    open: BTreeSet<String>,
    /// The nodes that had something to write.
    unsettled: BTreeSet<String>,
}

impl Rulings {
    /// None yet, for so many policies.
    pub(crate) fn of_policies(count: usize) -> Self {
        Self { tallies: Tallies::of_policies(count), ..Self::default() }
    }

    /// Adds or replaces a ruling.
    pub(crate) fn insert(&mut self, node: &str, ruling: Ruling) {
        self.remove(node);
        self.tallies.add(&ruling.share);
        if let Some(at) = ruling.changes_at {
            self.times.insert((at, node.to_owned()));
        }
        if ruling.is_open {
            self.open.insert(node.to_owned());
        }
        if ruling.settled.is_none() {
            self.unsettled.insert(node.to_owned());
        }
        self.by_node.insert(node.to_owned(), Box::new(ruling));
    }

    /// Removes the ruling on a node that needs none any more.
    pub(crate) fn remove(&mut self, node: &str) {
        let Some(ruling) = self.by_node.remove(node) else { return };
        self.tallies.take(&ruling.share);
        if let Some(at) = ruling.changes_at {
            self.times.remove(&(at, node.to_owned()));
        }
        self.open.remove(node);
        self.unsettled.remove(node);
    }

    /// Records whether a node had nothing to write.
    pub(crate) fn settle(&mut self, node: &str, settled: Option<HasSlot>) {
        let Some(ruling) = self.by_node.get_mut(node) else { return };
        if ruling.settled == settled {
            return;
        }
        ruling.settled = settled;
        if settled.is_none() {
            self.unsettled.insert(node.to_owned());
        } else {
            self.unsettled.remove(node);
        }
    }

    /// How many stand, but for what changes with time.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.by_node.len() - self.unsettled.len()
    }

    /// The ruling on a node.
    pub(crate) fn of(&self, node: &str) -> Option<&Ruling> {
        self.by_node.get(node).map(|ruling| &**ruling)
    }

    /// The numbers of each policy.
    pub(crate) fn tallies(&self) -> &Tallies {
        &self.tallies
    }

    /// The nodes that each decision looks at again.
    pub(crate) fn open(&self) -> &BTreeSet<String> {
        &self.open
    }

    /// The nodes whose ruling does not stand, because its time has come.
    pub(crate) fn due(&self, now: Time) -> impl Iterator<Item = &String> {
        self.times.iter().take_while(move |(at, _)| *at <= now).map(|(_, node)| node)
    }

    /// The nodes that had something to write, as far as there is room, those after this one first; and whether these are all
    /// of which no step is pending.
    pub(crate) fn unsettled(&self, last: &str, room: &Room<'_>) -> (Vec<String>, bool) {
        let after = self.unsettled.range::<str, _>((Bound::Excluded(last), Bound::Unbounded));
        let up_to = self.unsettled.range::<str, _>((Bound::Unbounded, Bound::Included(last)));
        let mut nodes = after.chain(up_to).filter(|node| !(room.is_pending)(node));
        let taken = nodes.by_ref().take(room.nodes).cloned().collect();
        (taken, nodes.next().is_none())
    }

    /// When time alone next changes a ruling.
    pub(crate) fn changes_at(&self) -> Option<Time> {
        self.times.first().map(|(at, _)| *at)
    }
}
