//! A label selector with bounds. The one of Kubernetes has none, and the API server needs them to estimate the cost of CEL
//! rules.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Selects nodes by label. All requirements must hold. An empty selector selects every node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Selector {
    /// Labels that must be present with exactly these values.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 16), with = "BTreeMap<String, LabelValue>")]
    pub match_labels: BTreeMap<String, String>,
    /// Requirements on label keys.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub match_expressions: Vec<Requirement>,
}

/// The value of a label.
#[derive(JsonSchema)]
#[schemars(inline)]
#[allow(dead_code)]
struct LabelValue(#[schemars(length(max = 63))] String);

/// One requirement on a label key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "self.operator in ['In', 'NotIn'] ? size(self.values) > 0 : !has(self.values) || size(self.values) == 0",
    "message": "values is required for the operators In and NotIn and must be omitted for Exists and DoesNotExist"
}]))]
#[serde(rename_all = "camelCase")]
pub struct Requirement {
    /// Label key.
    #[schemars(length(min = 1, max = 316))]
    pub key: String,
    /// Operator: In, NotIn, Exists or DoesNotExist.
    pub operator: Operator,
    /// Values for the operators In and NotIn.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 63)))]
    pub values: Vec<String>,
}

/// Operator of a requirement.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Operator {
    /// The label is present and its value is in the list.
    In,
    /// The label is absent, or its value is not in the list.
    NotIn,
    /// The label is present.
    #[default]
    Exists,
    /// The label is absent.
    DoesNotExist,
}

impl Selector {
    /// Whether labels match, with the semantics of Kubernetes label selectors; `label` gives the value of a key.
    pub fn matches<'l>(&self, label: impl Fn(&str) -> Option<&'l str>) -> bool {
        self.match_labels.iter().all(|(key, value)| label(key) == Some(value))
            && self.match_expressions.iter().all(|r| {
                let value = label(&r.key);
                let listed = value.is_some_and(|v| r.values.iter().any(|listed| listed == v));
                match r.operator {
                    Operator::In => listed,
                    Operator::NotIn => !listed,
                    Operator::Exists => value.is_some(),
                    Operator::DoesNotExist => value.is_none(),
                }
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels<'p>(pairs: &'p [(&'p str, &'p str)]) -> impl Fn(&str) -> Option<&'p str> {
        |wanted| pairs.iter().find(|(key, _)| *key == wanted).map(|(_, value)| *value)
    }

    #[test]
    fn an_empty_selector_selects_every_node() {
        assert!(Selector::default().matches(labels(&[])));
    }

    #[test]
    fn not_in_also_selects_nodes_without_the_label() {
        let selector = Selector {
            match_expressions: vec![Requirement {
                key: "zone".into(),
                operator: Operator::NotIn,
                values: vec!["a".into()],
            }],
            ..Selector::default()
        };
        assert!(selector.matches(labels(&[])));
        assert!(selector.matches(labels(&[("zone", "b")])));
        assert!(!selector.matches(labels(&[("zone", "a")])));
    }
}
