//! The agent of gpu-health-operator: it measures one node and reports.

pub mod kernel_log;
pub mod pci;
pub mod probe;
pub mod runner;
pub mod xid;
