use crate::time::Wall;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A count on the wire; peers choose it freely, so that its arithmetic ends at the last number instead of failing.
macro_rules! number {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(u64);

        impl $name {
            pub const ZERO: Self = Self(0);

            #[must_use]
            pub const fn new(number: u64) -> Self {
                Self(number)
            }

            #[must_use]
            pub const fn get(self) -> u64 {
                self.0
            }

            #[must_use]
            pub const fn next(self) -> Self {
                self.plus(1)
            }

            #[must_use]
            pub const fn plus(self, more: u64) -> Self {
                Self(self.0.saturating_add(more))
            }

            /// How far it is above `lower`; 0 if it is not.
            #[must_use]
            pub const fn above(self, lower: Self) -> u64 {
                self.0.saturating_sub(lower.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number!(
    /// The reign of one primary within an epoch, from 0. Section 4.
    View
);
number!(
    /// A place in the one order, from 1; 0 is the state at genesis. No sequence number is of two epochs.
    Sequence
);
number!(
    /// A gateway's number of a request: the timestamp of section 4.1. Begun at the gateway's clock (see
    /// [`RequestNumber::starting`]) and counted up by one.
    RequestNumber
);

impl RequestNumber {
    /// Requests a gateway may send in one millisecond, on average over its life.
    const A_MILLISECOND: u64 = 1 << 20;

    /// Where a gateway begins to count, after each start: above whatever it said before, as long as its clock does not
    /// go back, and above the numbers of gateways that were evicted.
    #[must_use]
    pub const fn starting(wall: Wall) -> Self {
        Self(wall.0.saturating_mul(Self::A_MILLISECOND))
    }

    /// The date that it claims.
    #[must_use]
    pub const fn date(self) -> Wall {
        Wall(self.0 / Self::A_MILLISECOND)
    }
}

/// A member's place in the sorted list of its epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ReplicaId(u8);

impl ReplicaId {
    #[must_use]
    pub const fn new(number: u8) -> Self {
        Self(number)
    }

    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Display for ReplicaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_end_and_do_not_wrap() {
        assert_eq!(Sequence::new(u64::MAX).next(), Sequence::new(u64::MAX));
        assert_eq!(Sequence::new(3).above(Sequence::new(5)), 0);
        assert_eq!(RequestNumber::starting(Wall(u64::MAX)).get(), u64::MAX);
    }

    #[test]
    fn a_request_number_carries_its_date() {
        let number = RequestNumber::starting(Wall(1_800_000_000_000));
        assert_eq!(number.next().date(), Wall(1_800_000_000_000));
        assert!(RequestNumber::starting(Wall(1_800_000_000_001)) > number.plus(1_000_000));
    }
}
