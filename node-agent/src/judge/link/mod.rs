//! Judges of the links between the GPUs of a node.

pub(crate) mod domain;
pub mod fabric;
pub mod nvlink;
pub mod pcie_link;
pub mod topology;
