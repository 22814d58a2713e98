//! Text from outside: the only two forms in which it enters an object.
//!
//! Server-side apply parses its body as YAML, so one character that YAML 1.2 does not allow (5.1: C1 controls, DEL, U+FFFE,
//! U+FFFF) makes the API server refuse the whole object. Others reorder or rewrite what a person sees in a terminal.
//! Everybody may choose such text: a container names its processes, a custom check prints what it likes.
//!
//! [`plain`] is for people; [`key`] is for what is compared. Lengths are in characters, as `maxLength` counts them.

use std::borrow::Cow;
use std::fmt::Write as _;

/// The longest control sequence that is removed as a whole, in characters. A longer one is not from a program that
/// formats its output.
const MAX_SEQUENCE: usize = 64;

/// Whether YAML 1.2, JSON, server-side apply and a terminal all take the character as it is.
pub const fn is_plain(c: char) -> bool {
    let is_noncharacter = matches!(c, '\u{fdd0}'..='\u{fdef}') || (c as u32) & 0xfffe == 0xfffe;
    let is_direction =
        matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    !(matches!(c, '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}')
        || is_noncharacter
        || is_direction)
}

/// One line of at most `most` characters, for people. Line breaks and tabs become a space, ANSI control sequences (CSI,
/// OSC) disappear, every other character that is not [plain](is_plain) becomes U+FFFD.
pub fn plain(text: &str, most: usize) -> String {
    plainly(text, most).into_owned()
}

/// As [`plain`], without a copy if nothing has to change.
pub(crate) fn plainly(text: &str, most: usize) -> Cow<'_, str> {
    if text.chars().all(is_plain) && (text.len() <= most || text.chars().nth(most).is_none()) {
        return Cow::Borrowed(text);
    }
    let mut kept = String::with_capacity(text.len().min(most));
    let (mut rest, mut room) = (text, most);
    while let Some(c) = rest.chars().next().filter(|_| room > 0) {
        if let Some(after) = after_sequence(rest) {
            rest = after;
            continue;
        }
        rest = rest.get(c.len_utf8()..).unwrap_or_default();
        let is_blank = matches!(c, '\t'..='\r' | '\u{85}' | '\u{2028}' | '\u{2029}');
        if is_blank && kept.ends_with(' ') {
            continue;
        }
        kept.push(if is_blank {
            ' '
        } else if is_plain(c) {
            c
        } else {
            '\u{fffd}'
        });
        room -= 1;
    }
    Cow::Owned(kept)
}

/// What is compared: printable ASCII, at least one and at most `most` characters (at least 20). A text that is neither
/// keeps its readable beginning and gets a hash of the whole, so that different texts stay different.
pub fn key(text: &str, most: usize) -> String {
    keyed(text, most).into_owned()
}

/// As [`key`], without a copy if nothing has to change.
pub(crate) fn keyed(text: &str, most: usize) -> Cow<'_, str> {
    let is_readable = |c: char| matches!(c, ' '..='~');
    if !text.is_empty() && text.len() <= most && text.chars().all(is_readable) {
        return Cow::Borrowed(text);
    }
    let readable = text.chars().map(|c| if is_readable(c) { c } else { '_' });
    let mut key: String = readable.take(most.saturating_sub(17)).collect();
    // Writing to a String cannot fail.
    let _ = write!(key, "~{:016x}", fnv(text));
    Cow::Owned(key)
}

/// Sixteen hexadecimal digits that differ where the texts differ: the end of names that are too long.
pub fn short_hash(text: &str) -> String {
    format!("{:016x}", fnv(text))
}

