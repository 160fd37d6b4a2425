//! Getting a blob onto this disk, from whoever has it.

use super::Replicas;
use crate::blob::{BlobStore, Fetch, FetchError, Hold, Progress, Relay};
use libp2p::Stream;
use mesh_proto::id::{BlobId, NodeId};
use std::{future::Future, io, pin::Pin, time::Duration};
use tokio_util::compat::Compat;

/// A blob, from this disk, or from the nodes that are named, or from whoever is connected, or from those that Kademlia
/// names. It is held here, and no longer than that unless something else needs it.
pub async fn fetch(
    blobs: &BlobStore,
    replicas: &Replicas,
    id: BlobId,
    size: Option<u64>,
    named: &[NodeId],
    progress: impl Fn(Progress),
) -> Result<Hold, FetchError> {
    if let Ok(hold) = blobs.hold(id) {
        return match size {
            Some(expected) if expected != hold.size() => {
                Err(FetchError::WrongSize { id, expected, actual: hold.size() })
            }
            _ => Ok(hold),
        };
    }
    let providers = replicas.providers(id, named);
    let first = from(blobs, replicas, id, size, providers.clone(), &progress).await;
    let Err(FetchError::NoProvider { .. }) = first else { return first };
    let others = others(replicas, id, &providers).await;
    if others.is_empty() {
        return first;
    }
    from(blobs, replicas, id, size, others, &progress).await
}

/// How a provider of a blob is reached.
pub type Opener = Box<dyn Fn(NodeId) -> Opening + Send + Sync>;
type Opening = Pin<Box<dyn Future<Output = io::Result<Compat<Stream>>> + Send>>;

/// As [`fetch`], for who only passes it on: nothing of it comes to this disk. `None`: too many are passed on already.
pub async fn relay(
    blobs: &BlobStore,
    replicas: &Replicas,
    id: BlobId,
    named: &[NodeId],
) -> Result<Option<Relay<Compat<Stream>, Opener>>, FetchError> {
    let opener = || -> Opener {
        let replicas = replicas.clone();
        Box::new(move |node| Box::pin(replicas.open(node)))
    };
    let providers = replicas.providers(id, named);
    let first = blobs.relay(id, providers.clone(), opener()).await;
    let Err(FetchError::NoProvider { .. }) = first else { return first };
    match others(replicas, id, &providers).await {
        others if others.is_empty() => first,
        others => blobs.relay(id, others, opener()).await,
    }
}

/// Those that Kademlia names, apart from those that were asked.
async fn others(replicas: &Replicas, id: BlobId, asked: &[NodeId]) -> Vec<NodeId> {
    let found = replicas.network().providers(id.as_bytes()).await.unwrap_or_default();
    found.into_iter().filter(|node| !asked.contains(node)).take(MOST).collect()
}

/// Providers asked of those that Kademlia names.
const MOST: usize = 8;

async fn from(
    blobs: &BlobStore,
    replicas: &Replicas,
    id: BlobId,
    size: Option<u64>,
    providers: Vec<NodeId>,
    progress: &impl Fn(Progress),
) -> Result<Hold, FetchError> {
    let fetch = Fetch { id, size, providers, lease: Some(Duration::ZERO) };
    let fetched = blobs.fetch(fetch, |node| replicas.open(node), progress).await?;
    for (node, failure) in fetched.failures.iter().filter(|(_, failure)| failure.is_lie()) {
        tracing::warn!(%node, %failure, "a provider of a blob lied");
    }
    Ok(fetched.hold)
}
