//! Control groups for processes that a test has started.
//!
//! Frozen processes survive even SIGKILL, which is what a call into a hung driver looks like from outside (`D (disk sleep)`
//! in /proc/PID/status).

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A group of the v1 freezer. Dropping it thaws and removes it.
#[derive(Debug)]
pub struct Freezer {
    folder: PathBuf,
}

impl Freezer {
    /// Makes a group; `None` if there is no v1 freezer or we lack the permission.
    pub fn make(name: &str) -> Option<Self> {
        let root = Path::new("/sys/fs/cgroup/freezer");
        if !root.join("tasks").exists() {
            return None;
        }
        let folder = root.join(format!("{name}-{}", std::process::id()));
        std::fs::create_dir(&folder).ok()?;
        Some(Self { folder })
    }

    /// Moves a process into it.
    pub fn take(&self, pid: u32) -> io::Result<()> {
        std::fs::write(self.folder.join("cgroup.procs"), pid.to_string())
    }

    /// Freezes its processes; returns once they are frozen.
    pub fn freeze(&self) -> io::Result<()> {
        self.set("FROZEN")
    }

    /// Thaws them.
    pub fn thaw(&self) -> io::Result<()> {
        self.set("THAWED")
    }

    fn set(&self, state: &str) -> io::Result<()> {
        let file = self.folder.join("freezer.state");
        std::fs::write(&file, state)?;
        // FREEZING lasts until the last thread has left the kernel; writing again hurries it (cgroup v1, freezer).
        for _ in 0..1_000 {
            if std::fs::read_to_string(&file)?.trim() == state {
                return Ok(());
            }
            std::fs::write(&file, state)?;
            std::thread::yield_now();
        }
        Err(io::Error::other(format!("{} does not become {state}", file.display())))
    }
}

impl Drop for Freezer {
    fn drop(&mut self) {
        // No process may stay frozen for ever.
        let _ = self.thaw();
        let root = Path::new("/sys/fs/cgroup/freezer/cgroup.procs");
        remove(&self.folder, root);
    }
}

/// Moves the processes of a group to the root group and removes the group. A dying process stays in it until it is dead.
fn remove(folder: &Path, root: &Path) {
    let begin = Instant::now();
    while begin.elapsed() < REMOVED_WITHIN {
        for pid in std::fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default().lines() {
            let _ = std::fs::write(root, pid);
        }
        match std::fs::remove_dir(folder) {
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy => std::thread::yield_now(),
            _ => return,
        }
    }
    eprintln!("warning: {} is left behind", folder.display());
}

/// A process dies within milliseconds once it is thawed.
const REMOVED_WITHIN: Duration = Duration::from_secs(5);

/// A group of the v1 devices controller that may open no NVIDIA device (character devices with major number 195), like a
/// container that lost its devices. Dropping it moves its processes to the root group and removes it.
#[derive(Debug)]
pub struct WithoutGpus {
    folder: PathBuf,
}

impl WithoutGpus {
    /// Makes a group; `None` if there is no v1 devices controller or we lack the permission.
    pub fn make(name: &str) -> Option<Self> {
        let root = Path::new("/sys/fs/cgroup/devices");
        if !root.join("tasks").exists() {
            return None;
        }
        let folder = root.join(format!("{name}-{}", std::process::id()));
        std::fs::create_dir(&folder).ok()?;
        let group = Self { folder };
        std::fs::write(group.folder.join("devices.deny"), "c 195:* rwm").ok()?;
        Some(group)
    }

    /// Moves a process into it.
    pub fn take(&self, pid: u32) -> io::Result<()> {
        std::fs::write(self.folder.join("cgroup.procs"), pid.to_string())
    }
}

impl Drop for WithoutGpus {
    fn drop(&mut self) {
        let root = Path::new("/sys/fs/cgroup/devices/cgroup.procs");
        remove(&self.folder, root);
    }
}

/// A group of cgroup v1 or v2 that counts the memory of its processes. Dropping it moves its processes to the root group
/// and removes it.
#[derive(Debug)]
pub struct Memory {
    folder: PathBuf,
    root: PathBuf,
    usage: &'static str,
}

impl Memory {
    /// Makes a group; an error if there is no memory controller or we lack the permission.
    pub fn make(name: &str) -> io::Result<Self> {
        let (root, usage) = if Path::new("/sys/fs/cgroup/cgroup.controllers").exists() {
            ("/sys/fs/cgroup", "memory.current")
        } else {
            ("/sys/fs/cgroup/memory", "memory.usage_in_bytes")
        };
        let root = PathBuf::from(root);
        if !root.join("cgroup.procs").exists() {
            return Err(io::Error::other(format!("no memory controller is mounted at {}", root.display())));
        }
        let folder = root.join(format!("{name}-{}", std::process::id()));
        std::fs::create_dir(&folder).map_err(|error| io::Error::other(format!("{}: {error}", folder.display())))?;
        let group = Self { folder, root, usage };
        // In v2 the root may have the controller without enabling it for its children.
        group.bytes()?;
        std::fs::OpenOptions::new().write(true).open(group.procs())?;
        Ok(group)
    }

    /// The file to which the id of a process is written to move the process into the group.
    pub fn procs(&self) -> PathBuf {
        self.folder.join("cgroup.procs")
    }

    /// What its processes are charged for: their own pages, each once, the page cache that they filled, and kernel memory.
    pub fn bytes(&self) -> io::Result<u64> {
        let file = self.folder.join(self.usage);
        let text =
            std::fs::read_to_string(&file).map_err(|error| io::Error::other(format!("{}: {error}", file.display())))?;
        text.trim().parse().map_err(io::Error::other)
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        remove(&self.folder, &self.root.join("cgroup.procs"));
    }
}
