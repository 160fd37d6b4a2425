//! Who is let in: what this node shows of itself on `/mesh/admit/1`, and how it judges what others show.

use libp2p::StreamProtocol;
use mesh_proto::{
    address::Addresses,
    admit::{AdmitReply, AdmitRequest, Enter, NetworkProof, Refusal, Welcome},
    credential::{Credential, CredentialError, Member, Standing},
    genesis::Genesis,
    id::{NetworkId, NodeId, StoreId},
    limits,
    member::MemberEntry,
    time::Wall,
    version::WireVersions,
};
use std::{
    sync::{Arc, PoisonError, RwLock},
    time::{SystemTime, UNIX_EPOCH},
};

/// The one protocol that is open to a stranger.
pub const PROTOCOL: StreamProtocol = StreamProtocol::new("/mesh/admit/1");

/// What the node's member table says; asked for each admission, from the network's tasks. Must not block.
pub trait Directory: Send + Sync + 'static {
    /// Whether the node joined before, as somebody saw, and whether an operator forgot it or the ledger revoked it since.
    fn standing(&self, node: NodeId) -> Standing;

    /// Whether a credential lets this peer in. Default by the genesis alone.
    fn judge_credential(
        &self,
        genesis: &Genesis,
        credential: &Credential,
        peer: NodeId,
        now: Wall,
    ) -> Result<Member, CredentialError> {
        credential.verify_peer(genesis, peer, self.standing(peer), now)
    }

    /// Members for a newcomer to begin with, best first.
    fn welcome(&self) -> Vec<MemberEntry>;
}

/// The directory of a node that knows nobody: everyone is a newcomer, nobody is forgotten.
#[derive(Clone, Copy, Debug, Default)]
pub struct KnowsNobody;

impl Directory for KnowsNobody {
    fn standing(&self, _: NodeId) -> Standing {
        Standing::Newcomer
    }

    fn welcome(&self) -> Vec<MemberEntry> {
        Vec::new()
    }
}

/// Who a peer has shown to be.
#[derive(Clone, Debug)]
pub struct Guest {
    pub member: Member,
    pub credential: Credential,
    /// The newest wire version that both sides speak.
    pub version: u16,
    pub store: StoreId,
    /// One run of the peer's process: a connection from an earlier one is dead, whatever TCP says.
    pub instance: u64,
    /// Where it listens, as it believes.
    pub addresses: Addresses,
    /// The members that it told us of, unverified.
    pub members: Vec<MemberEntry>,
}

/// This node's side of every admission. Shared by all connections.
pub struct Admission {
    genesis: Genesis,
    network: NetworkId,
    node: NodeId,
    credential: Credential,
    store: StoreId,
    instance: u64,
    directory: Arc<dyn Directory>,
    addresses: RwLock<Addresses>,
}

impl Admission {
    /// `instance` must be drawn anew by each process.
    pub fn new(
        genesis: Genesis,
        node: NodeId,
        credential: Credential,
        store: StoreId,
        instance: u64,
        directory: Arc<dyn Directory>,
    ) -> Self {
        let (network, addresses) = (genesis.network_id(), RwLock::default());
        Self { genesis, network, node, credential, store, instance, directory, addresses }
    }

    pub fn instance(&self) -> u64 {
        self.instance
    }

    /// What this node tells members of where it listens.
    pub fn set_addresses(&self, addresses: Addresses) {
        *self.addresses.write().unwrap_or_else(PoisonError::into_inner) = addresses;
    }

    /// Whether to ask a peer for proof before it is shown our credential and addresses.
    pub fn knocks_first(&self, peer: NodeId) -> bool {
        self.directory.standing(peer) != Standing::Known
    }

    pub fn proof(&self, to: NodeId) -> NetworkProof {
        NetworkProof::new(&self.network, self.node, to)
    }

    /// Whether `from` has proved to us that it knows the network.
    pub fn is_proved(&self, proof: &NetworkProof, from: NodeId) -> bool {
        proof.holds(&self.network, from, self.node)
    }

    pub fn enter(&self, peer: NodeId) -> AdmitRequest {
        AdmitRequest::Enter(Box::new(Enter {
            proof: self.proof(peer),
            credential: self.credential.clone(),
            versions: WireVersions::OURS,
            store: self.store,
            addresses: self.addresses.read().unwrap_or_else(PoisonError::into_inner).clone(),
        }))
    }

    /// The welcome, with as many members as fit.
    pub fn welcome(&self) -> AdmitReply {
        let mut welcome = Welcome {
            credential: self.credential.clone(),
            versions: WireVersions::OURS,
            store: self.store,
            members: Vec::new(),
        };
        let mut room = limits::ADMIT_REPLY_BYTES.saturating_sub(limits::CREDENTIAL_BYTES + 256);
        for entry in self.directory.welcome().into_iter().take(limits::WELCOME_MEMBERS) {
            let size = mesh_proto::codec::encode(&entry).len();
            if size > room {
                break;
            }
            room -= size;
            welcome.members.push(entry);
        }
        AdmitReply::Welcome(Box::new(welcome))
    }

    /// Judges who asks to be let in.
    pub fn judge_enter(&self, peer: NodeId, instance: u64, enter: Enter) -> Result<Guest, Refusal> {
        let (member, version) = self.judge(peer, &enter.credential, enter.versions)?;
        let Enter { credential, store, addresses, .. } = enter;
        Ok(Guest { member, credential, version, store, instance, addresses, members: Vec::new() })
    }

    /// Judges who let us in.
    pub fn judge_welcome(&self, peer: NodeId, instance: u64, welcome: Welcome) -> Result<Guest, Refusal> {
        let (member, version) = self.judge(peer, &welcome.credential, welcome.versions)?;
        let Welcome { credential, store, members, .. } = welcome;
        Ok(Guest { member, credential, version, store, instance, addresses: Addresses::default(), members })
    }

    fn judge(&self, peer: NodeId, credential: &Credential, versions: WireVersions) -> Result<(Member, u16), Refusal> {
        let version = versions.common(WireVersions::OURS).ok_or(Refusal::Version(WireVersions::OURS))?;
        let member = self.directory.judge_credential(&self.genesis, credential, peer, now()).map_err(|error| {
            tracing::debug!(%peer, %error, "a credential is not good");
            Refusal::from(&error)
        })?;
        Ok((member, version))
    }
}

/// The wall clock; a clock before 1970 reads as 1970.
fn now() -> Wall {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Wall(u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX))
}
