//! What can keep the agent from running at all. Everything else is reported, not returned.

use std::path::PathBuf;

/// Why the agent ends or cannot start.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// An invalid command line.
    #[error("{flag}: {problem}; {remedy}")]
    Argument {
        /// The flag.
        flag: &'static str,
        /// What is wrong with its value.
        problem: String,
        /// What to write instead.
        remedy: &'static str,
    },
    /// The kubeconfig, the files given instead of one, or the in-cluster files cannot be read.
    #[error(
        "no access to the API server: {what}; name --kubeconfig FILE, or --server, --certificate-authority and --token-file, or run in a pod"
    )]
    Access {
        /// What was tried and how it failed.
        what: String,
    },
    /// No client can be built from them.
    #[error("cannot build a client for the API server")]
    Client(#[source] Box<kube::Error>),
    /// The boot of the node cannot be identified.
    #[error(transparent)]
    Boot(Box<dyn std::error::Error + Send + Sync>),
    /// The asynchronous runtime or signals.
    #[error("cannot set up the process")]
    SetUp(#[source] std::io::Error),
    /// The path of this program, which is also the runner.
    #[error("cannot find this program's own file to start the runner; use --runner-socket")]
    OwnBinary(#[source] std::io::Error),
    /// The address of the metrics endpoint is in use or not local.
    #[error("cannot listen on {address}; give a free address with --http, or port 0")]
    Listen {
        /// What `--http` said.
        address: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The addresses of the host's interfaces.
    #[error("cannot read the addresses of this host; give one with --address")]
    Addresses(#[source] std::io::Error),
    /// A file named on the command line.
    #[error("cannot read {path}; {remedy}")]
    File {
        /// The file.
        path: PathBuf,
        /// What to do.
        remedy: &'static str,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
}
