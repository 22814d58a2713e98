//! Bounded capture of a child's output: the start of stdout and the end of stderr.

use std::future::pending;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, ChildStderr, ChildStdout};

/// How much of a child's stderr is kept, in bytes, counted from its end.
pub const STDERR_TAIL_BYTES: usize = 4 * 1024;
/// How long the pipes may stay open after their child is dead: another process can hold them.
pub(crate) const DRAIN: Duration = Duration::from_millis(500);

/// The two output streams of one child, and what was read from them.
pub(crate) struct Streams {
    out: Option<ChildStdout>,
    err: Option<ChildStderr>,
    stdout: Vec<u8>,
    stderr_tail: Vec<u8>,
    cap: usize,
    overflowed: bool,
}

impl Streams {
    /// Takes the child's streams; at most `cap` bytes of stdout are kept.
    pub(crate) fn of(child: &mut Child, cap: usize) -> Self {
        Self {
            out: child.stdout.take(),
            err: child.stderr.take(),
            stdout: Vec::new(),
            stderr_tail: Vec::new(),
            cap,
            overflowed: false,
        }
    }

    /// Reads until stdout first exceeds its cap. Never returns once both streams are closed or the cap was exceeded before
    /// (further output is discarded). Cancel safe.
    pub(crate) async fn until_too_long(&mut self) {
        loop {
            if self.pump().await.is_none() {
                return pending().await;
            }
            let before = self.overflowed;
            self.keep_to_cap();
            if self.overflowed && !before {
                return;
            }
        }
    }

    /// Reads until both streams are closed.
    pub(crate) async fn until_closed(&mut self) {
        while self.pump().await.is_some() {
            self.keep_to_cap();
        }
    }

    /// Whether stdout exceeded its cap.
    pub(crate) fn overflowed(&self) -> bool {
        self.overflowed
    }

    /// The output so far: stdout and the tail of stderr, with bytes that are not UTF-8 replaced.
    pub(crate) fn into_text(self) -> (String, String) {
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        (text(self.stdout), text(self.stderr_tail))
    }

    fn keep_to_cap(&mut self) {
        if self.stdout.len() > self.cap {
            self.stdout.truncate(self.cap);
            self.overflowed = true;
        }
    }

    /// One read from whichever stream is ready; `None` when both are closed.
    async fn pump(&mut self) -> Option<()> {
        if self.out.is_none() && self.err.is_none() {
            return None;
        }
        let mut from_out = [0; 8192];
        let mut from_err = [0; 2048];
        tokio::select! {
            count = read(&mut self.out, &mut from_out) => match count {
                0 => self.out = None,
                count => self.stdout.extend_from_slice(&from_out[..count]),
            },
            count = read(&mut self.err, &mut from_err) => match count {
                0 => self.err = None,
                count => {
                    self.stderr_tail.extend_from_slice(&from_err[..count]);
                    let excess = self.stderr_tail.len().saturating_sub(STDERR_TAIL_BYTES);
                    self.stderr_tail.drain(..excess);
                }
            },
        }
        Some(())
    }
}

/// A read error counts as the end of the pipe; what was read before it is kept.
async fn read(stream: &mut Option<impl AsyncRead + Unpin>, buffer: &mut [u8]) -> usize {
    match stream {
        Some(stream) => stream.read(buffer).await.unwrap_or(0),
        None => pending().await,
    }
}
