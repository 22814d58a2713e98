//! How many nodes may be out of use, who gets a slot, and which claims have served.
//!
//! - `limit`: the number; `domains`: the same again per failure domain
//! - `slots`: who gets the free ones; `account`: what comes of it for one policy
//! - `ledger`: the claims that stand and those that are added

pub(crate) mod account;
pub(crate) mod domains;
pub(crate) mod ledger;
pub(crate) mod limit;
pub(crate) mod slots;
