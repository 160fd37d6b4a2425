use crate::{
    bounded,
    id::{Digest, NodeId},
    limits,
    task::Octets,
};
use serde::{Deserialize, Serialize};

/// Statements of one member that contradict each other, as it signed them. What they mean is for who made their kind to
/// judge, before ordering; the ledger keeps them for people and for a decision about the member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    #[serde(rename = "n")]
    pub accused: NodeId,
    #[serde(rename = "p", deserialize_with = "bounded::octets::<_, { limits::EVIDENCE_BYTES }>")]
    pub proof: Octets,
}

impl Evidence {
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of("meshd v1 ledger evidence", &[self.accused.as_bytes(), &self.proof])
    }
}
