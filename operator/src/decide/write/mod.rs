//! The writes of a plan, in their order.

pub(crate) mod node;
pub(crate) mod policy;
pub(crate) mod spec;
