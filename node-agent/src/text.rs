//! Bounded text: what others wrote, cut and cleaned before it is kept.

use std::io::{self, BufRead, Read};

/// The longest evidence of a finding, in bytes; the schema of NodeHealth allows no more.
pub(crate) const EVIDENCE_BYTES: usize = 256;

/// A command line and the start of its output, within [`EVIDENCE_BYTES`]; control characters become spaces.
pub(crate) fn evidence(command: &str, output: &str) -> String {
    let text = format!("{command}: {}", output.trim());
    let parts: Vec<_> = text.split(char::is_control).filter(|part| !part.trim().is_empty()).collect();
    bounded(&parts.join(" "), EVIDENCE_BYTES)
}

/// At most `bytes` of the text, cut between characters.
pub fn bounded(text: &str, bytes: usize) -> String {
    let end = (0..=bytes.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    text[..end.unwrap_or(0)].to_owned()
}

/// Printable text without blanks at the ends, cut between characters to at most `most` bytes; control characters become
/// spaces.
pub(crate) fn printable(text: &str, most: usize) -> String {
    let mut kept = String::new();
    for c in text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }) {
        if kept.len() + c.len_utf8() > most {
            break;
        }
        kept.push(c);
    }
    kept
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
        assert!(long.len() <= EVIDENCE_BYTES && long.len() >= EVIDENCE_BYTES - 1, "{}", long.len());
    }
}
