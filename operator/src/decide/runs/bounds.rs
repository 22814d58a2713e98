//! The bounds of a run's spec, read from the CustomResourceDefinition so that no range is written twice.

use crds::HealthCheckRun;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use kube::CustomResourceExt;
use regex::Regex;
use serde_json::Value;
use std::{collections::BTreeMap, ops::RangeInclusive, sync::LazyLock};

/// The bounds of one value, and of everything in it.
#[derive(Debug, Default)]
pub(super) struct Bounds {
    /// The range of a number.
    range: Option<(i64, i64)>,
    /// The length of a text in characters, and how many elements a list or map has; `None` if not bounded.
    length: Option<RangeInclusive<usize>>,
    pattern: Option<Regex>,
    members: BTreeMap<String, Bounds>,
    /// The bounds of each element of a list or map.
    elements: Option<Box<Bounds>>,
}

static SPEC: LazyLock<Bounds> = LazyLock::new(|| {
    let versions = HealthCheckRun::crd().spec.versions;
    let schema = versions.into_iter().find_map(|version| version.schema?.open_api_v3_schema);
    let spec = schema.and_then(|schema| schema.properties?.remove("spec"));
    spec.map(|spec| Bounds::of(&spec)).unwrap_or_default()
});

static NONE: Bounds = Bounds { range: None, length: None, pattern: None, members: BTreeMap::new(), elements: None };

/// The bounds of the field of a run's spec at this path, such as `checks.custom.program`; a name after a list or map
/// refers to each of its elements.
pub(super) fn at(path: &str) -> &'static Bounds {
    path.split('.').fold(&*SPEC, |bounds: &'static Bounds, name| {
        let inner = bounds.elements.as_deref().unwrap_or(bounds);
        inner.members.get(name).unwrap_or(&NONE)
    })
}

/// The bounds of each element of the list or map at this path.
pub(super) fn each(path: &str) -> &'static Bounds {
    at(path).elements.as_deref().unwrap_or(&NONE)
}

/// Schemas store every number as a float.
fn whole(number: Option<f64>) -> Option<i64> {
    number?.to_string().parse().ok()
}

fn count(number: Option<i64>) -> Option<usize> {
    usize::try_from(number?).ok()
}

impl Bounds {
    fn of(schema: &JSONSchemaProps) -> Self {
        let least = count(schema.min_length.or(schema.min_items).or(schema.min_properties));
        let most = count(schema.max_length.or(schema.max_items).or(schema.max_properties));
        let elements = match (&schema.items, &schema.additional_properties) {
            (Some(JSONSchemaPropsOrArray::Schema(one)), _) | (_, Some(JSONSchemaPropsOrBool::Schema(one))) => {
                Some(Box::new(Self::of(one)))
            }
            _ => None,
        };
        Self {
            range: whole(schema.minimum).zip(whole(schema.maximum)),
            length: (least.is_some() || most.is_some()).then(|| least.unwrap_or(0)..=most.unwrap_or(usize::MAX)),
            pattern: schema.pattern.as_deref().and_then(|pattern| Regex::new(pattern).ok()),
            members: schema.properties.iter().flatten().map(|(name, one)| (name.clone(), Self::of(one))).collect(),
            elements,
        }
    }

    /// The longest text, or the most elements.
    pub(super) fn most(&self) -> usize {
        self.length.as_ref().map_or(usize::MAX, |length| *length.end())
    }

    /// Whether a list or map may have this many elements.
    pub(super) fn allows_count(&self, elements: usize) -> bool {
        self.length.as_ref().is_none_or(|length| length.contains(&elements))
    }

    /// Whether a text has an allowed length and form.
    pub(super) fn allows_text(&self, text: &str) -> bool {
        self.allows_count(text.chars().count()) && self.pattern.as_ref().is_none_or(|pattern| pattern.is_match(text))
    }

