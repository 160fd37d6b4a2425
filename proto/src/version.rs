//! Versions of the wire. A node speaks N and N-1, so that a mesh is upgraded a node at a time.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The versions a build speaks, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WireVersions {
    #[serde(rename = "o")]
    pub oldest: u16,
    #[serde(rename = "n")]
    pub newest: u16,
}

impl WireVersions {
    /// This build's. The first version has none before it.
    pub const OURS: Self = Self { oldest: 1, newest: 1 };

    /// The newest version that both speak.
    #[must_use]
    pub fn common(self, other: Self) -> Option<u16> {
        let newest = self.newest.min(other.newest);
        (newest >= self.oldest.max(other.oldest)).then_some(newest)
    }
}

impl fmt::Display for WireVersions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {}", self.oldest, self.newest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_understand_each_other() {
        let speaks = |oldest, newest| WireVersions { oldest, newest };
        assert_eq!(speaks(1, 2).common(speaks(2, 3)), Some(2));
        assert_eq!(speaks(2, 3).common(speaks(1, 2)), Some(2));
        assert_eq!(speaks(1, 2).common(speaks(3, 4)), None);
        assert_eq!(speaks(2, 1).common(speaks(1, 2)), None);
    }
}
