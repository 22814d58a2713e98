//! The one pure decision: what to write, given the world and the time.
//!
//! ```text
//! runs::decide   ─▶ statuses of runs, and the assignments that each node shall have
//!      │ assignments (with the run-status steps that must come first)
//!      ▼
//! nodes::decide  ─▶ NodeHealth specs, judgements, claims, taints, marks, statuses of policies
//! ```

#[cfg(test)]
pub(crate) mod model;
pub mod nodes;
pub mod orders;
#[cfg(test)]
mod proptests;
pub mod runs;

use crate::{plan::Plan, world::World};
use crds::Time;

/// What to write, given the world and the time, and when to decide again.
pub fn decide(world: &World, now: Time) -> Plan {
    let mut plan = Plan::default();
    let orders = runs::decide(world, now, &mut plan);
    nodes::decide(world, &orders, now, &mut plan);
    plan
}
