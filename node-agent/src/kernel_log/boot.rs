//! The identity of the current boot. Every counter, cursor and latched finding is tied to it.

use super::KernelLogError;
use std::path::{Path, PathBuf};

/// The id of this boot, from `<proc_root>/sys/kernel/random/boot_id`.
pub fn boot_id(proc_root: &Path) -> Result<String, KernelLogError> {
    let path = proc_root.join("sys/kernel/random/boot_id");
    let text = read(&path)?;
    let id = text.trim();
    // A UUID has 36 characters; a tree made for a test may have another word, but never an empty or endless one.
    if id.is_empty() || id.len() > 64 || !id.chars().all(|c| c.is_ascii_graphic()) {
        return Err(KernelLogError::Boot { path, reason: "it holds no boot id (1 to 64 printable characters)".into() });
    }
    Ok(id.to_owned())
}

/// When this boot began, by the node's own clock, in whole seconds: `btime` of `<proc_root>/stat`.
pub fn booted_at(proc_root: &Path) -> Result<jiff::Timestamp, KernelLogError> {
    let path = proc_root.join("stat");
    let text = read(&path)?;
    text.lines()
        .find_map(|line| line.strip_prefix("btime "))
        .and_then(|seconds| seconds.trim().parse().ok())
        .and_then(|seconds| jiff::Timestamp::from_second(seconds).ok())
        .ok_or_else(|| KernelLogError::Boot { path, reason: "it has no line `btime SECONDS`".into() })
}

fn read(path: &PathBuf) -> Result<String, KernelLogError> {
    std::fs::read_to_string(path)
        .map_err(|error| KernelLogError::Boot { path: path.clone(), reason: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_boot_is_read_from_the_given_proc_root() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("sys/kernel/random")).unwrap();
        std::fs::write(root.path().join("sys/kernel/random/boot_id"), "boot-2\n").unwrap();
        std::fs::write(root.path().join("stat"), "cpu  1 2 3\nbtime 1700000000\nprocesses 5\n").unwrap();
        assert_eq!(boot_id(root.path()).unwrap(), "boot-2");
        assert_eq!(booted_at(root.path()).unwrap().as_second(), 1_700_000_000);
    }

    #[test]
    fn a_tree_without_a_boot_is_refused_by_the_name_of_the_file() {
        let root = tempfile::tempdir().unwrap();
        let message = boot_id(root.path()).unwrap_err().to_string();
        assert!(message.contains("sys/kernel/random/boot_id cannot be read"), "{message}");
        std::fs::write(root.path().join("stat"), "cpu 1\n").unwrap();
        let message = booted_at(root.path()).unwrap_err().to_string();
        assert!(message.contains("no line `btime SECONDS`"), "{message}");
    }

    #[test]
    fn the_real_machine_has_both() {
        assert_eq!(boot_id(Path::new("/proc")).unwrap().len(), 36);
        assert!(booted_at(Path::new("/proc")).unwrap().as_second() > 0);
    }
}
