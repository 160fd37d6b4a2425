use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// How the node that runs a task is chosen, among those that have what it requires. DESIGN section 7.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Strategy {
    /// The nearest of its holders with a free slot, by what is known of them; others take over what waits.
    #[default]
    #[serde(rename = "u")]
    Auto,
    /// The nearest of its holders, whatever it has to do.
    #[serde(rename = "d")]
    Dht,
    /// Whoever bids best.
    #[serde(rename = "a")]
    Auction,
    /// The node that it is given to.
    #[serde(rename = "l")]
    Local,
}

impl Strategy {
    pub const ALL: [Self; 4] = [Self::Auto, Self::Dht, Self::Auction, Self::Local];

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Dht => "dht",
            Self::Auction => "auction",
            Self::Local => "local",
        }
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Text that names no strategy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no strategy: auto, dht, auction or local")]
pub struct BadStrategy(String);

impl FromStr for Strategy {
    type Err = BadStrategy;

    fn from_str(text: &str) -> Result<Self, BadStrategy> {
        let found = Self::ALL.into_iter().find(|strategy| strategy.name() == text);
        found.ok_or_else(|| BadStrategy(text.chars().take(40).collect()))
    }
}
