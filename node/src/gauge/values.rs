//! Values that users gave this node, in memory: until they expire, or the node stops.

use mesh_gossip::VALUE_MAX;
use mesh_proto::limits;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use utoipa::ToSchema;

/// A number, or several: an array of at most 4,096.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum Value {
    One(f64),
    Several(Vec<f64>),
}

/// Why a value is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadValue {
    #[error("a name has 1 to 256 bytes, no braces and no control characters, and does not begin with mesh_")]
    Name,
    #[error("a value is a number of at most 9.2e18, to either side, or an array of 1 to 4,096 of them")]
    Value,
    #[error("this node holds as many values as it may: take one back, or let them expire")]
    Full,
}

/// Names at once: more than an agent has use for.
const NAMES: usize = 1024;
/// Numbers in all of them: 8 MB.
const NUMBERS: usize = 1024 * 1024;

#[derive(Clone, Debug)]
struct Kept {
    value: Value,
    until: Option<Instant>,
}

#[derive(Clone, Debug, Default)]
pub struct Values(Arc<Mutex<BTreeMap<String, Kept>>>);

impl Value {
    pub fn numbers(&self) -> &[f64] {
        match self {
            Self::One(number) => std::slice::from_ref(number),
            Self::Several(numbers) => numbers,
        }
    }

    fn is_lawful(&self) -> bool {
        let numbers = self.numbers();
        (1..=limits::AGGREGATE_LENGTH).contains(&numbers.len())
            && numbers.iter().all(|number| number.abs() <= VALUE_MAX)
    }
}

/// Metrics have names too, and braces say which labels.
fn is_name(name: &str) -> bool {
    (1..=limits::AGGREGATE_NAME_BYTES).contains(&name.len())
        && !name.starts_with("mesh_")
        && !name.chars().any(|letter| letter.is_control() || matches!(letter, '{' | '}'))
}

impl Values {
    /// In the place of what it was. `ttl`: how long it stays; for ever where there is none.
    pub fn set(&self, name: &str, value: Value, ttl: Option<Duration>) -> Result<(), BadValue> {
        if !is_name(name) {
            return Err(BadValue::Name);
        }
        if !value.is_lawful() {
            return Err(BadValue::Value);
        }
        let mut kept = self.lock();
        let others = kept.iter().filter(|(other, _)| *other != name);
        let (names, numbers) =
            others.fold((0, 0), |(names, all), (_, kept)| (names + 1, all + kept.value.numbers().len()));
        if names >= NAMES || numbers + value.numbers().len() > NUMBERS {
            return Err(BadValue::Full);
        }
        let until = ttl.and_then(|ttl| Instant::now().checked_add(ttl));
        kept.insert(name.to_owned(), Kept { value, until });
        Ok(())
    }

    pub fn get(&self, name: &str) -> Option<Vec<f64>> {
        self.lock().get(name).map(|kept| kept.value.numbers().to_vec())
    }

    /// Whether there was one.
    pub fn remove(&self, name: &str) -> bool {
        self.lock().remove(name).is_some()
    }

    /// In the order of names, with how long each stays.
    pub fn all(&self) -> Vec<(String, Value, Option<Duration>)> {
        let now = Instant::now();
        let row = |(name, kept): (&String, &Kept)| {
            (name.clone(), kept.value.clone(), kept.until.map(|until| until.saturating_duration_since(now)))
        };
        self.lock().iter().map(row).collect()
    }

    /// Without what has expired.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Kept>> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        kept.retain(|_, kept| kept.until.is_none_or(|until| until > now));
        kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_there_until_it_expires_or_is_taken_back() {
        let values = Values::default();
        values.set("loss", Value::One(0.5), None).unwrap();
        values.set("loss", Value::Several(vec![1.0, 2.0]), Some(Duration::from_secs(3600))).unwrap();
        values.set("gone", Value::One(1.0), Some(Duration::ZERO)).unwrap();
        assert_eq!((values.get("loss"), values.get("gone")), (Some(vec![1.0, 2.0]), None));
        let all = values.all();
        assert_eq!(all.len(), 1);
        assert!(all[0].2.is_some_and(|left| left > Duration::from_secs(3500)));
        assert!(values.remove("loss") && !values.remove("loss"));
    }

    #[test]
    fn what_is_no_value_and_what_is_too_much_is_refused() {
        let values = Values::default();
        for name in ["", "mesh_members", "a{b}", "a\nb", &"n".repeat(257)] {
            assert_eq!(values.set(name, Value::One(1.0), None), Err(BadValue::Name), "{name}");
        }
        for value in [
            Value::One(f64::NAN),
            Value::One(1e19),
            Value::Several(vec![]),
            Value::Several(vec![0.0; 4097]),
            Value::Several(vec![1.0, f64::INFINITY]),
        ] {
            assert_eq!(values.set("loss", value, None), Err(BadValue::Value));
        }
        let large = || Value::Several(vec![1.0; 4096]);
        (0..256).for_each(|n| values.set(&format!("v{n}"), large(), None).unwrap());
        assert_eq!(values.set("more", Value::One(1.0), None), Err(BadValue::Full));
        values.set("v0", large(), None).unwrap();
        let small = Values::default();
        (0..1024).for_each(|n| small.set(&format!("v{n}"), Value::One(1.0), None).unwrap());
        assert_eq!(small.set("more", Value::One(1.0), None), Err(BadValue::Full));
    }
}
