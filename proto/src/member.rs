//! What members tell each other of members, and how two tellings are made one.
//!
//! Entries of a node are totally ordered and the greatest stays, so tables merge in any order, any number of times, to
//! the same table. The order is by
//!
//! 1. **date**: when the node was invited, or when it was forgotten. The node chooses neither, so that
//!    forgetting beats every presence of a node, at whatever incarnation, and only a presence under an invitation that
//!    was issued *after* beats it in turn. Who was not invited (the maker, members of an open network) does not come
//!    back from being forgotten but with another key.
//! 2. **kind**: forgotten before present;
//! 3. **incarnation**: a node's own counter, raised with each change of what it says of itself;
//! 4. **status**: left before joined, then the encoded bytes, which decides between the two words of a liar.

use crate::{
    address::Addresses,
    bounded,
    capability::Capabilities,
    certificate::{Certificate, Certified},
    codec::{self, DecodeError},
    credential::{Credential, CredentialError, Member, TrustAnchors},
    domain::Domain,
    id::{NetworkId, NodeId, StoreId},
    key::SecretKey,
    label::Label,
    limits,
    role::Role,
    time::Wall,
    verified::Verified,
};
use serde::{Deserialize, Serialize};
use std::{
    cmp::Ordering,
    collections::{BTreeMap, btree_map::Entry},
};

/// One line of the member table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MemberEntry {
    /// What the member says of itself, signed by it.
    #[serde(rename = "p")]
    Present(Certificate<Presence>),
    /// What a full member says of one that is gone for good, signed by who forgot it.
    #[serde(rename = "f")]
    Forgotten(Certificate<Tombstone>),
}

/// A member's word of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Presence {
    #[serde(rename = "c")]
    pub credential: Credential,
    #[serde(rename = "d")]
    pub store: StoreId,
    /// Raised with each change. A node begins at its wall clock in milliseconds, so that one that lost its disk is not
    /// behind itself, and goes above what it hears of itself.
    #[serde(rename = "i")]
    pub incarnation: u64,
    #[serde(rename = "a")]
    pub addresses: Addresses,
    /// When it first came in, by its own clock. For people.
    #[serde(rename = "j")]
    pub joined: Wall,
    /// Whether it left of its own will (`drain --leave`). It may come back with a higher incarnation.
    #[serde(rename = "l")]
    pub left: bool,
    /// It drains: holds and runs nothing that is new, and the others replace what it has.
    #[serde(rename = "q", default, skip_serializing_if = "std::ops::Not::not", deserialize_with = "bounded::holds")]
    pub drains: bool,
    /// What people call it.
    #[serde(rename = "m", default, skip_serializing_if = "Option::is_none", deserialize_with = "bounded::present")]
    pub name: Option<Label>,
    /// Where its machine stands: a rack, a site.
    #[serde(rename = "z", default, skip_serializing_if = "Option::is_none", deserialize_with = "bounded::present")]
    pub zone: Option<Label>,
    /// What it has for tasks to use. Entries of before nodes said so are of nodes that have nothing.
    #[serde(rename = "h", default, skip_serializing_if = "Capabilities::is_empty")]
    pub capabilities: Capabilities,
}

/// An operator's `member forget`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tombstone {
    #[serde(rename = "n")]
    pub node: NodeId,
    #[serde(rename = "t")]
    pub at: Wall,
    /// Who signs, and its right to.
    #[serde(rename = "c")]
    pub by: Credential,
}

/// A member's place in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MemberStatus {
    Joined,
    Left,
    Forgotten,
}

/// An entry's place in the order of the module's description, but for its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank {
    /// When the node was invited, or forgotten.
    pub dated: Wall,
    pub is_forgotten: bool,
    pub incarnation: u64,
    pub has_left: bool,
}

/// Why an entry is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MemberError {
    #[error(transparent)]
    Credential(#[from] CredentialError),
    #[error("not signed by {0}, who must sign it")]
    Signature(NodeId),
    #[error("{by} is {role}, and only a full member forgets another")]
    MayNotForget { by: NodeId, role: Role },
    #[error("dated {at}, in the future of {now}: one of the two clocks is wrong")]
    FromTheFuture { at: Wall, now: Wall },
}

impl MemberEntry {
    /// What the node of `key` says of itself.
    #[must_use]
    pub fn present(key: &SecretKey, network: &NetworkId, presence: Presence) -> Self {
        Self::Present(Certificate::issue(key, network, presence))
    }

