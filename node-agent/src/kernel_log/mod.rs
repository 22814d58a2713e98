//! The kernel log, where Xids, SXids and lost GPUs show up first.
//!
//! ```text
//!  /dev/kmsg   file that grows, FIFO   syslog(2)
//!      │                │                  │
//!   device            file, pipe       syslog (klogctl)
//!      └────────────────┼──────────────────┘
//!            record (pure parser)  ─▶  sink, resume (what was delivered before a restart)  ─▶  source ─▶  Batch
//!                                        told (which lines a driver wrote)
//! ```
//!
//! What must stay true:
//! - Nothing is delivered twice to the holder of a [`Cursor`] of the same boot. Every record of this boot that can still be
//!   read is delivered, including those older than the agent. Records overwritten before they were read are reported
//!   ([`Item::Overrun`]).
//! - Only what [`KernelRecord::told`] calls proven is evidence, whatever the source: programs can write records, and
//!   the kernel's own records quote names that programs choose.
//! - Memory is bounded whatever is written, no input makes a reader panic, and no read blocks the reactor's thread.

mod boot;
mod changes;
mod device;
mod failure;
mod file;
mod klogctl;
mod lines;
mod pipe;
mod printed;
mod record;
mod resume;
mod sink;
mod source;
mod syslog;
#[cfg(test)]
mod tests;
mod told;

pub use boot::{boot_id, booted_at};
pub use failure::{Attempt, KernelLogError};
pub use printed::PrintedLog;
pub use record::{KernelRecord, MESSAGE_MAX};
pub use resume::Cursor;
pub use sink::Item;
pub use source::{Batch, KernelLogChoice, Source};
pub use told::Told;
