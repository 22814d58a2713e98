//! Makes the largest object that a schema allows: every optional member present, every list, map and string at its bound.
//!
//! Walking the schema does not evaluate its rules (CEL). The few that limit size or choice are handled here by name.

use serde_json::{Map, Value, json};

/// Patterns of the schemas, each with a text that matches and still does with its first character repeated in front. A
/// schema with a pattern that is not listed fails the test, so that a row is added.
const PATTERNS: &[(&str, &str)] = &[
    (r"^[A-Za-z0-9_-]+$", "a"),
    ("^[A-Z][A-Za-z0-9]*$", "A"),
    ("^[a-z0-9]([a-z0-9-]*[a-z0-9])?$", "a"),
    ("^[a-z][a-z0-9-]*$", "a"),
    (r"^[0-9]+(\.[0-9]+)*$", "1"),
    ("^(True|False|Unknown)$", "=Unknown"),
    ("^(nvidia|amd)$", "=nvidia"),
];

/// The largest value of a schema. `salt` makes entries of one list differ, where they must.
pub(crate) fn fill(schema: &Value, salt: usize) -> Value {
    if schema["x-kubernetes-int-or-string"] == true {
        return json!("100%");
    }
    match schema["type"].as_str() {
        Some("string") => text(schema, salt),
        Some("integer") => integer(schema),
        Some("boolean") => json!(false),
        Some("array") => (0..usize_of(&schema["maxItems"])).map(|index| fill(&schema["items"], index)).collect(),
        Some("object") => object(schema, salt),
        other => panic!("no filling for type {other:?}: {schema}"),
    }
}

fn text(schema: &Value, salt: usize) -> Value {
    if schema["format"] == "date-time" {
        return json!("2026-11-21T09:30:00Z");
    }
    if let Some(values) = schema["enum"].as_array() {
        return values.iter().max_by_key(|value| value.as_str().map(str::len)).unwrap().clone();
    }
    let length = usize_of(&schema["maxLength"]);
    let filler = match schema["pattern"].as_str() {
        None => "a",
        Some(pattern) => {
            PATTERNS
                .iter()
                .find(|(known, _)| *known == pattern)
                .unwrap_or_else(|| panic!("add a row for the pattern {pattern}"))
                .1
        }
    };
    if let Some(literal) = filler.strip_prefix('=') {
        return json!(literal);
    }
    let salt = salt.to_string();
    json!(filler.repeat(length - salt.len()) + &salt)
}

/// The number with the most digits.
fn integer(schema: &Value) -> Value {
    let bounds = [schema["minimum"].clone(), schema["maximum"].clone()];
    let number = bounds.into_iter().max_by_key(|bound| as_integer(bound).to_string().len()).unwrap();
    json!(as_integer(&number))
}

/// Bounds are stored as floats in a definition.
#[allow(clippy::cast_possible_truncation, reason = "bounds are whole numbers below 2^53")]
fn as_integer(bound: &Value) -> i64 {
    bound.as_i64().unwrap_or_else(|| bound.as_f64().unwrap() as i64)
}

fn usize_of(bound: &Value) -> usize {
    usize::try_from(bound.as_i64().expect("a bound")).unwrap()
}

fn object(schema: &Value, salt: usize) -> Value {
    if schema["additionalProperties"].is_object() {
        let entry = |index: usize| (format!("CHECK_{index:057}"), fill(&schema["additionalProperties"], index));
        return Value::Object((0..usize_of(&schema["maxProperties"])).map(entry).collect());
    }
    let Some(properties) = schema["properties"].as_object() else {
        return json!({});
    };
    if properties.contains_key("networkBandwidth") {
        return check(properties, salt);
    }
    let mut filled: Map<String, Value> =
        properties.iter().map(|(name, schema)| (name.clone(), fill(schema, salt))).collect();
    // Members that exclude each other: the larger one stays.
    if filled.contains_key("nodeNames") {
        filled.remove("nodeSelector");
    }
    if filled.contains_key("checks") && filled.contains_key("level") {
        filled.remove("level");
    }
    if filled.contains_key("operator") {
        filled.insert("operator".to_owned(), json!("NotIn"));
    }
    if let Some(assignments) = filled.get_mut("assignments") {
        share_out(assignments);
    }
    if let Some(runs) = filled.get_mut("runs") {
        for run in runs.as_array_mut().unwrap() {
            run["results"].as_array_mut().unwrap().truncate(8);
        }
    }
    Value::Object(filled)
}

/// One check: the kind that is longest when filled. The first of a list is custom and holds all the text that a run may.
fn check(properties: &Map<String, Value>, salt: usize) -> Value {
    let name = fill(&properties["name"], salt);
    if salt == 0 {
        let env: Map<String, Value> = (0..15).map(|index| (format!("CHECK_{index:057}"), json!("v"))).collect();
        let custom =
            json!({"program": "p".repeat(63), "args": vec!["a".repeat(4); 16], "env": env, "timeoutSeconds": 86400});
        return json!({"name": name, "custom": custom});
    }
    let kinds = properties.iter().filter(|(kind, _)| !["name", "custom"].contains(&kind.as_str()));
    let (kind, filled) = kinds
        .map(|(kind, schema)| (kind, fill(schema, salt)))
        .max_by_key(|(kind, filled)| kind.len() + filled.to_string().len())
        .unwrap();
    json!({"name": name, kind: filled})
}

/// The assignments of a node hold 16 checks and one group together, and so do the reports about them.
fn share_out(assignments: &mut Value) {
    for assignment in assignments.as_array_mut().unwrap() {
        assignment["checks"].as_array_mut().unwrap().truncate(8);
    }
    assignments[1].as_object_mut().unwrap().remove("group");
}
