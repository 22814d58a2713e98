//! Processes that a child of a test has started, and what can be seen of them and done to them.

use rustix::process::{Pid, Signal, kill_process};
use std::fs::OpenOptions;
use std::io;

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

/// The first of a family on whose command line this word stands.
pub fn member(family_of: u32, word: &str) -> Option<u32> {
    family(family_of).into_iter().find(|pid| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.split(|byte| *byte == 0).any(|known| known == word.as_bytes())
    })
}

/// How many bytes of a process's standard output, a pipe, nobody has read yet.
pub fn unread_output(pid: u32) -> u64 {
    let pipe = OpenOptions::new().read(true).open(format!("/proc/{pid}/fd/1"));
    pipe.and_then(|pipe| rustix::io::ioctl_fionread(&pipe).map_err(io::Error::from)).unwrap_or(0)
}

/// A process that stands still (SIGSTOP) until this is dropped.
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
        // One that is gone needs no more.
        let _ = kill_process(self.0, Signal::CONT);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    #[test]
    fn a_family_is_found_and_output_that_nobody_read_is_counted() {
        let mut shell = Command::new("sh")
            .args(["-c", "echo hello; sleep 300 & wait"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("sh runs");
        let pid = shell.id();
        while unread_output(pid) < 6 || member(pid, "sleep").is_none() {
            std::thread::yield_now();
        }
        assert_eq!((unread_output(pid), family(pid).len()), (6, 2));
        let sleep = member(pid, "sleep").and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?)).expect("a child");
        kill_process(sleep, Signal::KILL).expect("it is ours");
        shell.wait().expect("it ends");
    }
}
