use super::{
    Kind,
    error::{BadName, shown},
};
use crate::limits;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// What is had or asked: `cores`, `gpu`, `zone`, `tool:ffmpeg`. At most [`limits::LABEL_BYTES`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Name(String);

/// What a command's name follows.
const TOOL: &str = "tool:";

impl Name {
    /// What the kind of an attached program follows.
    pub const WORKER: &str = "worker.";

    /// That a node may run this command.
    pub fn tool(command: &str) -> Result<Self, BadName> {
        format!("{TOOL}{command}").parse()
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    #[must_use]
    pub fn is_tool(&self) -> bool {
        self.0.starts_with(TOOL)
    }

    /// Whether its number is how many tasks attached programs can have under way.
    #[must_use]
    pub fn is_worker(&self) -> bool {
        self.0.starts_with(Self::WORKER)
    }

    /// What its values must be, where that is not for the value to say.
    #[must_use]
    pub fn kind(&self) -> Option<Kind> {
        match self.as_str() {
            "cores" => Some(Kind::Amount),
            "mem" => Some(Kind::Size),
            "kernel" => Some(Kind::Version),
            "arch" | "os" | "zone" | "node" => Some(Kind::Text),
            _ if self.is_tool() => Some(Kind::Version),
            _ if self.is_worker() => Some(Kind::Amount),
            _ => None,
        }
    }
}

impl FromStr for Name {
    type Err = BadName;

    fn from_str(text: &str) -> Result<Self, BadName> {
        let (rest, is_tool) = match text.strip_prefix(TOOL) {
            Some(command) => (command, true),
            None => (text, false),
        };
        let begins =
            |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || is_tool && byte.is_ascii_uppercase();
        let goes_on = |byte: u8| begins(&byte) || matches!(byte, b'.' | b'_' | b'-') || is_tool && byte == b'+';
        match rest.as_bytes().first().is_some_and(begins)
            && rest.bytes().all(goes_on)
            && text.len() <= limits::LABEL_BYTES
        {
            true => Ok(Self(text.to_owned())),
            false => Err(BadName(shown(text))),
        }
    }
}

impl TryFrom<String> for Name {
    type Error = BadName;

    fn try_from(text: String) -> Result<Self, BadName> {
        text.parse()
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_and_plain() {
        for good in ["gpu", "cores", "a.b_c-9", "tool:g++", "tool:Rscript", "tool:python3.11", &"a".repeat(64)] {
            assert_eq!(good.parse::<Name>().map(|name| name.to_string()), Ok(good.to_owned()));
        }
        for bad in ["", "GPU", ".a", "a b", "a:b", "tool:", "tool:-x", "g++", "gpü", "a\n", &"a".repeat(65)] {
            assert!(bad.parse::<Name>().is_err(), "{bad:?}");
        }
    }
}
