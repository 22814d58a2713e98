//! Whether two writes say the same: what a pause after a refusal is for.

use super::body::{Request, request};
use crate::plan::Write;
use serde_json::Value;
use std::hash::{DefaultHasher, Hash, Hasher};

/// A number that is the same for writes that differ in nothing but versions and times: each decision computes those anew,
/// and a refused write does not become another one by them.
pub fn content(write: &Write) -> u64 {
    let mut hasher = DefaultHasher::new();
    match request(write, None) {
        Ok(
            Request::Apply { manager, body }
            | Request::ApplyStatus { manager, body }
            | Request::Merge { manager, body }
            | Request::MergeStatus { manager, body }
            | Request::Create { manager, body, .. },
        ) => {
            manager.hash(&mut hasher);
            hash(&body, &mut hasher);
        }
        Ok(Request::Delete { uid }) => uid.hash(&mut hasher),
        // It cannot be sent, whatever it says.
        Err(_) => {}
    }
    hasher.finish()
}

fn hash(value: &Value, hasher: &mut DefaultHasher) {
    match value {
        Value::Null => 0.hash(hasher),
        Value::Bool(value) => value.hash(hasher),
        Value::Number(value) => value.hash(hasher),
        Value::String(text) => without_times(text).for_each(|byte| byte.hash(hasher)),
        Value::Array(values) => {
            values.len().hash(hasher);
            for value in values {
                hash(value, hasher);
            }
        }
        Value::Object(members) => {
            for (name, value) in members.iter().filter(|(name, _)| *name != "resourceVersion") {
                name.hash(hasher);
                hash(value, hasher);
            }
        }
    }
}

/// The bytes of a text, without times such as `2026-11-27T09:30:00Z`. The annotation is JSON in a string, so they may be
/// anywhere.
fn without_times(text: &str) -> impl Iterator<Item = u8> {
    const SHAPE: &[u8] = b"0000-00-00T00:00:00";
    let bytes = text.as_bytes();
    let is_time = |at: usize| {
        let found = bytes.get(at..at + SHAPE.len());
        found.is_some_and(|found| {
            found.iter().zip(SHAPE).all(|(b, shape)| if *shape == b'0' { b.is_ascii_digit() } else { b == shape })
        })
    };
    let mut at = 0;
    std::iter::from_fn(move || {
        while is_time(at) {
            at += SHAPE.len();
        }
        let byte = bytes.get(at).copied();
        at += 1;
        byte
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn marks(health: &str, summary: &str) -> u64 {
        content(&Write::NodeMarks {
            node: "n1".into(),
            uid: "u".into(),
            resource_version: "1".into(),
            labels: BTreeMap::from([("gpuhealth.dev/health".to_owned(), health.to_owned())]),
            summary: Some(summary.into()),
            drop_labels: Vec::new(),
        })
    }

    #[test]
    fn writes_that_differ_only_in_times_and_versions_say_the_same() {
        let at = |seconds: u32| format!(r#"{{"since":"2026-11-27T09:30:{seconds}Z","severity":"none"}}"#);
        assert_eq!(marks("healthy", &at(10)), marks("healthy", &at(59)));
        assert_ne!(marks("healthy", &at(10)), marks("unhealthy", &at(10)));
        let taints = |version: &str| {
            let (node, uid, resource_version) = ("n1".to_owned(), "u".to_owned(), version.to_owned());
            content(&Write::NodeTaints { node, uid, resource_version, taints: Vec::new() })
        };
        assert_eq!(taints("1"), taints("2"));
    }
}
