//! The models: what a GPU is when the state file says no more than its name.

use std::sync::OnceLock;

use serde_json::{Map, Value};

/// All values by model; `"extends"` names the one that a model differs from.
const TABLE: &str = include_str!("models.json");

static MODELS: OnceLock<Map<String, Value>> = OnceLock::new();

fn models() -> &'static Map<String, Value> {
    MODELS.get_or_init(|| serde_json::from_str(TABLE).unwrap_or_default())
}

/// The whole of a GPU: its model with what is stated on top.
pub(crate) fn complete(default: &str, stated: Value) -> Result<Value, String> {
    let model = match stated.get("model") {
        None => default.to_owned(),
        Some(Value::String(name)) => name.clone(),
        Some(other) => return Err(format!("model: {other} is no string")),
    };
    let mut whole = of(&model)?;
    lay(&mut whole, stated);
    if let Some(object) = whole.as_object_mut() {
        object.insert("model".to_owned(), Value::String(model));
    }
    Ok(whole)
}

fn of(name: &str) -> Result<Value, String> {
    let Some(model) = models().get(name) else {
        let known: Vec<&str> = models().keys().map(String::as_str).collect();
        return Err(format!("model: {name} is none of {}", known.join(", ")));
    };
    let mut own = model.clone();
    let base = own.as_object_mut().and_then(|object| object.remove("extends"));
    match base.as_ref().and_then(Value::as_str) {
        None => Ok(own),
        Some(base) => {
            let mut whole = of(base)?;
            lay(&mut whole, own);
            Ok(whole)
        }
    }
}

/// Lays one document on another: objects member by member, all else replaces what was there.
fn lay(below: &mut Value, above: Value) {
    match (below, above) {
        (Value::Object(below), Value::Object(above)) => {
            for (key, value) in above {
                lay(below.entry(key).or_insert(Value::Null), value);
            }
        }
        (below, above) => *below = above,
    }
}

#[cfg(test)]
mod tests {
    use super::{complete, models};
    use crate::gpu::Gpu;
    use serde_json::{from_value, json};

    #[test]
    fn every_model_is_a_whole_gpu() {
        assert!(models().len() >= 12, "{}", models().len());
        for name in models().keys() {
            let whole = complete("H100-SXM", json!({"model": name, "pci": "0000:18:00.0"})).unwrap();
            let gpu: Gpu = from_value(whole).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert!(gpu.memory_mib > 8_000 && gpu.pci_device_id & 0xffff == 0x10de, "{name}: {gpu:?}");
            assert!(gpu.temperature.slowdown < gpu.temperature.shutdown, "{name}");
            assert!(gpu.power.min_mw <= gpu.power.default_mw && gpu.power.default_mw <= gpu.power.max_mw, "{name}");
        }
    }

    #[test]
    fn what_is_stated_lies_on_the_model_and_null_takes_away() {
        let whole = json!({"model": "T4", "pci": "0000:18:00.0", "ecc": null, "temperature": {"gpu": 91}});
        let gpu: Gpu = from_value(complete("H100-SXM", whole).unwrap()).unwrap();
        assert!(gpu.ecc.is_none() && gpu.remap.is_none() && gpu.nvlink.is_none());
        assert_eq!((gpu.temperature.gpu, gpu.temperature.shutdown), (91, 96));
    }
}
