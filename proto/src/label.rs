//! What people call a member, and where it stands: short text that is safe in a table and a terminal.

use crate::limits;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// 1 to 64 bytes of any script, without control characters: other members' terminals show it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Label(String);

/// Text that is no label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("needs 1 to {max} bytes without control characters", max = limits::LABEL_BYTES)]
pub struct BadLabel;

impl Label {
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Label {
    type Error = BadLabel;

    fn try_from(text: String) -> Result<Self, BadLabel> {
        match text.is_empty() || text.len() > limits::LABEL_BYTES || text.chars().any(char::is_control) {
            true => Err(BadLabel),
            false => Ok(Self(text)),
        }
    }
}

impl FromStr for Label {
    type Err = BadLabel;

    fn from_str(text: &str) -> Result<Self, BadLabel> {
        Self::try_from(text.to_owned())
    }
}

impl From<Label> for String {
    fn from(label: Label) -> Self {
        label.0
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_short_and_does_nothing_to_a_terminal() {
        for good in ["a", "rack 7", "Mühle", &"a".repeat(64)] {
            assert_eq!(good.parse::<Label>().map(|label| label.to_string()), Ok(good.to_owned()));
        }
        for bad in ["", "a\n", "\u{1b}[2J", "\u{9b}2J", &"a".repeat(65), &"ü".repeat(33)] {
            assert_eq!(bad.parse::<Label>(), Err(BadLabel), "{bad:?}");
        }
    }
}
