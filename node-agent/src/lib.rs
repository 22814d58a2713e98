//! Being written.

pub mod kernel_log;
pub mod pci;
pub mod xid;
