//! Points in time as used by the API: whole seconds, RFC 3339, UTC.

use std::{borrow::Cow, fmt};

/// A point in time in whole seconds since the Unix epoch; on the wire an RFC 3339 string such as
/// `2026-11-21T09:30:00Z`.
///
/// Decisions compare times and add seconds everywhere, but the `Time` of `k8s-openapi` has no arithmetic and is not `Copy`.
/// Fractions of a second are dropped on reading, so that a time reads back as it was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(i64);

impl Time {
    /// The time `seconds` after the Unix epoch.
    pub const fn from_unix(seconds: i64) -> Self {
        Self(seconds)
    }

    /// Seconds since the Unix epoch.
    pub const fn unix(self) -> i64 {
        self.0
    }

    /// This time plus `seconds`, which may be negative.
    #[must_use]
    pub const fn plus(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds))
    }

    /// Seconds from `earlier` to this time. Negative if this time is earlier.
    pub const fn since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Parses an RFC 3339 string, or returns `None`.
    pub fn parse(text: &str) -> Option<Self> {
        text.parse::<jiff::Timestamp>().ok().map(|t| Self(t.as_second()))
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let clamped = self.0.clamp(jiff::Timestamp::MIN.as_second(), jiff::Timestamp::MAX.as_second());
        match jiff::Timestamp::from_second(clamped) {
            Ok(timestamp) => write!(f, "{timestamp}"),
            Err(_) => Err(fmt::Error),
        }
    }
}

impl serde::Serialize for Time {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Time {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <Cow<'de, str>>::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom(format!("{text:?} is not an RFC 3339 time")))
    }
}

impl schemars::JsonSchema for Time {
    fn schema_name() -> Cow<'static, str> {
        "Time".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "format": "date-time"})
    }
}

#[cfg(test)]
mod tests {
    use super::Time;

    #[test]
    fn a_time_reads_back_as_it_was_written() {
        let time = Time::from_unix(1_795_253_400);
        assert_eq!(serde_json::to_string(&time).unwrap(), "\"2026-11-21T09:30:00Z\"");
        assert_eq!(serde_json::from_str::<Time>("\"2026-11-21T09:30:00.987Z\"").unwrap(), time);
    }

    #[test]
    fn text_that_is_no_time_is_refused_with_the_text_in_the_message() {
        let error = serde_json::from_str::<Time>("\"yesterday\"").unwrap_err().to_string();
        assert!(error.contains("\"yesterday\" is not an RFC 3339 time"), "{error}");
    }
}
