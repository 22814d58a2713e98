//! The one type that yields records, whatever they come from.

use super::KernelRecord;
use super::device::Device;
use super::error::{Attempt, KernelLogError};
use super::file::GrowingFile;
use super::pipe::Pipe;
use super::resume::{Cursor, Resume};
use super::syslog::SyslogPoll;
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

/// A batch is handed over once it has this many items; it exceeds it by what one read held at most.
const BATCH_FULL: usize = 256;

/// Where the kernel's device lies.
const KMSG: &str = "/dev/kmsg";

/// Where to read the kernel's log from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KernelLogChoice {
    /// /dev/kmsg, else `syslog(2)`.
    Auto,
    /// This path and nothing else: a device such as /dev/kmsg, a file that grows, or a FIFO, with the device's records.
    Path(PathBuf),
}

/// What a source yields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// A record, of any facility: see [`KernelRecord::is_kernel`].
    Record(KernelRecord),
    /// Records were overwritten before they could be read; how many, where that can be known.
    Overrun {
        /// The number of records.
        lost: Option<u64>,
    },
    /// The file was replaced or truncated; what follows is from the beginning of the new one.
    Rotated,
}

/// What arrived since the last batch; never empty.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Batch {
    /// The items, in the order of the log.
    pub items: Vec<Item>,
}

/// An open kernel log.
#[derive(Debug)]
pub struct Source {
    reader: Reader,
    resume: Resume,
    name: String,
    /// Others get their turn before the next read.
    give_way: bool,
}

#[derive(Debug)]
enum Reader {
    Device(Device),
    File(GrowingFile),
    Pipe(Pipe),
    Syslog(SyslogPoll),
}

/// Whether a reader has read all that there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// There may be more.
    More,
    /// Nothing is left; wait.
    Drained,
}

/// Collects what a reader finds and drops what was delivered before.
#[derive(Debug)]
pub(super) struct Sink<'a> {
    pub(super) items: Vec<Item>,
    pub(super) resume: &'a mut Resume,
}

impl Sink<'_> {
    pub(super) fn record(&mut self, record: KernelRecord) {
        if self.resume.is_new(&record) {
            self.items.push(Item::Record(record));
        }
    }

    pub(super) fn overrun(&mut self, lost: Option<u64>) {
        self.items.push(Item::Overrun { lost });
    }

    pub(super) fn rotated(&mut self) {
        self.resume.begin_anew();
        self.items.push(Item::Rotated);
    }

    pub(super) const fn is_full(&self) -> bool {
        self.items.len() >= BATCH_FULL
    }
}

impl Source {
    /// Opens the kernel's log of the boot `boot_id`, to go on after `cursor` if that is of the same boot, else at the
    /// oldest record that is left. Call it within a tokio runtime that has I/O and time enabled.
    pub fn open(choice: &KernelLogChoice, boot_id: String, cursor: Option<&Cursor>) -> Result<Self, KernelLogError> {
        let (reader, name) = match choice {
            KernelLogChoice::Path(path) => open_path(path)?,
            KernelLogChoice::Auto => open_auto(Path::new(KMSG))?,
        };
        Ok(Self { reader, resume: Resume::new(boot_id, cursor), name, give_way: false })
    }

    /// What is read: `kmsg:/dev/kmsg`, `file:<path>`, `fifo:<path>` or `syslog`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The place of the last record delivered, to be kept with the report; before the first one the place given to
    /// [`Source::open`], if that was of this boot.
    pub fn cursor(&self) -> Option<Cursor> {
        self.resume.cursor()
    }

    /// Waits for what is new. Safe to cancel: nothing is taken from the source before a batch is handed over.
    pub async fn next(&mut self) -> Result<Batch, KernelLogError> {
        loop {
            if std::mem::take(&mut self.give_way) {
                tokio::task::yield_now().await;
            }
            let (items, progress) = self.read().map_err(|source| self.failed(source))?;
            self.give_way = !items.is_empty() || progress == Progress::More;
            if !items.is_empty() {
                return Ok(Batch { items });
            }
            if progress == Progress::Drained {
                self.wait().await.map_err(|source| self.failed(source))?;
            }
        }
    }

