//! Why the operator can fail to start or to go on.

use std::{net::SocketAddr, path::PathBuf};
use thiserror::Error;

/// Why the operator cannot start or go on.
#[derive(Debug, Error)]
pub enum Error {
    /// A file that a flag names cannot be read.
    #[error("{flag} {path}: {problem}; give a file that exists and is readable for this process")]
    File {
        /// The flag.
        flag: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        problem: String,
    },
    /// The value of a flag is invalid.
    #[error("{flag} {value:?}: {problem}; {remedy}")]
    Value {
        /// The flag.
        flag: &'static str,
        /// The value.
        value: String,
        /// What is wrong.
        problem: String,
        /// What to give instead.
        remedy: &'static str,
    },
    /// Neither a flag nor the environment says how to reach the API server.
    #[error(
        "cannot tell how to reach the API server: {0}; run in a pod with a ServiceAccount, set KUBECONFIG, or give --kubeconfig, or --server with --token-file"
    )]
    NoServer(#[source] Box<kube::config::InferConfigError>),
    /// The client cannot be created.
    #[error("creating the client for the API server: {0}")]
    Client(#[source] Box<kube::Error>),
    /// Listening on the address of --http failed.
    #[error("--http {address}: {source}; give a free address, or port 0")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// A signal handler cannot be installed.
    #[error("installing signal handlers: {0}")]
    Signals(#[source] std::io::Error),
    /// The async runtime cannot be started.
    #[error("starting the runtime: {0}")]
    Runtime(#[source] std::io::Error),
    /// A metric cannot be registered.
    #[error("registering the metrics: {0}")]
    Metrics(#[from] prometheus::Error),
    /// A task that must not end has ended.
    #[error("{0} has stopped unexpectedly")]
    Ended(&'static str),
}
