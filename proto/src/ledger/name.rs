//! Names that users give. Bounded where they are decoded, so that whoever has one need not look again.

use crate::limits;
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error, Visitor},
};
use std::{fmt, str::FromStr, sync::Arc};

/// 1 to `MAX` bytes of text without control characters: safe in a terminal, a log and a label, and free of the byte 0,
/// which separates the parts of keys in the state.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name<const MAX: usize>(Arc<str>);

/// Whose command it is: a user as the gateway knows it, or a node.
pub type Principal = Name<{ limits::PRINCIPAL_BYTES }>;
/// A room of the shared memory.
pub type Namespace = Name<{ limits::NAMESPACE_BYTES }>;
/// A key in such a room.
pub type MemoryKey = Name<{ limits::MEMORY_KEY_BYTES }>;
/// What is locked.
pub type LockName = Name<{ limits::LOCK_NAME_BYTES }>;
/// What a proposal is called.
pub type Title = Name<{ limits::TITLE_BYTES }>;
/// What is searched for: a text that keys or values contain, `*` standing for any text between.
pub type Pattern = Name<{ limits::PATTERN_BYTES }>;

/// Text that is no name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no name: must be 1 to {max} bytes without control characters")]
pub struct NameError {
    pub text: String,
    pub max: usize,
}

impl<const MAX: usize> Name<MAX> {
    pub fn new(text: &str) -> Result<Self, NameError> {
        match Self::is_name(text) {
            true => Ok(Self(text.into())),
            false => Err(NameError { text: text.chars().take(80).collect(), max: MAX }),
        }
    }

    /// Whether [`Name::new`] takes it.
    #[must_use]
    pub fn is_name(text: &str) -> bool {
        // Most are plain ASCII, and need no decoding to tell.
        let plain = text.bytes().all(|byte| (b' '..0x7f).contains(&byte));
        !text.is_empty() && text.len() <= MAX && (plain || !text.chars().any(char::is_control))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<const MAX: usize> FromStr for Name<MAX> {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::new(text)
    }
}

impl<const MAX: usize> fmt::Display for Name<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<const MAX: usize> fmt::Debug for Name<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl<const MAX: usize> Serialize for Name<MAX> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de, const MAX: usize> Deserialize<'de> for Name<MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(NameVisitor::<MAX>)
    }
}

/// Looks at the text where it came, and copies it once: a command has three names, and there are many commands.
struct NameVisitor<const MAX: usize>;

impl<const MAX: usize> Visitor<'_> for NameVisitor<MAX> {
    type Value = Name<MAX>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a name of 1 to {MAX} bytes")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Name<MAX>, E> {
        Name::new(text).map_err(E::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{decode, encode};

    #[test]
    fn a_name_is_bounded_and_printable() {
        type Short = Name<4>;
        for lawful in ["a", "a b", "äö", "a/b*"] {
            assert_eq!(lawful.parse::<Short>().unwrap().as_str(), lawful);
            assert_eq!(decode::<Short>(&encode(&lawful), 16).unwrap().as_str(), lawful);
        }
        for unlawful in ["", "abcde", "a\0", "a\nb", "\u{1b}[m", "\u{7f}", "\u{85}"] {
            assert!(unlawful.parse::<Short>().is_err(), "{unlawful:?}");
            assert!(decode::<Short>(&encode(&unlawful), 16).is_err(), "{unlawful:?}");
        }
    }
}
