//! Domain separation: what is signed for one purpose, in one network and epoch, proves nothing in another.

use crate::id::{Digest, NetworkId};
use serde::{Deserialize, Serialize};

/// What a signature is for. The code is on the wire and is never given to another purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "u8", try_from = "u8")]
#[repr(u8)]
pub enum Domain {
    /// An inviter's certificate over an invitation key.
    Invitation = 1,
    /// An invitation key's certificate over a member's node id.
    Grant = 2,
    /// What a member says of itself.
    Presence = 3,
    /// A member's word that another is gone for good.
    Tombstone = 4,
    /// The root of a batch of leaves, which have domains of their own.
    Batch = 5,
    /// A rumour on a gossip topic.
    Announcement = 6,
    /// A message of the task protocols that is kept as proof: results and receipts.
    Task = 7,
    // The ledger.
    /// A vote on a proposal.
    Vote = 32,
    /// A motion about members, inviters or the committee.
    Motion = 33,
    /// What a member's build can execute.
    Support = 34,
    /// A gateway's batch of operations. No epoch: it may be ordered in a later one.
    PbftRequest = 8,
    /// A primary's proposal.
    PbftPrePrepare = 9,
    PbftPrepare = 10,
    PbftCommit = 11,
    PbftCheckpoint = 12,
    PbftViewChange = 13,
    PbftNewView = 14,
    /// A replica's answers to a gateway.
    PbftReply = 15,
    /// A leaf of the state that a checkpoint certifies; not signed by itself.
    PbftState = 16,
}

/// A code that no purpose has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not the code of a signature domain")]
pub struct UnknownDomain(pub u8);

/// The committee's generation, from 0 at genesis. A message of another epoch than the receiver's is for it to judge.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Epoch(pub u64);

/// The bytes that a key signs. Of one size, whatever the payload's, because ed25519 reads its message twice; begun with
/// a tag of ours, because the same key signs libp2p's handshakes and gossip, each under libp2p's own tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Statement([u8; Self::LEN]);

impl Statement {
    const TAG: &[u8; 16] = b"meshd-statement:";
    const LEN: usize = Self::TAG.len() + 32;

    #[must_use]
    pub fn new(domain: Domain, network: &NetworkId, epoch: Epoch, payload: &[u8]) -> Self {
        let digest = Digest::of(domain.context(), &[network.as_bytes(), &epoch.0.to_le_bytes(), payload]);
        let mut bytes = [0; Self::LEN];
        bytes[..Self::TAG.len()].copy_from_slice(Self::TAG);
        bytes[Self::TAG.len()..].copy_from_slice(digest.as_bytes());
        Self(bytes)
    }

    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl Domain {
    pub const ALL: [Self; 19] = [
        Self::Invitation,
        Self::Grant,
        Self::Presence,
        Self::Tombstone,
        Self::Batch,
        Self::Announcement,
        Self::Task,
        Self::Vote,
        Self::Motion,
        Self::Support,
        Self::PbftRequest,
        Self::PbftPrePrepare,
        Self::PbftPrepare,
        Self::PbftCommit,
        Self::PbftCheckpoint,
        Self::PbftViewChange,
        Self::PbftNewView,
        Self::PbftReply,
        Self::PbftState,
    ];

    /// The BLAKE3 key derivation context.
    const fn context(self) -> &'static str {
        match self {
            Self::Invitation => "meshd v1 statement: invitation",
            Self::Grant => "meshd v1 statement: grant",
            Self::Presence => "meshd v1 statement: presence",
            Self::Tombstone => "meshd v1 statement: tombstone",
            Self::Batch => "meshd v1 statement: batch",
            Self::Announcement => "meshd v1 statement: announcement",
            Self::Task => "meshd v1 statement: task",
            Self::Vote => "meshd v1 statement: vote",
            Self::Motion => "meshd v1 statement: motion",
            Self::Support => "meshd v1 statement: support",
            Self::PbftRequest => "meshd v1 statement: pbft request",
            Self::PbftPrePrepare => "meshd v1 statement: pbft pre-prepare",
            Self::PbftPrepare => "meshd v1 statement: pbft prepare",
            Self::PbftCommit => "meshd v1 statement: pbft commit",
            Self::PbftCheckpoint => "meshd v1 statement: pbft checkpoint",
            Self::PbftViewChange => "meshd v1 statement: pbft view change",
            Self::PbftNewView => "meshd v1 statement: pbft new view",
            Self::PbftReply => "meshd v1 statement: pbft reply",
            Self::PbftState => "meshd v1 statement: pbft state",
        }
    }
}

impl From<Domain> for u8 {
    fn from(domain: Domain) -> Self {
        domain as Self
    }
}

impl TryFrom<u8> for Domain {
    type Error = UnknownDomain;

    fn try_from(code: u8) -> Result<Self, UnknownDomain> {
        Self::ALL.into_iter().find(|domain| u8::from(*domain) == code).ok_or(UnknownDomain(code))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn no_two_domains_networks_or_epochs_share_a_statement() {
        let mut statements = BTreeSet::new();
        for domain in Domain::ALL {
            for network in [NetworkId::from_bytes([1; 32]), NetworkId::from_bytes([2; 32])] {
                for epoch in [Epoch(0), Epoch(1)] {
                    for payload in [&b""[..], b"a", b"aa"] {
                        statements.insert(Statement::new(domain, &network, epoch, payload).0);
                    }
                }
            }
        }
        assert_eq!(statements.len(), Domain::ALL.len() * 2 * 2 * 3);
    }

    #[test]
    fn a_code_is_its_domain() {
        for domain in Domain::ALL {
            assert_eq!(Domain::try_from(u8::from(domain)), Ok(domain));
        }
        assert_eq!(Domain::try_from(0), Err(UnknownDomain(0)));
        assert_eq!(Domain::try_from(17), Err(UnknownDomain(17)));
    }
}
