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

    /// Parses an RFC 3339 string, or whatever else the API server takes as a `date-time`; else returns `None`. A time that
    /// cannot be written becomes the nearest that can.
    pub fn parse(text: &str) -> Option<Self> {
        let parsed = text.parse::<jiff::Timestamp>().ok().map(|t| Self(t.as_second()));
        parsed.or_else(|| lenient(text))
    }
}

/// The first and the last time that can be written.
fn bounds() -> (i64, i64) {
    (jiff::Timestamp::MIN.as_second(), jiff::Timestamp::MAX.as_second())
}

/// A time as the API server's format `date-time` takes it (kube-openapi, `strfmt.IsDateTime`), which is more than RFC 3339:
/// the whole year 9999, any offset of two digits, anything after a second `T`. One object must not freeze for such a text.
fn lenient(text: &str) -> Option<Time> {
    let text = text.to_lowercase();
    let mut parts = text.split('t');
    let days = days(parts.next()?)?;
    let time = parts.next()?;
    let (hour, rest) = number(time, 2)?;
    let (minute, rest) = number(rest.strip_prefix(':')?, 2)?;
    let (second, rest) = number(rest.strip_prefix(':')?, 2)?;
    // A leap second has no number of its own.
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let offset = offset(rest).or_else(|| offset(after_fraction(rest)?))?;
    let seconds = days * 86_400 + hour * 3_600 + minute * 60 + second.min(59) - offset;
    let (first, last) = bounds();
    Some(Time(seconds.clamp(first, last)))
}

/// Days since the Unix epoch.
fn days(date: &str) -> Option<i64> {
    let (year, rest) = number(date, 4)?;
    let (month, rest) = number(rest.strip_prefix('-')?, 2)?;
    let (day, rest) = number(rest.strip_prefix('-')?, 2)?;
    let small = |n: i64| i8::try_from(n).ok();
    let date = jiff::civil::Date::new(i16::try_from(year).ok()?, small(month)?, small(day)?).ok()?;
    let epoch = jiff::civil::Date::constant(1970, 1, 1);
    let span = date.since((jiff::Unit::Day, epoch)).ok()?;
    rest.is_empty().then(|| i64::from(span.get_days()))
}

/// Seconds east of UTC.
fn offset(text: &str) -> Option<i64> {
    if text == "z" {
        return Some(0);
    }
    let sign = if text.starts_with('-') { -1 } else { 1 };
    let (hours, rest) = number(text.strip_prefix(['+', '-'])?, 2)?;
    let (minutes, rest) = number(rest.strip_prefix(':')?, 2)?;
    rest.is_empty().then_some(sign * (hours * 3_600 + minutes * 60))
}

/// What follows a fraction of a second, whose point may be any character.
fn after_fraction(text: &str) -> Option<&str> {
    let mut chars = text.chars();
    chars.next().filter(|point| *point != '\n')?;
    let digits = chars.as_str();
    let rest = digits.trim_start_matches(|c: char| c.is_ascii_digit());
    (rest.len() < digits.len()).then_some(rest)
}

/// A number of so many digits, and what follows.
fn number(text: &str, digits: usize) -> Option<(i64, &str)> {
    let (number, rest) = text.split_at_checked(digits)?;
    let is_number = number.bytes().all(|byte| byte.is_ascii_digit());
    number.parse().ok().filter(|_| is_number).map(|number| (number, rest))
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, last) = bounds();
        let clamped = self.0.clamp(first, last);
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
    use proptest::prelude::*;

    /// `strfmt.IsDateTime` of kube-openapi, which checks the format `date-time` of a schema.
    fn server_takes(text: &str) -> bool {
        let text = text.to_lowercase();
        let parts: Vec<&str> = text.split('t').collect();
        let [date, time, ..] = parts.as_slice() else { return false };
        let is_date = date.len() == 10 && date.parse::<jiff::civil::Date>().is_ok();
        let shape = |text: &str, shape: &str| {
            text.len() == shape.len()
                && text.bytes().zip(shape.bytes()).all(|(b, s)| if s == b'0' { b.is_ascii_digit() } else { b == s })
        };
        let Some((clock, rest)) = time.split_at_checked(8) else { return false };
        let is_zone = |text: &str| text == "z" || shape(text, "+00:00") || shape(text, "-00:00");
        let fraction = |rest: &str| {
            let mut chars = rest.chars();
            let is_point = chars.next().is_some_and(|c| c != '\n');
            let digits = chars.as_str();
            let zone = digits.trim_start_matches(|c: char| c.is_ascii_digit());
            is_point && zone.len() < digits.len() && is_zone(zone)
        };
        let is_clock = shape(clock, "00:00:00") && clock[..2] <= *"23" && clock[3..5] <= *"59" && clock[6..] <= *"59";
        is_date && is_clock && (is_zone(rest) || fraction(rest))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn every_time_that_the_schema_takes_is_read_and_can_be_written(
            text in "(0000|0001|1969|2026|9999)-(01|02|12)-(01|28|29|30|31)[Tt](00|12|23|24)[:.](00|59|60):(00|59|60)(|[.,;é][0-9]{0,12})(Z|z|[+-](00|14|24|26|99):(00|60|99)|)(|t|Tx)",
        ) {
            let time = Time::parse(&text);
            prop_assert!(time.is_some() || !server_takes(&text), "{}", text);
            if let Some(time) = time {
                let written = time.to_string();
                prop_assert!(server_takes(&written) || time < Time::from_unix(-62_135_596_800), "{text} {written}");
                prop_assert_eq!(Time::parse(&written), Some(time));
            }
        }
    }

    #[test]
    fn the_year_9999_a_leap_second_and_lower_case_are_read() {
        let at = |text: &str| Time::parse(text).map(Time::unix);
        assert_eq!(at("9999-12-31T23:59:59Z"), Some(super::bounds().1));
        assert_eq!(at("2016-12-31T23:59:60Z"), at("2016-12-31T23:59:59Z"));
        assert_eq!(at("2026-11-21t09:30:00.5z"), Some(1_795_253_400));
        assert_eq!(at("2026-11-21T09:30:00+99:99"), Some(1_795_253_400 - 99 * 3_600 - 99 * 60));
        assert_eq!(at("2026-11-21T09:30:00"), None);
    }

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
