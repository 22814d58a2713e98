//! The checks of a run that one probe answers, one row each. A new one is a file here and a row in the table.

mod by_probe;
mod custom;
#[cfg(test)]
pub(crate) mod samples;

use by_probe::row;

pub(crate) use by_probe::ProbeCheck;
pub(super) use by_probe::{Evidence, Fresh};

/// All of them.
pub(crate) static CHECKS: &[ProbeCheck] = &[row::<custom::Program>()];
