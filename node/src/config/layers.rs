//! Laying the four sources over one another, value by value, and keeping who gave each.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use super::environment::key_of;
use super::keys::{Schema, join};
use super::{Config, ConfigError, Problem};

/// The most that is read of a configuration file. Ours are a few kilobytes.
const FILE_LIMIT: u64 = 1 << 20;

/// Who gave a value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// Nobody: the default.
    Default,
    /// The configuration file.
    File(PathBuf),
    /// An environment variable.
    Environment(String),
    /// A flag, with its dashes.
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "file {}", path.display()),
            Self::Environment(variable) => write!(f, "environment {variable}"),
            Self::Flag(flag) => write!(f, "flag {flag}"),
        }
    }
}

impl Serialize for Origin {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A configuration file's text, and where it was.
#[derive(Clone, Debug)]
pub struct FileSource {
    /// Where it was.
    pub path: PathBuf,
    /// All of it.
    pub text: String,
}

impl FileSource {
    /// Reads `path`. A file that does not exist is an error; see [`Self::read_if_present`].
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        use std::io::Read as _;
        let failed = |error| ConfigError::Read { path: path.to_owned(), error };
        let mut text = String::new();
        let file = std::fs::File::open(path).map_err(failed)?;
        file.take(FILE_LIMIT + 1).read_to_string(&mut text).map_err(failed)?;
        if text.len() as u64 > FILE_LIMIT {
            return Err(ConfigError::TooLarge { path: path.to_owned(), limit_bytes: FILE_LIMIT });
        }
        Ok(Self { path: path.to_owned(), text })
    }

    /// Reads `path`, or `None` where there is no such file.
    pub fn read_if_present(path: &Path) -> Result<Option<Self>, ConfigError> {
        match Self::read(path) {
            Ok(source) => Ok(Some(source)),
            Err(ConfigError::Read { error, .. }) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// A value as text, from a flag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Given {
    /// One value; a list may be written with commas.
    Text(String),
    /// A flag that was repeated.
    List(Vec<String>),
}

/// One value that a flag sets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Override {
    /// `section.field`.
    pub key: String,
    /// What was given.
    pub value: Given,
    /// The flag, with its dashes.
    pub flag: String,
}

impl Override {
    /// A flag with one value.
    pub fn text(key: &str, value: impl ToString, flag: &str) -> Self {
        Self { key: key.to_owned(), value: Given::Text(value.to_string()), flag: flag.to_owned() }
    }

    /// A flag that may be repeated.
    pub fn list(key: &str, values: impl IntoIterator<Item = impl ToString>, flag: &str) -> Self {
        let values = values.into_iter().map(|value| value.to_string()).collect();
        Self { key: key.to_owned(), value: Given::List(values), flag: flag.to_owned() }
    }
}

/// What is laid over the defaults, the later over the earlier.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The file, if there is one.
    pub file: Option<FileSource>,
    /// Variables and values, as [`super::read_environment`] gives them.
    pub environment: Vec<(String, String)>,
    /// Flags.
    pub flags: Vec<Override>,
}

/// A configuration that was found valid, and who gave each value.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The values in force.
    pub config: Config,
    origins: BTreeMap<String, Origin>,
}

impl Loaded {
    /// Who gave the value of `key`.
    pub fn origin(&self, key: &str) -> Origin {
        self.origins.get(key).cloned().unwrap_or(Origin::Default)
    }
}

/// Lays the sources over the defaults and checks the result. Fails with every problem that was found, not the first.
pub fn load(sources: &Sources) -> Result<Loaded, ConfigError> {
    let mut layers = Layers::new()?;
    if let Some(file) = &sources.file {
        let syntax = |error: toml::de::Error| ConfigError::Syntax {
            path: file.path.clone(),
            message: error.to_string().trim_end().to_owned(),
        };
        let table = file.text.parse::<toml::Table>().map_err(syntax)?;
        layers.lay_table("", table, &Origin::File(file.path.clone()));
    }
    for (variable, value) in &sources.environment {
        layers.lay_text(&key_of(variable), &Given::Text(value.clone()), Origin::Environment(variable.clone()));
    }
    for flag in &sources.flags {
        layers.lay_text(&flag.key, &flag.value, Origin::Flag(flag.flag.clone()));
    }
    layers.finish()
}

/// The values so far. Each new one is tried alone, so that an error belongs to one key of one source.
struct Layers {
    schema: Schema,
    values: Map<String, Value>,
    config: Config,
    origins: BTreeMap<String, Origin>,
    problems: Vec<Problem>,
}

impl Layers {
    fn new() -> Result<Self, ConfigError> {
        let config = Config::default();
        let values = match serde_json::to_value(&config) {
            Ok(Value::Object(values)) => values,
            _ => Map::new(),
        };
        Ok(Self { schema: Schema::new(), values, config, origins: BTreeMap::new(), problems: Vec::new() })
    }

    fn problem(&mut self, key: &str, origin: &Origin, message: impl Into<String>) {
        self.problems.push(Problem { key: key.to_owned(), origin: origin.clone(), message: message.into() });
    }

