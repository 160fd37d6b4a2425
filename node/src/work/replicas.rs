//! Where else blobs are: spreads them, makes sure of them, and says whom to ask.

use super::{assured::Assured, find};
use crate::{
    blob::{self, BlobStore, FetchError},
    directory::Directory,
    network::NetworkHandle,
};
use mesh_proto::{
    id::{BlobId, NodeId},
    task::BlobRef,
};
use std::{future::Future, io, sync::Arc, time::Duration};
use tokio_util::compat::{Compat, FuturesAsyncReadCompatExt};

/// A peer that has not taken a blob by then is given up for another: so long, and a second for each of these bytes.
const PATIENCE: Duration = Duration::from_secs(120);
const SLOWEST: u64 = 1 << 20;
/// A peer that has not said by then whether it has a blob is passed over.
const ASK: Duration = Duration::from_secs(3);
/// How long a node of which no address is known is waited for.
const UNDER_WAY: Duration = Duration::from_secs(2);
/// Between two looks at whether a node that is dialled is connected.
const LOOK: Duration = Duration::from_millis(50);

/// The other nodes, as far as blobs are concerned.
#[derive(Clone)]
pub struct Replicas {
    network: NetworkHandle,
    members: Directory,
    copies: usize,
    assured: Arc<Assured>,
}

/// Why a task may not be acknowledged with this input.
#[derive(Debug, thiserror::Error)]
pub enum AssureError {
    /// Whoever has it must upload it again.
    #[error("blob {id} cannot be had: {error}")]
    Nowhere { id: BlobId, error: FetchError },
    #[error("blob {id} is on {copies} of the {wanted} disks that it must be on")]
    TooFewCopies { id: BlobId, copies: usize, wanted: usize },
    #[error("blob {id} has {actual} bytes, not {claimed}")]
    WrongSize { id: BlobId, actual: u64, claimed: u64 },
}

impl Replicas {
    /// `copies`: disks that a blob is to be on, this one included.
    pub fn new(network: NetworkHandle, members: Directory, copies: usize) -> Self {
        Self { network, members, copies, assured: Arc::default() }
    }

    pub fn network(&self) -> &NetworkHandle {
        &self.network
    }

    pub fn node(&self) -> NodeId {
        self.network.node()
    }

    pub fn copies(&self) -> usize {
        self.copies
    }

