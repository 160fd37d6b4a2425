//! What a third party needs to check the present state, and a decision in it, with nothing but the network's id.

use super::DecisionProof;
use crate::{
    bounded,
    codec::{self, DecodeError},
    genesis::Genesis,
    id::Digest,
    limits,
    pbft::EpochCertificate,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What the committee certified last, as one of its members holds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Certified {
    /// The checkpoint, and a quorum's signatures under it.
    #[serde(rename = "c")]
    pub checkpoint: Arc<EpochCertificate>,
    /// Of the ledger's state: the one piece of state that the checkpoint covers.
    #[serde(rename = "h")]
    pub root: Digest,
    /// A decision in that state.
    #[serde(rename = "p", default, skip_serializing_if = "Option::is_none", deserialize_with = "bounded::present")]
    pub proof: Option<Box<DecisionProof>>,
}

/// The chain from a network's birth to what its committee certified last. Nothing in it is to be believed: what holds
/// it checks it against the network's id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bundle {
    #[serde(rename = "g")]
    pub genesis: Genesis,
    /// The end of each epoch before the one that certified the checkpoint, in their order.
    #[serde(rename = "e", deserialize_with = "bounded::list::<_, _, { limits::BUNDLE_EPOCHS }>")]
    pub ends: Vec<Arc<EpochCertificate>>,
    #[serde(rename = "c")]
    pub certified: Certified,
}

impl Bundle {
    /// One encoding each, so that a file with one byte changed is another bundle, or none.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        codec::decode_canonical(bytes, limits::BUNDLE_BYTES)
    }

    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(self)
    }
}
