//! Judges of the network devices.

pub mod efa;
pub mod rdma_link;
