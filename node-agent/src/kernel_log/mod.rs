//! The kernel's log: where Xids, SXids and lost GPUs are told first.
//!
//! ```text
//!  /dev/kmsg   file that grows, FIFO   syslog(2)
//!      │                │                  │
//!   device            file, pipe       syslog (sys: the one system call)
//!      └────────────────┼──────────────────┘
//!            record (pure parser)  ─▶  resume (what was delivered before a restart)  ─▶  Batch
//! ```
//!
//! What must stay true:
//! - Nothing is delivered twice to the holder of a [`Cursor`] of the same boot; nothing of this boot that can still be
//!   read is left out, also if it is older than the agent. What was overwritten unread is said ([`Item::Overrun`]).
//! - Only a record for which [`KernelRecord::is_kernel`] holds is evidence, whatever the source: a program can write the
//!   rest.
//! - Memory is bounded whatever is written; no bytes make a reader panic; nobody waits on the reactor's thread.

mod boot;
mod device;
mod error;
mod file;
mod lines;
mod pipe;
mod record;
mod resume;
mod source;
mod sys;
mod syslog;
#[cfg(test)]
mod tests;
mod watch;

pub use boot::{boot_id, booted_at};
pub use error::{Attempt, KernelLogError};
pub use record::{KernelRecord, MESSAGE_MAX};
pub use resume::Cursor;
pub use source::{Batch, Item, KernelLogChoice, Source};
