//! The keys that exist, taken from the defaults themselves, so that no list of them can grow stale.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::Config;
use super::nearest::nearest;

/// Every key with its value in `config`, sorted; unset ones as null.
pub fn leaf_keys(config: &Config) -> BTreeMap<String, Value> {
    let mut leaves = BTreeMap::new();
    // A configuration is plain data with text keys, which always has a JSON form.
    if let Ok(Value::Object(sections)) = serde_json::to_value(config) {
        flatten("", &sections, &mut leaves);
    }
    leaves
}

fn flatten(prefix: &str, table: &Map<String, Value>, leaves: &mut BTreeMap<String, Value>) {
    for (name, value) in table {
        let key = join(prefix, name);
        match value {
            Value::Object(inner) => flatten(&key, inner, leaves),
            leaf => drop(leaves.insert(key, leaf.clone())),
        }
    }
}

/// `prefix.name`, or `name` at the top.
pub(super) fn join(prefix: &str, name: &str) -> String {
    if prefix.is_empty() { name.to_owned() } else { format!("{prefix}.{name}") }
}

/// The known keys and the shape of each one's default.
pub(super) struct Schema {
    defaults: BTreeMap<String, Value>,
}

impl Schema {
    pub(super) fn new() -> Self {
        Self { defaults: leaf_keys(&Config::default()) }
    }

    /// The default of `key`, if it exists.
    pub(super) fn default_of(&self, key: &str) -> Option<&Value> {
        self.defaults.get(key)
    }

    /// Whether `name` holds keys.
    pub(super) fn is_section(&self, name: &str) -> bool {
        self.defaults.keys().any(|key| key.strip_prefix(name).is_some_and(|rest| rest.starts_with('.')))
    }

    /// What to say of a key that does not exist.
    pub(super) fn unknown(&self, key: &str) -> String {
        match self.suggestion(key) {
            Some(name) => format!("there is no such key; did you mean {name}?"),
            None => "there is no such key; `meshd config show` lists them all".to_owned(),
        }
    }

    /// The key or section that was likely meant.
    fn suggestion(&self, key: &str) -> Option<&str> {
        let sections = self.defaults.keys().filter_map(|key| key.split_once('.')).map(|(section, _)| section);
        let keys = self.defaults.keys().map(String::as_str);
        if !key.contains('.')
            && let Some(section) = nearest(key, sections)
        {
            return Some(section);
        }
        // A right name under a wrong section, or under none, is likelier than two slips in one name.
        let last = key.rsplit('.').next().unwrap_or(key);
        nearest(key, keys.clone()).or_else(|| keys.clone().find(|known| known.rsplit('.').next() == Some(last)))
    }
}
