//! A number of nodes, or a percentage of them.

use schemars::JsonSchema;
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
    /// The number of nodes out of `total` that this allows, rounded down, but at least `minimum`.
    pub fn of(self, total: usize, minimum: usize) -> usize {
        let allowed = match self {
            Self::Nodes(n) => usize::try_from(n).unwrap_or(0),
            Self::Percent(p) => total.saturating_mul(usize::try_from(p).unwrap_or(0)) / 100,
        };
        allowed.max(minimum)
    }
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

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "x-kubernetes-int-or-string": true,
            "maxLength": 16,
            "x-kubernetes-validations": [{
                "rule": "type(self) == int ? (self >= 1 && self <= 1000) : self.matches('^([1-9][0-9]?|100)%$')",
                "message": "must be a number of nodes from 1 to 1000 or a percentage from 1% to 100%, for example 10%"
            }],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Scale;

    #[test]
    fn a_percentage_is_rounded_down_but_keeps_the_minimum() {
        assert_eq!(Scale::Percent(10).of(29, 1), 2);
        assert_eq!(Scale::Percent(10).of(5, 1), 1);
        assert_eq!(Scale::Percent(10).of(5, 0), 0);
        assert_eq!(Scale::Nodes(7).of(3, 0), 7);
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
