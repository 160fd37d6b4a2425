use super::{Outcome, Part, RequestNumber, Sequence};
use crate::{
    bounded,
    codec::{self, DecodeError},
    domain::Domain,
    id::{Digest, NodeId},
    limits,
    merkle::{Leaf, Path},
    task::Octets,
};
use serde::{Deserialize, Serialize};

/// A piece of the state at a stable checkpoint, with its path to the certified root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chunk {
    #[serde(rename = "n")]
    pub sequence: Sequence,
    #[serde(rename = "p")]
    pub part: Part,
    #[serde(rename = "i")]
    pub index: u32,
    #[serde(rename = "b")]
    pub bytes: Octets,
    #[serde(rename = "h")]
    pub path: Path,
}

/// What the client table remembers of one gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientEntry {
    #[serde(rename = "g")]
    pub gateway: NodeId,
    /// By ascending number.
    #[serde(rename = "x", deserialize_with = "bounded::list::<_, _, { limits::PBFT_CLIENT_WINDOW }>")]
    pub executed: Vec<Executed>,
}

/// An executed request: where, which, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Executed {
    #[serde(rename = "n")]
    pub number: RequestNumber,
    #[serde(rename = "q")]
    pub sequence: Sequence,
    /// Of the request: a reply names it.
    #[serde(rename = "d")]
    pub request: Digest,
    #[serde(rename = "o")]
    pub outcome: Outcome,
}

impl ClientEntry {
    pub fn decode(bytes: &[u8], limit: usize) -> Result<Self, DecodeError> {
        codec::decode_canonical(bytes, limit)
    }
}

/// The leaf of a piece of the application's state in the tree whose root a checkpoint certifies.
#[must_use]
pub fn state_leaf(piece: &[u8]) -> Leaf {
    Leaf::new(Domain::PbftState, piece)
}
