//! The member table as the network needs it: who is known, who was forgotten, whom to tell newcomers of; and the check
//! of what others say about members.

use crate::{
    identity::{Anchors, Identity, Roll},
    network::{self, Verdict},
};
use mesh_coordinator::Coordinator;
use mesh_membership::{Member, Role, Standing};
use mesh_proto::{
    capability::Capabilities,
    codec,
    credential::{self, Credential, CredentialError},
    genesis::Genesis,
    id::{Digest, NetworkId, NodeId, StoreId},
    key::SecretKey,
    limits,
    member::{MemberEntry, MemberError, MemberStatus, Presence, Rank},
    task::Octets,
    time::Wall,
};
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError, RwLock},
};

/// The gossip topic of entries. A message is one entry, as it is signed.
pub const TOPIC: &str = "members";

/// Members that a newcomer is told of.
const WELCOME: usize = 32;

/// Entries whose verification is remembered: the same ones come from every peer.
const REMEMBERED: usize = 8192;

/// Shared by the network, the frames and the brain's thread.
#[derive(Clone)]
pub struct Directory(Arc<Shared>);

struct Shared {
    genesis: Genesis,
    members: RwLock<BTreeMap<NodeId, Known>>,
    verified: Mutex<HashMap<Digest, Member>>,
    /// What the ledger said last; none before its first motion is known.
    roll: RwLock<Option<Arc<Roll>>>,
}

struct Known {
    rank: Rank,
    holds_tasks: bool,
    entry: Option<MemberEntry>,
}

impl Directory {
    pub fn new(genesis: Genesis) -> Self {
        let (members, verified, roll) = Default::default();
        Self(Arc::new(Shared { genesis, members, verified, roll }))
    }

    /// What the ledger says from now on.
    pub fn set_roll(&self, roll: Arc<Roll>) {
        *self.0.roll.write().unwrap_or_else(PoisonError::into_inner) = Some(roll);
        // What was good by the former one need not be.
        self.remembered().clear();
    }

