use std::path::{Path, PathBuf};
use std::time::Duration;

use super::binaries;
use crate::process;

/// What can go wrong with the control plane, or with a request to it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The programs were not found and could not be built.
    #[error(transparent)]
    Binaries(#[from] binaries::Error),
    /// One of its processes could not be started, watched or ended.
    #[error(transparent)]
    Process(#[from] process::Error),
    /// A file or folder could not be read or written.
    #[error("{act} {}: {source}", path.display())]
    File {
        /// What was tried.
        act: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// No free port was found, or no thread or runtime could be started.
    #[error("{act}: {source}")]
    System {
        /// What was tried.
        act: &'static str,
        /// Why.
        source: std::io::Error,
    },
    /// A process of the control plane has exited.
    #[error("{name} exited while we waited for {what}; its log {} ends with:\n{tail}", log.display())]
    Ended {
        /// The process.
        name: String,
        /// What was waited for.
        what: String,
        /// Its log file.
        log: PathBuf,
        /// The log's last lines.
        tail: String,
    },
    /// The state that was waited for did not come in time.
    #[error("waited {within:?} for {what}; last seen: {last}")]
    Overdue {
        /// What was waited for.
        what: String,
        /// How long.
        within: Duration,
        /// The last observation.
        last: String,
    },
    /// The API server refused or did not answer.
    #[error("{act}: {source}")]
    Api {
        /// What was asked, with its subject.
        act: String,
        /// Its answer.
        source: Box<kube::Error>,
    },
    /// kubectl could not be run, or ended with an error where none was allowed.
    #[error("kubectl {args}: {problem}")]
    Kubectl {
        /// Its arguments.
        args: String,
        /// Its stderr, or why it did not run.
        problem: String,
    },
    /// A manifest is not what the API server takes.
    #[error("{document}: {problem}")]
    Manifest {
        /// The file, or the number of the document.
        document: String,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// A random number or key could not be made.
    #[error("the system's random numbers are not available, so no {0} can be made")]
    Random(&'static str),
}

impl Error {
    pub(super) fn file(act: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { act, path, source }
    }

    pub(super) fn api(act: impl Into<String>) -> impl FnOnce(kube::Error) -> Self {
        let act = act.into();
        move |source| Self::Api { act, source: Box::new(source) }
    }
}
