//! Text from outside: cleaned and bounded where it enters ([`crds::text`]), so that nothing that a program, a driver or a
//! file says can make the API server refuse a report or rewrite a terminal.

pub use crds::text::plain as bounded;
pub(crate) use crds::text::{is_plain, key};
use std::io::{self, BufRead, Read};

/// The longest evidence of a finding, in characters; the schema of NodeHealth allows no more.
pub(crate) const EVIDENCE_CHARS: usize = 256;

/// A command line and the start of its output, within [`EVIDENCE_CHARS`].
pub(crate) fn evidence(command: &str, output: &str) -> String {
    bounded(&format!("{command}: {}", output.trim()), EVIDENCE_CHARS)
}

/// As [`bounded`], without blanks at the ends.
pub(crate) fn printable(text: &str, most: usize) -> String {
    bounded(text.trim(), most)
}

/// Where a line was cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LineEnd {
    /// At its line feed: it is whole.
    Feed,
    /// At the limit: the rest is still to be read.
    Limit,
    /// At the end of the stream.
    Stream,
}

/// Reads at most `limit` bytes of the next line into `line`, without its line feed.
pub(crate) fn read_line(from: &mut impl BufRead, line: &mut Vec<u8>, limit: usize) -> io::Result<LineEnd> {
    line.clear();
    // One more for the line feed.
    from.by_ref().take(limit as u64 + 1).read_until(b'\n', line)?;
    if line.last() == Some(&b'\n') {
        line.pop();
        return Ok(LineEnd::Feed);
    }
    let end = if line.len() > limit { LineEnd::Limit } else { LineEnd::Stream };
    line.truncate(limit);
    Ok(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_whole_up_to_the_limit_and_cut_beyond_it() {
        let mut from: &[u8] = b"four\nfives\n\nend";
        let mut line = Vec::new();
        for (end, text) in [
            (LineEnd::Feed, "four"),
            (LineEnd::Limit, "five"),
            (LineEnd::Feed, ""),
            (LineEnd::Feed, ""),
            (LineEnd::Stream, "end"),
            (LineEnd::Stream, ""),
        ] {
            assert_eq!(read_line(&mut from, &mut line, 4).unwrap(), end, "{text}");
            assert_eq!(line, text.as_bytes());
        }
    }

    #[test]
    fn evidence_is_one_line_within_its_bound_and_cut_between_characters() {
        assert_eq!(evidence("tool -x", "one\n\ttwo\r\n"), "tool -x: one two");
        let long = evidence("tool", &"é".repeat(300));
        assert_eq!(long.chars().count(), EVIDENCE_CHARS);
    }
}
