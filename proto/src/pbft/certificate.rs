use super::{ReplicaId, Sequence, View};
use crate::{bounded, domain::Epoch, id::Digest, key::Signature, limits};
use serde::{Deserialize, Deserializer, Serialize, de::Error};
use std::ops::Deref;

/// Signatures of distinct replicas over one statement, by ascending member number: counting them is counting replicas.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Ballots(Vec<(ReplicaId, Signature)>);

/// Proof that a batch prepared: the primary's proposal, and prepares of others, together a quorum. Section 4.2. Its epoch
/// is that of the message it is in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prepared {
    #[serde(rename = "v")]
    pub view: View,
    #[serde(rename = "n")]
    pub sequence: Sequence,
    #[serde(rename = "d")]
    pub digest: Digest,
    /// The primary's, over its PRE-PREPARE.
    #[serde(rename = "p")]
    pub proposal: Signature,
    #[serde(rename = "q")]
    pub prepares: Ballots,
}

/// Proof that a batch committed, by itself enough to execute it: a quorum of commits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Committed {
    #[serde(rename = "v")]
    pub view: View,
    #[serde(rename = "n")]
    pub sequence: Sequence,
    #[serde(rename = "d")]
    pub digest: Digest,
    #[serde(rename = "q")]
    pub commits: Ballots,
}

/// Proof that a checkpoint is stable: a quorum of CHECKPOINTs. Section 4.3.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stable {
    #[serde(rename = "e")]
    pub epoch: Epoch,
    #[serde(rename = "n")]
    pub sequence: Sequence,
    #[serde(rename = "d")]
    pub digest: Digest,
    #[serde(rename = "q")]
    pub votes: Ballots,
}

impl Ballots {
    /// `None` unless the replicas ascend.
    #[must_use]
    pub fn new(ballots: Vec<(ReplicaId, Signature)>) -> Option<Self> {
        let ascending = ballots.is_sorted_by(|(a, _), (b, _)| a < b);
        (ascending && ballots.len() <= limits::FOUNDERS).then_some(Self(ballots))
    }
}

impl Deref for Ballots {
    type Target = [(ReplicaId, Signature)];

    fn deref(&self) -> &[(ReplicaId, Signature)] {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Ballots {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let ballots = bounded::list::<_, _, { limits::FOUNDERS }>(deserializer)?;
        Self::new(ballots).ok_or_else(|| D::Error::custom("replicas do not ascend"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{decode, encode};

    /// Checklist item 5: one replica is never counted twice.
    #[test]
    fn replicas_are_distinct() {
        let ballot = |replica| (ReplicaId::new(replica), Signature::from_bytes([replica; 64]));
        assert!(Ballots::new(vec![ballot(0), ballot(2)]).is_some());
        for bad in [vec![ballot(1), ballot(1)], vec![ballot(2), ballot(1)]] {
            assert_eq!(Ballots::new(bad.clone()), None);
            assert!(decode::<Ballots>(&encode(&bad), 1024).is_err());
        }
    }
}
