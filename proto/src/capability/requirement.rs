use super::{
    Kind, Name, Value,
    error::{RequirementError, shown},
};
use crate::{bounded, limits};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use std::{fmt, ops::Deref, str::FromStr};

/// One thing that a task asks of the node that runs it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Requirement {
    pub name: Name,
    pub test: Test,
    /// Only preferred.
    pub soft: bool,
}

/// What is asked of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Test {
    /// That it is there.
    Has,
    Compare(Operator, Value),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operator {
    AtLeast,
    AtMost,
    Above,
    Below,
    Equal,
    Not,
}

/// What a task asks: at most [`limits::REQUIREMENTS`], each once, in the order of their texts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Requirements(Vec<Requirement>);

impl Operator {
    /// The longer first.
    const SIGNS: [(&str, Self); 7] = [
        (">=", Self::AtLeast),
        ("<=", Self::AtMost),
        ("!=", Self::Not),
        ("==", Self::Equal),
        (">", Self::Above),
        ("<", Self::Below),
        ("=", Self::Equal),
    ];

    /// Whether it asks for more and less.
    #[must_use]
    pub fn is_ordering(self) -> bool {
        !matches!(self, Self::Equal | Self::Not)
    }
}

impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AtLeast => ">=",
            Self::AtMost => "<=",
            Self::Above => ">",
            Self::Below => "<",
            Self::Equal => "=",
            Self::Not => "!=",
        })
    }
}

impl FromStr for Requirement {
    type Err = RequirementError;

    fn from_str(text: &str) -> Result<Self, RequirementError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(RequirementError::Empty);
        }
        let (asked, soft) = match text.strip_suffix('?') {
            Some(asked) => (asked.trim_end(), true),
            None => (text, false),
        };
        let Some(at) = asked.find(['<', '>', '=', '!', '?']) else {
            return Ok(Self { name: asked.parse()?, test: Test::Has, soft });
        };
        let (name, rest) = asked.split_at(at);
        let sign = Operator::SIGNS.iter().find_map(|(sign, operator)| Some((*operator, rest.strip_prefix(sign)?)));
        let Some((operator, value)) = sign else {
            return Err(RequirementError::Sign(shown(text)));
        };
        if value.contains(['<', '>', '=', '!', '?']) {
            return Err(RequirementError::Sign(shown(text)));
        }
        let name: Name = name.trim_end().parse()?;
        let value = Value::parse(&name, value)?;
        if operator.is_ordering() && value.kind() == Kind::Text {
            return Err(RequirementError::Unordered {
                name,
                operator,
                text: shown(&value.to_string()),
                kind: Kind::Text,
            });
        }
        Ok(Self { name, test: Test::Compare(operator, value), soft })
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let soft = if self.soft { "?" } else { "" };
        match &self.test {
            Test::Has => write!(f, "{}{soft}", self.name),
            Test::Compare(operator, value) => write!(f, "{}{operator}{value}{soft}", self.name),
        }
    }
}

impl Requirements {
    pub fn new(mut all: Vec<Requirement>) -> Result<Self, RequirementError> {
        all.sort_by_cached_key(Requirement::to_string);
        all.dedup();
        match all.len() <= limits::REQUIREMENTS {
            true => Ok(Self(all)),
            false => Err(RequirementError::TooMany),
        }
    }

    /// Those that a node must meet.
    pub fn hard(&self) -> impl Iterator<Item = &Requirement> {
        self.iter().filter(|requirement| !requirement.soft)
    }
}

impl Deref for Requirements {
    type Target = [Requirement];

    fn deref(&self) -> &[Requirement] {
        &self.0
    }
}

/// `gpu>=1,arch=x86_64,zone=eu?`; nothing asks for nothing.
impl FromStr for Requirements {
    type Err = RequirementError;

    fn from_str(text: &str) -> Result<Self, RequirementError> {
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        let all: Result<Vec<Requirement>, _> = text.split(',').map(str::parse).collect();
        Self::new(all?)
    }
}