    /// Forgets `node`, in the name of the full member whose key and credential these are.
    #[must_use]
    pub fn forgotten(key: &SecretKey, network: &NetworkId, by: Credential, node: NodeId, now: Wall) -> Self {
        Self::Forgotten(Certificate::issue(key, network, Tombstone { node, at: now, by }))
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        codec::decode_canonical(bytes, limits::MEMBER_BYTES)
    }

    /// Whom the entry is about.
    #[must_use]
    pub fn node(&self) -> NodeId {
        match self {
            Self::Present(presence) => presence.unverified().credential.node(),
            Self::Forgotten(tombstone) => tombstone.unverified().node,
        }
    }

    #[must_use]
    pub fn status(&self) -> MemberStatus {
        match self {
            Self::Present(presence) if presence.unverified().left => MemberStatus::Left,
            Self::Present(_) => MemberStatus::Joined,
            Self::Forgotten(_) => MemberStatus::Forgotten,
        }
    }

    /// What decides which of two entries of one node stays.
    #[must_use]
    pub fn rank(&self) -> Rank {
        match self {
            Self::Present(presence) => {
                let presence = presence.unverified();
                let dated = presence.credential.invited();
                Rank { dated, is_forgotten: false, incarnation: presence.incarnation, has_left: presence.left }
            }
            Self::Forgotten(tombstone) => {
                Rank { dated: tombstone.unverified().at, is_forgotten: true, incarnation: 0, has_left: false }
            }
        }
    }

    /// What the member says of itself, unless it is forgotten.
    #[must_use]
    pub fn presence(&self) -> Option<&Presence> {
        match self {
            Self::Present(presence) => Some(presence.unverified()),
            Self::Forgotten(_) => None,
        }
    }

    /// Checks signature and credential: three signatures, 120 µs. The verified value is from its signer.
    pub fn verify<A: TrustAnchors + ?Sized>(self, anchors: &A, now: Wall) -> Result<Verified<Self>, MemberError> {
        let network = anchors.genesis().network_id();
        let signer = match &self {
            Self::Present(presence) => present_signer(presence, anchors, &network, now)?.node,
            Self::Forgotten(tombstone) => forgetter(tombstone, anchors, &network, now)?.node,
        };
        Ok(Verified::signed_by(signer, self))
    }

    /// The order of the module's description. Only entries of one node are compared with it.
    fn order(&self, other: &Self) -> Ordering {
        self.rank()
            .cmp(&other.rank())
            .then_with(|| if self == other { Ordering::Equal } else { codec::encode(self).cmp(&codec::encode(other)) })
    }
}

/// Puts `entry` into `table` if it is news; says whether it was. The caller verified it, or trusts where it came from.
pub fn merge(table: &mut BTreeMap<NodeId, MemberEntry>, entry: MemberEntry) -> bool {
    match table.entry(entry.node()) {
        Entry::Vacant(vacant) => {
            vacant.insert(entry);
            true
        }
        Entry::Occupied(mut known) if entry.order(known.get()).is_gt() => {
            known.insert(entry);
            true
        }
        Entry::Occupied(_) => false,
    }
}

impl Certified for Presence {
    const DOMAIN: Domain = Domain::Presence;
}

impl Certified for Tombstone {
    const DOMAIN: Domain = Domain::Tombstone;
}

fn present_signer<A: TrustAnchors + ?Sized>(
    presence: &Certificate<Presence>,
    anchors: &A,
    network: &NetworkId,
    now: Wall,
) -> Result<Member, MemberError> {
    // Known, not a newcomer: the entry comes from a member, after somebody let the node in.
    let member = presence.unverified().credential.verify(anchors, now)?;
    presence.verify(member.node, network).map_err(|_| MemberError::Signature(member.node))?;
    Ok(member)
}

fn forgetter<A: TrustAnchors + ?Sized>(
    tombstone: &Certificate<Tombstone>,
    anchors: &A,
    network: &NetworkId,
    now: Wall,
) -> Result<Member, MemberError> {
    let at = tombstone.unverified().at;
    if at > now + limits::CLOCK_SKEW {
        // Else one tombstone from a fast clock would outrank invitations for years.
        return Err(MemberError::FromTheFuture { at, now });
    }
    // As of its date: a tombstone outlives the membership of who made it.
    let by = tombstone.unverified().by.verify(anchors, at)?;
    if by.role != Role::Full {
        return Err(MemberError::MayNotForget { by: by.node, role: by.role });
    }
    tombstone.verify(by.node, network).map_err(|_| MemberError::Signature(by.node))?;
    Ok(by)
}
