use crate::id::NodeId;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The right to write a task's record. A higher ballot, once promised by a majority, shuts out every lower one.
///
/// Ordered by term, then driver, then nonce. A term of 0 is a birth: its driver is the first holder and its nonce was
/// drawn by the gateway that placed it, so that two placements of one task never share a ballot. In higher terms the
/// nonce is the driver's store id, so that a driver that lost its disk never writes under a ballot of its former life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Ballot {
    #[serde(rename = "t")]
    pub term: u32,
    #[serde(rename = "d")]
    pub driver: NodeId,
    #[serde(rename = "n")]
    pub nonce: u64,
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

    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}
