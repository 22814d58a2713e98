//! The agents' Leases: which agents are silent.

use super::{hearing::Hearing, listing::Listing, observation::Seen, projection::Renewal, store::Change};
use crate::world::World;
use crds::{NodeHealth, reason};
use std::{collections::BTreeMap, time::Instant};

/// The Leases as last seen.
#[derive(Debug, Default)]
pub(super) struct Leases {
    /// The `renewTime` of each Lease. Only compared: it is the agent's clock.
    stamps: BTreeMap<String, Box<str>>,
    listing: Listing,
    hearing: Hearing,
}

impl Leases {
    /// The decision loop turns.
    pub(super) fn look(&mut self, at: Instant) {
        self.hearing.look(at);
    }

    /// Takes in what the watch shows. A renewal is a change only if it ends a silence.
    pub(super) fn observe(&mut self, seen: Seen<Renewal>, world: &mut World, at: Instant) -> Change {
        match seen {
            Seen::ListBegan => {
                self.listing.began();
                self.hearing.broke();
            }
            Seen::Listed(renewal) => {
                self.listing.note(&renewal.node);
                return self.renewed(renewal, world);
            }
            Seen::Applied(renewal) => {
                let version = renewal.version.clone();
                return self.renewed(renewal, world).max(self.proven(&version, world, at));
            }
            Seen::ListEnded => {
                let list = self.listing.ended();
                self.stamps.retain(|node, _| list.present.contains(node));
                if list.is_first {
                    return Change::Changed;
                }
            }
            // A Lease that is gone ends no silence and begins none.
            Seen::Deleted(renewal) => {
                self.stamps.remove(&renewal.node);
                self.listing.clear_malformed(&renewal.node);
                return self.proven(&renewal.version, world, at);
            }
            Seen::Malformed { name, listed, .. } => self.listing.mark_malformed(name, listed),
            Seen::MalformedDeleted { name } => drop(self.listing.clear_malformed(&name)),
            Seen::Alive { version } => return self.proven(&version, world, at),
            Seen::Broken { .. } => self.hearing.broke(),
        }
        Change::None
    }

    fn proven(&mut self, version: &str, world: &mut World, at: Instant) -> Change {
        let fallen = self.hearing.proven(version, at);
        // A Lease without a NodeHealth says nothing about a node.
        let fallen = fallen.into_iter().filter(|node| world.node_healths.contains_key(node));
        let before = world.silent.len();
        world.silent.extend(fallen);
        if world.silent.len() > before { Change::Changed } else { Change::None }
    }

    fn renewed(&mut self, renewal: Renewal, world: &mut World) -> Change {
        let Renewal { node, stamp, version: _ } = renewal;
        self.listing.clear_malformed(&node);
        let is_news = match self.stamps.get(&node) {
            Some(known) => **known != *stamp,
            // A Lease found by the first list may be old; one that appears later is new.
            None => self.listing.is_complete(),
        };
        if is_news {
            self.hearing.heard(&node);
        }
        let ends_silence = is_news && world.silent.remove(&node);
        self.stamps.insert(node, stamp.into_boxed_str());
        if ends_silence { Change::Changed } else { Change::None }
    }

    /// A NodeHealth of this name is shown now, or none any more.
    pub(super) fn health_shown(&mut self, name: &str, world: &mut World) {
        let Some(health) = world.node_healths.get(name) else {
            self.hearing.forget(name);
            world.silent.remove(name);
            return;
        };
        if self.hearing.expect(name, was_silent(health)) {
            world.silent.insert(name.to_owned());
        }
    }

    /// The list of NodeHealths is complete.
    pub(super) fn healths_listed(&mut self, world: &mut World) {
        self.hearing.retain(|node| world.node_healths.contains_key(node));
        world.silent.retain(|node| world.node_healths.contains_key(node));
    }

    pub(super) fn listing(&self) -> &Listing {
        &self.listing
    }
}

/// Whether the last decision on this node found its agent silent.
fn was_silent(health: &NodeHealth) -> bool {
    let conditions = health.status.iter().flat_map(|status| &status.conditions);
    conditions.into_iter().any(|c| c.type_ == "AgentReporting" && c.reason == reason::AGENT_SILENT)
}

#[cfg(test)]
mod tests;
