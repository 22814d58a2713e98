//! Scenarios from `kubectl apply` to taint on a real API server, and the control plane that they run on.
//!
//! # How data flows through it
//!
//! ```text
//! cluster::binaries (found or built) ─▶ process::Child ─▶ cluster::ControlPlane ─▶ kube::Client, kubectl, tokens
//! ```
//!
//! Tests, demo and benchmarks start the same [`cluster::ControlPlane`]: real etcd and kube-apiserver, and where asked
//! kube-controller-manager, kube-scheduler and kwok, all on loopback, all state in one temporary folder.
//!
//! # What must stay true
//!
//! - A process that we start never outlives its owner, also when that one is killed with SIGKILL ([`process`]).
//! - Nothing listens on any address but 127.0.0.1, and nothing is downloaded but by the ordinary `go build`.
//! - Hardware may be faked here; the semantics of Kubernetes never are.

#[cfg(not(target_os = "linux"))]
compile_error!(
    "the test cluster ties its processes to their owner by means that only Linux has. \
     Run this in a Linux machine or container, or use `cargo build -p crds -p operator` for what does not need it."
);

pub mod cluster;
pub mod process;
pub mod product;
