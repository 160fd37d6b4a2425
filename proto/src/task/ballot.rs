use crate::id::NodeId;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The right to write a task's record. A higher ballot, once promised by a majority, shuts out every lower one.
///
/// Ordered by term, then nonce, then driver. A term of 0 is a birth: its driver is the first holder and its nonce was
/// drawn by the gateway that placed it, so that two placements of one task never share a ballot; the gateway adds one
/// when it places the task anew, so that the later placement is the higher one whoever is its first holder. In higher
/// terms the nonce is the driver's store id, so that a driver that lost its disk never writes under a ballot of its
/// former life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ballot {
    #[serde(rename = "t")]
    pub term: u32,
    #[serde(rename = "n")]
    pub nonce: u64,
    #[serde(rename = "d")]
    pub driver: NodeId,
}

impl fmt::Display for Ballot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({}, {})", self.term, self.driver)
    }
}

/// The number of a write within one ballot's line; a birth is 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Version(pub u32);

impl Version {
    pub const BIRTH: Self = Self(1);

    /// The end of the numbers is not reached by counting: a peer that claims it gets no write behind it.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_placement_is_higher_whoever_is_its_first_holder() {
        let [low, high] = [1, 2].map(|n| NodeId::from_bytes([n; 32]));
        let earlier = Ballot { term: 0, nonce: 7, driver: high };
        let later = Ballot { term: 0, nonce: 8, driver: low };
        assert!(later > earlier);
        assert!(Ballot { term: 1, nonce: 0, driver: low } > later);
    }
}
