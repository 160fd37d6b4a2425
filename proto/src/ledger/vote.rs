use super::ProposalId;
use crate::{
    certificate::{Certificate, Certified},
    domain::Domain,
    id::{NetworkId, NodeId},
    key::{BadSignature, SecretKey},
};
use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Choice {
    #[serde(rename = "y")]
    Approve,
    #[serde(rename = "n")]
    Reject,
    /// Counts in the size of the electorate, and for nobody.
    #[serde(rename = "a")]
    Abstain,
}

/// What a voter signs. The proposal's id is the hash of all that was put to the vote, the electorate included, so that
/// a vote counts for nothing else; the round is in it, so that it does not count again when the vote is re-opened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vote {
    #[serde(rename = "p")]
    pub proposal: ProposalId,
    /// From 1.
    #[serde(rename = "r")]
    pub round: u16,
    #[serde(rename = "c")]
    pub choice: Choice,
}

/// A vote with the key of its voter, who signed it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedVote {
    #[serde(rename = "n")]
    pub voter: NodeId,
    #[serde(rename = "v")]
    vote: Certificate<Vote>,
}

impl SignedVote {
    #[must_use]
    pub fn cast(key: &SecretKey, network: &NetworkId, vote: Vote) -> Self {
        Self { voter: key.node_id(), vote: Certificate::issue(key, network, vote) }
    }

    pub fn verify(&self, network: &NetworkId) -> Result<&Vote, BadSignature> {
        self.vote.verify(self.voter, network)
    }

    /// What is said to be signed.
    #[must_use]
    pub fn unverified(&self) -> &Vote {
        self.vote.unverified()
    }
}

impl Certified for Vote {
    const DOMAIN: Domain = Domain::Vote;
}
