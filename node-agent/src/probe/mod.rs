//! Probes: one measurement each, in a process of its own, started by the runner as `gpu-health-agent probe <check>`.
//!
//! A probe prints exactly one JSON document, a [`ProbeReport`], and exits 0 (but for the [sampler](driver), which
//! talks); it exits with another status only when it
//! could not even do that. Probes measure and never judge hardware: what could not be measured carries a reason, and the
//! reporter makes `Inconclusive` of it. In each probe reading an output (pure, `read`, `parse`) is apart from acting.
//!
//! A probe leads a process group. What it starts stays in that group, so that the runner's kill reaches all of it.

pub mod driver;
pub mod programs;
pub mod tools;
pub mod tree;

use std::io::Write;
use std::process::ExitCode;

use serde::Serialize;

use crate::complain::complain;
use crate::process::{sys, tool};
use crate::readings::{ProbeReport, REPORT_VERSION};

/// `gpu-health-agent probe <check>`
#[derive(Debug, Clone, clap::Subcommand)]
pub enum ProbeArgs {
    /// Holds the driver's library and answers, line by line, what is asked on stdin, until that is closed.
    Sampler(driver::SamplerArgs),
    /// PCI, links, RDMA ports and EFA, from sysfs and procfs alone.
    Tree(tree::TreeArgs),
    /// A program by name from the one directory of the user's own checks.
    Custom(programs::CustomArgs),
    /// The listening half of a bandwidth test.
    IperfServer(tools::iperf::ServerArgs),
    /// The sending half of a bandwidth test.
    IperfClient(tools::iperf::ClientArgs),
}

impl ProbeArgs {
    /// Measures, prints the report, and ends.
    pub fn run(self) -> ExitCode {
        sys::take_the_group_along_on_hangup();
        match self {
            Self::Sampler(args) => driver::run(&args),
            Self::Tree(args) => print("tree", tree::measure(&args)),
            Self::Custom(args) => tool::block_on(programs::run(args))
                .map_or_else(|error| failed(&error), |report| print("custom", report)),
            Self::IperfServer(args) => tool::block_on(tools::iperf::serve(&args))
                .map_or_else(|error| failed(&error), |report| print("iperf-server", report)),
            Self::IperfClient(args) => tool::block_on(tools::iperf::send(&args))
                .map_or_else(|error| failed(&error), |report| print("iperf-client", report)),
        }
    }
}

fn print(probe: &str, report: impl Serialize) -> ExitCode {
    let report = ProbeReport { probe: probe.to_owned(), version: REPORT_VERSION, report };
    let mut stdout = std::io::stdout().lock();
    let written = serde_json::to_writer(&mut stdout, &report)
        .map_err(std::io::Error::from)
        .and_then(|()| stdout.write_all(b"\n"))
        .and_then(|()| stdout.flush());
    written.map_or_else(|error| failed(&error), |()| ExitCode::SUCCESS)
}

fn failed(error: &std::io::Error) -> ExitCode {
    complain(error);
    ExitCode::FAILURE
}
