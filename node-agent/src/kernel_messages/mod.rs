//! What the kernel and its drivers say about a fault without an Xid: tables of forms, and their reader.
//!
//! ```text
//!  record ─▶ NVRM: …                      ─▶ forms of NVIDIA's driver ─┐
//!         ─▶ DRIVER 0000:03:00.0: …       ─▶ forms of a PCI device    ─┼▶ Message { says, place, text, proven }
//!         ─▶ EDAC …, mce: …               ─▶ forms of the kernel      ─┤
//!         ─▶ INFO: task …, Oops, …        ─▶ a story of many records  ─┘
//! ```
//!
//! What must stay true:
//! - A line counts only where it begins a record of the kernel ([`crate::kernel_log::Told`] for the driver's own lines);
//!   what cannot be told apart is marked as not proven.
//! - The forms say what was printed, and where. What it is worth is for [`crate::judge::kernel_log`] to say.
//! - No text makes the reader panic, and what is kept between records is bounded.

mod forms;
mod message;
mod read;
mod stories;
#[cfg(test)]
pub(crate) mod tests;

pub use forms::{FORMS, Form, Names};
pub use message::{Message, Place, Says};
pub use read::Messages;
pub use stories::STORIES;
