//! Getting a blob onto this disk, from whoever has it.

use super::Replicas;
use crate::blob::{BlobStore, Fetch, FetchError, Hold, Progress};
use mesh_proto::id::{BlobId, NodeId};
use std::time::Duration;

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
    let found = replicas.network().providers(id.as_bytes()).await.unwrap_or_default();
    let others: Vec<NodeId> = found.into_iter().filter(|node| !providers.contains(node)).take(MOST).collect();
    if others.is_empty() {
        return first;
    }
    from(blobs, replicas, id, size, others, &progress).await
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
