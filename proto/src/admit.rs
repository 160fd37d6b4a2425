//! `/mesh/admit/1`: how two nodes that have just connected become members to each other, while a stranger at either end
//! learns nothing.
//!
//! The connection has authenticated both peer ids. What a stranger lacks is the network id, which nobody can guess and
//! which is never sent: both sides prove that they know it by a hash over it and both peer ids ([`NetworkProof`]), good
//! for this pair and direction only.
//!
//! 1. Optionally the asker knocks ([`AdmitRequest::Knock`]): a proof and nothing else. The answer is the proof of the
//!    other direction, or [`Refusal::Silent`]. Who dials an address that it does not know to be a member's (mDNS,
//!    a peer that identify named) knocks first, so that a stranger is not shown its credential and addresses.
//! 2. The asker asks to be let in ([`AdmitRequest::Enter`]), with the proof again, so that each request stands alone.
//!
//! A request without a good proof, and one that does not decode, is answered by [`Refusal::Silent`], whose bytes are
//! always the same, and by closing the connection. The asker's own side knows what that means: the peer does not know
//! our network. A request with a good proof is from somebody who was told of the network, and is answered with a
//! reason.

use crate::{
    address::Addresses,
    bounded,
    codec::{self, DecodeError},
    credential::{Credential, CredentialError},
    id::{Digest, NetworkId, NodeId, StoreId},
    limits,
    member::MemberEntry,
    version::WireVersions,
};
use serde::{Deserialize, Serialize};

/// Proof that `from` knows the network id, for `to` alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NetworkProof(Digest);

/// What the dialing node sends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AdmitRequest {
    #[serde(rename = "k")]
    Knock(NetworkProof),
    #[serde(rename = "e")]
    Enter(Box<Enter>),
}

/// Who asks to be let in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enter {
    #[serde(rename = "p")]
    pub proof: NetworkProof,
    #[serde(rename = "c")]
    pub credential: Credential,
    #[serde(rename = "v")]
    pub versions: WireVersions,
    #[serde(rename = "d")]
    pub store: StoreId,
    /// Where the asker listens, as it believes.
    #[serde(rename = "a")]
    pub addresses: Addresses,
}

/// The answer to either request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AdmitReply {
    /// To a knock: the proof of the other direction.
    #[serde(rename = "k")]
    Known(NetworkProof),
    #[serde(rename = "w")]
    Welcome(Box<Welcome>),
    #[serde(rename = "r")]
    Refused(Refusal),
}

/// The asker is in; now it is the asker who checks a credential.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    #[serde(rename = "c")]
    pub credential: Credential,
    #[serde(rename = "v")]
    pub versions: WireVersions,
    #[serde(rename = "d")]
    pub store: StoreId,
    /// Members to begin with, at most 64; anti-entropy brings the rest. Each is to be verified.
    #[serde(rename = "m", deserialize_with = "bounded::list::<_, _, { limits::WELCOME_MEMBERS }>")]
    pub members: Vec<MemberEntry>,
}

/// Why not, as far as the asker may know; the text says what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Refusal {
    /// All that is said to who did not prove knowledge of the network.
    #[serde(rename = "s")]
    #[error("it is not of our network")]
    Silent,
    #[serde(rename = "x")]
    #[error("the invitation has expired: ask for a new token")]
    InvitationExpired,
    #[serde(rename = "u")]
    #[error("the membership has ended: ask for a new token")]
    MembershipEnded,
    #[serde(rename = "t")]
    #[error("the credential is dated in the future: set the clock of this machine or of that one")]
    Clock,
    #[serde(rename = "i")]
    #[error("the credential is of another node: was the data directory copied?")]
    NotThisPeer,
    #[serde(rename = "c")]
    #[error("the credential is not good: join again with a new token")]
    BadCredential,
    #[serde(rename = "f")]
    #[error("this node was forgotten by an operator: `meshd join` with a token made since")]
    Forgotten,
    #[serde(rename = "r")]
    #[error("this node was revoked by the network: `meshd join` with a token made since")]
    Revoked,
    #[serde(rename = "n")]
    #[error("whoever invited this node may not invite, or no more: `meshd join` with a token of one that may")]
    NotInviter,
    #[serde(rename = "v")]
    #[error("no wire version in common: it speaks {0}; upgrade the older of the two")]
    Version(WireVersions),
    #[serde(rename = "b")]
    #[error("it is busy: try again in {retry_ms} ms")]
    Busy {
        #[serde(rename = "m")]
        retry_ms: u32,
    },
}

