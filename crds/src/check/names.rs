//! Names of checks where people write them: refused at the door if misspelt, with the nearest name in the message.
//!
//! The API server evaluates these rules. Its language (CEL) knows no edit distance, and a loop over names exceeds its cost
//! limit, so each name comes with a regular expression of what is near it ([`near`]).

use super::Check;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::Value;
use std::borrow::Cow;

/// The longest name of a check, in characters: `custom/` and the name of a program.
const MAX_CHECK_NAME: usize = 80;

/// The name of a custom check. A program is named as in `custom.program`.
const CUSTOM: &str = "self.matches('^custom/[A-Za-z0-9][A-Za-z0-9._-]*$')";

/// The name of a monitor.
pub(crate) struct MonitorName;

impl JsonSchema for MonitorName {
    fn schema_name() -> Cow<'static, str> {
        "MonitorName".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let names: Vec<&str> = Check::ALL.iter().filter(|check| check.is_monitor()).map(|check| check.name()).collect();
        json_schema!({"type": "string", "minLength": 1, "maxLength": 32,
            "x-kubernetes-validations": [rule("monitor", &names, "false", &[])]})
    }
}

/// The name of a check in findings and causes: that of its kind, or `custom/<program>`.
pub(crate) struct CheckName;

impl JsonSchema for CheckName {
    fn schema_name() -> Cow<'static, str> {
        "CheckName".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let names: Vec<&str> = Check::ALL.iter().filter(|check| **check != Check::Custom).map(|c| c.name()).collect();
        json_schema!({"type": "string", "minLength": 1, "maxLength": MAX_CHECK_NAME,
            "x-kubernetes-validations": [rule("check", &names, CUSTOM, &["custom/<program>"])]})
    }
}

/// The rule that a string is one of these names, or satisfies `or`; `further` says what that allows.
fn rule(what: &str, names: &[&str], or: &str, further: &[&str]) -> Value {
    let known = [names, further].concat().join(", ");
    let others = format!("': the {what}s are {known}'");
    let nearest = names
        .iter()
        .rev()
        .fold(others, |further, name| format!("self.matches('{}') ? ': did you mean {name}?' : {further}", near(name)));
    serde_json::json!({
        "rule": format!("self in ['{}'] || {or}", names.join("','")),
        "messageExpression": format!("'no {what} is named ' + self + ({nearest})"),
        "message": format!("no {what} has this name: the {what}s are {known}"),
    })
}

/// What is near a name: the same in other case; another text in place of two neighbouring characters (of one, if there are
/// only three), which includes a character that is missing, doubled, mistyped or swapped with its neighbour; a beginning of
/// at least three characters.
fn near(name: &str) -> String {
    let (replaced, by) = if name.len() <= 3 { (1, ".{0,2}") } else { (2, ".{1,4}") };
    let changed = (0..=name.len().saturating_sub(replaced)).map(|at| {
        let (before, rest) = name.split_at(at);
        format!("{before}{by}{}", rest.get(replaced..).unwrap_or_default())
    });
    let (head, rest) = name.split_at(3.min(name.len()));
    let continued = rest.chars().rev().fold(String::new(), |inner, c| format!("({c}{inner})?"));
    let begun = format!("{head}{continued}");
    // Two changes of one character each, which is too much for three characters in general.
    let swapped = (1..name.len()).filter(|_| replaced == 1).filter_map(|at| {
        let (before, rest) = (name.get(..at - 1)?, name.get(at + 1..)?);
        Some(format!("{before}{}{}{rest}", name.get(at..=at)?, name.get(at - 1..at)?))
    });
    format!("(?i)^({})$", changed.chain(swapped).chain([begun]).collect::<Vec<_>>().join("|"))
}

#[cfg(test)]
mod tests {
    use super::near;

    #[test]
    fn the_pattern_of_a_name_begins_with_the_changes_and_ends_with_what_continues() {
        assert_eq!(near("ecc"), "(?i)^(.{0,2}cc|e.{0,2}c|ec.{0,2}|cec|ecc|ecc)$");
        assert_eq!(near("ping"), "(?i)^(.{1,4}ng|p.{1,4}g|pi.{1,4}|pin(g)?)$");
    }
}
