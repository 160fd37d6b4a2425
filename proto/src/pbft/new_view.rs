use super::{ReplicaId, Sequence, View};
use crate::{
    bounded, codec,
    domain::{Domain, Epoch, Statement},
    id::{Digest, NetworkId},
    key::{SecretKey, Signature},
    limits,
};
use serde::{Deserialize, Serialize};

/// The new primary's. Section 4.4. It names the VIEW-CHANGEs (V) by digest: every replica sent its own to all, so most
/// have them, and a set of them would be megabytes; who lacks one fetches it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewView {
    #[serde(rename = "e")]
    pub epoch: Epoch,
    #[serde(rename = "v")]
    pub view: View,
    /// V: exactly a quorum, by ascending replica.
    #[serde(rename = "c", deserialize_with = "bounded::list::<_, _, { limits::FOUNDERS }>")]
    pub changes: Vec<(ReplicaId, Digest)>,
    /// `min-s`: the highest stable checkpoint proved in V.
    #[serde(rename = "h")]
    pub stable: Sequence,
    /// O: for each number above it, in order.
    #[serde(rename = "o", deserialize_with = "bounded::list::<_, _, { limits::PBFT_WINDOW }>")]
    pub proposals: Vec<Reproposal>,
    #[serde(rename = "s")]
    pub signature: Signature,
}

/// An entry of O: the digest, and the signature of a PRE-PREPARE of it in the new view.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reproposal {
    #[serde(rename = "d")]
    pub digest: Digest,
    #[serde(rename = "s")]
    pub signature: Signature,
}

impl NewView {
    /// Signs all but the signature, which is overwritten.
    #[must_use]
    pub fn signed(mut self, key: &SecretKey, network: &NetworkId) -> Self {
        self.signature = key.sign(&self.statement(network));
        self
    }

    /// Whether it makes the same view: who signs twice contradicts itself by that alone no more than by saying it twice.
    #[must_use]
    pub fn says_as(&self, other: &Self) -> bool {
        let digests = |of: &Self| of.proposals.iter().map(|proposal| proposal.digest).collect::<Vec<_>>();
        (self.epoch, self.view, self.stable) == (other.epoch, other.view, other.stable)
            && self.changes == other.changes
            && digests(self) == digests(other)
    }

    #[must_use]
    pub fn statement(&self, network: &NetworkId) -> Statement {
        let content = (self.view, &self.changes, self.stable, &self.proposals);
        Statement::new(Domain::PbftNewView, network, self.epoch, &codec::encode(&content))
    }
}
