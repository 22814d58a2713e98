//! The labels of a Node: most of their texts are the same on thousands of Nodes, so they are kept as shared texts.

use crds::Text;
use serde::{Deserialize, Deserializer, de};
use std::fmt;

/// Labels, each key once, by key.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Labels(Box<[(Text, Text)]>);

impl Labels {
    /// The value of this key.
    pub fn get(&self, key: &str) -> Option<&str> {
        let at = self.place(key).ok()?;
        self.0.get(at).map(|(_, value)| value.as_str())
    }

    /// Whether there is a label with this key.
    pub fn contains_key(&self, key: &str) -> bool {
        self.place(key).is_ok()
    }

    /// Keys and values, by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// All keys, in order.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.iter().map(|(key, _)| key)
    }

    /// The labels whose key begins so.
    pub fn beginning_with(&self, prefix: &str) -> impl Iterator<Item = (&str, &str)> {
        let from = self.place(prefix).unwrap_or_else(|at| at);
        self.iter().skip(from).take_while(move |(key, _)| key.starts_with(prefix))
    }

    /// Adds or replaces a label.
    pub fn insert(&mut self, key: Text, value: Text) {
        let place = self.place(&key);
        self.edit(|labels| match place {
            Ok(at) => labels[at].1 = value,
            Err(at) => labels.insert(at, (key, value)),
        });
    }

    /// Removes a label and returns its value.
    pub fn remove(&mut self, key: &str) -> Option<Text> {
        let at = self.place(key).ok()?;
        Some(self.edit(|labels| labels.remove(at).1))
    }

    /// Every text, to be exchanged for an equal one.
    pub fn texts(&mut self) -> impl Iterator<Item = &mut Text> {
        self.0.iter_mut().flat_map(|(key, value)| [key, value])
    }

    fn place(&self, key: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|(known, _)| known.as_str().cmp(key))
    }

    fn edit<T>(&mut self, edit: impl FnOnce(&mut Vec<(Text, Text)>) -> T) -> T {
        let mut labels = std::mem::take(&mut self.0).into_vec();
        let done = edit(&mut labels);
        self.0 = labels.into_boxed_slice();
        done
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl<K: Into<Text>, V: Into<Text>> FromIterator<(K, V)> for Labels {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        let mut labels: Vec<(Text, Text)> = pairs.into_iter().map(|(key, value)| (key.into(), value.into())).collect();
        // Stable, so of two with the same key the later one stays, as in a map.
        labels.sort_by(|(one, _), (other, _)| one.cmp(other));
        labels.reverse();
        labels.dedup_by(|(one, _), (other, _)| one == other);
        labels.reverse();
        Self(labels.into_boxed_slice())
    }
}

impl<'de> Deserialize<'de> for Labels {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> de::Visitor<'de> for Read {
            type Value = Labels;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of strings")
            }

            fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Labels, A::Error> {
                let pairs = std::iter::from_fn(|| map.next_entry::<Text, Text>().transpose());
                pairs.collect()
            }
        }
        deserializer.deserialize_map(Read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_found_by_key_and_by_the_beginning_of_a_key() {
        let mut labels: Labels = serde_json::from_str(r#"{"b/y":"2","a":"0","b/x":"3","a":"1","c":"4"}"#).unwrap();
        assert_eq!(format!("{labels:?}"), r#"{"a": "1", "b/x": "3", "b/y": "2", "c": "4"}"#);
        assert_eq!((labels.get("b/y"), labels.get("b"), labels.contains_key("c")), (Some("2"), None, true));
        assert_eq!(labels.beginning_with("b/").collect::<Vec<_>>(), [("b/x", "3"), ("b/y", "2")]);
        assert_eq!(labels.beginning_with("d").count(), 0);
        labels.insert("b/x".into(), "5".into());
        labels.insert("b".into(), "6".into());
        assert_eq!((labels.remove("a"), labels.remove("a")), (Some("1".into()), None));
        assert_eq!(labels.iter().collect::<Vec<_>>(), [("b", "6"), ("b/x", "5"), ("b/y", "2"), ("c", "4")]);
    }
}
