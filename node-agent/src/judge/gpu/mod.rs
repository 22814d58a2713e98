//! Judges of the GPUs themselves.

pub mod clocks;
pub mod driver;
pub mod ecc;
pub mod inventory;
pub mod power;
pub mod recovery;
pub mod row_remap;
pub mod thermal;
