//! The product's own processes, started as they run in production: real binaries, real bound tokens, RBAC and admission
//! in force. Only the hardware under an agent is simulated ([`SimulatedNode`]).

mod agent;
mod history;
mod node;
mod operator;
pub mod scene;
pub mod seen;

use crate::{cluster, process};
pub use agent::{Agent, AgentOptions};
pub use history::History;
pub use node::{RdmaKind, SimulatedNode};
pub use operator::Operator;
pub use scene::Scene;
use std::path::{Path, PathBuf};

/// What can go wrong with the product's processes.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The control plane refused something.
    #[error(transparent)]
    Cluster(#[from] cluster::Error),
    /// A process could not be started or ended.
    #[error(transparent)]
    Process(#[from] process::Error),
    /// A file of the simulated hardware could not be written.
    #[error("write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A binary of the product has not been built.
    #[error("{} has not been built: run `cargo build --workspace` first", path.display())]
    NotBuilt {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// A process did not say where it listens.
    #[error("{name} did not say where it listens; its log is {}", log.display())]
    NoAddress {
        /// Name of the process.
        name: String,
        /// Its log.
        log: PathBuf,
    },
}

/// The folder of the binaries of this build (`target/debug` or `target/release`).
pub fn binary_folder() -> PathBuf {
    let own = std::env::current_exe().unwrap_or_default();
    let folder = own.parent().unwrap_or_else(|| Path::new("."));
    if folder.ends_with("deps") { folder.parent().unwrap_or(folder).to_owned() } else { folder.to_owned() }
}

/// The path of a binary or library of the product in `folder`, if it has been built.
pub fn built(folder: &Path, name: &str) -> Result<PathBuf, Error> {
    let path = folder.join(name);
    if path.is_file() { Ok(path) } else { Err(Error::NotBuilt { path }) }
}

fn write(path: &Path, content: impl AsRef<[u8]>) -> Result<(), Error> {
    let failed = |source| Error::Write { path: path.to_owned(), source };
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    std::fs::write(path, content).map_err(failed)
}
