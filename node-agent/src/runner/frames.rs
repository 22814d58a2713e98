//! Lines of bounded length from a stream.

use std::io;

use futures::StreamExt;
use tokio::io::AsyncRead;
use tokio_util::bytes::BytesMut;
use tokio_util::codec::{AnyDelimiterCodec, AnyDelimiterCodecError, Decoder, FramedRead};

/// One line of the stream.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// Without its newline.
    Whole(Vec<u8>),
    /// Longer than the limit. Reported as soon as the limit is exceeded, since its end may never come; the rest of the
    /// line is discarded.
    TooLong,
}

/// Cuts a stream into lines and buffers at most one line of the limit's length.
pub(super) struct Lines<R>(FramedRead<R, WholeLines>);

impl<R: AsyncRead + Unpin> Lines<R> {
    pub(super) fn new(reader: R, limit: usize) -> Self {
        Self(FramedRead::new(
            reader,
            WholeLines(AnyDelimiterCodec::new_with_max_length(vec![b'\n'], Vec::new(), limit)),
        ))
    }

    /// The next line, or `None` at the end of the stream. Cancel safe.
    pub(super) async fn next(&mut self) -> io::Result<Option<Line>> {
        self.0.next().await.transpose()
    }
}

/// The codec with two differences: a line that is too long is an item, after which the stream goes on, and text after the
/// last newline is dropped.
struct WholeLines(AnyDelimiterCodec);

impl Decoder for WholeLines {
    type Item = Line;
    type Error = io::Error;

    fn decode(&mut self, buffer: &mut BytesMut) -> io::Result<Option<Line>> {
        match self.0.decode(buffer) {
            Ok(line) => Ok(line.map(|line| Line::Whole(line.to_vec()))),
            Err(AnyDelimiterCodecError::MaxChunkLengthExceeded) => Ok(Some(Line::TooLong)),
            Err(AnyDelimiterCodecError::Io(error)) => Err(error),
        }
    }

    fn decode_eof(&mut self, buffer: &mut BytesMut) -> io::Result<Option<Line>> {
        let line = self.decode(buffer)?;
        if line.is_none() {
            buffer.clear();
        }
        Ok(line)
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
        let all = lines_of(b"12345\n123456\n\nabc\nunfi").await;
        let whole = |text: &str| Line::Whole(text.as_bytes().to_vec());
        assert_eq!(all, [whole("12345"), Line::TooLong, whole(""), whole("abc")]);
    }

    #[tokio::test]
    async fn a_line_without_an_end_is_too_long_before_it_ends() {
        let mut lines = Lines::new(tokio::io::BufReader::with_capacity(3, tokio::io::repeat(b'x')), 5);
        assert_eq!(lines.next().await.unwrap(), Some(Line::TooLong));
    }
}
