//! Messages of NVIDIA's driver in the kernel log, parsed, and judged by tables.
//!
//! ```text
//!  message ─▶ assemble (lines, three-record forms) ─▶ parse ─▶ XidObservation ─▶ judge ─▶ XidVerdict
//!                                                                              │
//!                        catalogue, nvlink5, link_down, nvlink_registers, repair, recovery, sxid ─┘   (tables, each row with its source)
//! ```
//!
//! What must stay true:
//! - What the driver is not known to have written ([`crate::kernel_log::Told`]) is marked as not proven.
//! - No text makes a parser panic, and the state kept between lines is bounded.
//! - A severity comes from a row of a table. An unknown code is `Monitor`: reported, never condemned.

mod action;
mod assemble;
pub mod catalogue;
pub mod link_down;
pub mod merge;
pub mod nvlink5;
pub mod nvlink_registers;
mod observation;
pub mod owners;
mod parse;
pub mod recovery;
pub mod repair;
pub mod sxid;
#[cfg(test)]
mod tests;
mod verdict;

pub use assemble::{BoardIdentity, LineAssembler, LogFact};
pub use merge::Merge;
pub use observation::{
    Containment, DedupeKey, MigInstance, NvLink5, NvLinkFault, SwitchFault, XidDetail, XidEvent, XidObservation,
};
pub use owners::{Owners, owner_of_cgroup};
pub use parse::observe;
pub use verdict::{LINK_SIGNS, NVLINK_PEER_FAULT, NVLINK_REMAP, XidVerdict, judge};
