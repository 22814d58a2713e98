//! What probes say: the types of their reports and of the sampler's lines, and nothing that reads hardware or judges.

pub mod bandwidth;
mod envelope;
pub mod inventory;
pub mod mismatch;
pub mod program;
pub mod return_codes;
pub mod sample;
pub mod sysfs;
pub mod talk;

pub use envelope::{ProbeReport, REPORT_VERSION, ReportError};
pub use sample::{Sample, Section};
pub use sysfs::TreeReport;
pub use talk::{Ask, Said};
