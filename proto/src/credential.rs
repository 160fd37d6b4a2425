//! What lets a node in: a chain from a key that may invite (the maker's, and those that the ledger names), over an invitation key, to the node's own key.
//!
//! ```text
//! an inviter    --signs--> Invitation(key, role, expires) --signs--> Grant(node, role, issued)
//! ```
//!
//! The invitation's private key travels in the token, so the joining node signs its own grant, with the inviter
//! offline. Two dates follow from that, and they mean different things.
//!
//! - **The invitation's `expires` limits joining.** A grant dated after it is refused by everybody. Who holds an old
//!   token could date its grant back, so a member that does not know the node already ([`Standing::Newcomer`]) also
//!   compares the expiry with its own clock. A node that joined in time is in the member table, which is gossiped, and
//!   is let in again for as long as it likes.
//! - **The invitation's `member_until`, if there is one, ends the membership** itself, for known members too.

use crate::{
    certificate::{Certificate, Certified},
    codec::{self, DecodeError},
    domain::Domain,
    genesis::Genesis,
    id::{Digest, NetworkId, NodeId},
    key::SecretKey,
    limits,
    role::Role,
    time::Wall,
};
use serde::{Deserialize, Serialize};

/// An inviter's word that whoever holds `key` may join.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invitation {
    #[serde(rename = "k")]
    pub key: NodeId,
    #[serde(rename = "f")]
    pub inviter: NodeId,
    #[serde(rename = "r")]
    pub role: Role,
    #[serde(rename = "t")]
    pub issued: Wall,
    /// No grant may be made after this.
    #[serde(rename = "x")]
    pub expires: Wall,
    /// When memberships by this invitation end. Default never.
    #[serde(rename = "u", default, skip_serializing_if = "Option::is_none")]
    pub member_until: Option<Wall>,
}

/// The invitation key's word (or the maker's own, or in an open network the node's own) that `node` is a member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    #[serde(rename = "w")]
    pub network: NetworkTag,
    #[serde(rename = "n")]
    pub node: NodeId,
    #[serde(rename = "r")]
    pub role: Role,
    #[serde(rename = "t")]
    pub issued: Wall,
}

/// Tells two networks apart without telling the network id, which a stranger who is shown a credential must not learn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NetworkTag(#[serde(with = "serde_bytes")] [u8; 8]);

/// What a member shows when asked who let it in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Credential {
    /// The maker of the network let itself in.
    #[serde(rename = "m")]
    Maker(Certificate<Grant>),
    #[serde(rename = "i")]
    Invited {
        #[serde(rename = "i")]
        invitation: Certificate<Invitation>,
        #[serde(rename = "g")]
        grant: Certificate<Grant>,
    },
    /// In an open network anybody lets itself in, but not into the committee: keys are free to make.
    #[serde(rename = "o")]
    Open(Certificate<Grant>),
}

/// Who a good credential says its holder is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    pub node: NodeId,
    pub role: Role,
    /// When the membership ends; `None` is never.
    pub expires: Option<Wall>,
    /// When the inviter issued the invitation, which the member cannot choose; the epoch's start for those who were
    /// not invited. A member that was forgotten comes back only with an invitation made later.
    pub invited: Wall,
}

/// What a credential is checked against: the network's birth, and whose invitations into it are good. Who was named in
/// the genesis invites until the ledger says otherwise (a trust anchor, as RFC 5280 has it).
pub trait TrustAnchors {
    fn genesis(&self) -> &Genesis;

    /// Whether this invitation, by whoever signed it, lets in who used it so. `newcomer`: it is not a member yet.
    fn may_invite(&self, invitation: &Invitation, grant: &Grant, newcomer: bool) -> bool;
}

/// At a network's birth its maker invites, and nobody else.
impl TrustAnchors for Genesis {
    fn genesis(&self) -> &Genesis {
        self
    }

    fn may_invite(&self, invitation: &Invitation, _: &Grant, _: bool) -> bool {
        invitation.inviter == self.maker
    }
}

