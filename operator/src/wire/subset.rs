//! The subset of a write that an older CustomResourceDefinition accepts.
//!
//! The API server refuses an apply with fields that it does not know: 500, `.status.decision.quarantine: field not declared
//! in schema`, nothing is written. Without them the object still tells what the older definition can hold.

use crate::plan::Write;
use serde_json::Value;

const NOT_DECLARED: &str = ": field not declared in schema";

/// Whether what is left of this write may be sent without the fields that an older definition lacks. Only words: a claim or
/// a work order without some of its fields would mean something else.
pub fn may_be_cut(write: &Write) -> bool {
    match write {
        Write::NodeHealthStatus(_) => true,
        Write::NodeHealthSpec(_)
        | Write::DeleteNodeHealth { .. }
        | Write::NodeTaints { .. }
        | Write::NodeMarks { .. }
        | Write::NodeCondition { .. }
        | Write::RunStatus { .. }
        | Write::RunObserved { .. }
        | Write::ResultCreate(_)
        | Write::DeleteRun { .. }
        | Write::PolicyClaims { .. }
        | Write::PolicyStatus { .. } => false,
    }
}

/// The paths that this message of the API server calls undeclared.
pub fn undeclared(message: &str) -> Vec<String> {
    let of_part = |part: &str| {
        let path = part.rsplit(|c: char| c.is_whitespace()).next()?;
        path.starts_with('.').then(|| path.to_owned())
    };
    // What follows the last occurrence is no path.
    let mut parts: Vec<&str> = message.split(NOT_DECLARED).collect();
    parts.pop();
    parts.into_iter().filter_map(of_part).collect()
}

/// Removes what is at this path, for example `.status.conditions[type="Covered"].code`; brackets stand for every element.
/// Returns whether there was anything.
pub fn remove(body: &mut Value, path: &str) -> bool {
    let names: Vec<&str> = path.split('.').filter(|name| !name.is_empty()).collect();
    remove_names(body, &names)
}

fn remove_names(value: &mut Value, names: &[&str]) -> bool {
    let Some((name, rest)) = names.split_first() else { return false };
    let name = name.split('[').next().unwrap_or_default();
    match value {
        Value::Array(values) => {
            // Each element, not only the first that has it.
            values.iter_mut().map(|value| remove_names(value, names)).filter(|removed| *removed).count() > 0
        }
        Value::Object(members) if rest.is_empty() => members.remove(name).is_some(),
        Value::Object(members) => members.get_mut(name).is_some_and(|member| remove_names(member, rest)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_paths_are_read_from_the_message() {
        let one = "failed to create typed patch object (/n1; gpuhealth.dev/v1alpha1, Kind=NodeHealth): .status.decision.quarantine: field not declared in schema";
        assert_eq!(undeclared(one), [".status.decision.quarantine"]);
        let two = "failed to create typed patch object (/n1; gpuhealth.dev/v1alpha1, Kind=NodeHealth): errors:\n  .status.gpuCount: field not declared in schema\n  .status.conditions[type=\"Covered\"].x: field not declared in schema";
        assert_eq!(undeclared(two), [".status.gpuCount", ".status.conditions[type=\"Covered\"].x"]);
        assert!(undeclared("etcdserver: request timed out").is_empty());
    }

    #[test]
    fn what_is_left_is_the_rest() {
        let mut body =
            json!({"status": {"decision": {"state": "Healthy", "causes": [{"a": 1, "code": 79}, {"a": 2}]}}});
        assert!(remove(&mut body, ".status.decision.causes[0].code"));
        assert!(!remove(&mut body, ".status.decision.causes[0].code"));
        assert!(remove(&mut body, ".status.decision.state"));
        assert_eq!(body, json!({"status": {"decision": {"causes": [{"a": 1}, {"a": 2}]}}}));
    }
}
