//! The agents' Leases: all that matters is when each was last seen to change, by the operator's clock.

use super::{listing::Listing, observation::Seen, projection::Renewal, store::Change};
use crate::world::World;
use crds::Time;
use std::collections::BTreeMap;

/// For how many seconds the last renewal is remembered after its Node is gone, so that a Node that is recreated at once
/// (cloud providers do that) does not count as silent.
const REMEMBERED_SECONDS: i64 = 600;

/// The Leases as last seen.
#[derive(Debug, Default)]
pub(super) struct Leases {
    stamps: BTreeMap<String, String>,
    listing: Listing,
}

impl Leases {
    /// Takes in what the watch shows. A renewal is a change only if it ends a silence.
    pub(super) fn observe(&mut self, seen: Seen<Renewal>, world: &mut World, now: Time) -> Change {
        match seen {
            Seen::ListBegan => self.listing.began(),
            Seen::Listed(renewal) => {
                self.listing.note(&renewal.node);
                return self.renewed(renewal, world, now);
            }
            Seen::Applied(renewal) => return self.renewed(renewal, world, now),
            Seen::ListEnded => {
                if self.listing.ended().is_first {
                    return Change::Changed;
                }
            }
            // The time of the last renewal stays true after the Lease is gone.
            Seen::Deleted(renewal) => {
                self.stamps.remove(&renewal.node);
                self.listing.clear_malformed(&renewal.node);
            }
            Seen::Malformed { name, listed, .. } => self.listing.mark_malformed(name, listed),
            Seen::MalformedDeleted { name } => drop(self.listing.clear_malformed(&name)),
            // As long as renewals cannot be seen, no agent is silent: silence is counted from here.
            Seen::Broken { .. } => world.started_at = world.started_at.max(now),
        }
        Change::None
    }

    fn renewed(&mut self, renewal: Renewal, world: &mut World, now: Time) -> Change {
        let Renewal { node, stamp } = renewal;
        self.listing.clear_malformed(&node);
        let known = self.stamps.insert(node.clone(), stamp.clone());
        let is_news = match known {
            Some(known) => known != stamp,
            // A Lease found by a list may be old; one that appears later is new.
            None => !self.listing.is_under_way(),
        };
        if !is_news {
            return Change::None;
        }
        let was_silent = world.agent_is_silent(&node, now);
        world.lease_changes.insert(node, now);
        if was_silent { Change::Changed } else { Change::None }
    }

    pub(super) fn listing(&self) -> &Listing {
        &self.listing
    }
}

/// Forgets Nodes that were deleted long ago.
pub(super) fn forget_old(world: &mut World, now: Time) {
    let (nodes, changes) = (&world.nodes, &mut world.lease_changes);
    if changes.len() > nodes.len() {
        changes.retain(|node, at| nodes.contains_key(node) || now.since(*at) <= REMEMBERED_SECONDS);
    }
}
