//! What a program that is attached to a node is known by.

use super::{
    Name, Requirement, RequirementError, Requirements, Test,
    error::{BadName, shown},
};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// What programs that are alike are called, such as `thumbnail`; [`Self::capability`] is what a node has where one of them is
/// attached to it. At most 57 bytes, so that the name of that is one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct WorkerKind(Name);

impl WorkerKind {
    /// `worker.KIND`: how many of its tasks a node can have under way at once.
    #[must_use]
    pub fn capability(&self) -> &Name {
        &self.0
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str().strip_prefix(Name::WORKER).unwrap_or_default()
    }

    /// What a task for it asks for: the rest, and a node that has one.
    pub fn requiring(&self, rest: &Requirements) -> Result<Requirements, RequirementError> {
        Requirements::new(rest.iter().cloned().chain([self.requirement()]).collect())
    }

    pub(crate) fn requirement(&self) -> Requirement {
        Requirement { name: self.0.clone(), test: Test::Has, soft: false }
    }
}

impl FromStr for WorkerKind {
    type Err = BadName;

    fn from_str(text: &str) -> Result<Self, BadName> {
        // A name by itself, or `..` would be one.
        let alone: Name = text.parse()?;
        match alone.is_tool() {
            true => Err(BadName(shown(text))),
            false => format!("{}{text}", Name::WORKER).parse().map(Self),
        }
    }
}

impl TryFrom<String> for WorkerKind {
    type Error = BadName;

    fn try_from(text: String) -> Result<Self, BadName> {
        text.parse()
    }
}

impl From<WorkerKind> for String {
    fn from(kind: WorkerKind) -> Self {
        kind.as_str().to_owned()
    }
}

impl fmt::Display for WorkerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{decode, encode};

    #[test]
    fn a_kind_is_a_name_behind_which_a_node_has_places() {
        for good in ["thumbnail", "llm.7b", "a", "0-x_y", &"a".repeat(57)] {
            let kind: WorkerKind = good.parse().unwrap();
            assert_eq!((kind.as_str(), kind.capability().as_str()), (good, format!("worker.{good}").as_str()));
            assert!(kind.capability().is_worker());
            assert_eq!(decode(&encode(&kind), 100), Ok(kind));
        }
        for bad in ["", ".", ".x", "X", "a b", "tool:sort", "a=1", "é", &"a".repeat(58)] {
            assert!(bad.parse::<WorkerKind>().is_err(), "{bad:?}");
            assert!(decode::<WorkerKind>(&encode(&bad), 100).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn what_its_tasks_require_is_added_once() {
        let kind: WorkerKind = "x".parse().unwrap();
        let asked = kind.requiring(&"gpu>=1".parse().unwrap()).unwrap();
        assert_eq!(asked.to_string(), "gpu>=1,worker.x");
        assert_eq!(kind.requiring(&asked).unwrap(), asked);
    }
}
