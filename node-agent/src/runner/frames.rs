//! Lines of bounded length from a stream.

use std::io;

use tokio::io::{AsyncBufRead, AsyncBufReadExt};

/// One line of the stream.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// Without its newline.
    Whole(Vec<u8>),
    /// Longer than the bound; it was read to its end and thrown away.
    TooLong,
}

/// Cuts a stream into lines and never holds more than `limit` bytes of one.
pub(super) struct Lines<R> {
    reader: R,
    limit: usize,
    line: Vec<u8>,
    too_long: bool,
    /// Tell that a line is too long without waiting for its end, which may never come.
    at_once: bool,
}

impl<R: AsyncBufRead + Unpin> Lines<R> {
    pub(super) fn new(reader: R, limit: usize) -> Self {
        Self { reader, limit, line: Vec::new(), too_long: false, at_once: false }
    }

    /// For a writer who is not trusted to end a line: [`Line::TooLong`] comes as soon as one exceeds its bound.
    pub(super) fn strict(reader: R, limit: usize) -> Self {
        Self { at_once: true, ..Self::new(reader, limit) }
    }

    /// The next line, or `None` at the end of the stream; what stands after the last newline is no line. Safe to
    /// cancel: what was read of a line is kept.
    pub(super) async fn next(&mut self) -> io::Result<Option<Line>> {
        loop {
            let chunk = self.reader.fill_buf().await?;
            if chunk.is_empty() {
                return Ok(None);
            }
            let newline = chunk.iter().position(|byte| *byte == b'\n');
            let taken = newline.unwrap_or(chunk.len());
            if self.line.len() + taken > self.limit {
                self.too_long = true;
                self.line.clear();
            }
            if !self.too_long {
                self.line.extend_from_slice(&chunk[..taken]);
            }
            self.reader.consume(newline.map_or(taken, |at| at + 1));
            if newline.is_some() || (self.too_long && self.at_once) {
                let line = std::mem::take(&mut self.line);
                return Ok(Some(if std::mem::take(&mut self.too_long) { Line::TooLong } else { Line::Whole(line) }));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn lines_of(bytes: &[u8]) -> Vec<Line> {
        let mut lines = Lines::new(tokio::io::BufReader::with_capacity(3, bytes), 5);
        let mut all = Vec::new();
        while let Some(line) = lines.next().await.unwrap() {
            all.push(line);
        }
        all
    }

    #[tokio::test]
    async fn a_line_that_is_too_long_costs_only_itself() {
        let all = lines_of(b"12345\n123456\n\nabc\nunfinished").await;
        let whole = |text: &str| Line::Whole(text.as_bytes().to_vec());
        assert_eq!(all, [whole("12345"), Line::TooLong, whole(""), whole("abc")]);
    }

    #[tokio::test]
    async fn a_line_without_an_end_is_too_long_before_it_ends() {
        let mut lines = Lines::strict(tokio::io::BufReader::with_capacity(3, tokio::io::repeat(b'x')), 5);
        assert_eq!(lines.next().await.unwrap(), Some(Line::TooLong));
    }
}