    /// What the ledger said last.
    pub fn roll(&self) -> Option<Arc<Roll>> {
        self.0.roll.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// When the ledger revoked it, if it did.
    pub fn revoked(&self, node: NodeId) -> Option<Wall> {
        self.roll()?.revoked(node)
    }

    /// Whether a member's own entry is good by what the ledger says now; also where there is none.
    pub fn is_good(&self, node: NodeId) -> bool {
        self.credential(node).is_none_or(|credential| {
            network::Directory::judge_credential(self, &self.0.genesis, &credential, node, super::brain::clock::wall())
                .is_ok()
        })
    }

    /// Which network it is the table of.
    pub fn network(&self) -> NetworkId {
        self.0.genesis.network_id()
    }

    /// All that a restored brain knows.
    pub fn fill(&self, coordinator: &Coordinator) {
        coordinator.members().others().for_each(|member| self.note(member));
    }

    /// The brain took this into its table.
    pub fn note(&self, member: &Member) {
        let entry = MemberEntry::decode(&member.entry).ok();
        let known = Known { rank: member.rank().0, holds_tasks: member.holds_tasks(), entry };
        self.0.members.write().unwrap_or_else(PoisonError::into_inner).insert(member.node, known);
    }

    /// When a node was invited, or forgotten.
    pub fn dated(&self, node: NodeId) -> Option<Wall> {
        let members = self.0.members.read().unwrap_or_else(PoisonError::into_inner);
        members.get(&node).map(|known| known.rank.dated)
    }

    /// How many members but this one have disks for tasks and their blobs, in reach or not.
    pub fn holders_beside(&self, node: NodeId) -> usize {
        let members = self.0.members.read().unwrap_or_else(PoisonError::into_inner);
        members.iter().filter(|(member, known)| **member != node && known.holds_tasks).count()
    }

    /// Whether it has left or was forgotten, so that nobody needs to look for it.
    pub fn is_gone(&self, node: NodeId) -> bool {
        let members = self.0.members.read().unwrap_or_else(PoisonError::into_inner);
        let left = |entry: &MemberEntry| entry.status() == MemberStatus::Left;
        members.get(&node).is_some_and(|known| known.rank.is_forgotten || known.entry.as_ref().is_some_and(left))
    }

    /// What let a member in, as its own entry shows it.
    pub fn credential(&self, node: NodeId) -> Option<Credential> {
        let members = self.0.members.read().unwrap_or_else(PoisonError::into_inner);
        let presence = members.get(&node)?.entry.as_ref()?.presence()?;
        Some(presence.credential.clone())
    }

    /// What to do with an entry that gossip brought, and whom it tells of if it is news.
    pub fn judge(&self, bytes: &[u8]) -> (Verdict, Option<Member>) {
        if bytes.len() > limits::MEMBER_BYTES {
            return (Verdict::Reject, None);
        }
        let Ok(entry) = MemberEntry::decode(bytes) else { return (Verdict::Reject, None) };
        // Before it is verified: old news is frequent, and nobody's fault.
        if !self.is_news(&entry) {
            return (Verdict::Ignore, None);
        }
        match self.check(entry, &bytes.into()) {
            Ok(member) => (Verdict::Accept, Some(member)),
            // An honest member with another clock may have passed it on.
            Err(error) if is_about_time(&error) => (Verdict::Ignore, None),
            Err(_) => (Verdict::Reject, None),
        }
    }

    /// Whether it says more than the table. What the table has of a node is at most a turn of the brain old.
    fn is_news(&self, entry: &MemberEntry) -> bool {
        let members = self.0.members.read().unwrap_or_else(PoisonError::into_inner);
        members.get(&entry.node()).is_none_or(|known| entry.rank() > known.rank)
    }

    /// An entry that somebody sent, if it is what it says.
    pub fn verify(&self, bytes: &Octets) -> Option<Member> {
        self.check(MemberEntry::decode(bytes).ok()?, bytes).ok()
    }

    fn check(&self, entry: MemberEntry, bytes: &Octets) -> Result<Member, MemberError> {
        let digest = Digest::of("meshd member entry", &[bytes]);
        if let Some(member) = self.remembered().get(&digest) {
            return Ok(member.clone());
        }
        let roll = self.roll();
        let anchors = Anchors { genesis: &self.0.genesis, roll: roll.as_deref() };
        let verified = entry.verify(&anchors, super::brain::clock::wall())?;
        let member = member_of(verified.get(), bytes.clone());
        let mut remembered = self.remembered();
        // Another came meanwhile: it was not checked by that one.
        if self.roll().map(|roll| roll.serial()) != roll.map(|roll| roll.serial()) {
            return Ok(member);
        }
        if remembered.len() >= REMEMBERED {
            remembered.clear();
        }
        remembered.insert(digest, member.clone());
        Ok(member)
    }

    fn remembered(&self) -> std::sync::MutexGuard<'_, HashMap<Digest, Member>> {
        self.0.verified.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl network::Directory for Directory {
    fn standing(&self, node: NodeId) -> credential::Standing {
        let revoked = self.revoked(node);
        let members = self.0.members.read().unwrap_or_else(PoisonError::into_inner);
        match (members.get(&node).map(|known| known.rank), revoked) {
            // The table may not have it yet.
            (Some(rank), Some(at)) if rank.dated <= at => credential::Standing::Revoked { at },
            (None, Some(at)) => credential::Standing::Revoked { at },
            (Some(Rank { is_forgotten: true, dated, .. }), _) => credential::Standing::Forgotten { at: dated },
            (Some(Rank { is_forgotten: false, .. }), _) => credential::Standing::Known,
            (None, None) => credential::Standing::Newcomer,
        }
    }

    fn judge_credential(
        &self,
        genesis: &Genesis,
        credential: &Credential,
        peer: NodeId,
        now: Wall,
    ) -> Result<credential::Member, CredentialError> {
        let roll = self.roll();
        credential.verify_peer(&Anchors { genesis, roll: roll.as_deref() }, peer, self.standing(peer), now)
    }

    fn welcome(&self) -> Vec<MemberEntry> {
        let members = self.0.members.read().unwrap_or_else(PoisonError::into_inner);
        members.values().filter_map(|known| known.entry.clone()).take(WELCOME).collect()
    }
}

/// This node before it has said anything of itself: told to nobody.
pub fn myself(identity: &Identity, store: StoreId) -> Member {
    Member {
        node: identity.key.node_id(),
        store,
        role: role_of(identity.credential.role()),
        standing: Standing::Joined,
        dated: identity.credential.invited(),
        incarnation: 0,
        addresses: Vec::new(),
        name: None,
        zone: None,
        drains: false,
        capabilities: Capabilities::default(),
        entry: Octets::default(),
    }
}

/// This node's word of itself. Its incarnation must be above all earlier ones.
pub fn own_entry(key: &SecretKey, genesis: &Genesis, presence: Presence) -> Member {
    let entry = MemberEntry::present(key, &genesis.network_id(), presence);
    let bytes = codec::encode(&entry).into();
    member_of(&entry, bytes)
}

/// Whether an entry would be good at another time, or by another word of the ledger.
fn is_about_time(error: &MemberError) -> bool {
    use credential::CredentialError as Error;
    match error {
        MemberError::Signature(_) | MemberError::MayNotForget { .. } => false,
        MemberError::FromTheFuture { .. } => true,
        MemberError::Credential(error) => matches!(
            error,
            Error::InvitationExpired { .. }
                | Error::MembershipEnded { .. }
                | Error::FromTheFuture { .. }
                // By what another knows of the ledger it may be good.
                | Error::UnknownInviter(_)
        ),
    }
}

/// A node that the ledger has revoked, as the table has it: out, like one that was forgotten, and until an invitation of
/// later. Each node finds it in the ledger for itself, so it is told to nobody.
pub fn revoked(node: NodeId, at: Wall) -> Member {
    Member {
        node,
        store: StoreId(0),
        role: Role::Client,
        standing: Standing::Forgotten,
        dated: at,
        incarnation: u64::MAX,
        addresses: Vec::new(),
        name: None,
        zone: None,
        drains: false,
        capabilities: Capabilities::default(),
        entry: Octets::default(),
    }
}

/// A member that was let in at the door: known by its credential, before its own entry has come.
pub fn seen_at_the_door(guest: &network::Guest) -> Member {
    Member {
        node: guest.member.node,
        store: guest.store,
        role: role_of(guest.member.role),
        standing: Standing::Joined,
        dated: guest.member.invited,
        incarnation: 0,
        addresses: guest.addresses.iter().take(8).cloned().collect(),
        name: None,
        zone: None,
        drains: false,
        capabilities: Capabilities::default(),
        entry: Octets::default(),
    }
}

fn member_of(entry: &MemberEntry, bytes: Octets) -> Member {
    let standing = match entry.status() {
        MemberStatus::Joined => Standing::Joined,
        MemberStatus::Left => Standing::Left,
        MemberStatus::Forgotten => Standing::Forgotten,
    };
    let dated = entry.rank().dated;
    match entry.presence() {
        Some(presence) => Member {
            node: entry.node(),
            store: presence.store,
            role: role_of(presence.credential.role()),
            standing,
            dated,
            incarnation: presence.incarnation,
            addresses: presence.addresses.iter().take(8).cloned().collect(),
            name: presence.name.clone(),
            zone: presence.zone.clone(),
            drains: presence.drains,
            capabilities: presence.capabilities.clone(),
            entry: bytes,
        },
        None => Member {
            node: entry.node(),
            store: StoreId(0),
            role: Role::Client,
            standing,
            dated,
            incarnation: u64::MAX,
            addresses: Vec::new(),
            name: None,
            zone: None,
            drains: false,
            capabilities: Capabilities::default(),
            entry: bytes,
        },
    }
}

fn role_of(role: mesh_proto::role::Role) -> Role {
    match role {
        mesh_proto::role::Role::Full => Role::Full,
        mesh_proto::role::Role::Worker => Role::Worker,
        mesh_proto::role::Role::Relay => Role::Relay,
        mesh_proto::role::Role::Client => Role::Client,
    }
}

#[cfg(test)]
mod tests;
