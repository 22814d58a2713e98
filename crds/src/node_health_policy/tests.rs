use super::*;
use serde_json::{Value, json};

fn schema() -> Value {
    let definitions = crate::custom_resource_definitions();
    let policy = definitions.iter().find(|d| d.spec.names.kind == "NodeHealthPolicy").unwrap();
    serde_json::to_value(&policy.spec.versions[0].schema).unwrap()["openAPIV3Schema"]["properties"]["spec"].clone()
}

/// What the API server does before it stores an object.
fn fill_in_defaults(schema: &Value, value: &mut Value) {
    if let (Some(properties), Some(members)) = (schema["properties"].as_object(), value.as_object_mut()) {
        for (name, property) in properties {
            if !members.contains_key(name)
                && let Some(default) = property.get("default")
            {
                members.insert(name.clone(), default.clone());
            }
            if let Some(member) = members.get_mut(name) {
                fill_in_defaults(property, member);
            }
        }
    }
    if let (Some(items), Some(elements)) = (schema.get("items"), value.as_array_mut()) {
        for element in elements {
            fill_in_defaults(items, element);
        }
    }
}

/// A policy that sets every object of which members have defaults, and none of these members.
fn sparse() -> Value {
    json!({
        "monitors": [{"name": "ecc"}],
        "schedules": [{"name": "s", "cron": "0 3 * * *", "runTemplate": {"spec": {"targets": {"nodeSelector": {}}, "level": "basic"}}}],
        "rules": [{"name": "r", "effect": {}, "lift": {}}],
        "gate": {"level": "basic"},
        "storm": {},
        "drills": {},
        "budget": {},
        "outputs": {"podCondition": {}, "acceleratedHardwareReady": {}, "deviceTaints": {}, "autopilot": {}, "aws": {}, "amd": {}},
    })
}

#[test]
fn a_policy_without_its_defaults_reads_as_the_api_server_would_have_stored_it() {
    for bare in [json!({}), sparse()] {
        let mut stored = bare.clone();
        fill_in_defaults(&schema(), &mut stored);
        let read = |value: &Value| serde_json::from_value::<NodeHealthPolicySpec>(value.clone()).unwrap();
        assert_eq!(read(&bare), read(&stored), "{stored:#}");
    }
    let mut stored = json!({});
    fill_in_defaults(&schema(), &mut stored);
    assert_eq!(stored["budget"], json!({"maxUnavailable": "10%", "minimum": 1}));
    assert_eq!(stored["bootGraceSeconds"], 600);
    assert_eq!(stored["outputs"]["taints"]["enabled"], true);
    assert_eq!(stored["mode"], "Observe");
    assert_eq!(serde_json::from_value::<NodeHealthPolicySpec>(stored).unwrap(), NodeHealthPolicySpec::default());
}

#[test]
fn the_defaults_that_users_look_up_stand_in_the_schema() {
    let spec = &schema()["properties"];
    for (path, default) in [
        ("/priority", json!(0)),
        ("/mode", json!("Observe")),
        ("/bootGraceSeconds", json!(600)),
        ("/budget/properties/maxUnavailable", json!("10%")),
        ("/budget/properties/minimum", json!(1)),
        ("/storm/properties/nodes", json!(5)),
        ("/storm/properties/withinSeconds", json!(300)),
        ("/storm/properties/quietSeconds", json!(1800)),
        ("/gate/properties/onTimeout", json!("Closed")),
        ("/gate/properties/timeoutSeconds", json!(1800)),
        ("/drills/properties/maxNodes", json!(1)),
        ("/monitors/items/properties/enabled", json!(true)),
        ("/monitors/items/properties/intervalSeconds", json!(60)),
        ("/schedules/items/properties/timeZone", json!("UTC")),
        ("/rules/items/properties/effect/properties/taint", json!("NoSchedule")),
    ] {
        assert_eq!(spec.pointer(&format!("{path}/default")), Some(&default), "{path}");
    }
}

/// The paths of all fields whose description says that they are not implemented; what lies below is not either.
fn described_as_unbuilt(path: &str, schema: &Value, found: &mut Vec<String>) {
    if schema["description"].as_str().is_some_and(|text| text.contains("Not implemented yet")) {
        found.push(path.trim_start_matches('.').to_owned());
        return;
    }
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        described_as_unbuilt(&format!("{path}.{name}"), property, found);
    }
    if let Some(items) = schema.get("items") {
        described_as_unbuilt(&format!("{path}[]"), items, found);
    }
}

#[test]
fn each_field_that_is_not_built_says_so_and_is_found_when_it_is_set() {
    let everything = json!({
        "includeNonAccelerator": true,
        "monitors": [{"name": "ecc", "thresholds": {"a": 1}}],
        "schedules": [{"name": "s", "cron": "0 3 * * *", "runTemplate": {"spec": {"targets": {"nodeSelector": {}}, "level": "basic"}}}],
        "gate": {"level": "basic"},
        "storm": {},
        "certify": [{"level": "basic", "validSeconds": 60}],
        "levels": [{"name": "mine", "checks": [{"name": "a", "inventory": {}}]}],
        "customChecks": {},
        "outputs": {
            "podCondition": {"enabled": true}, "acceleratedHardwareReady": {"enabled": true}, "deviceTaints": {"enabled": true},
            "autopilot": {"enabled": true}, "aws": {"enabled": true}, "amd": {"enabled": true},
        },
        "rules": [
            {"name": "a", "after": {"occurrences": 2, "withinSeconds": 60}, "lift": {}, "evenInStorm": true, "minPrecisionPercent": 50},
            {"name": "b", "effect": {"severity": "Reset", "condition": false, "run": {"level": "basic"}}},
        ],
    });
    let mut found: Vec<String> =
        unbuilt(&serde_json::from_value(everything).unwrap()).into_iter().map(str::to_owned).collect();
    let mut described = Vec::new();
    described_as_unbuilt("", &schema(), &mut described);
    found.sort();
    described.sort();
    assert_eq!(found, described);
}

#[test]
fn a_policy_that_leaves_them_alone_sets_no_field_that_is_not_built() {
    let off = json!({"outputs": {"podCondition": {"enabled": false}, "aws": {}}, "rules": [{"name": "r", "effect": {"taint": "NoExecute"}}]});
    assert_eq!(unbuilt(&serde_json::from_value(off).unwrap()), Vec::<&str>::new());
    assert_eq!(unbuilt(&NodeHealthPolicySpec::default()), Vec::<&str>::new());
}

#[test]
fn a_code_is_a_number_or_a_text() {
    let codes: Vec<Code> = serde_json::from_value(json!([79, "79", "DCGM_FR_PCI_REPLAY_RATE"])).unwrap();
    assert_eq!(codes[0], codes[1]);
    assert_eq!(serde_json::to_value(&codes).unwrap(), json!([79, 79, "DCGM_FR_PCI_REPLAY_RATE"]));
}
