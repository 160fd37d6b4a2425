//! Blobs for the API and for peers.

use super::keeping::Wants;
use crate::{
    api::{
        blobs::{BlobError, Blobs, Opened, Stored},
        brain::Brain as _,
    },
    blob::{self, BlobStore, FetchError, Served, Unanswered},
    brain::BrainHandle,
    network::NetworkHandle,
    work::{AssureError, Replicas, find},
};
use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, future::BoxFuture, stream::BoxStream};
use mesh_coordinator::{Answer, Command};
use mesh_proto::{
    id::{BlobId, NodeId},
    task::BlobRef,
    time::Wall,
};
use std::{collections::BTreeSet, future::Future, io, time::SystemTime};
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use tokio_util::{
    compat::FuturesAsyncReadCompatExt as _,
    io::{ReaderStream, StreamReader},
};

/// What the API sees of blobs.
pub struct NodeBlobs {
    blobs: BlobStore,
    replicas: Replicas,
    brain: BrainHandle,
}

impl NodeBlobs {
    pub fn new(blobs: BlobStore, replicas: Replicas, brain: BrainHandle) -> Self {
        Self { blobs, replicas, brain }
    }
}

impl Blobs for NodeBlobs {
    fn put(
        &self,
        bytes: BoxStream<'static, io::Result<Bytes>>,
        size: Option<u64>,
        pin: bool,
    ) -> BoxFuture<'_, Result<BlobRef, BlobError>> {
        Box::pin(async move {
            let reader = StreamReader::new(bytes);
            let taken = self.blobs.ingest(reader, size).await.map_err(|error| api_error(&error))?;
            if pin {
                self.blobs.pin(taken.id).await.map_err(|error| api_error(&error))?;
            }
            let nodes = self.replicas.spread(&self.blobs, taken.id).await;
            let wanted = self.replicas.wanted();
            if nodes.len() < wanted {
                let (copies, wanted) = (nodes.len() as u32, wanted as u32);
                return Err(BlobError::TooFewCopies { copies, wanted, retry_ms: 1000 });
            }
            Ok(BlobRef { id: taken.id, size: taken.size, nodes })
        })
    }

    fn assure(&self, blob: BlobRef) -> BoxFuture<'_, Result<BlobRef, BlobError>> {
        Box::pin(async move {
            self.replicas.assure(&self.blobs, &blob).await.map_err(|error| match error {
                AssureError::Nowhere { id, error: FetchError::NoProvider { .. } } => BlobError::NotFound(id),
                AssureError::Nowhere { error: FetchError::Local(error), .. } => api_error(&error),
                AssureError::Nowhere { .. } | AssureError::WrongSize { .. } => BlobError::Upload(error.to_string()),
                AssureError::TooFewCopies { copies, wanted, .. } => {
                    BlobError::TooFewCopies { copies: copies as u32, wanted: wanted as u32, retry_ms: 1000 }
                }
            })
        })
    }

    fn get(&self, id: BlobId, nodes: Vec<NodeId>) -> BoxFuture<'_, Result<Opened, BlobError>> {
        Box::pin(async move {
            if !self.blobs.has(id) {
                match find::relay(&self.blobs, &self.replicas, id, &nodes).await {
                    Ok(Some(relay)) => {
                        let size = relay.size();
                        let read = move |start, length| relay.into_stream(start, length).boxed();
                        return Ok(Opened { size, read: Box::new(read) });
                    }
                    Ok(None) => {}
                    Err(error) if error.may_pass() => tracing::debug!(%id, %error, "a blob cannot be passed on"),
                    Err(error) => {
                        tracing::debug!(%id, %error, "a blob cannot be had");
                        return Err(BlobError::NotFound(id));
                    }
                }
            }
            // Who was busy is asked again, and the way over this disk goes on where it was.
            let fetched = find::fetch(&self.blobs, &self.replicas, id, None, &nodes, |_| {}).await;
            let held = fetched.map_err(|error| match error {
                FetchError::Local(error) => api_error(&error),
                error => {
                    tracing::debug!(%id, %error, "a blob cannot be had");
                    BlobError::NotFound(id)
                }
            })?;
            let (mut file, size) = self.blobs.read(id).await.map_err(|error| api_error(&error))?;
            let read = move |start, length| {
                let from_start = async move {
                    file.seek(io::SeekFrom::Start(start)).await?;
                    Ok::<_, io::Error>(ReaderStream::with_capacity(file.take(length), PIECE))
                };
                // The hold lasts as long as the stream.
                let pieces = futures::stream::once(from_start).try_flatten();
                pieces.inspect(move |_| _ = &held).boxed()
            };
            Ok(Opened { size, read: Box::new(read) })
        })
    }

    fn list(&self, after: Option<BlobId>, limit: usize) -> BoxFuture<'_, Result<Vec<Stored>, BlobError>> {
        Box::pin(async move {
            let page = self.blobs.list(after, limit);
            let ids = page.iter().map(|info| info.id).collect();
            let named = referenced(&self.brain, ids).await;
            let named = named.map_err(|Unanswered| BlobError::Disk(Unanswered.to_string()))?;
            let stored = page.into_iter().map(|info| Stored {
                id: info.id,
                size: info.size,
                added: wall(info.added),
                lease: info.lease,
                kept_by: match &info {
                    _ if info.pinned => Some("pin"),
                    _ if named.contains(&info.id) => Some("record"),
                    _ if info.holds > 0 => Some("use"),
                    _ if info.lease.is_some() => Some("lease"),
                    _ if info.needed => Some("record elsewhere"),
                    _ => None,
                },
            });
            Ok(stored.collect())
        })
    }

    fn remove(&self, id: BlobId) -> BoxFuture<'_, Result<(), BlobError>> {
        Box::pin(async move {
            self.blobs.unpin(id).await.map_err(|error| api_error(&error))?;
            let brain = self.brain.clone();
            let referenced = move |ids| {
                let brain = brain.clone();
                async move { referenced(&brain, ids).await }
            };
            self.blobs.remove(id, referenced).await.map_err(|error| api_error(&error))
        })
    }
}