    /// What can be read without waiting; `None` once that is all.
    pub fn available(&mut self) -> Result<Option<Batch>, KernelLogError> {
        loop {
            let (items, progress) = self.read().map_err(|source| self.failed(source))?;
            if !items.is_empty() {
                return Ok(Some(Batch { items }));
            }
            if progress == Progress::Drained {
                return Ok(None);
            }
        }
    }

    fn read(&mut self) -> io::Result<(Vec<Item>, Progress)> {
        let mut sink = Sink { items: Vec::new(), resume: &mut self.resume };
        let progress = match &mut self.reader {
            Reader::Device(device) => device.read(&mut sink),
            Reader::File(file) => file.read(&mut sink),
            Reader::Pipe(pipe) => pipe.read(&mut sink),
            Reader::Syslog(poll) => poll.read(&mut sink),
        };
        // What was read before a failure is delivered; the failure comes again with the next read.
        match progress {
            Err(error) if sink.items.is_empty() => Err(error),
            Err(_) => Ok((sink.items, Progress::More)),
            Ok(progress) => Ok((sink.items, progress)),
        }
    }

    async fn wait(&mut self) -> io::Result<()> {
        match &mut self.reader {
            Reader::Device(device) => device.wait().await,
            Reader::File(file) => file.wait().await,
            Reader::Pipe(pipe) => pipe.wait().await,
            Reader::Syslog(poll) => {
                poll.wait().await;
                Ok(())
            }
        }
    }

    fn failed(&self, source: io::Error) -> KernelLogError {
        KernelLogError::Read { name: self.name.clone(), source }
    }

    #[cfg(test)]
    pub(super) fn held_bytes(&self) -> usize {
        match &self.reader {
            Reader::File(file) => file.held_bytes(),
            Reader::Pipe(pipe) => pipe.held_bytes(),
            Reader::Device(_) | Reader::Syslog(_) => 0,
        }
    }
}

fn open_path(path: &Path) -> Result<(Reader, String), KernelLogError> {
    let failed = |source| KernelLogError::Open { path: path.to_owned(), source };
    let metadata = std::fs::metadata(path).map_err(failed)?;
    let shown = path.display();
    if let Some(kind) = unfit(&metadata) {
        return Err(KernelLogError::NotALog { path: path.to_owned(), kind });
    }
    if metadata.file_type().is_char_device() {
        let device = Device::open(path).map_err(failed)?;
        return Ok((Reader::Device(device), format!("kmsg:{shown}")));
    }
    if metadata.file_type().is_fifo() {
        return Ok((Reader::Pipe(Pipe::open(path).map_err(failed)?), format!("fifo:{shown}")));
    }
    Ok((Reader::File(GrowingFile::open(path).map_err(failed)?), format!("file:{shown}")))
}

fn unfit(metadata: &Metadata) -> Option<&'static str> {
    let kind = metadata.file_type();
    if kind.is_dir() {
        Some("a directory")
    } else if kind.is_socket() {
        Some("a socket")
    } else if kind.is_block_device() {
        Some("a block device")
    } else {
        None
    }
}

/// The device if it can be opened, else the system call, else an error that names both. `kmsg` is where the device lies.
fn open_auto(kmsg: &Path) -> Result<(Reader, String), KernelLogError> {
    let device = match Device::open(kmsg) {
        Ok(device) => return Ok((Reader::Device(device), format!("kmsg:{}", kmsg.display()))),
        Err(error) => Attempt { way: kmsg.display().to_string(), error },
    };
    match SyslogPoll::open() {
        Ok(poll) => Ok((Reader::Syslog(poll), "syslog".to_owned())),
        Err(error) => {
            Err(KernelLogError::Unreadable { tried: vec![device, Attempt { way: "syslog(2)".to_owned(), error }] })
        }
    }
}

#[cfg(test)]
impl Source {
    /// As [`KernelLogChoice::Auto`] on a machine whose device lies at `kmsg`.
    pub(super) fn open_with_device_at(kmsg: &Path, boot_id: String) -> Result<Self, KernelLogError> {
        let (reader, name) = open_auto(kmsg)?;
        Ok(Self { reader, resume: Resume::new(boot_id, None), name, give_way: false })
    }
}
