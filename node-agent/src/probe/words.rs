//! Parameters as command-line arguments.

use std::ffi::OsString;

use serde_json::{Map, Value};

/// The command line `probe NAME --option=value …` for a set of parameters. `trailing` is the field whose values follow
/// `--`.
///
/// Options are written `--name=value`, so that no value can be taken for an option. Lists repeat their option, maps
/// repeat it as `--name=KEY=VALUE`, and a boolean is a flag.
pub(super) fn command_line(probe: &str, parameters: &Map<String, Value>, trailing: Option<&str>) -> Vec<OsString> {
    let mut words: Vec<OsString> = vec!["probe".into(), probe.into()];
    for (field, value) in parameters.iter().filter(|(field, _)| Some(field.as_str()) != trailing) {
        push_option(&mut words, &kebab_case(field), value);
    }
    if let Some(Value::Array(values)) = trailing.and_then(|field| parameters.get(field)) {
        words.push("--".into());
        words.extend(values.iter().map(|value| text_of(value).into()));
    }
    words
}

fn push_option(words: &mut Vec<OsString>, name: &str, value: &Value) {
    match value {
        Value::Null | Value::Bool(false) => {}
        Value::Bool(true) => words.push(format!("--{name}").into()),
        Value::Number(_) | Value::String(_) => words.push(format!("--{name}={}", text_of(value)).into()),
        Value::Array(values) => words.extend(values.iter().map(|value| format!("--{name}={}", text_of(value)).into())),
        Value::Object(entries) => {
            words.extend(entries.iter().map(|(key, value)| format!("--{name}={key}={}", text_of(value)).into()));
        }
    }
}

/// Strings without quotes, everything else as JSON.
fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}

/// `untilUnixMs` becomes `until-unix-ms`.
pub(super) fn kebab_case(field: &str) -> String {
    let mut name = String::with_capacity(field.len() + 4);
    for letter in field.chars() {
        if letter.is_ascii_uppercase() {
            name.push('-');
        }
        name.push(letter.to_ascii_lowercase());
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_form_of_a_value_has_its_form_on_the_command_line() {
        let parameters = json!({
            "callDeadlineMs": 5, "iperf3": "/usr/bin/iperf3", "env": ["CHECK_A=b=c", "--x"], "labels": {"a": "1"},
            "sameUser": true, "quiet": false, "bind": null, "args": ["--flag", "-", ""],
        });
        let Value::Object(parameters) = parameters else { unreachable!() };
        let words = command_line("demo", &parameters, Some("args"));
        let words: Vec<&str> = words.iter().filter_map(|word| word.to_str()).collect();
        assert_eq!(words[..2], ["probe", "demo"]);
        let mut options = words[2..8].to_vec();
        options.sort_unstable();
        assert_eq!(
            options,
            [
                "--call-deadline-ms=5",
                "--env=--x",
                "--env=CHECK_A=b=c",
                "--iperf3=/usr/bin/iperf3",
                "--labels=a=1",
                "--same-user"
            ]
        );
        assert_eq!(words[8..], ["--", "--flag", "-", ""]);
    }
}