/// Takes any inviter: for who cannot know yet what the ledger says, which is whoever joins and looks at its own token or
/// credential. Those who let it in know.
#[derive(Clone, Copy, Debug)]
pub struct AnyInviter<'a>(pub &'a Genesis);

impl TrustAnchors for AnyInviter<'_> {
    fn genesis(&self) -> &Genesis {
        self.0
    }

    fn may_invite(&self, _: &Invitation, _: &Grant, _: bool) -> bool {
        true
    }
}

/// What the verifier knows of the node already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// In the member table: joined in time, as somebody saw.
    Known,
    /// Never heard of: its invitation must be good now, by the verifier's clock.
    Newcomer,
    /// Taken out by an operator: a newcomer again, and by an invitation that was issued later.
    Forgotten { at: Wall },
    /// Taken out by a motion of the ledger, on the same terms.
    Revoked { at: Wall },
}

/// Why a credential is not good here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CredentialError {
    #[error("the credential is for another network")]
    WrongNetwork,
    #[error("the credential is for {credential}, not for {peer}")]
    NotThisPeer { credential: NodeId, peer: NodeId },
    #[error("{0} may not invite into this network")]
    UnknownInviter(NodeId),
    #[error("the invitation is not signed by its inviter {0}")]
    InvitationSignature(NodeId),
    #[error("the grant is not signed by the key that must sign it, {0}")]
    GrantSignature(NodeId),
    #[error("the invitation is for role {granted}, and the node claims {claimed}")]
    RoleRaised { granted: Role, claimed: Role },
    #[error("made at {issued}, after its invitation expired at {expires}")]
    MadeAfterExpiry { expires: Wall, issued: Wall },
    #[error("the invitation expired at {expires}, and it is {now}")]
    InvitationExpired { expires: Wall, now: Wall },
    #[error("the membership ended at {until}, and it is {now}")]
    MembershipEnded { until: Wall, now: Wall },
    #[error("dated {issued}, in the future of {now}: one of the two clocks is wrong")]
    FromTheFuture { issued: Wall, now: Wall },
    #[error("{0} did not make this network")]
    NotTheMaker(NodeId),
    #[error("this network is not open: an invitation is needed")]
    NotOpen,
    #[error("invited at {invited}, and forgotten since, at {at}")]
    Forgotten { invited: Wall, at: Wall },
    #[error("invited at {invited}, and revoked by the ledger since, at {at}")]
    Revoked { invited: Wall, at: Wall },
}

impl Credential {
    /// The maker's own. Good only under a genesis that names this key as its maker.
    #[must_use]
    pub fn of_maker(maker: &SecretKey, genesis: &Genesis, now: Wall) -> Self {
        Self::Maker(grant(maker, maker.node_id(), genesis, Role::Full, now))
    }

    /// Uses an invitation for `node`, which may claim a lesser role than it was given.
    #[must_use]
    pub fn by_invitation(
        invitation: Certificate<Invitation>,
        key: &SecretKey,
        genesis: &Genesis,
        node: NodeId,
        role: Role,
        now: Wall,
    ) -> Self {
        Self::Invited { invitation, grant: grant(key, node, genesis, role, now) }
    }

    /// A node's own, good only in an open network.
    #[must_use]
    pub fn in_open_network(key: &SecretKey, genesis: &Genesis, role: Role, now: Wall) -> Self {
        Self::Open(grant(key, key.node_id(), genesis, role, now))
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        codec::decode_canonical(bytes, limits::CREDENTIAL_BYTES)
    }

    /// The node that this credential speaks of, unverified.
    #[must_use]
    pub fn node(&self) -> NodeId {
        self.grant().unverified().node
    }

    /// The role that this credential claims, unverified.
    #[must_use]
    pub fn role(&self) -> Role {
        self.grant().unverified().role
    }

    /// [`Member::invited`], unverified.
    #[must_use]
    pub fn invited(&self) -> Wall {
        match self {
            Self::Invited { invitation, .. } => invitation.unverified().issued,
            Self::Maker(_) | Self::Open(_) => Wall(0),
        }
    }