impl NetworkProof {
    /// Proof by `from`, for `to`.
    #[must_use]
    pub fn new(network: &NetworkId, from: NodeId, to: NodeId) -> Self {
        Self(Digest::of("meshd v1 network proof", &[network.as_bytes(), from.as_bytes(), to.as_bytes()]))
    }

    /// `from` and `to` must be the peer ids that the connection authenticated.
    #[must_use]
    pub fn holds(&self, network: &NetworkId, from: NodeId, to: NodeId) -> bool {
        // In constant time: a comparison that stops early would tell a patient stranger a proof byte by byte.
        let expected = blake3::Hash::from_bytes(*Self::new(network, from, to).0.as_bytes());
        expected == blake3::Hash::from_bytes(*self.0.as_bytes())
    }
}

impl AdmitRequest {
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        codec::decode_canonical(bytes, limits::ADMIT_REQUEST_BYTES)
    }

    /// The proof, which is looked at before anything else.
    #[must_use]
    pub fn proof(&self) -> &NetworkProof {
        match self {
            Self::Knock(proof) => proof,
            Self::Enter(enter) => &enter.proof,
        }
    }
}

impl Welcome {
    /// Takes of `members`, in their order, as many as one reply can hold.
    #[must_use]
    pub fn new(
        credential: Credential,
        versions: WireVersions,
        store: StoreId,
        members: impl IntoIterator<Item = MemberEntry>,
    ) -> Self {
        let mut room = limits::ADMIT_REPLY_BYTES - limits::CREDENTIAL_BYTES - WELCOME_FIELDS_BYTES;
        let mut fits = |entry: &MemberEntry| {
            let left = room.checked_sub(codec::encode(entry).len());
            room = left.unwrap_or(room);
            left.is_some()
        };
        let members = members.into_iter().take(limits::WELCOME_MEMBERS).take_while(|entry| fits(entry)).collect();
        Self { credential, versions, store, members }
    }
}

impl AdmitReply {
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        codec::decode_canonical(bytes, limits::ADMIT_REPLY_BYTES)
    }
}

impl From<&CredentialError> for Refusal {
    fn from(error: &CredentialError) -> Self {
        match error {
            CredentialError::InvitationExpired { .. } | CredentialError::MadeAfterExpiry { .. } => {
                Self::InvitationExpired
            }
            CredentialError::MembershipEnded { .. } => Self::MembershipEnded,
            CredentialError::FromTheFuture { .. } => Self::Clock,
            CredentialError::NotThisPeer { .. } => Self::NotThisPeer,
            CredentialError::Forgotten { .. } => Self::Forgotten,
            CredentialError::Revoked { .. } => Self::Revoked,
            CredentialError::UnknownInviter(_) => Self::NotInviter,
            CredentialError::WrongNetwork
            | CredentialError::InvitationSignature(_)
            | CredentialError::GrantSignature(_)
            | CredentialError::RoleRaised { .. }
            | CredentialError::NotTheMaker(_)
            | CredentialError::NotOpen => Self::BadCredential,
        }
    }
}

/// More than all of a welcome but credential and members.
const WELCOME_FIELDS_BYTES: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_is_for_one_network_pair_and_direction() {
        let network = NetworkId::from_bytes([1; 32]);
        let (a, b, c) = (NodeId::from_bytes([2; 32]), NodeId::from_bytes([3; 32]), NodeId::from_bytes([4; 32]));
        let proof = NetworkProof::new(&network, a, b);
        assert!(proof.holds(&network, a, b));
        assert!(!proof.holds(&network, b, a), "reflected");
        assert!(!proof.holds(&network, a, c), "forwarded");
        assert!(!proof.holds(&network, c, b), "stolen");
        assert!(!proof.holds(&NetworkId::from_bytes([5; 32]), a, b), "another network");
    }

    #[test]
    fn a_stranger_gets_the_same_few_bytes_whatever_it_asked() {
        assert_eq!(codec::encode(&AdmitReply::Refused(Refusal::Silent)), [0xa1, 0x61, b'r', 0x61, b's']);
    }
}
