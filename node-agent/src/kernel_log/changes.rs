//! Waits until a file changes or is replaced.

use super::klogctl;
use rustix::fd::OwnedFd;
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::io::Errno;
use std::io;
use std::path::Path;
use std::time::Duration;
use tokio::io::unix::AsyncFd;

/// Poll interval if inotify is refused (the number of instances per user is small).
const POLL: Duration = Duration::from_millis(50);

/// Some file systems do not report remote changes to inotify; checking once a second costs two system calls.
const DOUBT: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Watch {
    inotify: Option<AsyncFd<OwnedFd>>,
    /// The watch on the file being read.
    of_file: Option<i32>,
}

impl Watch {
    /// Watches the directory of `path` for files that appear. Falls back to polling without inotify.
    pub(super) fn begin(path: &Path) -> Self {
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
        let inotify = open(directory).ok();
        Self { inotify, of_file: None }
    }

    /// Watches the file that is at `path` now instead of the previous one.
    pub(super) fn follow(&mut self, path: &Path) {
        let Some(inotify) = &self.inotify else { return };
        let flags = WatchFlags::MODIFY | WatchFlags::ATTRIB | WatchFlags::MOVE_SELF;
        let watch = inotify::add_watch(inotify.get_ref(), path, flags).ok();
        if let Some(former) = self.of_file.filter(|former| Some(*former) != watch) {
            // Fails if the previous file is gone, and its watch with it.
            let _ = inotify::remove_watch(inotify.get_ref(), former);
        }
        self.of_file = watch;
    }

    pub(super) async fn wait(&self) -> io::Result<()> {
        let Some(inotify) = self.inotify.as_ref().filter(|_| self.of_file.is_some()) else {
            tokio::time::sleep(POLL).await;
            return Ok(());
        };
        match tokio::time::timeout(DOUBT, inotify.readable()).await {
            Err(_elapsed) => Ok(()),
            Ok(ready) => {
                ready?.clear_ready();
                discard_events(inotify.get_ref())
            }
        }
    }
}

fn open(directory: &Path) -> io::Result<AsyncFd<OwnedFd>> {
    let inotify = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
    inotify::add_watch(&inotify, directory, WatchFlags::CREATE | WatchFlags::MOVED_TO)?;
    klogctl::readable(inotify)
}

/// Events only wake the reader; the file itself says what changed.
fn discard_events(inotify: &OwnedFd) -> io::Result<()> {
    let mut buffer = [0_u8; 4096];
    loop {
        match rustix::io::read(inotify, &mut buffer) {
            Ok(0) | Err(Errno::AGAIN) => return Ok(()),
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
