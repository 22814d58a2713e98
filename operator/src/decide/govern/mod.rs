//! Which policy governs which node. Brought up to date once per decision, before the runs: they need to know where drills
//! are allowed.
//!
//! - `acceptance`: what this version does not do with a policy, and why
//! - `selection`: which nodes have a NodeHealth, which policy and which profile each has
//! - `roster`: the answers for every Node, carried from one decision to the next
//! - `claims`: the valid claims, as read
//! - `authority`: what the modes allow
//! - `fleet`: versions that differ from those of most nodes; `nvlink`: nodes of one NVLink domain that report several
//! - `maintenance`: whether a node is under maintenance; `monitors`: what its agent watches

pub(crate) mod acceptance;
pub(crate) mod authority;
pub(crate) mod claims;
pub(crate) mod fleet;
pub(crate) mod maintenance;
pub(crate) mod monitors;
pub(crate) mod nvlink;
pub(crate) mod roster;
pub(crate) mod selection;
