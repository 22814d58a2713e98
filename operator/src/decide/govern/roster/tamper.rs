//! Ways to make a roster believe that nothing changed, for the mutants of the property on memos.

use super::Roster;
use crate::{decide::govern::selection::Ranks, world::World};
use std::sync::Arc;

impl Roster {
    /// The names of its Nodes, in order.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.members.iter().map(|member| member.node.name.as_str())
    }

    /// No change of a Node is noticed.
    pub(crate) fn overlook_nodes(&mut self, world: &World) {
        for member in &mut self.members {
            if let Some(node) = world.nodes.get(&member.node.name) {
                member.node = Arc::clone(node);
            }
        }
    }

    /// No change of a NodeHealth is noticed.
    pub(crate) fn overlook_node_healths(&mut self, world: &World) {
        for member in &mut self.members {
            member.health = world.node_healths.get(&member.node.name).cloned();
        }
    }

    /// No change of a policy or a profile is noticed.
    pub(crate) fn overlook_ranks(&mut self, world: &World) {
        let ranks = Ranks::of(world);
        if ranks.policies.len() == self.ranks.policies.len() && ranks.profiles.len() == self.ranks.profiles.len() {
            self.ranks = ranks;
        }
    }

    /// No new or dropped claim is noticed.
    pub(crate) fn overlook_claims(&mut self, is_claimed: impl Fn(&str) -> bool) {
        for member in &mut self.members {
            member.is_claimed = is_claimed(&member.node.name);
        }
    }
}
