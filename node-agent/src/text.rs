//! Bounded text: what others wrote, cut and cleaned before it is kept.

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evidence_is_one_line_within_its_bound_and_cut_between_characters() {
        assert_eq!(evidence("tool -x", "one\n\ttwo\r\n"), "tool -x: one two");
        let long = evidence("tool", &"é".repeat(300));
        assert!(long.len() <= EVIDENCE_BYTES && long.len() >= EVIDENCE_BYTES - 1, "{}", long.len());
    }
}
