//! How many nodes may be out of service, which nodes get a slot, and which claims are no longer needed.
//!
//! - `tally`: the numbers of each policy, kept by difference
//! - `limit`: the number; `domains`: the same again per failure domain
//! - `slots`: which nodes get the free ones; `account`: the result for one policy
//! - `ledger`: existing and added claims

pub(crate) mod account;
pub(crate) mod domains;
pub(crate) mod ledger;
pub(crate) mod limit;
pub(crate) mod slots;
pub(crate) mod tally;
