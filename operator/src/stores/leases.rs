//! The agents' Leases: only when each was last seen to change matters, by the operator's clock.

use super::{
    projection::Renewal,
    store::{Change, Seen},
};
use crate::world::World;
use crds::Time;
use std::collections::{BTreeMap, BTreeSet};

/// How long the last renewal of a node that is gone is remembered, in seconds: a Node that is made again at once (cloud
/// providers do) is not silent for that.
const REMEMBERED_SECONDS: i64 = 600;

/// What was seen of Leases.
#[derive(Debug, Default)]
pub(super) struct Leases {
    stamps: BTreeMap<String, String>,
    malformed: BTreeSet<String>,
    listing: bool,
    complete: bool,
}

impl Leases {
    /// Takes in what the watch shows. A renewal wakes nobody, unless it ends a silence.
    pub(super) fn observe(&mut self, seen: Seen<Renewal>, world: &mut World, now: Time) -> Change {
        match seen {
            Seen::ListBegan => self.listing = true,
            Seen::Listed(renewal) | Seen::Applied(renewal) => {
                return self.renewed(renewal, world, now);
            }
            Seen::ListEnded => {
                self.listing = false;
                if !std::mem::replace(&mut self.complete, true) {
                    return Change::Changed;
                }
            }
            // When the agent was last heard stays true when its Lease is gone.
            Seen::Deleted(renewal) => {
                self.stamps.remove(&renewal.node);
                self.malformed.remove(&renewal.node);
            }
            Seen::Malformed { name, .. } => drop(self.malformed.insert(name)),
            Seen::MalformedDeleted { name } => drop(self.malformed.remove(&name)),
            // While we cannot see renewals nobody is silent: silence is counted anew.
            Seen::Broken { .. } => world.started_at = world.started_at.max(now),
        }
        Change::None
    }

    fn renewed(&mut self, renewal: Renewal, world: &mut World, now: Time) -> Change {
        let Renewal { node, stamp } = renewal;
        self.malformed.remove(&node);
        let known = self.stamps.insert(node.clone(), stamp.clone());
        let is_news = match known {
            Some(known) => known != stamp,
            // A Lease that was there before we looked may be old; one that appears is new.
            None => !self.listing,
        };
        if !is_news {
            return Change::None;
        }
        let was_silent = world.agent_is_silent(&node, now);
        world.lease_changes.insert(node, now);
        if was_silent { Change::Changed } else { Change::None }
    }

    pub(super) fn is_complete(&self) -> bool {
        self.complete
    }

    pub(super) fn malformed(&self) -> usize {
        self.malformed.len()
    }
}

/// Forgets nodes that are gone for long.
pub(super) fn forget_old(world: &mut World, now: Time) {
    let (nodes, changes) = (&world.nodes, &mut world.lease_changes);
    if changes.len() > nodes.len() {
        changes.retain(|node, at| nodes.contains_key(node) || now.since(*at) <= REMEMBERED_SECONDS);
    }
}