    fn lay_table(&mut self, prefix: &str, table: toml::Table, origin: &Origin) {
        for (name, value) in table {
            let key = join(prefix, &name);
            let known = self.schema.default_of(&key).is_some();
            match value {
                _ if known => self.lay_candidates(&key, vec![plain(value)], origin),
                toml::Value::Table(inner) if self.schema.is_section(&key) => self.lay_table(&key, inner, origin),
                _ if self.schema.is_section(&key) => {
                    self.problem(&key, origin, format!("is a section; write its keys under [{key}]"));
                }
                _ => {
                    let message = self.schema.unknown(&key);
                    self.problem(&key, origin, message);
                }
            }
        }
    }

    fn lay_text(&mut self, key: &str, given: &Given, origin: Origin) {
        match self.schema.default_of(key) {
            Some(default) => {
                let candidates = readings(default, given);
                self.lay_candidates(key, candidates, &origin);
            }
            None if self.schema.is_section(key) => {
                self.problem(key, &origin, "is a section; name one of its keys");
            }
            None => {
                let message = self.schema.unknown(key);
                self.problem(key, &origin, message);
            }
        }
    }

    /// Takes the first of `candidates` that fits the key's type. A later source replaces an earlier one's value whole,
    /// lists included: adding to a list would leave no way to shorten it.
    fn lay_candidates(&mut self, key: &str, candidates: Vec<Value>, origin: &Origin) {
        let mut first_error = None;
        for candidate in candidates {
            let mut values = self.values.clone();
            set(&mut values, key, candidate);
            match serde_json::from_value::<Config>(Value::Object(values.clone())) {
                Ok(config) => {
                    self.values = values;
                    self.config = config;
                    self.origins.insert(key.to_owned(), origin.clone());
                    return;
                }
                Err(error) => drop(first_error.get_or_insert_with(|| error.to_string())),
            }
        }
        let message = first_error.unwrap_or_else(|| "has no value".to_owned());
        self.problem(key, origin, message);
    }

    fn finish(mut self) -> Result<Loaded, ConfigError> {
        let mut found = Vec::new();
        self.config.check(&mut found);
        for (key, message) in found {
            // A value that was refused above left the one below it in force, which is not to blame.
            if self.problems.iter().any(|problem| problem.key == key) {
                continue;
            }
            let origin = self.origins.get(&key).cloned().unwrap_or(Origin::Default);
            self.problem(&key, &origin, message);
        }
        if self.problems.is_empty() {
            Ok(Loaded { config: self.config, origins: self.origins })
        } else {
            Err(ConfigError::Problems(self.problems))
        }
    }
}

/// How a text may be read, likeliest first, judged by the default's shape.
fn readings(default: &Value, given: &Given) -> Vec<Value> {
    let list = |items: &[String]| Value::Array(items.iter().cloned().map(Value::String).collect());
    let text = match given {
        Given::List(items) => return vec![list(items)],
        Given::Text(text) => text.trim(),
    };
    let as_bool = || text.parse::<bool>().ok().map(Value::Bool);
    let as_number = || text.parse::<i64>().ok().map(Value::from);
    let as_text = Value::String(text.to_owned());
    match default {
        Value::Array(_) => {
            let items: Vec<_> =
                text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect();
            vec![list(&items)]
        }
        Value::Bool(_) => as_bool().into_iter().chain([as_text]).collect(),
        Value::Number(number) => {
            let as_fraction = || text.parse::<f64>().ok().and_then(serde_json::Number::from_f64).map(Value::Number);
            let fraction = if number.is_f64() { as_fraction() } else { None };
            as_number().into_iter().chain(fraction).chain([as_text]).collect()
        }
        // Unset: its type shows only in what it accepts.
        Value::Null => [as_text].into_iter().chain(as_number()).chain(as_bool()).collect(),
        Value::String(_) | Value::Object(_) => vec![as_text],
    }
}

/// Sets `a.b` in nested maps.
fn set(values: &mut Map<String, Value>, key: &str, value: Value) {
    match key.split_once('.') {
        None => drop(values.insert(key.to_owned(), value)),
        Some((section, rest)) => {
            let inner = values.entry(section.to_owned()).or_insert_with(|| Value::Object(Map::new()));
            if let Value::Object(inner) = inner {
                set(inner, rest, value);
            }
        }
    }
}

/// A TOML value as JSON. Dates and numbers that JSON lacks become text, which no key accepts by accident.
fn plain(value: toml::Value) -> Value {
    match value {
        toml::Value::String(text) => Value::String(text),
        toml::Value::Integer(number) => Value::from(number),
        toml::Value::Float(number) => {
            serde_json::Number::from_f64(number).map_or_else(|| Value::String(number.to_string()), Value::Number)
        }
        toml::Value::Boolean(yes) => Value::Bool(yes),
        toml::Value::Datetime(date) => Value::String(date.to_string()),
        toml::Value::Array(items) => Value::Array(items.into_iter().map(plain).collect()),
        toml::Value::Table(table) => {
            Value::Object(table.into_iter().map(|(name, value)| (name, plain(value))).collect())
        }
    }
}
