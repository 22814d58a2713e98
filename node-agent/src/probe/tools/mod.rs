//! Probes that run a tool and read its output.

pub mod always;
pub mod iperf;
