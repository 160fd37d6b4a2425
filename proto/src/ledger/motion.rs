use super::{Auto, Seat};
use crate::{
    bounded,
    certificate::{Certificate, Certified},
    codec,
    domain::Domain,
    id::{Digest, NetworkId, NodeId},
    key::{BadSignature, SecretKey},
    time::Wall,
};
use serde::{Deserialize, Serialize};

/// What changes who may do what. One liar must not bring it about: it is in force when a key that governs the network
/// signed it, or f + 1 members of the committee, of whom one is honest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Change {
    /// It is a member no more. Only an invitation issued later lets it in again.
    #[serde(rename = "x")]
    Revoke(NodeId),
    /// This key may invite.
    #[serde(rename = "i")]
    InviterAdd {
        #[serde(rename = "k")]
        key: NodeId,
        /// How many members it may still let in. Default any number.
        #[serde(rename = "n", default, skip_serializing_if = "Option::is_none", deserialize_with = "bounded::present")]
        uses: Option<u32>,
        /// In agreed time. Default for ever.
        #[serde(rename = "u", default, skip_serializing_if = "Option::is_none", deserialize_with = "bounded::present")]
        until: Option<Wall>,
        /// Whether its signature alone carries a motion, as the maker's does.
        #[serde(rename = "g")]
        governs: bool,
    },
    #[serde(rename = "j")]
    InviterRemove(NodeId),
    /// Takes a node into the committee.
    #[serde(rename = "a")]
    CommitteeAdd(Seat),
    #[serde(rename = "r")]
    CommitteeRemove(NodeId),
    #[serde(rename = "o")]
    CommitteeAuto(Auto),
}

/// A change, and the point at which it is asked for: it counts while as many motions are in force as then, so that
/// nobody brings it forward again after it was undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Motion {
    #[serde(rename = "s")]
    pub serial: u64,
    #[serde(rename = "c")]
    pub change: Change,
}

/// A motion, and one of those who want it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedMotion {
    #[serde(rename = "n")]
    pub by: NodeId,
    #[serde(rename = "m")]
    motion: Certificate<Motion>,
}

impl Change {
    /// The same for all who ask for the same.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of("meshd v1 ledger change", &[&codec::encode(self)])
    }
}

impl SignedMotion {
    #[must_use]
    pub fn sign(key: &SecretKey, network: &NetworkId, motion: Motion) -> Self {
        Self { by: key.node_id(), motion: Certificate::issue(key, network, motion) }
    }

    pub fn verify(&self, network: &NetworkId) -> Result<&Motion, BadSignature> {
        self.motion.verify(self.by, network)
    }

    /// What is said to be signed.
    #[must_use]
    pub fn unverified(&self) -> &Motion {
        self.motion.unverified()
    }
}

impl Certified for Motion {
    const DOMAIN: Domain = Domain::Motion;
}