    /// Checks the credential of a member that is known; whom it speaks of is for the caller to compare.
    pub fn verify<A: TrustAnchors + ?Sized>(&self, anchors: &A, now: Wall) -> Result<Member, CredentialError> {
        self.check(anchors, false, now)
    }

    fn check<A: TrustAnchors + ?Sized>(
        &self,
        anchors: &A,
        newcomer: bool,
        now: Wall,
    ) -> Result<Member, CredentialError> {
        let genesis = anchors.genesis();
        let network = genesis.network_id();
        if self.grant().unverified().network != NetworkTag::of(&network) {
            return Err(CredentialError::WrongNetwork);
        }
        let member = match self {
            Self::Maker(grant) => own(grant, genesis.maker, &network)?,
            Self::Open(grant) => open(grant, genesis, &network)?,
            Self::Invited { invitation, grant } => {
                if !anchors.may_invite(invitation.unverified(), grant.unverified(), newcomer) {
                    return Err(CredentialError::UnknownInviter(invitation.unverified().inviter));
                }
                invited(invitation, grant, &network, now)?
            }
        };
        not_ahead(self.grant().unverified().issued, now)?;
        Ok(member)
    }

    /// Checks the signatures alone, whoever the inviter is: the same answer at any time and in any state. Whether the
    /// inviter may invite, and the dates, are for who knows the agreed state and time.
    pub fn verify_signatures(&self, genesis: &Genesis) -> Result<(), CredentialError> {
        let network = genesis.network_id();
        if self.grant().unverified().network != NetworkTag::of(&network) {
            return Err(CredentialError::WrongNetwork);
        }
        match self {
            Self::Maker(grant) => own(grant, genesis.maker, &network).map(drop),
            Self::Open(grant) => open(grant, genesis, &network).map(drop),
            Self::Invited { invitation, grant } => {
                signed_invitation(invitation, &network)?;
                signed_grant(invitation.unverified(), grant, &network).map(drop)
            }
        }
    }

    /// The invitation that this credential rests on, unverified; none of the maker's and in an open network.
    #[must_use]
    pub fn invitation(&self) -> Option<&Invitation> {
        match self {
            Self::Invited { invitation, .. } => Some(invitation.unverified()),
            Self::Maker(_) | Self::Open(_) => None,
        }
    }

    /// [`verify`](Self::verify) for who is at the other end of a connection.
    pub fn verify_peer<A: TrustAnchors + ?Sized>(
        &self,
        anchors: &A,
        peer: NodeId,
        standing: Standing,
        now: Wall,
    ) -> Result<Member, CredentialError> {
        let member = self.check(anchors, standing != Standing::Known, now)?;
        if member.node != peer {
            return Err(CredentialError::NotThisPeer { credential: member.node, peer });
        }
        match standing {
            Standing::Known => return Ok(member),
            // The order of `MemberEntry`: of one date, forgetting wins.
            Standing::Forgotten { at } if member.invited <= at => {
                return Err(CredentialError::Forgotten { invited: member.invited, at });
            }
            Standing::Revoked { at } if member.invited <= at => {
                return Err(CredentialError::Revoked { invited: member.invited, at });
            }
            Standing::Newcomer | Standing::Forgotten { .. } | Standing::Revoked { .. } => {}
        }
        match self {
            Self::Invited { invitation, .. } => invitation.unverified().check_expiry(now)?,
            Self::Maker(_) | Self::Open(_) => {}
        }
        Ok(member)
    }

    fn grant(&self) -> &Certificate<Grant> {
        match self {
            Self::Maker(grant) | Self::Open(grant) | Self::Invited { grant, .. } => grant,
        }
    }
}

impl Invitation {
    /// Checks signature and dates of an invitation that was not used yet. Whether the inviter may invite is for those who
    /// let its user in.
    pub fn verify(certificate: &Certificate<Self>, genesis: &Genesis, now: Wall) -> Result<(), CredentialError> {
        let invitation = signed_invitation(certificate, &genesis.network_id())?;
        not_ahead(invitation.issued, now)?;
        invitation.check_expiry(now)
    }

