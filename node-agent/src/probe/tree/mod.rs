//! `probe tree`: what sysfs and procfs tell without any driver library: PCI, NICs, RDMA ports, EFA, device topology.
//!
//! Reads only; never opens a device node and never calls a driver library, so that it goes on when the driver hangs.

pub mod report;

pub use report::TreeReport;
