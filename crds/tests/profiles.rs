//! The shipped profiles are complete and valid, and each number has its source beside it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "test code: its helpers fail the test that calls them"
)]

use crds::NodeHardwareProfile;
use crds::node_hardware_profile::is_of_model;
use serde::Deserialize as _;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// The instance types that must have a profile, with their number of GPUs, number of EFA devices (where fixed), and
/// whether they have NVLink. Source: instance-profiles.conf of awslabs/awsome-distributed-ai, and its PR 1201.
const INSTANCE_TYPES: &[(&str, i64, Option<i64>, bool)] = &[
    ("p4d.24xlarge", 8, Some(4), true),
    ("p4de.24xlarge", 8, Some(4), true),
    ("p5.48xlarge", 8, Some(32), true),
    ("p5e.48xlarge", 8, Some(32), true),
    ("p5en.48xlarge", 8, Some(16), true),
    ("p6-b200.48xlarge", 8, Some(8), true),
    ("p6-b300.48xlarge", 8, Some(16), true),
    ("p6e-gb200.36xlarge", 4, None, true),
    ("g6.48xlarge", 8, Some(1), false),
    ("g6.xlarge", 1, Some(0), false),
];

/// Model names as reported by drivers, and the profile of each.
const MODELS: &[(&str, &str)] = &[
    ("Tesla V100-SXM2-16GB", "gpu-v100"),
    ("Tesla V100-PCIE-32GB", "gpu-v100"),
    ("NVIDIA A100-SXM4-40GB", "gpu-a100-sxm-40gb"),
    ("NVIDIA A100-SXM4-80GB", "gpu-a100-sxm-80gb"),
    ("NVIDIA A100 80GB PCIe", "gpu-a100-pcie-80gb"),
    ("NVIDIA H100 PCIe", "gpu-h100-pcie"),
    ("NVIDIA H100 80GB HBM3", "gpu-h100-sxm"),
    ("NVIDIA H200", "gpu-h200"),
    ("NVIDIA GH200 480GB", "gpu-gh200"),
    ("NVIDIA B200", "gpu-b200"),
    ("NVIDIA GB200", "gpu-gb200"),
    ("NVIDIA GB300", "gpu-gb300"),
    ("NVIDIA B300 SXM6 AC", "gpu-b300"),
    ("NVIDIA L40S", "gpu-l40s"),
    ("NVIDIA L4", "gpu-l4"),
    ("Tesla T4", "gpu-t4"),
    ("NVIDIA A10", "gpu-a10"),
    ("NVIDIA A10G", "gpu-a10g"),
];

fn files() -> BTreeMap<String, String> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../deploy/profiles");
    let paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    paths
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), std::fs::read_to_string(path).unwrap()))
        .collect()
}

fn documents() -> Vec<Value> {
    let all = files();
    let document = |text: &String| {
        serde_yaml::Deserializer::from_str(text)
            .map(|document| Value::deserialize(document).unwrap())
            .collect::<Vec<_>>()
    };
    all.values().flat_map(document).collect()
}

fn profiles() -> Vec<NodeHardwareProfile> {
    documents().into_iter().map(|document| serde_json::from_value(document).unwrap()).collect()
}

fn name(profile: &NodeHardwareProfile) -> &str {
    profile.metadata.name.as_deref().unwrap()
}

/// Collects the parts of `value` that the schema does not define or does not allow.
fn complaints(path: &str, value: &Value, schema: &Value, wrong: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (field, value) in fields {
                match schema["properties"].get(field) {
                    Some(schema) => complaints(&format!("{path}.{field}"), value, schema, wrong),
                    None => wrong.push(format!("{path}.{field} is not a field")),
                }
            }
        }
        Value::Array(items) => {
            if schema["maxItems"].as_u64().is_some_and(|most| items.len() as u64 > most) {
                wrong.push(format!("{path} is too long"));
            }
            for item in items {
                complaints(&format!("{path}[]"), item, &schema["items"], wrong);
            }
        }
        Value::Number(number) => {
            let number = number.as_f64().unwrap();
            let (low, high) = (schema["minimum"].as_f64(), schema["maximum"].as_f64());
            if schema["type"] != "integer"
                || low.is_some_and(|low| number < low)
                || high.is_some_and(|high| number > high)
            {
                wrong.push(format!("{path}: {number} is out of range"));
            }
        }
        Value::String(text) => {
            if schema["type"] != "string" || schema["maxLength"].as_u64().is_some_and(|most| text.len() as u64 > most) {
                wrong.push(format!("{path}: {text} does not fit"));
            }
        }
        Value::Bool(_) if schema["type"] == "boolean" => {}
        other => wrong.push(format!("{path}: {other} does not fit")),
    }
}