    fn check_expiry(&self, now: Wall) -> Result<(), CredentialError> {
        if now > self.expires {
            return Err(CredentialError::InvitationExpired { expires: self.expires, now });
        }
        Ok(())
    }
}

impl NetworkTag {
    #[must_use]
    pub fn of(network: &NetworkId) -> Self {
        let digest = Digest::of("meshd v1 network tag", &[network.as_bytes()]);
        let mut tag = [0; 8];
        tag.copy_from_slice(&digest.as_bytes()[..8]);
        Self(tag)
    }
}

impl Certified for Invitation {
    const DOMAIN: Domain = Domain::Invitation;
}

impl Certified for Grant {
    const DOMAIN: Domain = Domain::Grant;
}

fn grant(key: &SecretKey, node: NodeId, genesis: &Genesis, role: Role, now: Wall) -> Certificate<Grant> {
    let network = genesis.network_id();
    Certificate::issue(key, &network, Grant { network: NetworkTag::of(&network), node, role, issued: now })
}

fn own(grant: &Certificate<Grant>, maker: NodeId, network: &NetworkId) -> Result<Member, CredentialError> {
    let node = grant.unverified().node;
    if node != maker {
        return Err(CredentialError::NotTheMaker(node));
    }
    self_signed(grant, network)
}

fn open(grant: &Certificate<Grant>, genesis: &Genesis, network: &NetworkId) -> Result<Member, CredentialError> {
    if !genesis.open {
        return Err(CredentialError::NotOpen);
    }
    let claimed = grant.unverified().role;
    if !claimed.is_within(Role::Worker) {
        return Err(CredentialError::RoleRaised { granted: Role::Worker, claimed });
    }
    self_signed(grant, network)
}

fn self_signed(grant: &Certificate<Grant>, network: &NetworkId) -> Result<Member, CredentialError> {
    let node = grant.unverified().node;
    let grant = grant.verify(node, network).map_err(|_| CredentialError::GrantSignature(node))?;
    Ok(Member { node, role: grant.role, expires: None, invited: Wall(0) })
}

fn invited(
    invitation: &Certificate<Invitation>,
    grant: &Certificate<Grant>,
    network: &NetworkId,
    now: Wall,
) -> Result<Member, CredentialError> {
    let invitation = signed_invitation(invitation, network)?;
    let grant = signed_grant(invitation, grant, network)?;
    not_ahead(invitation.issued, now)?;
    match invitation.member_until {
        Some(until) if now > until => Err(CredentialError::MembershipEnded { until, now }),
        expires => Ok(Member { node: grant.node, role: grant.role, expires, invited: invitation.issued }),
    }
}

fn signed_grant<'a>(
    invitation: &Invitation,
    grant: &'a Certificate<Grant>,
    network: &NetworkId,
) -> Result<&'a Grant, CredentialError> {
    let grant = grant.verify(invitation.key, network).map_err(|_| CredentialError::GrantSignature(invitation.key))?;
    if !grant.role.is_within(invitation.role) {
        return Err(CredentialError::RoleRaised { granted: invitation.role, claimed: grant.role });
    }
    if grant.issued > invitation.expires {
        return Err(CredentialError::MadeAfterExpiry { expires: invitation.expires, issued: grant.issued });
    }
    Ok(grant)
}

fn signed_invitation<'a>(
    certificate: &'a Certificate<Invitation>,
    network: &NetworkId,
) -> Result<&'a Invitation, CredentialError> {
    let inviter = certificate.unverified().inviter;
    certificate.verify(inviter, network).map_err(|_| CredentialError::InvitationSignature(inviter))
}

fn not_ahead(issued: Wall, now: Wall) -> Result<(), CredentialError> {
    if issued > now + limits::CLOCK_SKEW {
        return Err(CredentialError::FromTheFuture { issued, now });
    }
    Ok(())
}
