//! Walks the generated schemas: `kubectl explain` must serve as the manual, and everything must be bounded.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::needless_pass_by_value,
    clippy::type_complexity,
    clippy::too_many_lines,
    reason = "test code: its helpers fail the test that calls them"
)]

use serde_json::Value;

/// Words that give the unit of a number. The description of each integer has one of them.
const UNIT_WORDS: &[&str] = &[
    "seconds",
    "minutes",
    "milliseconds",
    "MiB",
    "megabytes",
    "megabits per second",
    "gigabits per second",
    "gigaflops",
    "percent",
    "generation",
    "index number",
    "port number",
    "priority number",
    "number of the slot",
    "number of the attempt",
    "as a number of",
    "The number of",
    "number of nodes",
    "in nodes",
    "in edges",
    "in the unit that the name gives",
    "as a number from 1 (seconds) to 4 (hours)",
    "How many passes over",
    "The sum of all rates, in megabits",
];

/// Visits every schema below a kind's spec and status, with its path and whether it is a property.
fn walk(path: &str, schema: &Value, is_property: bool, visit: &mut impl FnMut(&str, &Value, bool)) {
    visit(path, schema, is_property);
    if let Some(items) = schema.get("items") {
        walk(&format!("{path}[]"), items, false, visit);
    }
    if let Some(values) = schema.get("additionalProperties").filter(|values| values.is_object()) {
        walk(&format!("{path}{{}}"), values, false, visit);
    }
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        walk(&format!("{path}.{name}"), property, true, visit);
    }
}

/// All problems that `wrong` reports, over all schemas of all kinds.
fn complaints(wrong: impl Fn(&Value, bool) -> Option<String>) -> Vec<String> {
    let mut complaints = Vec::new();
    for definition in crds::custom_resource_definitions() {
        let kind = &definition.spec.names.kind;
        for version in &definition.spec.versions {
            let schema =
                serde_json::to_value(version.schema.as_ref().unwrap().open_api_v3_schema.as_ref().unwrap()).unwrap();
            assert!(schema["description"].as_str().is_some_and(is_sentence), "{kind} itself");
            for part in ["spec", "status"] {
                if let Some(schema) = schema["properties"].get(part) {
                    walk(&format!("{kind}.{part}"), schema, true, &mut |path, schema, is_property| {
                        complaints.extend(wrong(schema, is_property).map(|what| format!("{path}: {what}")));
                    });
                }
            }
        }
    }
    complaints
}

fn is_sentence(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_uppercase() || first == '`')
        && text.ends_with('.')
        && !text.contains('\n')
}

fn none(complaints: &[String]) {
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[test]
fn every_field_has_a_sentence() {
    none(&complaints(|schema, is_property| {
        let description = schema["description"].as_str().unwrap_or_default();
        (is_property && !is_sentence(description)).then(|| format!("{description:?} is not a sentence"))
    }));
}

#[test]
fn every_number_is_an_integer_with_a_range_and_a_unit() {
    none(&complaints(|schema, is_property| {
        let description = schema["description"].as_str().unwrap_or_default();
        match schema["type"].as_str() {
            Some("number") => Some("floats are not allowed".to_owned()),
            Some("integer") if schema.get("minimum").is_none() || schema.get("maximum").is_none() => {
                Some("no range".to_owned())
            }
            Some("integer") if is_property && !UNIT_WORDS.iter().any(|word| description.contains(word)) => {
                Some(format!("{description:?} has no unit"))
            }
            _ => None,
        }
    }));
}

#[test]
fn every_string_list_and_map_has_a_bound() {
    none(&complaints(|schema, _| {
        let has = |key: &str| schema.get(key).is_some();
        let bounded = match schema["type"].as_str() {
            Some("string") => has("maxLength") || has("enum") || schema["format"] == "date-time",
            Some("array") => has("maxItems"),
            Some("object") if schema["additionalProperties"].is_object() => has("maxProperties"),
            Some("object") => has("properties") || schema["additionalProperties"].is_null(),
            Some("integer" | "boolean") => true,
            Some(_) => false,
            None => schema["x-kubernetes-int-or-string"] == true && has("maxLength"),
        };
        (!bounded).then(|| "no bound".to_owned())
    }));
}

#[test]
fn nothing_is_stored_that_the_schema_does_not_name() {
    none(&complaints(|schema, _| {
        (schema["x-kubernetes-preserve-unknown-fields"] == true || schema["x-kubernetes-embedded-resource"] == true)
            .then(|| "keeps unknown fields".to_owned())
    }));
}

#[test]
fn every_rule_has_a_message_that_names_a_field() {
    none(&complaints(|schema, _| {
        let rules = schema["x-kubernetes-validations"].as_array().into_iter().flatten();
        rules
            .map(|rule| rule["message"].as_str().unwrap_or_default())
            .find(|message| message.split(' ').count() < 4)
            .map(|message| format!("{message:?} says too little"))
    }));
}

#[test]
fn what_one_writer_replaces_whole_is_an_atomic_map_and_conditions_are_keyed_by_type() {
    let definitions = crds::custom_resource_definitions();
    let node_health = definitions.iter().find(|definition| definition.spec.names.kind == "NodeHealth").unwrap();
    let schema = serde_json::to_value(&node_health.spec.versions[0].schema).unwrap();
    let properties = &schema["openAPIV3Schema"]["properties"];
    for atomic in [
        &properties["spec"]["properties"]["expected"],
        &properties["status"]["properties"]["report"],
        &properties["status"]["properties"]["exclusive"],
        &properties["status"]["properties"]["decision"],
    ] {
        assert_eq!(atomic["x-kubernetes-map-type"], "atomic");
    }
    assert_eq!(properties["status"]["properties"]["conditions"]["x-kubernetes-list-map-keys"][0], "type");
}

#[test]
fn every_default_of_a_spec_is_named_once_in_the_description_because_kubectl_explain_prints_no_defaults() {
    none(&complaints(|schema, is_property| {
        let (description, default) = (schema["description"].as_str().unwrap_or_default(), schema.get("default")?);
        let is_shown =
            default.is_boolean() || default.is_number() || default.as_str().is_some_and(|text| !text.is_empty());
        let times = description.matches("Default: ").count();
        (is_property && is_shown && times > 1).then(|| format!("{description:?} names its default {times} times"))
    }));
    let definitions = crds::custom_resource_definitions();
    let policy = definitions.iter().find(|d| d.spec.names.kind == "NodeHealthPolicy").unwrap();
    let schema = serde_json::to_value(&policy.spec.versions[0].schema).unwrap();
    for (path, default) in [
        ("bootGraceSeconds", "Default: 600."),
        ("budget/properties/maxUnavailable", "Default: 10%."),
        ("mode", "Default: Observe."),
    ] {
        let path = format!("/openAPIV3Schema/properties/spec/properties/{path}/description");
        let description = schema.pointer(&path).unwrap().as_str().unwrap();
        assert!(description.ends_with(default), "{description}");
    }
}
