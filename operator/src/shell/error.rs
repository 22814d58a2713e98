//! What can fail at the edge of the operator.

use std::{net::SocketAddr, path::PathBuf};
use thiserror::Error;

/// Why the operator could not start or go on.
#[derive(Debug, Error)]
pub enum Error {
    /// Two flags exclude each other, or one needs another.
    #[error("{flags}: {remedy}")]
    Flags {
        /// The flags.
        flags: &'static str,
        /// What to do.
        remedy: &'static str,
    },
    /// A file that a flag names cannot be read.
    #[error("{flag} {path}: {problem}; give a file that exists and that this process may read")]
    File {
        /// The flag.
        flag: &'static str,
        /// The file.
        path: PathBuf,
        /// What went wrong.
        problem: String,
    },
    /// The value of a flag is not what it must be.
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
    /// No flag says how to reach the API server, and nothing else does.
    #[error(
        "no way to the API server: {0}; run in a pod with a ServiceAccount, set KUBECONFIG, or give --kubeconfig, or --server with --token-file"
    )]
    NoServer(#[source] Box<kube::config::InferConfigError>),
    /// The client cannot be made.
    #[error("making the client of the API server: {0}")]
    Client(#[source] Box<kube::Error>),
    /// The address of --http cannot be listened on.
    #[error("--http {address}: {source}; give an address that is free, or port 0")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// A handler for a signal cannot be set.
    #[error("waiting for signals: {0}")]
    Signals(#[source] std::io::Error),
    /// The runtime cannot be made.
    #[error("starting the runtime: {0}")]
    Runtime(#[source] std::io::Error),
    /// A metric is declared twice.
    #[error("declaring the metrics: {0}")]
    Metrics(#[from] prometheus::Error),
    /// A task that must run for ever has ended.
    #[error("{0} has ended, and must not")]
    Ended(&'static str),
}

impl Error {
    /// A bounded label.
    pub const fn category(&self) -> &'static str {
        match self {
            Self::Flags { .. } | Self::File { .. } | Self::Value { .. } | Self::NoServer(_) => "configuration",
            Self::Client(_) => "client",
            Self::Listen { .. } => "listen",
            Self::Signals(_) | Self::Runtime(_) => "system",
            Self::Metrics(_) => "metrics",
            Self::Ended(_) => "ended",
        }
    }
}
