//! Blobs for the API and for peers.

use crate::{
    api::{
        blobs::{BlobError, Blobs, Opened, Stored},
        brain::Brain as _,
    },
    blob::{self, BlobStore, Fetch, Unanswered},
    brain::{BrainHandle, clock},
    network::NetworkHandle,
    work::Replicas,
};
use bytes::Bytes;
use futures::{StreamExt as _, future::BoxFuture, stream::BoxStream};
use mesh_coordinator::{Answer, Command};
use mesh_proto::{
    id::{BlobId, NodeId},
    task::BlobRef,
};
use std::{collections::BTreeSet, future::Future, io};
use tokio_util::{
    compat::FuturesAsyncReadCompatExt as _,
    io::{ReaderStream, StreamReader},
};

/// What the API sees of blobs.
pub struct NodeBlobs {
    blobs: BlobStore,
    replicas: Replicas,
}

impl NodeBlobs {
    pub fn new(blobs: BlobStore, replicas: Replicas) -> Self {
        Self { blobs, replicas }
    }
}

impl Blobs for NodeBlobs {
    fn put(&self, bytes: BoxStream<'static, io::Result<Bytes>>) -> BoxFuture<'_, Result<BlobRef, BlobError>> {
        Box::pin(async move {
            let reader = StreamReader::new(bytes);
            let taken = self.blobs.ingest(reader, None).await.map_err(|error| api_error(&error))?;
            let nodes = self.replicas.spread(&self.blobs, taken.id).await;
            let wanted = self.replicas.wanted();
            if nodes.len() < wanted {
                let (copies, wanted) = (nodes.len() as u32, wanted as u32);
                return Err(BlobError::TooFewCopies { copies, wanted, retry_ms: 1000 });
            }
            Ok(BlobRef { id: taken.id, size: taken.size, nodes })
        })
    }

    fn get(&self, id: BlobId, nodes: Vec<NodeId>) -> BoxFuture<'_, Result<Opened, BlobError>> {
        Box::pin(async move {
            let fetched = match self.blobs.hold(id) {
                Ok(hold) => hold,
                Err(_) => {
                    let providers = self.replicas.providers(&nodes);
                    let fetch = Fetch { id, size: None, providers, lease: None };
                    let fetched = self.blobs.fetch(fetch, |node| self.replicas.open(node), |_| {}).await;
                    fetched
                        .map_err(|error| {
                            tracing::debug!(%id, %error, "a blob cannot be had");
                            BlobError::NotFound(id)
                        })?
                        .hold
                }
            };
            let (file, size) = self.blobs.read(id).await.map_err(|error| api_error(&error))?;
            // The hold lasts as long as the stream.
            let bytes = ReaderStream::with_capacity(file, 128 * 1024).map(move |chunk| {
                let _held = &fetched;
                chunk
            });
            Ok(Opened { size, bytes: bytes.boxed() })
        })
    }

    fn list(&self, after: Option<BlobId>, limit: usize) -> BoxFuture<'_, Result<Vec<Stored>, BlobError>> {
        Box::pin(async move {
            let now = clock::wall();
            let stored = self.blobs.list(after, limit).into_iter().map(|info| Stored {
                id: info.id,
                size: info.size,
                added: now,
                referenced: info.pinned || info.holds > 0 || info.lease.is_some(),
            });
            Ok(stored.collect())
        })
    }

    fn remove(&self, id: BlobId) -> BoxFuture<'_, Result<(), BlobError>> {
        Box::pin(async move {
            if !self.blobs.has(id) {
                return Err(BlobError::NotFound(id));
            }
            self.blobs.unpin(id).await.map_err(|error| api_error(&error))?;
            Ok(())
        })
    }
}

fn api_error(error: &blob::BlobError) -> BlobError {
    match error {
        blob::BlobError::QuotaFull { quota_bytes, .. } => BlobError::QuotaFull { quota: *quota_bytes },
        blob::BlobError::NotFound { id } => BlobError::NotFound(*id),
        blob::BlobError::InUse { id, .. } => BlobError::InUse(*id),
        blob::BlobError::Upload(error) => BlobError::Upload(error.to_string()),
        blob::BlobError::WrongSize { .. } | blob::BlobError::UploadIdle(_) => BlobError::Upload(error.to_string()),
        other => BlobError::Disk(other.to_string()),
    }
}

/// Answers peers; `None` if somebody else does already.
pub fn serve(network: &NetworkHandle, blobs: &BlobStore) -> Option<impl Future<Output = ()> + Send + 'static> {
    let mut incoming = network.incoming(blob::PROTOCOL)?;
    let blobs = blobs.clone();
    Some(async move {
        while let Some((who, stream)) = incoming.recv().await {
            let blobs = blobs.clone();
            tokio::spawn(async move {
                if let Err(error) = blobs.serve(stream.compat(), who).await {
                    match error.is_violation() {
                        true => tracing::warn!(%who, %error, "a peer broke the blob protocol"),
                        false => tracing::debug!(%who, %error, "a blob was not served to its end"),
                    }
                }
            });
        }
    })
}

/// Removes what nothing needs any more, by asking the brain what is referred to.
pub async fn collect(blobs: BlobStore, brain: BrainHandle) {
    blobs
        .collect_always(move |candidates: Vec<BlobId>| {
            let brain = brain.clone();
            async move { referenced(&brain, candidates).await }
        })
        .await;
}

async fn referenced(brain: &BrainHandle, candidates: Vec<BlobId>) -> Result<BTreeSet<BlobId>, Unanswered> {
    let answers = brain.ask(Command::Referenced { blobs: candidates }).await.map_err(|_| Unanswered)?;
    match answers.one().await {
        Some(Answer::Referenced(blobs)) => Ok(blobs),
        _ => Err(Unanswered),
    }
}
