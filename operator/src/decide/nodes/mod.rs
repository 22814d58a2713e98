//! Nodes: which have a NodeHealth, what it orders, how the node is judged, and what is marked.

use crate::{decide::runs::Orders, plan::Plan, world::World};
use crds::Time;

/// Decides every node and every policy.
pub fn decide(_world: &World, _orders: &Orders, _now: Time, _plan: &mut Plan) {}
