use super::{Choice, Index, Principal, Title};
use crate::{
    bounded, codec,
    id::{Digest, NetworkId, NodeId, ParseIdError},
    limits,
    task::Octets,
    time::Wall,
};
use serde::{Deserialize, Deserializer, Serialize};
use std::{fmt, str::FromStr};

/// The hash of all that was put to the vote: content, electorate, threshold, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ProposalId(pub Digest);

/// The share of the electorate that must approve, in 1/10,000, from 1 to 10,000. Default 6,700.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Threshold(u16);

/// Who may vote, as the proposer says it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Electorate {
    /// The committee when the proposal is executed.
    #[serde(rename = "c")]
    Committee,
    /// The members that the ledger knows then.
    #[serde(rename = "a")]
    All,
    /// These keys.
    #[serde(rename = "i", deserialize_with = "bounded::list::<_, _, { limits::ELECTORATE }>")]
    Ids(Vec<NodeId>),
}

/// What a user asks to be decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Propose {
    #[serde(rename = "t")]
    pub title: Title,
    /// A JSON object.
    #[serde(rename = "b", deserialize_with = "bounded::text::<_, { limits::PROPOSAL_BODY_BYTES }>")]
    pub body: String,
    #[serde(rename = "e")]
    pub electorate: Electorate,
    #[serde(rename = "h")]
    pub threshold: Threshold,
    /// How long a round lasts, in agreed time.
    #[serde(rename = "d")]
    pub round_ms: u64,
    /// How many rounds there are at most. Default 1.
    #[serde(rename = "r")]
    pub rounds: u16,
}

/// What was put to the vote. Never changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proposal {
    #[serde(rename = "u")]
    pub proposer: Principal,
    /// Of the command, so that two proposals of the same content differ.
    #[serde(rename = "k", deserialize_with = "bounded::octets::<_, { limits::COMMAND_KEY_BYTES }>")]
    pub key: Octets,
    #[serde(rename = "t")]
    pub title: Title,
    #[serde(rename = "b", deserialize_with = "bounded::text::<_, { limits::PROPOSAL_BODY_BYTES }>")]
    pub body: String,
    /// In order, each once.
    #[serde(rename = "e", deserialize_with = "bounded::list::<_, _, { limits::ELECTORATE }>")]
    pub electorate: Vec<NodeId>,
    #[serde(rename = "h")]
    pub threshold: Threshold,
    #[serde(rename = "d")]
    pub round_ms: u64,
    #[serde(rename = "r")]
    pub rounds: u16,
    #[serde(rename = "i")]
    pub opened: Index,
    #[serde(rename = "w")]
    pub at: Wall,
}

/// How it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Standing {
    /// From 1.
    #[serde(rename = "r")]
    pub round: u16,
    /// When this round ends, in agreed time.
    #[serde(rename = "d")]
    pub deadline: Wall,
    #[serde(rename = "c")]
    pub tally: Tally,
    #[serde(rename = "s")]
    pub state: ProposalState,
}

