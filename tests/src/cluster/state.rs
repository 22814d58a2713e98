//! The folder that holds everything of one control plane, and the sweep of those whose owner is gone.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::Error;
use crate::process::Identity;

const PREFIX: &str = "gpu-health-cluster-";
/// Names the process that owns the folder.
const OWNER: &str = "owner.json";
/// Tells the sweep that somebody may want to read the logs.
const KEPT: &str = "kept";
/// Logs of failures are kept for this long.
const KEEP_FOR: Duration = Duration::from_secs(24 * 3600);
/// A folder without a named owner that is younger than this may just be in the making.
const IN_THE_MAKING: Duration = Duration::from_secs(60);

/// A temporary folder, removed when dropped unless [`StateFolder::keep_logs`] was called.
#[derive(Debug)]
pub(super) struct StateFolder {
    path: PathBuf,
}

impl StateFolder {
    /// Makes a new one, readable by this user only, and removes those that dead processes left.
    pub(super) fn create() -> Result<Self, Error> {
        let parent = std::env::temp_dir();
        sweep(&parent);
        let folder = tempfile::Builder::new().prefix(PREFIX).tempdir_in(&parent);
        let path = folder.map_err(Error::file("make a folder in", &parent))?.keep();
        let state = Self { path };
        let owner = serde_json::to_vec(&Identity::own()).unwrap_or_default();
        let file = state.path.join(OWNER);
        std::fs::write(&file, owner).map_err(Error::file("write", &file))?;
        for folder in ["logs", "etcd", "certs", "home"] {
            let folder = state.path.join(folder);
            std::fs::create_dir(&folder).map_err(Error::file("make", &folder))?;
        }
        Ok(state)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn logs(&self) -> PathBuf {
        self.path.join("logs")
    }

    /// Keeps the logs when the folder is dropped or swept, for a day.
    pub(super) fn keep_logs(&self) {
        let _ = std::fs::write(self.path.join(KEPT), []);
    }

    pub(super) fn logs_are_kept(&self) -> bool {
        self.path.join(KEPT).exists()
    }
}

impl Drop for StateFolder {
    fn drop(&mut self) {
        remove(&self.path);
    }
}

/// Removes the folder, or all but the logs where they are to be kept.
fn remove(folder: &Path) {
    if folder.join(KEPT).exists() {
        for part in ["etcd", "certs", "home"] {
            let _ = std::fs::remove_dir_all(folder.join(part));
        }
    } else {
        let _ = std::fs::remove_dir_all(folder);
    }
}

/// Removes the folders in `parent` whose owner is gone. Statics are never dropped, so the folder of a control plane that a
/// test binary shares is always left for the next start.
fn sweep(parent: &Path) {
    let Ok(entries) = std::fs::read_dir(parent) else {
        return;
    };
    for folder in entries.flatten().filter(|entry| entry.file_name().to_string_lossy().starts_with(PREFIX)) {
        let (folder, age) = (folder.path(), age(&folder));
        let owner = std::fs::read(folder.join(OWNER)).ok();
        let owner: Option<Identity> = owner.and_then(|text| serde_json::from_slice(&text).ok());
        let in_use = owner.map_or(age < IN_THE_MAKING, Identity::is_alive);
        if in_use {
            continue;
        }
        if folder.join(KEPT).exists() && age > KEEP_FOR {
            let _ = std::fs::remove_dir_all(&folder);
        } else {
            remove(&folder);
        }
    }
}

fn age(entry: &std::fs::DirEntry) -> Duration {
    let modified = entry.metadata().and_then(|metadata| metadata.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
    modified.elapsed().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{Identity, KEPT, OWNER, PREFIX, sweep};

    #[test]
    fn only_folders_of_dead_owners_are_swept_and_kept_logs_stay() {
        let parent = tempfile::tempdir().unwrap();
        let dead = Identity { started: 1, ..Identity::own().unwrap() };
        let folder = |name: &str, owner: Option<Identity>| {
            let path = parent.path().join(format!("{PREFIX}{name}"));
            std::fs::create_dir_all(path.join("etcd")).unwrap();
            std::fs::create_dir_all(path.join("logs")).unwrap();
            if let Some(owner) = owner {
                std::fs::write(path.join(OWNER), serde_json::to_vec(&owner).unwrap()).unwrap();
            }
            path
        };
        let (ours, left) = (folder("ours", Identity::own()), folder("left", Some(dead)));
        let (failed, new) = (folder("failed", Some(dead)), folder("new", None));
        let foreign = parent.path().join("something-else");
        std::fs::create_dir(&foreign).unwrap();
        std::fs::write(failed.join(KEPT), []).unwrap();

        sweep(parent.path());

        assert!(ours.join("etcd").exists() && new.exists() && foreign.exists());
        assert!(!left.exists());
        assert!(failed.join("logs").exists() && !failed.join("etcd").exists());
    }
}
