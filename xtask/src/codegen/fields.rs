//! `docs/fields.md`: all fields of all kinds, read from the generated schemas.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde_json::Value;
use std::collections::HashMap;
use std::fmt::Write as _;

const INTRODUCTION: &str = "<!-- Written by `cargo xtask codegen`. Edits are overwritten. -->\n\
# Fields\n\n\
All fields of all kinds in `gpuhealth.dev/v1alpha1`, with the same descriptions as `kubectl explain`. `[]` stands for each\n\
element of a list, `{}` for each value of a map. Fields in **bold** are required.\n";

/// A subtree with at least this many fields is written once and referenced afterwards.
const WORTH_A_REFERENCE: usize = 20;

/// The whole page.
pub(super) fn reference(definitions: &[CustomResourceDefinition]) -> String {
    let mut page = INTRODUCTION.to_owned();
    let mut written = Written::default();
    for definition in definitions {
        kind(&mut page, definition, &mut written);
    }
    page
}

/// Where each large subtree was first written, by its schema.
type Written = HashMap<String, String>;

fn kind(page: &mut String, definition: &CustomResourceDefinition, written: &mut Written) {
    let names = &definition.spec.names;
    let short = names.short_names.iter().flatten().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let schema = definition.spec.versions.first().and_then(|version| version.schema.as_ref());
    let schema = schema.and_then(|schema| serde_json::to_value(&schema.open_api_v3_schema).ok()).unwrap_or_default();
    let description = schema["description"].as_str().unwrap_or_default();
    let _ = write!(page, "\n## {} ({short})\n\n{description}\n", names.kind);
    let mut walk = Walk { kind: &names.kind, rows: Vec::new(), rules: Vec::new(), written };
    for part in ["spec", "status"] {
        if let Some(schema) = schema["properties"].get(part) {
            walk.fields(part, schema);
        }
    }
    page.push_str("\n| field | type | range | meaning |\n|---|---|---|---|\n");
    walk.rows.iter().for_each(|row| page.push_str(row));
    if !walk.rules.is_empty() {
        page.push_str("\nValidation rules, with the error message of the API server:\n\n");
        walk.rules.iter().for_each(|rule| page.push_str(rule));
    }
}

struct Walk<'a> {
    kind: &'a str,
    rows: Vec<String>,
    rules: Vec<String>,
    written: &'a mut Written,
}

impl Walk<'_> {
    fn fields(&mut self, path: &str, schema: &Value) {
        for rule in schema["x-kubernetes-validations"].as_array().into_iter().flatten() {
            let message = rule["message"].as_str().or_else(|| rule["rule"].as_str()).unwrap_or_default();
            self.rules.push(format!("- `{path}{}`: {message}\n", rule["fieldPath"].as_str().unwrap_or_default()));
        }
        if let Some(items) = schema.get("items") {
            self.fields(&format!("{path}[]"), items);
        }
        if let Some(values) = schema.get("additionalProperties").filter(|values| values.is_object()) {
            self.fields(&format!("{path}{{}}"), values);
        }
        let Some(properties) = schema["properties"].as_object() else {
            return;
        };
        if properties.len() >= WORTH_A_REFERENCE {
            let here = format!("{} `{path}`", self.kind);
            let first = self.written.entry(schema.to_string()).or_insert_with(|| here.clone());
            if *first != here {
                self.rows.push(format!("| `{path}.…` | | | The same fields as {first}. |\n"));
                return;
            }
        }
        let required: Vec<&str> =
            schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        for (name, field) in properties {
            let path = format!("{path}.{name}");
            self.rows.push(row(&path, field, required.contains(&name.as_str())));
            self.fields(&path, field);
        }
    }
}

fn row(path: &str, field: &Value, required: bool) -> String {
    let name = if required { format!("**`{path}`**") } else { format!("`{path}`") };
    let meaning = field["description"].as_str().unwrap_or_default();
    let cell = |text: &str| text.replace('|', "\\|").replace('\n', " ");
    format!("| {name} | {} | {} | {} |\n", type_of(field), cell(&range_of(field)), cell(meaning))
}

fn type_of(field: &Value) -> String {
    let element = |key: &str| field.get(key).filter(|element| element.is_object()).map(type_of);
    match field["type"].as_str() {
        _ if field["x-kubernetes-int-or-string"] == true => "integer or string".to_owned(),
        Some("array") => format!("list of {}", element("items").unwrap_or_default()),
        Some("object") => match element("additionalProperties") {
            Some(values) => format!("map to {values}"),
            None => "object".to_owned(),
        },
        Some("string") if field["format"] == "date-time" => "time".to_owned(),
        Some(plain) => plain.to_owned(),
        None => String::new(),
    }
}

fn range_of(field: &Value) -> String {
    let mut parts = Vec::new();
    let mut bounds = |low: &str, high: &str, unit: &str| match (field[low].as_f64(), field[high].as_f64()) {
        (Some(low), Some(high)) => parts.push(format!("{low} to {high}{unit}")),
        (None, Some(high)) => parts.push(format!("at most {high}{unit}")),
        (Some(low), None) => parts.push(format!("at least {low}{unit}")),
        (None, None) => {}
    };
    bounds("minimum", "maximum", "");
    bounds("minLength", "maxLength", " characters");
    bounds("minItems", "maxItems", " items");
    bounds("minProperties", "maxProperties", " entries");
    if let Some(values) = field["enum"].as_array() {
        let values: Vec<String> = values.iter().filter_map(Value::as_str).map(|value| format!("`{value}`")).collect();
        parts.push(values.join(", "));
    }
    if let Some(pattern) = field["pattern"].as_str() {
        parts.push(format!("`{pattern}`"));
    }
    if let Some(default) = field.get("default").filter(|default| !default.is_object()) {
        parts.push(format!("default {default}"));
    }
    for element in ["items", "additionalProperties"] {
        if let Some(range) = field.get(element).map(range_of).filter(|range| !range.is_empty()) {
            parts.push(format!("each {range}"));
        }
    }
    parts.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_range_shows_bounds_pattern_default_and_the_range_of_each_element() {
        assert_eq!(
            range_of(&json!({"type": "integer", "minimum": 1, "maximum": 604_800, "default": 7200})),
            "1 to 604800; default 7200"
        );
        let names = json!({"type": "array", "maxItems": 16, "items": {"type": "string", "maxLength": 63, "pattern": "^[a-z]+$"}});
        assert_eq!(range_of(&names), "at most 16 items; each at most 63 characters; `^[a-z]+$`");
    }

    #[test]
    fn the_page_has_every_kind_and_a_row_for_a_field_deep_inside() {
        let page = reference(&crds::custom_resource_definitions());
        for kind in [
            "HealthCheckRun",
            "NodeHealth",
            "NodeHealthPolicy",
            "NodeHardwareProfile",
            "NodeHealthOverride",
            "HardwareRecord",
        ] {
            assert!(page.contains(&format!("\n## {kind} (")), "{kind}");
        }
        assert!(
            page.contains("| **`spec.checks[].networkBandwidth.ports.first`** | integer | 1024 to 65535 |"),
            "{page}"
        );
        assert!(page.contains("- `spec.cancel`: cancel cannot be undone"));
    }
}
