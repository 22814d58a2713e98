//! The one type that yields records, from any source.

use super::device::Device;
use super::failure::{Attempt, KernelLogError};
use super::file::GrowingFile;
use super::pipe::Pipe;
use super::resume::{Cursor, Resume};
use super::sink::{Item, Progress, Sink};
use super::syslog::SyslogPoll;
use super::told::Boundaries;
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

/// The kernel log device.
const KMSG: &str = "/dev/kmsg";

/// Where to read the kernel log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KernelLogChoice {
    /// /dev/kmsg, or `syslog(2)` if it cannot be opened.
    Auto,
    /// Only this path: a device such as /dev/kmsg, a growing file or a FIFO, with records in the device's format.
    Path(PathBuf),
}

/// The items since the last batch; never empty.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Batch {
    /// In the order of the log.
    pub items: Vec<Item>,
}

/// An open kernel log.
#[derive(Debug)]
pub struct Source {
    reader: Reader,
    resume: Resume,
    boundaries: Boundaries,
    name: String,
    /// Yield to other tasks before the next read.
    give_way: bool,
}

#[derive(Debug)]
enum Reader {
    Device(Device),
    File(GrowingFile),
    Pipe(Pipe),
    Syslog(SyslogPoll),
}

impl Source {
    /// Opens the kernel log of the boot `boot_id`. Reading resumes after `cursor` if that is from the same boot, else it
    /// starts at the oldest record available. Must be called within a tokio runtime with I/O and time enabled.
    pub fn open(choice: &KernelLogChoice, boot_id: String, cursor: Option<&Cursor>) -> Result<Self, KernelLogError> {
        let (reader, name) = match choice {
            KernelLogChoice::Path(path) => open_path(path)?,
            KernelLogChoice::Auto => open_auto(Path::new(KMSG))?,
        };
        let resume = Resume::new(boot_id, cursor);
        Ok(Self { reader, resume, boundaries: Boundaries::default(), name, give_way: false })
    }

    /// The source: `kmsg:/dev/kmsg`, `file:<path>`, `fifo:<path>` or `syslog`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether the records carry times of this boot. A file may have been written by anyone, at any time.
    pub const fn has_times_of_this_boot(&self) -> bool {
        match self.reader {
            Reader::Device(_) | Reader::Syslog(_) => true,
            Reader::File(_) | Reader::Pipe(_) => false,
        }
    }

    /// The position of the last record delivered, to be stored with the report. Before the first record it is the cursor
    /// given to [`Source::open`], if that was from this boot.
    pub fn cursor(&self) -> Option<Cursor> {
        self.resume.cursor()
    }

    /// Waits for the next batch. Cancel safe: nothing is taken from the source until a batch is returned.
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

    /// The next batch that can be read without waiting; `None` if there is none.
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
        let mut sink = Sink { items: Vec::new(), resume: &mut self.resume, boundaries: &mut self.boundaries };
        let progress = match &mut self.reader {
            Reader::Device(device) => device.read(&mut sink),
            Reader::File(file) => file.read(&mut sink),
            Reader::Pipe(pipe) => pipe.read(&mut sink),
            Reader::Syslog(poll) => poll.read(&mut sink),
        };
        // Records read before a failure are delivered first; the next read fails again.
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

/// The device `kmsg` if it can be opened, else `syslog(2)`, else an error that names both.
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
    /// [`KernelLogChoice::Auto`] on a machine whose device is at `kmsg`.
    pub(super) fn open_with_device_at(kmsg: &Path, boot_id: String) -> Result<Self, KernelLogError> {
        let (reader, name) = open_auto(kmsg)?;
        let resume = Resume::new(boot_id, None);
        Ok(Self { reader, resume, boundaries: Boundaries::default(), name, give_way: false })
    }
}
