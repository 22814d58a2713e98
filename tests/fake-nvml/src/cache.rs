//! The state file, parsed once per version of it: a call costs a `stat`, not a parse.

use std::fs::{File, Metadata};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::state::Machine;

/// Names the state file.
const VARIABLE: &str = "SIMULATED_NVML_STATE";

static CACHED: Mutex<Option<Cached>> = Mutex::new(None);

struct Cached {
    path: PathBuf,
    version: Version,
    /// Kept open so that no later file gets this one's inode number while we compare by it.
    _file: File,
    machine: Result<Arc<Machine>, String>,
}

/// What differs between two files under one name, or two states of one file.
#[derive(PartialEq, Eq)]
struct Version {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Version {
    fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

/// Where the state file is.
pub(crate) fn path() -> Result<PathBuf, String> {
    Ok(std::env::var_os(VARIABLE).ok_or_else(|| format!("{VARIABLE} is not set"))?.into())
}

/// The machine as the state file describes it now, or why there is none.
pub(crate) fn machine() -> Result<Arc<Machine>, String> {
    let path = path()?;
    let metadata = std::fs::metadata(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let mut cached = CACHED.lock().unwrap_or_else(PoisonError::into_inner);
    match &*cached {
        Some(known) if known.path == path && known.version == Version::of(&metadata) => known.machine.clone(),
        _ => {
            let fresh = Cached::read(path)?;
            let machine = fresh.machine.clone();
            *cached = Some(fresh);
            machine
        }
    }
}

/// Lets the file go.
pub(crate) fn forget() {
    *CACHED.lock().unwrap_or_else(PoisonError::into_inner) = None;
}

impl Cached {
    fn read(path: PathBuf) -> Result<Self, String> {
        let failed = |error: std::io::Error| format!("{}: {error}", path.display());
        let mut file = File::open(&path).map_err(failed)?;
        // Taken before the content, so that a change in between is seen at the next call.
        let version = Version::of(&file.metadata().map_err(failed)?);
        let mut text = Vec::new();
        file.read_to_end(&mut text).map_err(failed)?;
        let machine = parse(&path, &text).map(Arc::new);
        Ok(Self { path, version, _file: file, machine })
    }
}

fn parse(path: &Path, text: &[u8]) -> Result<Machine, String> {
    Machine::parse(text).map_err(|error| format!("{}: {error}", path.display()))
}
