//! The configuration as `config show` prints it: each value with who gave it.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::layers::Loaded;
use super::{Origin, leaf_keys};

/// One value in force.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Entry {
    /// `section.field`.
    pub key: String,
    /// As it would stand in the file; null when nothing is set.
    pub value: Value,
    /// Who gave it.
    pub origin: Origin,
    /// Of commands that are allowed by name: the files that they are, by name; what is wrong with one in place of it.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub resolved: BTreeMap<String, String>,
}

impl Entry {
    /// The value as it would be written in `meshd.toml`, or `(not set)`.
    pub fn text(&self) -> String {
        match &self.value {
            Value::Null => "(not set)".to_owned(),
            // A JSON string, number, boolean or list of strings reads as TOML too.
            value => value.to_string(),
        }
    }
}

impl Loaded {
    /// Every value in force, by key.
    pub fn entries(&self) -> Vec<Entry> {
        leaf_keys(&self.config)
            .into_iter()
            .map(|(key, value)| Entry { origin: self.origin(&key), key, value, resolved: BTreeMap::new() })
            .collect()
    }
}
