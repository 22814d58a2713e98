//! How many nodes may be out of use, and who gets a slot.

pub(crate) mod ledger;
pub(crate) mod slots;