    /// A stream to ask a node for blobs; one that is not connected is dialled first.
    pub fn open(&self, node: NodeId) -> impl Future<Output = io::Result<Compat<libp2p::Stream>>> + Send + 'static {
        let network = self.network.clone();
        async move {
            if !network.is_connected(node) {
                reach(&network, node).await?;
            }
            let stream = network.open_stream(node, blob::PROTOCOL).await.map_err(io::Error::other)?;
            Ok(stream.compat())
        }
    }

    /// Whom to ask for a blob: those named, then whoever is connected, beginning with those to whom it would fall. Who
    /// is named and has to be dialled first comes last: it may be dead, and that takes long to find out.
    pub fn providers(&self, id: BlobId, named: &[NodeId]) -> Vec<NodeId> {
        let me = self.node();
        let mut others: Vec<NodeId> = self.network.peers().into_iter().map(|peer| peer.node).collect();
        nearest_first(id, &mut others);
        let (mut providers, away): (Vec<NodeId>, Vec<NodeId>) =
            named.iter().copied().filter(|node| *node != me).partition(|node| others.contains(node));
        others.retain(|node| !providers.contains(node));
        providers.extend(others);
        providers.truncate(8);
        providers.extend(away);
        providers
    }

    /// Copies that there can be: no more than there are members to hold them, **in reach or not**: who is cut off from
    /// all others must not take its own disk for enough, as nobody would make the second copy later.
    pub fn wanted(&self) -> usize {
        self.copies.min(self.members.holders_beside(self.node()) + 1)
    }

    fn workers(&self) -> Vec<NodeId> {
        let peers = self.network.peers().into_iter();
        peers.filter(|peer| peer.guest.member.role.works()).map(|peer| peer.node).collect()
    }

    /// Has other nodes keep a blob of this one, until there are enough copies or nobody is left to ask. Returns who has
    /// it, durably and for the lease of an upload, this node first.
    pub async fn spread(&self, blobs: &BlobStore, id: BlobId) -> Vec<NodeId> {
        let lease = blobs.config().upload_lease;
        if let Err(error) = blobs.renew_lease(id, lease).await {
            tracing::warn!(%id, %error, "the lease of a blob cannot be made longer");
        }
        let mut holders = vec![self.node()];
        let mut peers = self.workers();
        nearest_first(id, &mut peers);
        let patience = PATIENCE + Duration::from_secs(blobs.size(id).unwrap_or_default() / SLOWEST);
        for node in peers {
            if holders.len() >= self.copies {
                break;
            }
            match tokio::time::timeout(patience, self.copy_to(blobs, id, node, lease)).await {
                Ok(Ok(())) => holders.push(node),
                Ok(Err(error)) => tracing::debug!(%id, %node, error, "a peer did not take a copy"),
                Err(_) => tracing::debug!(%id, %node, "a peer took too long to take a copy"),
            }
        }
        if holders.len() >= self.wanted() {
            self.assured.note(id, &holders, lease);
        }
        holders
    }

    /// Makes sure that a blob that a task is about to name is on enough disks, and says on which. What was put through
    /// this node a moment ago is known to be.
    pub async fn assure(&self, blobs: &BlobStore, blob: &BlobRef) -> Result<BlobRef, AssureError> {
        let (id, claimed) = (blob.id, blob.size);
        let named = |nodes: Vec<NodeId>| BlobRef { id, size: claimed, nodes };
        if let Some(nodes) = self.assured.get(id) {
            return Ok(named(nodes));
        }
        let mut holders = self.ask(blobs, blob).await;
        let wanted = self.wanted();
        if let Some(actual) = blobs.size(id) {
            if actual != claimed {
                return Err(AssureError::WrongSize { id, actual, claimed });
            }
            if blobs.renew_lease(id, blobs.config().upload_lease).await.is_ok() {
                holders.insert(0, self.node());
            }
        }
        if holders.len() < wanted {
            let held = find::fetch(blobs, self, id, Some(claimed), &blob.nodes, |_| {}).await;
            let _held = held.map_err(|error| AssureError::Nowhere { id, error })?;
            holders = self.spread(blobs, id).await;
        }
        if holders.len() < wanted {
            return Err(AssureError::TooFewCopies { id, copies: holders.len(), wanted });
        }
        holders.truncate(mesh_proto::limits::BLOB_NODES);
        self.assured.note(id, &holders, blobs.config().keep_lease.min(blobs.config().upload_lease));
        Ok(named(holders))
    }

    /// Of the other nodes named, those that have the blob, and now keep it for a while on this node's word.
    async fn ask(&self, blobs: &BlobStore, blob: &BlobRef) -> Vec<NodeId> {
        // Whom to dial first takes long to find out, if it is dead; a copy here is made sooner.
        let in_reach = blob.nodes.iter().filter(|node| self.network.is_connected(**node));
        let asked = in_reach.map(|node| async move {
            let told = async {
                let stream = self.open(*node).await.map_err(|error| error.to_string())?;
                blobs.tell_needed(stream, vec![blob.clone()]).await.map_err(|error| error.to_string())
            };
            match tokio::time::timeout(ASK, told).await {
                Ok(Ok(lacking)) if lacking.is_empty() => Some(*node),
                Ok(Ok(_)) => None,
                Ok(Err(error)) => {
                    tracing::debug!(id = %blob.id, %node, error, "a node that is named for a blob was not asked");
                    None
                }
                Err(_) => None,
            }
        });
        futures::future::join_all(asked).await.into_iter().flatten().collect()
    }

    async fn copy_to(&self, blobs: &BlobStore, id: BlobId, node: NodeId, lease: Duration) -> Result<(), String> {
        let stream = self.open(node).await.map_err(|error| error.to_string())?;
        blobs.replicate(stream, id, lease).await.map_err(|error| error.to_string())
    }
}

/// Different blobs go to different nodes, the same one to the same: by the distance of their ids.
pub fn nearest_first(id: BlobId, nodes: &mut [NodeId]) {
    nodes.sort_by_key(|node| std::array::from_fn::<u8, 32, _>(|i| node.as_bytes()[i] ^ id.as_bytes()[i]));
}

/// Dials a node by what is known of it, or what Kademlia knows. Whoever waits has a time-out.
async fn reach(network: &NetworkHandle, node: NodeId) -> io::Result<()> {
    let known = network.known_addresses().into_iter().find(|(known, _)| *known == node).map(|(_, addresses)| addresses);
    let addresses = match known {
        Some(addresses) if !addresses.is_empty() => addresses,
        _ => {
            let found = network.closest(&node.to_peer_id().to_bytes()).await.map_err(io::Error::other)?;
            found.into_iter().find(|(found, _)| *found == node).map(|(_, addresses)| addresses).unwrap_or_default()
        }
    };
    let connected = async {
        while !network.is_connected(node) {
            tokio::time::sleep(LOOK).await;
        }
    };
    if addresses.is_empty() {
        // The lookup that named it may be connecting to it.
        let waited = tokio::time::timeout(UNDER_WAY, connected).await;
        return waited.map_err(|_| io::Error::other("no address of it is known"));
    }
    network.dial(node, addresses).map_err(io::Error::other)?;
    connected.await;
    Ok(())
}
