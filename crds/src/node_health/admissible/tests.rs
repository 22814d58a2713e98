use super::super::{fit_exclusive, fit_report};
use super::{Exclusive, Report};
use crate::text::is_plain;
use proptest::prelude::*;
use serde_json::{Value, json};

/// The schema of a member of `status`, as the API server checks it.
fn schema_of(member: &str) -> Value {
    let definitions = crate::custom_resource_definitions();
    let definition = definitions.iter().find(|definition| definition.spec.names.kind == "NodeHealth").unwrap();
    let schema = serde_json::to_value(&definition.spec.versions[0].schema).unwrap();
    schema["openAPIV3Schema"]["properties"]["status"]["properties"][member].clone()
}

/// A source of numbers that repeats (xorshift).
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn character(&mut self) -> char {
        let range = [0x20..0x7f, 0..0x100, 0x2000..0x2070, 0xfdd0..0x1_0000, 0..0x11_0000]
            [usize::try_from(self.roll() % 5).unwrap()]
        .clone();
        let code = range.start + u32::try_from(self.roll() % u64::from(range.end - range.start)).unwrap();
        char::from_u32(code).unwrap_or('\u{1b}')
    }
}

/// A value of the right type and of nothing else: any characters, too long, too many, out of range.
fn anything(schema: &Value, dice: &mut Dice) -> Value {
    match schema["type"].as_str() {
        Some("string") if schema["format"] == "date-time" => json!("2026-11-21T09:30:00Z"),
        Some("string") if schema["pattern"].is_string() => json!("Other"),
        Some("string") => {
            let length = dice.roll() % (schema["maxLength"].as_u64().unwrap() * 2);
            json!((0..length).map(|_| dice.character()).collect::<String>())
        }
        Some("integer") => json!(dice.roll().cast_signed()),
        Some("array") => {
            let length = dice.roll() % (schema["maxItems"].as_u64().unwrap().min(8) * 2);
            (0..length).map(|_| anything(&schema["items"], dice)).collect()
        }
        Some("object") => {
            let properties = schema["properties"].as_object().unwrap();
            properties
                .iter()
                .map(|(name, schema)| (name.clone(), anything(schema, dice)))
                .collect::<serde_json::Map<_, _>>()
                .into()
        }
        Some("boolean") => dice.roll().is_multiple_of(2).into(),
        other => panic!("no value for type {other:?}"),
    }
}

/// What the API server would not take.
fn complaints(path: &str, value: &Value, schema: &Value, complaints: &mut Vec<String>) {
    match value {
        Value::String(text) => {
            let length = text.chars().count() as u64;
            let within = schema["minLength"].as_u64().unwrap_or(0)..=schema["maxLength"].as_u64().unwrap_or(u64::MAX);
            if !within.contains(&length) || !text.chars().all(is_plain) {
                complaints.push(format!("{path}: {text:?}"));
            }
        }
        Value::Number(number) => {
            let (min, max) = (schema["minimum"].as_f64().unwrap(), schema["maximum"].as_f64().unwrap());
            if !(min..=max).contains(&number.as_f64().unwrap()) {
                complaints.push(format!("{path}: {number}"));
            }
        }
        Value::Array(all) => {
            if all.len() as u64 > schema["maxItems"].as_u64().unwrap() {
                complaints.push(format!("{path}: {} items", all.len()));
            }
            for one in all {
                self::complaints(&format!("{path}[]"), one, &schema["items"], complaints);
            }
        }
        Value::Object(members) => {
            for (name, member) in members {
                self::complaints(&format!("{path}.{name}"), member, &schema["properties"][name], complaints);
            }
        }
        Value::Bool(_) if schema["type"] == "boolean" => {}
        Value::Null | Value::Bool(_) => complaints.push(format!("{path}: {value}")),
    }
}

fn refused(member: &str, value: &impl serde::Serialize) -> Vec<String> {
    let mut found = Vec::new();
    complaints(member, &serde_json::to_value(value).unwrap(), &schema_of(member), &mut found);
    found
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn whatever_stands_in_a_report_the_schema_takes_it_once_it_is_fitted(seed in 1_u64..) {
        let mut dice = Dice(seed);
        let mut report: Report = serde_json::from_value(anything(&schema_of("report"), &mut dice)).unwrap();
        fit_report(&mut report);
        prop_assert_eq!(refused("report", &report), Vec::<String>::new());
        let once = report.clone();
        fit_report(&mut report);
        prop_assert_eq!(report, once);
        let mut exclusive: Exclusive = serde_json::from_value(anything(&schema_of("exclusive"), &mut dice)).unwrap();
        fit_exclusive(&mut exclusive);
        prop_assert_eq!(refused("exclusive", &exclusive), Vec::<String>::new());
    }
}

#[test]
fn two_targets_that_differ_only_in_what_is_cut_or_replaced_stay_two() {
    let finding = |target: String| super::Finding {
        check: "custom/x".into(),
        target,
        reason: "R".into(),
        ..super::Finding::default()
    };
    let long = "x".repeat(64);
    let mut report = Report {
        findings: vec![
            finding(format!("{long}1")),
            finding(format!("{long}2")),
            finding("\u{7f}".into()),
            finding("\u{80}".into()),
        ],
        ..Report::default()
    };
    fit_report(&mut report);
    let targets: std::collections::BTreeSet<_> = report.findings.iter().map(|finding| finding.target.clone()).collect();
    assert_eq!(targets.len(), 4, "{targets:?}");
}
