//! From a work order or a monitor to probes, and from their outcomes to readings and results. Pure.
//!
//! ```text
//!  monitors ─▶ senses ─┬─▶ sampling, tree_reading ─┐
//!  work order ─▶ work ─┼─▶ passive, steps, slots  ─┼─▶ turn ─▶ Command ─▶ request ─▶ runner
//!                      └──────── Measured ◀────────┴──────────────────────────────────┘
//! ```
//!
//! Nothing here knows the report or the API server: those belong to the agent. What must stay true:
//! - The end of every started probe is awaited.
//! - A work order is started at most once, and is not done while one of its probes runs.
//! - At most one child of ours has the driver's library loaded, besides what a user's program does.
//! - What a probe changed is restored, whatever becomes of it.

pub(crate) mod checks;
mod classes;
pub(crate) mod context;
pub(crate) mod drill;
mod lending;
mod passive;
mod probe;
mod reading;
pub mod request;
mod restore;
mod sampling;
mod senses;
mod slots;
mod steps;
mod tree_reading;
mod turn;
mod verdict;
mod work;

pub use probe::{Command, Measured, Probe};
pub use reading::READING_MS;
pub use sampling::{ANSWER_MS, PAUSE_MS as SAMPLER_PAUSE_MS, PROMPT_MS, SAMPLER_DEADLINE_MS, SECTION_MS};
pub use slots::SLOT_MISSED;
pub use tree_reading::TREE_DEADLINE_MS;

pub(crate) use context::Context;
pub(crate) use sampling::{Heard, concerned_by_xid};
pub(crate) use senses::Senses;
pub(crate) use turn::{Probes, Turn};
pub(crate) use work::Work;
