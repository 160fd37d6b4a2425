use crate::{
    bounded,
    id::{Digest, NodeId},
    limits,
    task::Octets,
};
use serde::{Deserialize, Serialize};

/// Two statements of one member that contradict each other, as it signed them. What they mean is for who made their
/// kind to judge, before ordering; the ledger keeps them for people and for a decision about the member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    #[serde(rename = "n")]
    pub accused: NodeId,
    #[serde(rename = "a", deserialize_with = "bounded::octets::<_, { limits::EVIDENCE_BYTES }>")]
    pub first: Octets,
    #[serde(rename = "b", deserialize_with = "bounded::octets::<_, { limits::EVIDENCE_BYTES }>")]
    pub second: Octets,
}

impl Evidence {
    /// The same in whichever order the two are.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let (low, high) = match self.first <= self.second {
            true => (&self.first, &self.second),
            false => (&self.second, &self.first),
        };
        Digest::of("meshd v1 ledger evidence", &[self.accused.as_bytes(), low, high])
    }
}
