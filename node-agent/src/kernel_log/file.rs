//! A growing regular file, one record of /dev/kmsg per line; it may be rotated in every usual way.

use super::KernelRecord;
use super::changes::Watch;
use super::lines::Lines;
use super::sink::{Progress, Sink};
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

const CHUNK: usize = 16 * 1024;

/// Chunks per turn (256 KiB), so that a long file does not starve other tasks.
const CHUNKS_PER_TURN: usize = 16;

/// How many of the last bytes read are compared before reading on: otherwise a file that was truncated and has grown
/// past our position again would look unchanged.
const FINGERPRINT: usize = 64;

#[derive(Debug)]
pub(super) struct GrowingFile {
    path: PathBuf,
    file: File,
    /// Device and inode of `file`.
    identity: (u64, u64),
    offset: u64,
    /// The last bytes before `offset`.
    fingerprint: Vec<u8>,
    lines: Lines,
    watch: Watch,
    buffer: Vec<u8>,
}

impl GrowingFile {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let identity = identity_of(&file)?;
        let mut watch = Watch::begin(path);
        watch.follow(path);
        Ok(Self {
            path: path.to_owned(),
            file,
            identity,
            offset: 0,
            fingerprint: Vec::new(),
            lines: Lines::default(),
            watch,
            buffer: vec![0; CHUNK],
        })
    }

    pub(super) fn read(&mut self, sink: &mut Sink<'_>) -> io::Result<Progress> {
        if self.was_rewritten()? {
            self.start_over(sink);
        }
        for _ in 0..CHUNKS_PER_TURN {
            if sink.is_full() {
                return Ok(Progress::More);
            }
            let length = self.file.read_at(&mut self.buffer, self.offset)?;
            if length > 0 {
                self.take(length, sink);
            } else if !self.follow_rotation(sink)? {
                return Ok(Progress::Drained);
            }
        }
        Ok(Progress::More)
    }

    pub(super) async fn wait(&self) -> io::Result<()> {
        self.watch.wait().await
    }

    fn take(&mut self, length: usize, sink: &mut Sink<'_>) {
        let bytes = self.buffer.get(..length).unwrap_or_default();
        self.offset += bytes.len() as u64;
        self.fingerprint.extend_from_slice(bytes.get(bytes.len().saturating_sub(FINGERPRINT)..).unwrap_or_default());
        self.fingerprint.drain(..self.fingerprint.len().saturating_sub(FINGERPRINT));
        self.lines.push(bytes, |line| {
            if let Some(record) = KernelRecord::from_line(line) {
                sink.record(record);
            }
        });
    }

    /// Whether the file was truncated, perhaps with new content written since.
    fn was_rewritten(&self) -> io::Result<bool> {
        if self.file.metadata()?.len() < self.offset {
            return Ok(true);
        }
        let mut now = [0; FINGERPRINT];
        let now = now.get_mut(..self.fingerprint.len()).unwrap_or_default();
        match self.file.read_exact_at(now, self.offset - self.fingerprint.len() as u64) {
            Ok(()) => Ok(now != self.fingerprint.as_slice()),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// At the end of the file: switches to the file that has replaced it, if any. False if there is none.
    fn follow_rotation(&mut self, sink: &mut Sink<'_>) -> io::Result<bool> {
        let file = match File::open(&self.path) {
            // Between the two steps of a rotation: the new file does not exist yet.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            opened => opened?,
        };
        let identity = identity_of(&file)?;
        if identity == self.identity {
            return Ok(false);
        }
        self.file = file;
        self.identity = identity;
        self.watch.follow(&self.path);
        self.start_over(sink);
        Ok(true)
    }

    /// Drops the partial last line of the old content: half an Xid could be read as another Xid.
    fn start_over(&mut self, sink: &mut Sink<'_>) {
        self.offset = 0;
        self.fingerprint.clear();
        self.lines.clear();
        sink.rotated();
    }

    #[cfg(test)]
    pub(super) fn held_bytes(&self) -> usize {
        self.lines.held_bytes() + self.buffer.capacity() + self.fingerprint.capacity()
    }
}

fn identity_of(file: &File) -> io::Result<(u64, u64)> {
    let metadata = file.metadata()?;
    Ok((metadata.dev(), metadata.ino()))
}
