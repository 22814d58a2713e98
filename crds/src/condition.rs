//! Conditions, the same for every kind. `lastTransitionTime` changes only when the status changes.

use crate::{Text, Time, text::plainly};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One observation about an object, in the form that `kubectl wait` and kstatus expect.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// Type of the condition in PascalCase, for example `Complete`.
    #[serde(rename = "type")]
    #[schemars(length(min = 1, max = 63))]
    pub type_: Text,
    /// `True`, `False` or `Unknown`.
    #[schemars(regex(pattern = r"^(True|False|Unknown)$"), length(max = 7))]
    pub status: Text,
    /// Machine-readable reason, one word in PascalCase.
    #[schemars(length(min = 1, max = 63))]
    pub reason: Text,
    /// Human-readable explanation.
    #[serde(default)]
    #[schemars(length(max = 512))]
    pub message: Text,
    /// When the status last changed.
    pub last_transition_time: Time,
    /// The generation of the object that this condition describes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 9_007_199_254_740_991_i64))]
    pub observed_generation: Option<i64>,
}

/// The three values of a condition's status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// The condition holds.
    True,
    /// The condition does not hold.
    False,
    /// Cannot be determined.
    Unknown,
}

impl Status {
    /// The string on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

impl From<bool> for Status {
    fn from(yes: bool) -> Self {
        if yes { Self::True } else { Self::False }
    }
}

/// The desired content of a condition; [`merge`] turns it into a [`Condition`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Type of the condition.
    pub type_: &'static str,
    /// Its status.
    pub status: Status,
    /// Machine-readable reason, one word.
    pub reason: String,
    /// Human-readable explanation, truncated to 512 bytes.
    pub message: String,
}

impl Wanted {
    /// A desired condition.
    pub fn new(type_: &'static str, status: impl Into<Status>, reason: &str, message: impl Into<String>) -> Self {
        Self { type_, status: status.into(), reason: reason.to_owned(), message: message.into() }
    }
}

/// The conditions in `wanted`. Where the status is unchanged, `lastTransitionTime` is taken from `before`.
pub fn merge(before: &[Condition], wanted: Vec<Wanted>, generation: Option<i64>, now: Time) -> Vec<Condition> {
    wanted
        .into_iter()
        .map(|w| {
            let status = w.status.as_str();
            let since =
                before.iter().find(|c| c.type_ == w.type_ && c.status == status).map(|c| c.last_transition_time);
            Condition {
                type_: w.type_.into(),
                status: status.into(),
                reason: word(&w.reason).into(),
                message: truncate(&w.message, 512).into(),
                last_transition_time: since.unwrap_or(now),
                observed_generation: generation,
            }
        })
        .collect()
}

/// The reason as Kubernetes takes it in a condition (`metav1.Condition`: `^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$`), whatever
/// an agent made up: what does not fit is left out.
pub fn word(reason: &str) -> String {
    let is_inner = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '_' | ',' | ':');
    let plain: String = reason.chars().filter(is_inner).take(63).collect();
    let word = plain.trim_start_matches(|c: char| !c.is_ascii_alphabetic()).trim_end_matches([',', ':']);
    if word.is_empty() { "Unknown".to_owned() } else { word.to_owned() }
}

/// One plain line of at most `bytes` bytes, cut at a character boundary (see [`crate::text`]: a report may have been
/// written by somebody who does not care what the API server takes). A truncated text ends with `…`.
pub fn truncate(text: &str, bytes: usize) -> String {
    let text = plainly(text, usize::MAX);
    if text.len() <= bytes {
        return text.into_owned();
    }
    let mut end = bytes.saturating_sub('…'.len_utf8());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}…", &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_transition_time_stays_while_the_status_stays() {
        let first = merge(&[], vec![Wanted::new("Healthy", true, "A", "a")], Some(1), Time::from_unix(10));
        let second = merge(&first, vec![Wanted::new("Healthy", true, "B", "b")], Some(2), Time::from_unix(20));
        assert_eq!(second[0].last_transition_time, Time::from_unix(10));
        assert_eq!(second[0].reason, "B");
        let third = merge(&second, vec![Wanted::new("Healthy", false, "C", "c")], Some(2), Time::from_unix(30));
        assert_eq!(third[0].last_transition_time, Time::from_unix(30));
    }

    #[test]
    fn a_reason_is_one_word_that_kubernetes_takes() {
        let table = [
            ("FallenOffTheBus", "FallenOffTheBus"),
            ("79 times, fell off:", "times,felloff"),
            ("_a", "a"),
            ("A,B:", "A,B"),
            ("\u{1f525}", "Unknown"),
            ("", "Unknown"),
        ];
        for (reason, taken) in table {
            assert_eq!(
                merge(&[], vec![Wanted::new("Healthy", true, reason, "")], None, Time::default())[0].reason,
                taken
            );
        }
        assert_eq!(word(&"x".repeat(200)).len(), 63);
    }

    #[test]
    fn a_cut_never_splits_a_character() {
        assert_eq!(truncate("äöü", 6), "äöü");
        assert_eq!(truncate("äöüäöü", 6), "ä…");
        assert_eq!(truncate("short", 512), "short");
    }
}
