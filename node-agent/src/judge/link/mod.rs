//! Judges of the links between the GPUs of a node.

pub mod fabric;
pub mod nvlink;
pub mod pcie_link;
pub mod topology;