    /// What is wrong with a number that is this value or inside it.
    pub(super) fn wrong_number(&self, field: &str, value: &Value) -> Option<String> {
        self.find(field, value, &|bounds, field, value| {
            let (lowest, highest) = bounds.range?;
            let number = value.as_i64().filter(|number| !(lowest..=highest).contains(number))?;
            Some(format!("{field} is {number}; it must be from {lowest} to {highest}"))
        })
    }

    /// What is wrong with a text, list or map that is this value or inside it.
    pub(super) fn wrong_text_or_count(&self, field: &str, value: &Value) -> Option<String> {
        self.find(field, value, &|bounds, field, value| {
            let (elements, what) = match value {
                Value::String(text) if bounds.allows_text(text) => return None,
                Value::String(text) => (text.chars().count(), "characters"),
                Value::Array(list) => (list.len(), "elements"),
                Value::Object(map) => (map.len(), "members"),
                Value::Null | Value::Bool(_) | Value::Number(_) => return None,
            };
            if bounds.allows_count(elements) {
                // The length is fine, so the form of a text is wrong.
                let pattern = bounds.pattern.as_ref().filter(|_| value.is_string())?;
                return Some(format!("{field} is {value}; it must match {}", pattern.as_str()));
            }
            let length = bounds.length.as_ref()?;
            Some(format!("{field} has {elements} {what}; it must have {} to {}", length.start(), length.end()))
        })
    }

    /// The first complaint about this value or one inside it.
    fn find(
        &self,
        field: &str,
        value: &Value,
        complain: &dyn Fn(&Self, &str, &Value) -> Option<String>,
    ) -> Option<String> {
        complain(self, field, value).or_else(|| match value {
            Value::Array(list) => {
                let elements = self.elements.as_ref()?;
                let mut indexed = list.iter().enumerate();
                indexed.find_map(|(index, one)| elements.find(&format!("{field}[{index}]"), one, complain))
            }
            Value::Object(map) => map.iter().find_map(|(name, one)| {
                let bounds = self.members.get(name).or(self.elements.as_deref())?;
                bounds.find(&format!("{field}.{name}"), one, complain)
            }),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_bounds_are_those_of_the_schema() {
        assert_eq!(at("deadlineSeconds").range, Some((1, 604_800)));
        assert_eq!(at("checks").most(), 16);
        assert_eq!(at("checks.stress.powerCapsPercent").most(), 8);
        assert_eq!(at("checks.networkBandwidth.ports.first").range, Some((1_024, 65_535)));
        assert_eq!(at("checks.drill.finding.reason").most(), 58);
        assert!(!at("checks.name").allows_text("A b"));
        assert!(at("checks.name").allows_text("a-b"));
        assert_eq!(at("checks.horoscope").range, None);
    }

    #[test]
    fn what_is_out_of_bounds_is_named_wherever_it_is() {
        let check = each("checks");
        let wrong = |value: Value| check.wrong_text_or_count("c", &value);
        let long = "x".repeat(257);
        assert_eq!(
            wrong(json!({"custom": {"args": ["a", long]}})).unwrap(),
            "c.custom.args[1] has 257 characters; it must have 0 to 256"
        );
        assert_eq!(
            wrong(json!({"custom": {"env": {"CHECK_A": long}}})).unwrap(),
            "c.custom.env.CHECK_A has 257 characters; it must have 0 to 256"
        );
        assert_eq!(
            wrong(json!({"name": "A"})).unwrap(),
            "c.name is \"A\"; it must match ^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"
        );
        assert_eq!(
            wrong(json!({"custom": {"args": vec!["a"; 17]}})).unwrap(),
            "c.custom.args has 17 elements; it must have 0 to 16"
        );
        assert_eq!(wrong(json!({"name": "a", "custom": {"program": "p"}})), None);
        let number = check.wrong_number("c", &json!({"stress": {"powerCapsPercent": [60, 130]}}));
        assert_eq!(number.unwrap(), "c.stress.powerCapsPercent[1] is 130; it must be from 10 to 100");
    }
}
