//! /dev/kmsg: one record per read; readers are woken at once.

use super::sink::{Item, Progress, Sink};
use super::{KernelRecord, klogctl};
use rustix::io::Errno;
use std::fs::OpenOptions;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use tokio::io::unix::AsyncFd;

/// More than the kernel's PRINTK_MESSAGE_MAX of any version; a smaller buffer would get EINVAL. [K]
const RECORD_MAX: usize = 16 * 1024;

/// After this many refusals in a row, the cause cannot be single oversized records.
const REFUSALS_MAX: u32 = 64;

#[derive(Debug)]
pub(super) struct Device {
    log: AsyncFd<OwnedFd>,
    buffer: Vec<u8>,
    /// The kernel reported that records were overwritten; the next record shows how many.
    overwritten: bool,
}

impl Device {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
        // A device without poll (such as /dev/null) is refused here, with EPERM of epoll_ctl.
        let log = klogctl::readable(file.into())?;
        Ok(Self { log, buffer: vec![0; RECORD_MAX], overwritten: false })
    }

    pub(super) fn read(&mut self, sink: &mut Sink<'_>) -> io::Result<Progress> {
        let mut refusals = 0;
        while !sink.is_full() {
            match rustix::io::read(self.log.get_ref(), &mut self.buffer) {
                Ok(0) => {
                    return Err(io::Error::new(
                        io::ErrorKind::UnexpectedEof,
                        "the device has an end, the kernel log has none",
                    ));
                }
                Ok(length) => {
                    refusals = 0;
                    if let Some(record) = self.buffer.get(..length).and_then(KernelRecord::from_kmsg) {
                        self.deliver(record, sink);
                    }
                }
                Err(Errno::AGAIN) => return Ok(Progress::Drained),
                Err(Errno::PIPE) => self.overwritten = true,
                // The kernel has moved past the record that did not fit; the limit is for a device that does not.
                Err(Errno::INVAL) if refusals < REFUSALS_MAX => refusals += 1,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Progress::More)
    }

    fn deliver(&mut self, record: KernelRecord, sink: &mut Sink<'_>) {
        let overwritten = std::mem::take(&mut self.overwritten);
        sink.items.extend(missed(record.seq, sink.resume.next_seq(), overwritten));
        sink.record(record);
    }

    pub(super) async fn wait(&self) -> io::Result<()> {
        self.log.readable().await?.clear_ready();
        Ok(())
    }
}

/// How many records were overwritten, also while the agent was down: the numbers have no gaps. None if there were none.
fn missed(seq: Option<u64>, expected: Option<u64>, overwritten: bool) -> Option<Item> {
    match (seq, expected) {
        (Some(seq), Some(expected)) => (seq > expected).then(|| Item::Overrun { lost: Some(seq - expected) }),
        _ => overwritten.then_some(Item::Overrun { lost: None }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_in_the_numbers_is_an_overrun_of_that_size() {
        assert_eq!(missed(Some(8), Some(8), true), None, "the kernel skipped what we had already");
        assert_eq!(missed(Some(3), Some(8), false), None, "older than the cursor");
        assert_eq!(
            missed(Some(12), Some(8), false),
            Some(Item::Overrun { lost: Some(4) }),
            "overwritten while the agent was away"
        );
        assert_eq!(missed(Some(12), None, true), Some(Item::Overrun { lost: None }));
        assert_eq!(
            missed(Some(12), None, false),
            None,
            "records overwritten before the first start are not counted as lost"
        );
    }
}
