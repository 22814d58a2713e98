//! Splits a stream of bytes into lines, within the memory of one line.
//!
//! Not a codec of tokio-util, and not [`crate::text::read_line`]: both pull from a stream until a line is whole. A growing
//! file is read at an offset and a pipe without blocking, so the bytes come in pieces (pushed), a piece may end within
//! a line, and half a line must be forgotten when the file is rotated.

/// The longest line that is kept, in bytes: a record of 2 KiB with every byte escaped takes 8 KiB, plus its header.
pub(super) const LINE_MAX: usize = 16 * 1024;

/// Keeps the beginning of a line until its end arrives.
#[derive(Debug, Default)]
pub(super) struct Lines {
    partial: Vec<u8>,
    /// The current line is longer than [`LINE_MAX`], and is skipped as a whole.
    too_long: bool,
}

impl Lines {
    /// Processes the next bytes of the stream, and calls `line` for each completed line, without its line feed.
    pub(super) fn push(&mut self, mut bytes: &[u8], mut line: impl FnMut(&[u8])) {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            let (head, rest) = bytes.split_at(end);
            bytes = rest.get(1..).unwrap_or_default();
            self.keep(head);
            if !self.too_long {
                line(&self.partial);
            }
            self.clear();
        }
        self.keep(bytes);
    }

    /// Forgets the current line.
    pub(super) fn clear(&mut self) {
        self.partial.clear();
        self.too_long = false;
    }

    fn keep(&mut self, bytes: &[u8]) {
        if self.too_long || self.partial.len() + bytes.len() > LINE_MAX {
            self.too_long = true;
            self.partial.clear();
        } else {
            self.partial.extend_from_slice(bytes);
        }
    }

    #[cfg(test)]
    pub(super) fn held_bytes(&self) -> usize {
        self.partial.capacity()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lines_of(lines: &mut Lines, bytes: &[u8]) -> Vec<String> {
        let mut all = Vec::new();
        lines.push(bytes, |line| {
            all.push(String::from_utf8_lossy(line).into_owned());
        });
        all
    }

    #[test]
    fn a_partial_line_waits_for_its_end() {
        let mut lines = Lines::default();
        assert_eq!(lines_of(&mut lines, b"one\ntw"), ["one"]);
        assert_eq!(lines_of(&mut lines, b"o\n\nth"), ["two", ""]);
        assert_eq!(lines_of(&mut lines, b"ree\n"), ["three"]);
    }

    #[test]
    fn an_endless_line_is_left_out_and_the_next_one_is_read() {
        let mut lines = Lines::default();
        for _ in 0..100 {
            assert_eq!(lines_of(&mut lines, &[b'x'; 4096]), Vec::<String>::new());
            assert!(lines.held_bytes() <= LINE_MAX);
        }
        assert_eq!(lines_of(&mut lines, b"end\nnext\n"), ["next"]);
    }

    proptest! {
        #[test]
        fn the_cuts_of_a_stream_do_not_matter(bytes in proptest::collection::vec(prop_oneof![Just(b'\n'), any::<u8>()], 0..200), cut in 0_usize..200) {
            let whole = lines_of(&mut Lines::default(), &bytes);
            let (head, tail) = bytes.split_at(cut.min(bytes.len()));
            let mut lines = Lines::default();
            let mut parts = lines_of(&mut lines, head);
            parts.extend(lines_of(&mut lines, tail));
            prop_assert_eq!(parts, whole);
        }
    }
}