/// FNV-1a, 64 bits: the same in every version of the agent, because keys outlive it.
fn fnv(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// What follows the control sequence at the beginning of the text (ECMA-48, 5.4 and 5.6); `None` if there is none, or if
/// it does not end: whoever begins one does not remove the rest of the line.
fn after_sequence(text: &str) -> Option<&str> {
    let mut chars = text.chars();
    let kind = match chars.next()? {
        '\u{1b}' => chars.next()?,
        '\u{90}' => 'P',
        '\u{98}' => 'X',
        '\u{9b}' => '[',
        '\u{9d}' => ']',
        '\u{9e}' => '^',
        '\u{9f}' => '_',
        _ => return None,
    };
    let rest = chars.as_str();
    let mut inside = rest.char_indices().take(MAX_SEQUENCE);
    match kind {
        '[' => {
            let (end, last) = inside.find(|(_, c)| !matches!(c, ' '..='?'))?;
            matches!(last, '@'..='~').then(|| rest.get(end + 1..)).flatten()
        }
        ']' | 'P' | 'X' | '^' | '_' => {
            let (end, last) = inside.find(|(_, c)| matches!(c, '\u{7}' | '\u{1b}' | '\u{9c}'))?;
            let after = rest.get(end + last.len_utf8()..)?;
            if last == '\u{1b}' { after.strip_prefix('\\') } else { Some(after) }
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    /// One of each kind that is not plain.
    const UNSAFE: &[char] = &[
        '\0',
        '\u{1}',
        '\u{7}',
        '\u{8}',
        '\u{1b}',
        '\u{1f}',
        '\u{7f}',
        '\u{80}',
        '\u{9b}',
        '\u{9f}',
        '\u{61c}',
        '\u{200e}',
        '\u{200f}',
        '\u{202a}',
        '\u{202e}',
        '\u{2066}',
        '\u{2069}',
        '\u{fdd0}',
        '\u{fdef}',
        '\u{feff}',
        '\u{fffe}',
        '\u{ffff}',
        '\u{1fffe}',
        '\u{10ffff}',
    ];

    #[test]
    fn what_a_parser_or_a_terminal_would_not_take_is_replaced_and_the_rest_stays() {
        for c in UNSAFE {
            assert!(!is_plain(*c), "{c:?}");
            assert_eq!(plain(&format!("a{c}"), 9), "a\u{fffd}", "{c:?}");
        }
        for text in ["Xid 79 äöü 汉字 🙂", "\u{fffd}", "a  b"] {
            assert_eq!(plain(text, 99), text);
        }
        assert_eq!(plain("one\r\n\ttwo\u{85}three\u{2028}four", 99), "one two three four");
    }

    #[test]
    fn a_control_sequence_disappears_as_a_whole_and_one_without_an_end_removes_nothing_else() {
        for (text, left) in [
            ("\u{1b}[1;31mred\u{1b}[0m", "red"),
            ("\u{9b}2Jgone", "gone"),
            ("\u{1b}]0;title\u{7}shell", "shell"),
            ("\u{1b}]8;;http://x\u{1b}\\link\u{1b}]8;;\u{1b}\\", "link"),
            ("\u{9d}0;t\u{9c}x", "x"),
            ("\u{1b}]0;never ends, Xid 79", "\u{fffd}]0;never ends, Xid 79"),
            ("\u{1b}[", "\u{fffd}["),
            ("\u{1b}", "\u{fffd}"),
        ] {
            assert_eq!(plain(text, 99), left, "{text:?}");
        }
    }

    #[test]
    fn the_cut_counts_characters_as_the_schema_does() {
        assert_eq!(plain("äöü", 2), "äö");
        assert_eq!(plain(&"🙂".repeat(300), 256).chars().count(), 256);
    }

    #[test]
    fn keys_that_are_readable_stay_and_no_two_others_become_one() {
        for text in ["node", "0000:18:00.0", "0000:18:00.0/link3", "mlx5_0/1", "a b"] {
            assert_eq!(key(text, 64), text);
        }
        let long = |last: char| format!("{}{last}", "x".repeat(70));
        let texts = [
            long('1'),
            long('2'),
            "ä".to_owned(),
            "ö".to_owned(),
            "_".to_owned(),
            "\u{ffff}".to_owned(),
            String::new(),
        ];
        let keys: BTreeSet<String> = texts.iter().map(|text| key(text, 64)).collect();
        assert_eq!(keys.len(), texts.len(), "{keys:?}");
        assert!(keys.iter().all(|key| key.len() <= 64 && key.is_ascii()), "{keys:?}");
    }

    proptest! {
        #[test]
        fn any_text_becomes_plain_within_its_bound_and_stays_what_it_then_is(text in "(\\PC|\\p{Cc}|[\u{fff0}-\u{ffff}\u{2000}-\u{206f}]|\u{1b}\\[){0,80}", most in 20_usize..70) {
            let once = plain(&text, most);
            prop_assert!(once.chars().all(is_plain) && once.chars().count() <= most, "{once:?}");
            prop_assert_eq!(plain(&once, most), once);
            let once = key(&text, most);
            prop_assert!(once.len() <= most && !once.is_empty() && once.chars().all(|c| matches!(c, ' '..='~')), "{once:?}");
            prop_assert_eq!(key(&once, most), once);
        }
    }
}
