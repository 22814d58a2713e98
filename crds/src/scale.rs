//! A number of nodes, or a percentage of them.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;

/// A number of nodes (`3`) or a percentage of them (`10%`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// An absolute number of nodes.
    Nodes(i64),
    /// A percentage of the nodes.
    Percent(i64),
}

impl Scale {
    /// The number of nodes out of `total` that this allows. A percentage is rounded down, but to `minimum` at least.
    pub fn of(self, total: usize, minimum: usize) -> usize {
        match self {
            Self::Nodes(n) => usize::try_from(n).unwrap_or(0),
            Self::Percent(p) => (total.saturating_mul(usize::try_from(p).unwrap_or(0)) / 100).max(minimum),
        }
    }
}

/// Schema of a number of unavailable nodes, which may be none.
pub(crate) fn unavailable(_: &mut SchemaGenerator) -> Schema {
    schema(0, 100_000, 0)
}

/// Schema of the size of a storm. One node is none.
pub(crate) fn storm(_: &mut SchemaGenerator) -> Schema {
    schema(2, 100_000, 1)
}

fn schema(least: u32, most: u32, least_percent: u32) -> Schema {
    let percent = if least_percent == 0 { "[1-9]?[0-9]" } else { "[1-9][0-9]?" };
    json_schema!({
        "x-kubernetes-int-or-string": true,
        "maxLength": 16,
        "x-kubernetes-validations": [{
            "rule": format!("type(self) == int ? (self >= {least} && self <= {most}) : self.matches('^({percent}|100)%$')"),
            "message": format!("must be a number of nodes from {least} to {most} or a percentage from {least_percent}% to 100%, for example 10%"),
        }],
    })
}

impl Serialize for Scale {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Nodes(n) => serializer.serialize_i64(*n),
            Self::Percent(p) => serializer.collect_str(&format_args!("{p}%")),
        }
    }
}

impl<'de> Deserialize<'de> for Scale {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Raw {
            Number(i64),
            Text(String),
        }
        match Raw::deserialize(deserializer)? {
            Raw::Number(n) => Ok(Self::Nodes(n)),
            Raw::Text(text) => match text.strip_suffix('%').and_then(|p| p.parse().ok()) {
                Some(percent) => Ok(Self::Percent(percent)),
                None => {
                    Err(serde::de::Error::custom(format!("{text:?} is neither a number nor a percentage such as 10%")))
                }
            },
        }
    }
}

impl JsonSchema for Scale {
    fn schema_name() -> Cow<'static, str> {
        "Scale".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schema(1, 1000, 1)
    }
}

#[cfg(test)]
mod tests {
    use super::Scale;

    #[test]
    fn a_percentage_is_rounded_down_but_keeps_the_minimum_and_a_number_is_what_it_says() {
        assert_eq!(Scale::Percent(10).of(29, 1), 2);
        assert_eq!(Scale::Percent(10).of(5, 1), 1);
        assert_eq!(Scale::Percent(10).of(5, 0), 0);
        assert_eq!(Scale::Nodes(7).of(3, 0), 7);
        assert_eq!(Scale::Nodes(0).of(100, 1), 0);
    }

    #[test]
    fn numbers_and_percentages_read_back_as_written() {
        for (json, scale) in [("3", Scale::Nodes(3)), ("\"10%\"", Scale::Percent(10))] {
            assert_eq!(serde_json::from_str::<Scale>(json).unwrap(), scale);
            assert_eq!(serde_json::to_string(&scale).unwrap(), json);
        }
        assert!(serde_json::from_str::<Scale>("\"ten\"").unwrap_err().to_string().contains("10%"));
    }
}