#[test]
fn every_profile_has_only_fields_that_the_schema_knows_within_their_ranges() {
    let definitions = crds::custom_resource_definitions();
    let definition = definitions.iter().find(|d| d.spec.names.kind == "NodeHardwareProfile").unwrap();
    let schema = definition.spec.versions[0].schema.as_ref().unwrap().open_api_v3_schema.as_ref().unwrap();
    let schema = serde_json::to_value(schema).unwrap();
    for document in documents() {
        assert_eq!(
            (&document["apiVersion"], &document["kind"]),
            (&"gpuhealth.dev/v1alpha1".into(), &"NodeHardwareProfile".into())
        );
        let mut wrong = Vec::new();
        complaints("spec", &document["spec"], &schema["properties"]["spec"], &mut wrong);
        assert!(wrong.is_empty(), "{}: {wrong:?}", document["metadata"]["name"]);
    }
}

#[test]
fn names_and_instance_types_are_unique() {
    let profiles = profiles();
    let names: BTreeSet<&str> = profiles.iter().map(name).collect();
    assert_eq!(names.len(), profiles.len());
    let types: Vec<&String> = profiles.iter().flat_map(|p| p.spec.match_.instance_types.iter().flatten()).collect();
    assert_eq!(types.iter().collect::<BTreeSet<_>>().len(), types.len(), "{types:?}");
}

#[test]
fn every_instance_type_has_exactly_one_profile_with_the_numbers_of_its_table() {
    let profiles = profiles();
    for (instance, gpus, efa, nvlink) in INSTANCE_TYPES {
        let has = |p: &&NodeHardwareProfile| p.spec.match_.instance_types.iter().flatten().any(|t| t == instance);
        let found: Vec<_> = profiles.iter().filter(has).collect();
        assert_eq!(found.len(), 1, "{instance}");
        let expected = found[0].spec.gpus.as_ref().unwrap();
        assert_eq!(expected.count, Some(*gpus), "{instance}");
        assert_eq!(expected.nvlink_links.is_some_and(|links| links > 0), *nvlink, "{instance}");
        let devices = found[0].spec.network.as_ref().and_then(|network| network.efa_devices);
        assert_eq!(devices, *efa, "{instance}");
    }
    let declared = profiles.iter().flat_map(|p| p.spec.match_.instance_types.iter().flatten()).count();
    assert_eq!(declared, INSTANCE_TYPES.len(), "an instance type that the table does not have");
}

#[test]
fn every_model_has_exactly_one_profile_by_what_its_driver_reports() {
    let profiles = profiles();
    let mut used = BTreeSet::new();
    for (reported, wanted) in MODELS {
        let has =
            |p: &&NodeHardwareProfile| p.spec.match_.gpu_models.iter().flatten().any(|m| is_of_model(reported, m));
        let found: Vec<_> = profiles.iter().filter(has).map(name).collect();
        assert_eq!(found, [*wanted], "{reported}");
        used.insert(*wanted);
    }
    let all: BTreeSet<_> = profiles.iter().filter(|p| p.spec.match_.gpu_models.is_some()).map(name).collect();
    assert_eq!(used, all, "a model without the name that a driver reports");
    for stranger in ["NVIDIA L40", "NVIDIA A30", "NVIDIA H100 NVL", "NVIDIA GeForce RTX 4090", "NVIDIA T400 4GB"] {
        let matches =
            |p: &NodeHardwareProfile| p.spec.match_.gpu_models.iter().flatten().any(|m| is_of_model(stranger, m));
        assert!(!profiles.iter().any(matches), "{stranger}");
    }
}

#[test]
fn a_model_declares_nothing_that_its_machine_decides_and_yields_to_an_instance_type() {
    for profile in profiles() {
        let spec = &profile.spec;
        let gpus = spec.gpus.as_ref().unwrap();
        assert!(spec.match_.gpu_models.is_some() != spec.match_.instance_types.is_some(), "{}", name(&profile));
        // Below 0, so that the user's own profiles win over both.
        let priority = if spec.match_.gpu_models.is_some() { -200 } else { -100 };
        assert_eq!(spec.priority, priority, "{}", name(&profile));
        if spec.match_.gpu_models.is_some() {
            assert!(gpus.count.is_none() && gpus.pcie.is_none() && gpus.nvlink_links.is_none(), "{}", name(&profile));
            assert!(spec.network.is_none(), "{}", name(&profile));
            assert_eq!(spec.match_.gpu_models.as_ref(), Some(&gpus.models), "{}", name(&profile));
        }
        if gpus.models.iter().any(|model| model == "L4") {
            assert!(gpus.pcie.is_none(), "an L4 is wired at x8 in some machines: {}", name(&profile));
        }
    }
}

#[test]
fn every_number_has_its_source_beside_it() {
    let mut numbers = 0;
    for (file, text) in files() {
        for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with('#')) {
            let Some((_, value)) = line.split_once(": ") else { continue };
            let (value, comment) = value.split_once(" # ").unwrap_or((value, ""));
            if value.trim().parse::<f64>().is_ok() {
                numbers += 1;
                assert!(comment.len() >= 10, "{file}:{}: no source: {line}", index + 1);
            }
        }
    }
    assert!(numbers >= 60, "{numbers}");
}
