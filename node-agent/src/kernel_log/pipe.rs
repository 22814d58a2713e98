//! A FIFO with records of /dev/kmsg, one per line: as fast as the device, and a test can write to it.

use super::lines::Lines;
use super::sink::{Progress, Sink};
use super::{KernelRecord, klogctl};
use rustix::io::Errno;
use std::fs::OpenOptions;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use tokio::io::unix::AsyncFd;

const CHUNK: usize = 16 * 1024;

/// Reads per turn, so that a writer that never stops does not starve other tasks.
const READS_PER_TURN: usize = 16;

#[derive(Debug)]
pub(super) struct Pipe {
    end: AsyncFd<OwnedFd>,
    lines: Lines,
    buffer: Vec<u8>,
}

impl Pipe {
    /// Also opened for writing: otherwise a FIFO whose last writer has left would report end of file forever.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).custom_flags(libc::O_NONBLOCK).open(path)?;
        let end = klogctl::readable(file.into())?;
        Ok(Self { end, lines: Lines::default(), buffer: vec![0; CHUNK] })
    }

    pub(super) fn read(&mut self, sink: &mut Sink<'_>) -> io::Result<Progress> {
        for _ in 0..READS_PER_TURN {
            if sink.is_full() {
                break;
            }
            match rustix::io::read(self.end.get_ref(), &mut self.buffer) {
                Ok(0) | Err(Errno::AGAIN) => return Ok(Progress::Drained),
                Ok(length) => {
                    let bytes = self.buffer.get(..length).unwrap_or_default();
                    self.lines.push(bytes, |line| {
                        if let Some(record) = KernelRecord::from_line(line) {
                            sink.record(record);
                        }
                    });
                }
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Progress::More)
    }

    pub(super) async fn wait(&self) -> io::Result<()> {
        self.end.readable().await?.clear_ready();
        Ok(())
    }

    #[cfg(test)]
    pub(super) fn held_bytes(&self) -> usize {
        self.lines.held_bytes() + self.buffer.capacity()
    }
}
