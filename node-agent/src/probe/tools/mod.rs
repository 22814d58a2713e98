//! Probes that run a tool and read its output.

pub mod iperf;
