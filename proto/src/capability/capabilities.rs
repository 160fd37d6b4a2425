use super::{
    Name, Value,
    error::{CapabilityError, shown},
};
use crate::{bounded, limits};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use std::{collections::BTreeMap, fmt};

/// What a node has: at most [`limits::CAPABILITIES`], in [`limits::CAPABILITIES_BYTES`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// Without a value where it has nothing more to say than that it is there.
    all: BTreeMap<Name, Option<Value>>,
    /// Of their texts together.
    bytes: usize,
}

impl Capabilities {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Of a name that is there: its value, if it has one.
    #[must_use]
    pub fn get(&self, name: &Name) -> Option<Option<&Value>> {
        self.all.get(name).map(Option::as_ref)
    }

    /// In order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&Name, Option<&Value>)> {
        self.all.iter().map(|(name, value)| (name, value.as_ref()))
    }

    /// One more, or another value of one that is there.
    pub fn set(&mut self, name: Name, value: Option<Value>) -> Result<(), CapabilityError> {
        let replaced = self.all.get(&name).map_or(0, |old| text(&name, old.as_ref()).len());
        let bytes = self.bytes - replaced + text(&name, value.as_ref()).len();
        let is_room = replaced > 0 || self.all.len() < limits::CAPABILITIES;
        if !is_room || bytes > limits::CAPABILITIES_BYTES {
            return Err(CapabilityError::TooMany);
        }
        self.bytes = bytes;
        self.all.insert(name, value);
        Ok(())
    }

    /// One that is known of a node without its word, whatever it said of it, and however much it says.
    pub fn assert(&mut self, name: Name, value: Value) {
        self.bytes -= self.all.get(&name).map_or(0, |old| text(&name, old.as_ref()).len());
        self.bytes += text(&name, Some(&value)).len();
        self.all.insert(name, Some(value));
    }

    /// As each is written, in order.
    pub fn texts(&self) -> impl Iterator<Item = String> {
        self.iter().map(|(name, value)| text(name, value))
    }

    /// Each once, in any order.
    pub fn parse<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Self, CapabilityError> {
        let mut capabilities = Self::default();
        for text in texts {
            let (name, value) = parse(text)?;
            if capabilities.all.contains_key(&name) {
                return Err(CapabilityError::Twice(name));
            }
            capabilities.set(name, value)?;
        }
        Ok(capabilities)
    }
}

fn parse(text: &str) -> Result<(Name, Option<Value>), CapabilityError> {
    let text = text.trim();
    let (name, value) = match text.find(['<', '>', '=', '!', '?']) {
        None => (text, None),
        Some(at) => match text[at..].strip_prefix('=') {
            Some(value) => (&text[..at], Some(value)),
            None => return Err(CapabilityError::Sign(shown(text))),
        },
    };
    let name: Name = name.trim_end().parse()?;
    let value = value.map(|value| Value::parse(&name, value)).transpose()?;
    Ok((name, value))
}

fn text(name: &Name, value: Option<&Value>) -> String {
    value.map_or_else(|| name.to_string(), |value| format!("{name}={value}"))
}

impl fmt::Display for Capabilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.texts().collect::<Vec<_>>().join(","))
    }
}

impl Serialize for Capabilities {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // The length is known beforehand, or it would be an array without one.
        self.texts().collect::<Vec<_>>().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Capabilities {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let texts = bounded::list::<D, String, { limits::CAPABILITIES }>(deserializer)?;
        let capabilities = Self::parse(texts.iter().map(String::as_str)).map_err(D::Error::custom)?;
        // One encoding of each: in order, and each as it is shown.
        match capabilities.texts().eq(texts) {
            true => Ok(capabilities),
            false => Err(D::Error::custom("capabilities out of order, or not in their short form")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{decode, encode};

    fn capabilities(text: &str) -> Result<Capabilities, CapabilityError> {
        Capabilities::parse(text.split(','))
    }

    #[test]
    fn capabilities_are_read_in_any_order_and_written_in_one() {
        let read = capabilities(" zone = eu,ssd,gpu=1, mem=2048MiB,tool:ffmpeg=6.1.1,tool:sort").unwrap();
        let written = "gpu=1,mem=2GiB,ssd,tool:ffmpeg=6.1.1,tool:sort,zone=eu";
        assert_eq!(read.to_string(), written);
        assert_eq!(decode(&encode(&read), 1024), Ok(read.clone()));
        assert_eq!(capabilities(written), Ok(read));
        let names = |texts: &[&str]| decode::<Capabilities>(&encode(&texts), 1024).is_ok();
        assert!(names(&["a", "b"]) && !names(&["b", "a"]) && !names(&["a=1024KiB"]) && !names(&["a", "a"]));
    }

    #[test]
    fn what_is_no_capability_is_refused() {
        for bad in ["", "gpu>=1", "gpu=", "gpu=1,gpu=2", "GPU=1", "ssd?", "a=b=c", "gpu==1"] {
            assert!(capabilities(bad).is_err(), "{bad:?}");
        }
        assert_eq!(capabilities("a,a"), Err(CapabilityError::Twice("a".parse().unwrap())));
    }

    #[test]
    fn there_is_a_bound_of_their_number_and_of_their_bytes() {
        let many: Vec<String> = (0..=limits::CAPABILITIES).map(|n| format!("a{n}")).collect();
        let parse = |texts: &[String]| Capabilities::parse(texts.iter().map(String::as_str));
        assert!(parse(&many[1..]).is_ok());
        assert_eq!(parse(&many), Err(CapabilityError::TooMany));
        let long: Vec<String> = (0..40).map(|n| format!("{}{n:02}={}", "a".repeat(62), "b".repeat(64))).collect();
        assert_eq!(parse(&long), Err(CapabilityError::TooMany));
        // Another value of what is there takes the room of the one before.
        let mut full = parse(&long[..30]).unwrap();
        for _ in 0..100 {
            let (name, value) = full.iter().next().map(|(name, value)| (name.clone(), value.cloned())).unwrap();
            full.set(name, value).unwrap();
        }
        assert_eq!(full, parse(&long[..30]).unwrap());
    }
}
