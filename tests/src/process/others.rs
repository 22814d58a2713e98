//! Processes that a child of a test has started, and what can be seen of them and done to them.

use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};
use rustix::io::Errno;
use rustix::pipe::{SpliceFlags, tee};
use rustix::process::{Pid, Signal, kill_process};
use std::fs::OpenOptions;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

/// The capacity of a pipe, unless it was changed (pipe(7)).
const PIPE_BYTES: usize = 64 * 1024;

/// A process and its descendants, itself first, its children in the order in which they were started.
pub fn family(pid: u32) -> Vec<u32> {
    let mut all = vec![pid];
    let mut at = 0;
    while let Some(pid) = all.get(at).copied() {
        let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
        for task in tasks {
            let children = std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
            all.extend(children.split_whitespace().filter_map(|child| child.parse::<u32>().ok()));
        }
        at += 1;
    }
    all
}

/// All processes of a family with this word on their command line.
pub fn members(family_of: u32, word: &str) -> Vec<u32> {
    let has_word = |pid: &u32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.split(|byte| *byte == 0).any(|known| known == word.as_bytes())
    };
    family(family_of).into_iter().filter(has_word).collect()
}

/// The first of [`members`].
pub fn member(family_of: u32, word: &str) -> Option<u32> {
    members(family_of, word).first().copied()
}

/// The unread content of the pipe behind this descriptor of a process. It stays in the pipe.
pub fn unread(pid: u32, descriptor: u32) -> io::Result<String> {
    let pipe = OpenOptions::new().read(true).open(format!("/proc/{pid}/fd/{descriptor}"))?;
    let (copied, copy) = rustix::pipe::pipe()?;
    match tee(&pipe, &copy, PIPE_BYTES, SpliceFlags::NONBLOCK) {
        Ok(_) | Err(Errno::AGAIN) => {}
        Err(error) => return Err(error.into()),
    }
    drop(copy);
    let mut bytes = Vec::new();
    std::fs::File::from(copied).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The files below `root` that a process has open.
pub fn open_below(pid: u32, root: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    entries.filter_map(|entry| std::fs::read_link(entry.path()).ok()).filter(|path| path.starts_with(root)).collect()
}

/// Makes a character device, readable and writable for its owner. Needs root; returns the kernel's error otherwise.
pub fn make_character_device(path: &Path, major: u32, minor: u32) -> io::Result<()> {
    Ok(mknodat(CWD, path, FileType::CharacterDevice, Mode::RUSR | Mode::WUSR, makedev(major, minor))?)
}

/// A process that is stopped (SIGSTOP) until this is dropped.
#[derive(Debug)]
pub struct Stopped(Pid);

impl Stopped {
    /// Stops it.
    pub fn stop(pid: u32) -> io::Result<Self> {
        let number = i32::try_from(pid).ok().and_then(Pid::from_raw);
        let pid = number.ok_or_else(|| io::Error::other(format!("{pid} is no process id")))?;
        kill_process(pid, Signal::STOP)?;
        Ok(Self(pid))
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        // A process that is gone needs no signal.
        let _ = kill_process(self.0, Signal::CONT);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    #[test]
    fn a_family_is_found_and_output_that_nobody_has_read_is_seen_and_stays() {
        let mut shell = Command::new("sh")
            .args(["-c", "echo hello; sleep 300 & wait"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("sh runs");
        let pid = shell.id();
        while unread(pid, 1).expect("it is a pipe").is_empty() || member(pid, "sleep").is_none() {
            std::thread::yield_now();
        }
        assert_eq!((unread(pid, 1).expect("it is a pipe").as_str(), family(pid).len()), ("hello\n", 2));
        assert_eq!((members(pid, "sleep").len(), member(pid, "no such word")), (1, None));
        let sleep = member(pid, "sleep").and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?)).expect("a child");
        kill_process(sleep, Signal::KILL).expect("it is ours");
        shell.wait().expect("it ends");
    }

    #[test]
    fn files_that_a_process_has_open_below_a_folder_are_found() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("open");
        let file = std::fs::File::create(&path).expect("a file");
        let own = std::process::id();
        assert_eq!(open_below(own, folder.path()), [path]);
        drop(file);
        assert_eq!(open_below(own, folder.path()), Vec::<PathBuf>::new());
    }
}
