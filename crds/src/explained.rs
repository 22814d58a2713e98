//! Descriptions that name the default of a field: `kubectl explain` prints descriptions, but no defaults.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use serde_json::Value;

/// The definition, with the default of each field of the spec at the end of the field's description.
pub(crate) fn with_defaults(mut definition: CustomResourceDefinition) -> CustomResourceDefinition {
    for version in &mut definition.spec.versions {
        let schema = version.schema.as_mut().and_then(|schema| schema.open_api_v3_schema.as_mut());
        if let Some(spec) = schema.and_then(|schema| schema.properties.as_mut()?.get_mut("spec")) {
            below(spec);
        }
    }
    definition
}

fn below(schema: &mut JSONSchemaProps) {
    for property in schema.properties.iter_mut().flat_map(|properties| properties.values_mut()) {
        if let (Some(default), Some(description)) = (&property.default, &mut property.description) {
            match &default.0 {
                Value::String(text) if text.is_empty() => {}
                Value::String(text) => append(description, text),
                Value::Bool(_) | Value::Number(_) => append(description, &default.0.to_string()),
                // The defaults of its members stand at the members.
                Value::Null | Value::Array(_) | Value::Object(_) => {}
            }
        }
        below(property);
    }
    match &mut schema.items {
        Some(JSONSchemaPropsOrArray::Schema(items)) => below(items),
        Some(JSONSchemaPropsOrArray::Schemas(_)) | None => {}
    }
    match &mut schema.additional_properties {
        Some(JSONSchemaPropsOrBool::Schema(values)) => below(values),
        Some(JSONSchemaPropsOrBool::Bool(_)) | None => {}
    }
}

fn append(description: &mut String, default: &str) {
    description.push_str(" Default: ");
    description.push_str(default);
    description.push('.');
}