/// The votes of one round.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tally {
    #[serde(rename = "y")]
    pub approve: u32,
    #[serde(rename = "n")]
    pub reject: u32,
    #[serde(rename = "a")]
    pub abstain: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum ProposalState {
    #[serde(rename = "o")]
    Open,
    #[serde(rename = "d")]
    Decided {
        #[serde(rename = "d")]
        decision: Decision,
        #[serde(rename = "i")]
        index: Index,
        #[serde(rename = "w")]
        at: Wall,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Decision {
    #[serde(rename = "a")]
    Accepted,
    /// Enough voters rejected or abstained that it cannot be accepted any more.
    #[serde(rename = "r")]
    Rejected,
    /// The last round's time is over.
    #[serde(rename = "x")]
    Expired,
    /// The proposer closed it.
    #[serde(rename = "w")]
    Withdrawn,
}

/// Not a share in 1/10,000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a threshold of {0}: must be 1 to {max} in 1/{max}", max = Threshold::WHOLE)]
pub struct ThresholdError(pub u16);

impl Threshold {
    pub const WHOLE: u16 = 10_000;
    /// Of 3f + 1 voters more than two thirds: what f liars cannot bring about, and cannot prevent.
    pub const DEFAULT: Self = Self(6_700);

    pub const fn new(share: u16) -> Result<Self, ThresholdError> {
        match share {
            1..=Self::WHOLE => Ok(Self(share)),
            _ => Err(ThresholdError(share)),
        }
    }

    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }

    /// Whether so many of an electorate reach it: approve × 10,000 ≥ threshold × electorate.
    #[must_use]
    pub const fn is_met(self, approve: u32, electorate: u32) -> bool {
        approve as u64 * Self::WHOLE as u64 >= self.0 as u64 * electorate as u64
    }
}

impl<'de> Deserialize<'de> for Threshold {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(u16::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

impl Tally {
    pub fn add(&mut self, choice: Choice) {
        // No electorate is as large as the numbers.
        let count = match choice {
            Choice::Approve => &mut self.approve,
            Choice::Reject => &mut self.reject,
            Choice::Abstain => &mut self.abstain,
        };
        *count = count.saturating_add(1);
    }

    /// What this decides in an electorate of this size: accepted as soon as enough approve, rejected as soon as
    /// not enough can any more.
    #[must_use]
    pub fn decides(self, threshold: Threshold, electorate: u32) -> Option<Decision> {
        let against = self.reject.saturating_add(self.abstain);
        if threshold.is_met(self.approve, electorate) {
            Some(Decision::Accepted)
        } else if !threshold.is_met(electorate.saturating_sub(against), electorate) {
            Some(Decision::Rejected)
        } else {
            None
        }
    }
}

impl Proposal {
    #[must_use]
    pub fn id(&self, network: &NetworkId) -> ProposalId {
        ProposalId(Digest::of("meshd v1 ledger proposal", &[network.as_bytes(), &codec::encode(self)]))
    }

    /// How many may vote.
    #[must_use]
    pub fn size(&self) -> u32 {
        // At most `limits::ELECTORATE`.
        u32::try_from(self.electorate.len()).unwrap_or(u32::MAX)
    }

    #[must_use]
    pub fn may_vote(&self, voter: &NodeId) -> bool {
        self.electorate.binary_search(voter).is_ok()
    }
}

impl ProposalId {
    /// Where the [`Standing`] is in the state; it is there as its encoding.
    #[must_use]
    pub fn standing_key(&self) -> Vec<u8> {
        [b"q".as_slice(), self.0.as_bytes()].concat()
    }
}

impl fmt::Display for ProposalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for ProposalId {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        text.parse().map(Self).map_err(|error: ParseIdError| ParseIdError { kind: "proposal id", ..error })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_threshold_is_a_share() {
        assert_eq!(Threshold::new(0), Err(ThresholdError(0)));
        assert_eq!(Threshold::new(10_001), Err(ThresholdError(10_001)));
        let whole = Threshold::new(10_000).unwrap();
        assert!(whole.is_met(4, 4) && !whole.is_met(3, 4));
        let least = Threshold::new(1).unwrap();
        assert!(least.is_met(1, 10_000) && !least.is_met(1, 10_001) && !least.is_met(0, 1));
    }

    #[test]
    fn the_default_needs_three_of_four_and_is_out_of_reach_after_two() {
        let tally = |approve, reject, abstain| Tally { approve, reject, abstain };
        for (tally, decision) in [
            (tally(0, 0, 0), None),
            (tally(2, 0, 0), None),
            (tally(2, 1, 0), None),
            (tally(3, 0, 0), Some(Decision::Accepted)),
            (tally(3, 1, 0), Some(Decision::Accepted)),
            (tally(0, 1, 1), Some(Decision::Rejected)),
            (tally(2, 0, 2), Some(Decision::Rejected)),
            (tally(0, 2, 0), Some(Decision::Rejected)),
        ] {
            assert_eq!(tally.decides(Threshold::DEFAULT, 4), decision, "{tally:?}");
        }
    }
}
