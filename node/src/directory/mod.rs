//! The member table as the network needs it: who is known, who was forgotten, whom to tell newcomers of; and the check
//! of what others say about members.

use crate::network;
use mesh_coordinator::Coordinator;
use mesh_membership::{Member, Role, Standing};
use mesh_proto::{
    codec,
    credential::{self, Credential},
    genesis::Genesis,
    id::{Digest, NetworkId, NodeId, StoreId},
    key::SecretKey,
    member::{MemberEntry, MemberStatus, Presence},
    task::Octets,
    time::Wall,
};
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError, RwLock},
};

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
}

struct Known {
    standing: Standing,
    entry: Option<MemberEntry>,
}

impl Directory {
    pub fn new(genesis: Genesis) -> Self {
        Self(Arc::new(Shared { genesis, members: RwLock::default(), verified: Mutex::default() }))
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
        let known = Known { standing: member.standing, entry };
        self.0.members.write().unwrap_or_else(PoisonError::into_inner).insert(member.node, known);
    }

    pub fn knows(&self, node: NodeId) -> bool {
        self.0.members.read().unwrap_or_else(PoisonError::into_inner).contains_key(&node)
    }

    /// An entry that somebody sent, if it is what it says.
    pub fn verify(&self, bytes: &Octets) -> Option<Member> {
        let digest = Digest::of("meshd member entry", &[bytes]);
        if let Some(member) = self.remembered().get(&digest) {
            return Some(member.clone());
        }
        let entry = MemberEntry::decode(bytes).ok()?;
        let verified = entry.verify(&self.0.genesis, super::brain::clock::wall()).ok()?;
        let member = member_of(verified.get(), bytes.clone());
        let mut remembered = self.remembered();
        if remembered.len() >= REMEMBERED {
            remembered.clear();
        }
        remembered.insert(digest, member.clone());
        Some(member)
    }

    fn remembered(&self) -> std::sync::MutexGuard<'_, HashMap<Digest, Member>> {
        self.0.verified.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl network::Directory for Directory {
    fn standing(&self, node: NodeId) -> credential::Standing {
        match self.0.members.read().unwrap_or_else(PoisonError::into_inner).contains_key(&node) {
            true => credential::Standing::Known,
            false => credential::Standing::Newcomer,
        }
    }

    fn is_forgotten(&self, member: &credential::Member) -> bool {
        let members = self.0.members.read().unwrap_or_else(PoisonError::into_inner);
        members.get(&member.node).is_some_and(|known| known.standing == Standing::Forgotten)
    }

    fn welcome(&self) -> Vec<MemberEntry> {
        let members = self.0.members.read().unwrap_or_else(PoisonError::into_inner);
        members.values().filter_map(|known| known.entry.clone()).take(WELCOME).collect()
    }
}

/// This node's word of itself. `incarnation` must be above all earlier ones: the wall clock in milliseconds.
pub fn own_entry(
    key: &SecretKey,
    genesis: &Genesis,
    credential: &Credential,
    store: StoreId,
    addresses: &[String],
    now: Wall,
) -> Member {
    let presence = Presence {
        credential: credential.clone(),
        store,
        incarnation: now.0,
        addresses: mesh_proto::address::Addresses::first_of(addresses.iter().cloned()),
        joined: now,
        left: false,
    };
    let entry = MemberEntry::present(key, &genesis.network_id(), presence);
    let bytes = codec::encode(&entry).into();
    member_of(&entry, bytes)
}

/// A member that was let in at the door: known by its credential, before its own entry has come.
pub fn seen_at_the_door(guest: &network::Guest) -> Member {
    Member {
        node: guest.member.node,
        store: guest.store,
        role: role_of(guest.member.role),
        standing: Standing::Joined,
        incarnation: 0,
        addresses: guest.addresses.iter().take(8).cloned().collect(),
        entry: Octets::default(),
    }
}

fn member_of(entry: &MemberEntry, bytes: Octets) -> Member {
    let standing = match entry.status() {
        MemberStatus::Joined => Standing::Joined,
        MemberStatus::Left => Standing::Left,
        MemberStatus::Forgotten => Standing::Forgotten,
    };
    match entry.presence() {
        Some(presence) => Member {
            node: entry.node(),
            store: presence.store,
            role: role_of(presence.credential.role()),
            standing,
            incarnation: presence.incarnation,
            addresses: presence.addresses.iter().take(8).cloned().collect(),
            entry: bytes,
        },
        None => Member {
            node: entry.node(),
            store: StoreId(0),
            role: Role::Client,
            standing,
            incarnation: u64::MAX,
            addresses: Vec::new(),
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
