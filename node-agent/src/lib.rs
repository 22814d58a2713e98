//! The agent of gpu-health-operator: it measures one node and reports.
//!
//! # How data flows through it
//!
//! ```text
//!  kernel log ─▶ xid (tables) ─┐                                   ┌─▶ runner ─▶ probe children (driver, tools, programs)
//!  own NodeHealth (watch) ─────┼─▶ Event ─▶ agent::step ─▶ Effect ─┤
//!  probe outcomes ─────────────┘              │                    └─▶ status.report (server-side apply)
//!                                             ├─ dispatch: monitors and work orders ─▶ probes, and back
//!                                             └─ judge: measurements and expectations ─▶ findings and rows
//! ```
//!
//! [`judge`], [`dispatch`] and [`agent`] are pure: no clock, no client, no environment. [`run`] is the one place that
//! touches the world. [`runner`] and [`probe`] are processes of their own, so that a driver that hangs or crashes takes neither the
//! reporter nor the Lease down.
//!
//! # What must stay true
//!
//! - The reporter loads no driver library and starts no tool; only probe children do.
//! - Whatever could not be measured is `Inconclusive`, never a verdict.
//! - A quiet node costs one Lease renewal a minute and no other write.
//! - The Lease is renewed whatever else happens or hangs, as long as the core turns.

pub mod agent;
pub mod check;
pub mod command_line;
mod complain;
pub mod dispatch;
pub mod error;
pub mod judge;
pub mod kernel_log;
pub mod kernel_messages;
pub mod metrics;
pub mod pci;
pub mod probe;
mod process;
pub mod readings;
pub mod run;
pub mod runner;
mod text;
pub mod time;
pub mod xid;
