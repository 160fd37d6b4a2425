//! Where else blobs are: spreads them, and says whom to ask.

use crate::{
    blob::{self, BlobStore},
    network::NetworkHandle,
};
use mesh_proto::id::{BlobId, NodeId};
use std::{future::Future, io, time::Duration};
use tokio_util::compat::{Compat, FuturesAsyncReadCompatExt};

/// How long a blob is kept on each node that a reference names: as long as records are, since those nodes need not hold
/// the record and so cannot tell that it still refers.
const LEASE: Duration = Duration::from_secs(24 * 3600);

/// A peer that has not taken a blob by then is given up for another.
const PATIENCE: Duration = Duration::from_secs(120);

/// The other nodes, as far as blobs are concerned.
#[derive(Clone)]
pub struct Replicas {
    pub network: NetworkHandle,
    /// Disks that a blob is to be on, this one included.
    pub copies: usize,
}

impl Replicas {
    /// A stream to ask a node for blobs.
    pub fn open(&self, node: NodeId) -> impl Future<Output = io::Result<Compat<libp2p::Stream>>> + Send + 'static {
        let network = self.network.clone();
        async move {
            let stream = network.open_stream(node, blob::PROTOCOL).await.map_err(io::Error::other)?;
            Ok(stream.compat())
        }
    }

    /// Whom to ask for a blob: those named, then whoever is connected.
    pub fn providers(&self, named: &[NodeId]) -> Vec<NodeId> {
        let me = self.network.node();
        let connected = self.network.peers().into_iter().map(|peer| peer.node);
        let mut providers: Vec<NodeId> = named.iter().copied().filter(|node| *node != me).collect();
        for node in connected {
            if !providers.contains(&node) {
                providers.push(node);
            }
        }
        providers.truncate(8);
        providers
    }

    /// Copies that there can be: no more than there are nodes to hold them.
    pub fn wanted(&self) -> usize {
        let peers = self.network.peers().into_iter().filter(|peer| peer.guest.member.role.works()).count();
        self.copies.min(peers + 1)
    }

    /// Has other nodes keep a blob of this one, until there are enough copies or nobody is left to ask. Returns who has
    /// it, durably, this node first.
    pub async fn spread(&self, blobs: &BlobStore, id: BlobId) -> Vec<NodeId> {
        if let Err(error) = blobs.renew_lease(id, LEASE).await {
            tracing::warn!(%id, %error, "the lease of a blob cannot be made longer");
        }
        let mut holders = vec![self.network.node()];
        let mut peers: Vec<NodeId> = self
            .network
            .peers()
            .into_iter()
            .filter(|peer| peer.guest.member.role.works())
            .map(|peer| peer.node)
            .collect();
        // Different blobs go to different nodes, the same one to the same: by the distance of their ids.
        peers.sort_by_key(|node| std::array::from_fn::<u8, 32, _>(|i| node.as_bytes()[i] ^ id.as_bytes()[i]));
        for node in peers {
            if holders.len() >= self.copies {
                break;
            }
            match tokio::time::timeout(PATIENCE, self.copy_to(blobs, id, node)).await {
                Ok(Ok(())) => holders.push(node),
                Ok(Err(error)) => tracing::debug!(%id, %node, error, "a peer did not take a copy"),
                Err(_) => tracing::debug!(%id, %node, "a peer took too long to take a copy"),
            }
        }
        holders
    }

    async fn copy_to(&self, blobs: &BlobStore, id: BlobId, node: NodeId) -> Result<(), String> {
        let stream = self.open(node).await.map_err(|error| error.to_string())?;
        blobs.replicate(stream, id, LEASE).await.map_err(|error| error.to_string())
    }
}
