//! What can keep the agent from running at all. Everything else is reported, not returned.

use std::path::PathBuf;

/// Why the agent ends, or cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// A command line that cannot be meant.
    #[error("{flag}: {problem}; {remedy}")]
    Argument {
        /// The flag.
        flag: &'static str,
        /// What is wrong with its value.
        problem: String,
        /// What to write instead.
        remedy: &'static str,
    },
    /// The kubeconfig, the files that stand for one, or the in-cluster files cannot be read.
    #[error(
        "no access to the API server: {what}; name --kubeconfig FILE, or --server, --certificate-authority and --token-file, or run in a pod"
    )]
    Access {
        /// What was tried, and how it failed.
        what: String,
    },
    /// A client cannot be made of them.
    #[error("cannot make a client of the API server")]
    Client(#[source] Box<kube::Error>),
    /// The boot of the node.
    #[error(transparent)]
    Boot(#[from] crate::kernel_log::KernelLogError),
    /// The asynchronous runtime or signals.
    #[error("cannot set up the process")]
    SetUp(#[source] std::io::Error),
    /// The own binary, which is also the runner.
    #[error("cannot find the own program file to start the runner; name --runner-socket")]
    OwnBinary(#[source] std::io::Error),
    /// The address of the metrics is taken or not ours.
    #[error("cannot listen on {address}; name a free address with --http, or port 0")]
    Listen {
        /// What `--http` said.
        address: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The addresses of the host's interfaces.
    #[error("cannot read the addresses of this host; name one with --address")]
    Addresses(#[source] std::io::Error),
    /// A file that the command line names.
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

impl AgentError {
    /// A bounded label for logs and metrics.
    pub const fn category(&self) -> &'static str {
        match self {
            Self::Argument { .. } => "argument",
            Self::Access { .. } => "access",
            Self::Client(_) => "client",
            Self::Boot(_) => "boot",
            Self::SetUp(_) => "set_up",
            Self::OwnBinary(_) => "own_binary",
            Self::Listen { .. } => "listen",
            Self::Addresses(_) => "addresses",
            Self::File { .. } => "file",
        }
    }
}
