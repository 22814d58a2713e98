//! The writes of a plan: those about a `node`, the `spec` of its NodeHealth, and the status of a `policy`.

pub(crate) mod counts;
pub(crate) mod node;
pub(crate) mod policy;
pub(crate) mod spec;
mod texts;