/// Bytes that are read from the disk at a time.
const PIECE: usize = 128 * 1024;

fn wall(time: SystemTime) -> Wall {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Wall(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

fn api_error(error: &blob::BlobError) -> BlobError {
    match error {
        error if error.is_want_of_room() => BlobError::Full(error.to_string()),
        blob::BlobError::TooLarge { size, limit } => BlobError::TooLarge { size: *size, limit: *limit },
        blob::BlobError::NotFound { id } => BlobError::NotFound(*id),
        blob::BlobError::InUse { id, by } => BlobError::InUse { id: *id, why: by.to_string() },
        blob::BlobError::Upload(error) => BlobError::Upload(error.to_string()),
        blob::BlobError::WrongSize { .. } | blob::BlobError::UploadIdle(_) => BlobError::Upload(error.to_string()),
        other => BlobError::Disk(other.to_string()),
    }
}

/// Answers peers; `None` if somebody else does already.
pub fn serve(
    network: &NetworkHandle,
    blobs: &BlobStore,
    wants: Wants,
) -> Option<impl Future<Output = ()> + Send + 'static> {
    let mut incoming = network.incoming(blob::PROTOCOL)?;
    let blobs = blobs.clone();
    Some(async move {
        while let Some((who, stream)) = incoming.recv().await {
            let (blobs, wants) = (blobs.clone(), wants.clone());
            tokio::spawn(async move {
                match blobs.serve(stream.compat(), who).await {
                    Ok(Served::Needed { lacking }) => wants.add(who, lacking),
                    Ok(_) => {}
                    Err(error) if error.is_violation() => {
                        tracing::warn!(%who, %error, "a peer broke the blob protocol");
                    }
                    Err(error) => tracing::debug!(%who, %error, "a blob was not served to its end"),
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
