use super::{ReplicaId, RequestNumber, Sequence, View};
use crate::{
    bounded, codec,
    domain::{Domain, Epoch, Statement},
    id::{Digest, NetworkId, NodeId},
    key::{SecretKey, Signature},
    limits,
    task::Octets,
};
use serde::{Deserialize, Serialize};

/// What came of a gateway's requests in one batch: the REPLY of section 4.1, signed once for all of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reply {
    #[serde(rename = "e")]
    pub epoch: Epoch,
    /// A hint: whose primary to send to next.
    #[serde(rename = "v")]
    pub view: View,
    #[serde(rename = "g")]
    pub gateway: NodeId,
    /// Where they were ordered.
    #[serde(rename = "n")]
    pub sequence: Sequence,
    #[serde(rename = "o", deserialize_with = "bounded::list::<_, _, { limits::PBFT_BATCH_REQUESTS }>")]
    pub outcomes: Vec<Answered>,
    #[serde(rename = "r")]
    pub replica: ReplicaId,
    #[serde(rename = "s")]
    pub signature: Signature,
}

/// What came of one number. It names the request, as a gateway may have used the number for another one: in a life before
/// this one, by a clock that was ahead (simulator, seed 50026).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answered {
    #[serde(rename = "n")]
    pub number: RequestNumber,
    /// Of the request that was executed under the number, whichever was asked about; of the one that was asked about, if
    /// none was.
    #[serde(rename = "d")]
    pub request: Digest,
    #[serde(rename = "o")]
    pub outcome: Outcome,
}

/// What came of one request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Outcome {
    /// The application's answer.
    #[serde(rename = "x")]
    Executed(Octets),
    /// Executed once; its answer is not kept any more.
    #[serde(rename = "f")]
    Forgotten,
    /// Not executed: its number is below those that are remembered. A new gateway begins above this.
    #[serde(rename = "b")]
    TooOld(RequestNumber),
    /// Not executed: its number claims a date too far ahead of the agreed time.
    #[serde(rename = "a")]
    TooNew,
}

impl Reply {
    /// Signs all but the signature, which is overwritten.
    #[must_use]
    pub fn signed(mut self, key: &SecretKey, network: &NetworkId) -> Self {
        self.signature = key.sign(&self.statement(network));
        self
    }

    #[must_use]
    pub fn statement(&self, network: &NetworkId) -> Statement {
        let content = (self.view, &self.gateway, self.sequence, &self.outcomes);
        Statement::new(Domain::PbftReply, network, self.epoch, &codec::encode(&content))
    }
}

impl Outcome {
    /// What the client table is certified by.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of("meshd v1 pbft outcome", &[&codec::encode(self)])
    }

    /// The number is used up, whether the answer is still there or not.
    #[must_use]
    pub fn was_executed(&self) -> bool {
        match self {
            Self::Executed(_) | Self::Forgotten => true,
            Self::TooOld(_) | Self::TooNew => false,
        }
    }

    /// Bytes of the answer.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Executed(answer) => answer.len(),
            Self::Forgotten | Self::TooOld(_) | Self::TooNew => 0,
        }
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
