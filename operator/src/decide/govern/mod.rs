//! Who governs what: computed once in a decision, before the runs, which need to know where drills are allowed.
//!
//! - `selection`: which nodes have a NodeHealth, which policy and which profile each has
//! - `claims`: the claims that stand, as they were read
//! - `authority`: what the modes allow
//! - `fleet`: versions that differ from those of most nodes
//! - `maintenance`, `monitors`: what a node is in the middle of, and what its agent watches

pub(crate) mod authority;
pub(crate) mod claims;
pub(crate) mod fleet;
pub(crate) mod maintenance;
pub(crate) mod monitors;
pub(crate) mod selection;

use crate::world::World;
use claims::Claims;
use selection::{Ranked, Subject};

/// The nodes and policies of one decision.
#[derive(Clone, Debug)]
pub(crate) struct Governance<'w> {
    /// The claims that stand.
    pub(crate) claims: Claims<'w>,
    /// The nodes that have or shall have a NodeHealth, by name.
    pub(crate) subjects: Vec<Subject<'w>>,
    /// The policies, the highest rank first.
    pub(crate) policies: Vec<Ranked<'w>>,
}

impl<'w> Governance<'w> {
    /// Finds out who governs what.
    pub(crate) fn of(world: &'w World) -> Self {
        let claims = Claims::read(world);
        let (subjects, policies) = selection::select(world, &claims);
        Self { claims, subjects, policies }
    }
}