impl fmt::Display for Requirements {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.iter().map(Requirement::to_string).collect::<Vec<_>>().join(","))
    }
}

impl Serialize for Requirement {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_string())
    }
}

impl<'de> Deserialize<'de> for Requirement {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = bounded::text::<D, { limits::REQUIREMENT_BYTES }>(deserializer)?;
        let requirement: Self = text.parse().map_err(D::Error::custom)?;
        match requirement.to_string() == text {
            true => Ok(requirement),
            false => Err(D::Error::custom("a requirement that is not in its short form")),
        }
    }
}

impl Serialize for Requirements {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Requirements {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let all = bounded::list::<D, Requirement, { limits::REQUIREMENTS }>(deserializer)?;
        let requirements = Self::new(all.clone()).map_err(D::Error::custom)?;
        match requirements.0 == all {
            true => Ok(requirements),
            false => Err(D::Error::custom("requirements out of order, or twice")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{decode, encode};
    use proptest::prelude::*;

    #[test]
    fn requirements_are_read_in_any_order_and_written_in_one() {
        let text = "zone=eu?, gpu >= 1,arch==amd64,tool:ffmpeg>=6,mem>=2048MiB,ssd,tool:sort,zone!=us,gpu>=1";
        let read: Requirements = text.parse().unwrap();
        assert_eq!(read.to_string(), "arch=x86_64,gpu>=1,mem>=2GiB,ssd,tool:ffmpeg>=6,tool:sort,zone!=us,zone=eu?");
        assert_eq!(read.hard().count(), 7);
        assert_eq!(decode(&encode(&read), 1024), Ok(read));
        assert_eq!(" ".parse(), Ok(Requirements::default()));
        let texts = |texts: &[&str]| decode::<Requirements>(&encode(&texts), 1024).is_ok();
        assert!(texts(&["a", "b>1"]) && !texts(&["b", "a"]) && !texts(&["a", "a"]) && !texts(&["a==1"]));
    }

    #[test]
    fn an_error_says_what_to_write() {
        for (text, error) in [
            ("gpu,", "there is nothing between two commas, or at an end"),
            ("gpu>=", "nothing stands behind the sign"),
            ("mem>=2", "`2` is not an amount of bytes (`2GiB`), as `mem` needs"),
            ("cores>=many", "`many` is not a whole number, as `cores` needs"),
            ("zone>eu", "`zone>eu`: a name has no order; use = or !="),
            ("gpu=>1", "`gpu=>1`: the signs are >= <= > < = !=, and a trailing ? for what is only preferred"),
            ("gpu!1", "`gpu!1`: the signs are >= <= > < = !=, and a trailing ? for what is only preferred"),
        ] {
            assert_eq!(text.parse::<Requirements>().unwrap_err().to_string(), error, "{text}");
        }
        for bad in ["GPU", ">=1", "gpu??", "a b", "gpu>=1?2", "tool:x>=new", "a=\u{1b}"] {
            assert!(bad.parse::<Requirements>().is_err(), "{bad:?}");
        }
        let many: Vec<String> = (0..=limits::REQUIREMENTS).map(|n| format!("a{n}")).collect();
        assert!(many[1..].join(",").parse::<Requirements>().is_ok());
        assert_eq!(many.join(",").parse::<Requirements>(), Err(RequirementError::TooMany));
    }

    #[test]
    fn the_longest_requirement_is_within_its_limit() {
        let longest = format!("{}!={}?", "a".repeat(64), "b".repeat(64));
        assert!(longest.len() <= limits::REQUIREMENT_BYTES);
        assert_eq!(decode(&encode(&longest), 1024), Ok(longest.parse::<Requirement>().unwrap()));
    }

    proptest! {
        #[test]
        fn what_is_read_is_written_and_read_again(text in "[a-c<>=!?:0-9.,GiB -]{0,24}") {
            if let Ok(requirements) = text.parse::<Requirements>() {
                prop_assert_eq!(requirements.to_string().parse(), Ok(requirements.clone()));
                prop_assert_eq!(decode(&encode(&requirements), 4096), Ok(requirements));
            }
        }
    }
}
