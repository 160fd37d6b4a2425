//! The answering side of a stream. Each is bounded in number, by peer and in all, and in time at every step.

use super::{
    error::BlobError,
    lease::Hold,
    outboard::GROUP_BYTES,
    partial::Partial,
    receive::{ProviderFailure, ReceiveError},
    send::{SendError, Source},
    store::Inner,
    wire::{self, MessageError, NEEDED_MAX, Refusal, Reply, Request},
};
use mesh_proto::{
    codec::DecodeError,
    id::{BlobId, NodeId},
    task::BlobRef,
};
use std::{
    future::Future,
    io,
    sync::{Arc, PoisonError},
    time::Duration,
};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::sync::OwnedSemaphorePermit;

/// What a stream was used for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Served {
    /// The peer asked whether a blob is here, and it is.
    Told { id: BlobId },
    /// `bytes` includes the hashes.
    Sent { id: BlobId, bytes: u64 },
    /// The peer's blob is durable here.
    Kept { id: BlobId },
    /// The peer's records need blobs here; these are not here.
    Needed { lacking: Vec<BlobRef> },
    /// And told so.
    Refused(Refusal),
}

/// Why a stream was given up.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error("not a request: {0}")]
    Malformed(#[from] DecodeError),
    #[error("what it sent of blob {id} was wrong at byte {at}")]
    BadContent { id: BlobId, at: u64 },
    #[error("the peer took more than {0:?}")]
    Timeout(Duration),
    #[error("the stream ended: {0}")]
    Stream(#[from] io::Error),
    #[error(transparent)]
    Local(#[from] BlobError),
}

impl ServeError {
    /// Whether it is the peer's fault, to be counted and scored.
    pub fn is_violation(&self) -> bool {
        matches!(self, Self::Malformed(_) | Self::BadContent { .. })
    }
}

impl Inner {
    pub(super) async fn serve(
        self: &Arc<Self>,
        mut stream: impl AsyncRead + AsyncWrite + Unpin,
        who: NodeId,
    ) -> Result<Served, ServeError> {
        let Some(_place) = Place::take(self, who) else {
            self.metrics.refused_streams.inc();
            return self.turn_away(&mut stream).await;
        };
        let served = self.answer(&mut stream, who).await;
        // The last message must not be lost with the stream; that it was taken is the other side's to say.
        if matches!(served, Ok(_) | Err(ServeError::BadContent { .. }))
            && let Err(error) = self.within(stream.shutdown()).await
        {
            tracing::debug!(%who, %error, "a stream was not closed in order");
        }
        served
    }

    /// A stream that has no place costs next to nothing, and not for long.
    async fn turn_away(&self, stream: &mut (impl AsyncWrite + Unpin)) -> Result<Served, ServeError> {
        let why = Refusal::Busy { retry_ms: RETRY_MS };
        let told = tokio::time::timeout(TURN_AWAY, async {
            wire::write(stream, &Reply::Refused(why.clone())).await?;
            stream.shutdown().await
        });
        told.await.map_err(|_| ServeError::Timeout(TURN_AWAY))??;
        Ok(Served::Refused(why))
    }

    async fn answer(
        self: &Arc<Self>,
        stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
        who: NodeId,
    ) -> Result<Served, ServeError> {
        let request = match tokio::time::timeout(self.config.reply_timeout, wire::read(stream)).await {
            Err(_) => return Err(ServeError::Timeout(self.config.reply_timeout)),
            Ok(Ok(request)) => request,
            Ok(Err(MessageError::Io(error))) => return Err(error.into()),
            Ok(Err(MessageError::Malformed(error))) => return Err(error.into()),
        };
        match request {
            Request::Has { id } => match Hold::take(self, id) {
                None => self.refuse(stream, Refusal::Unknown).await,
                Some(hold) => {
                    self.within(wire::write(stream, &Reply::Blob { size: hold.size() })).await?;
                    Ok(Served::Told { id })
                }
            },
            Request::Get { id, start } => self.answer_get(stream, id, start).await,
            Request::Keep { id, size, lease_ms } => {
                self.answer_keep(stream, id, size, Duration::from_millis(lease_ms)).await
            }
            Request::Need { blobs } if blobs.len() > NEEDED_MAX => self.refuse(stream, Refusal::BadRequest).await,
            Request::Need { blobs } => {
                let lacks = self.need(who, blobs.iter().map(|blob| blob.id));
                self.within(wire::write(stream, &Reply::Lacks { blobs: lacks.clone() })).await?;
                let lacking = blobs.into_iter().filter(|blob| lacks.contains(&blob.id)).collect();
                Ok(Served::Needed { lacking })
            }
        }
    }

    async fn answer_get(
        self: &Arc<Self>,
        stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
        id: BlobId,
        start: u64,
    ) -> Result<Served, ServeError> {
        let Some(hold) = Hold::take(self, id) else { return self.refuse(stream, Refusal::Unknown).await };
        let size = hold.size();
        if start > size || (start < size && !start.is_multiple_of(GROUP_BYTES as u64)) {
            return self.refuse(stream, Refusal::BadRequest).await;
        }
        let source = self.disk(move |inner| Source::open(inner, hold)).await?;
        self.within(wire::write(stream, &Reply::Blob { size })).await?;
        let bytes = self.send(stream, source, start).await.map_err(|error| match error {
            SendError::Timeout => ServeError::Timeout(self.config.segment_timeout),
            SendError::Stream(error) => ServeError::Stream(error),
            SendError::Local(error) => ServeError::Local(error),
        })?;
        Ok(Served::Sent { id, bytes })
    }

    async fn answer_keep(
        self: &Arc<Self>,
        stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
        id: BlobId,
        size: u64,
        lease: Duration,
    ) -> Result<Served, ServeError> {
        // Another stream may be bringing it: then its end is awaited, as long as the peer would.
        let flight = self.flights.join(id);
        let turn = match Hold::take(self, id) {
            Some(_) => None,
            None => match tokio::time::timeout(self.config.room_wait, flight.turn()).await {
                Ok(turn) => Some(turn),
                Err(_) => return self.refuse(stream, Refusal::Busy { retry_ms: RETRY_MS }).await,
            },
        };
        if let Some(hold) = Hold::take(self, id) {
            if hold.size() != size {
                return self.refuse(stream, Refusal::BadRequest).await;
            }
            self.disk(move |inner| inner.renew_lease(&hold, lease)).await?;
            return self.kept(stream, id).await;
        }
        let Some(turn) = turn else { return self.refuse(stream, Refusal::Busy { retry_ms: RETRY_MS }).await };
        let partial = match Partial::open(self, id, size, turn).await {
            Ok(partial) => Arc::new(partial),
            Err(error) => return self.refuse_for(stream, error).await,
        };
        if !partial.is_complete() {
            self.within(wire::write(stream, &Reply::Send { start: partial.verified() })).await?;
            match self.receive(stream, &partial, |_| {}).await {
                Ok(()) => {}
                Err(ReceiveError::Local(error)) => return self.refuse_for(stream, error).await,
                Err(ReceiveError::Provider(ProviderFailure::Liar { at })) => {
                    self.refuse(stream, Refusal::BadContent { at }).await?;
                    return Err(ServeError::BadContent { id, at });
                }
                Err(ReceiveError::Provider(ProviderFailure::Silent { after, .. })) => {
                    return Err(ServeError::Timeout(after));
                }
                Err(ReceiveError::Provider(failure)) => {
                    return Err(io::Error::other(failure).into());
                }
            }
        }
        match self.disk(move |_| partial.finish(lease)).await {
            Ok(_hold) => self.kept(stream, id).await,
            Err(error) => self.refuse_for(stream, error).await,
        }
    }

    async fn kept(&self, stream: &mut (impl AsyncWrite + Unpin), id: BlobId) -> Result<Served, ServeError> {
        self.within(wire::write(stream, &Reply::Kept)).await?;
        Ok(Served::Kept { id })
    }

    async fn refuse(&self, stream: &mut (impl AsyncWrite + Unpin), why: Refusal) -> Result<Served, ServeError> {
        self.within(wire::write(stream, &Reply::Refused(why.clone()))).await?;
        Ok(Served::Refused(why))
    }

    /// Tells the peer that we cannot; the error stays ours, unless it is only want of room.
    async fn refuse_for(&self, stream: &mut (impl AsyncWrite + Unpin), error: BlobError) -> Result<Served, ServeError> {
        let refusal = match &error {
            BlobError::QuotaFull { available_bytes, .. } => Refusal::QuotaFull { available_bytes: *available_bytes },
            BlobError::TooLarge { limit, .. } => Refusal::TooLarge { limit_bytes: *limit },
            // The file system's, or somebody else filled it after room was set aside.
            error if error.is_want_of_room() => Refusal::QuotaFull { available_bytes: 0 },
            _ => {
                self.refuse(stream, Refusal::Failed).await?;
                return Err(error.into());
            }
        };
        self.refuse(stream, refusal).await
    }

    async fn within(&self, write: impl Future<Output = io::Result<()>>) -> Result<(), ServeError> {
        let limit = self.config.reply_timeout;
        tokio::time::timeout(limit, write).await.map_err(|_| ServeError::Timeout(limit))?.map_err(ServeError::Stream)
    }
}

/// After what time a peer that was refused may find a place.
const RETRY_MS: u64 = 500;

/// To tell a peer that we are busy.
const TURN_AWAY: Duration = Duration::from_secs(1);

/// One of the streams that are served, in all and of this peer.
struct Place {
    inner: Arc<Inner>,
    who: NodeId,
    _permit: OwnedSemaphorePermit,
}

impl Place {
    fn take(inner: &Arc<Inner>, who: NodeId) -> Option<Self> {
        let permit = Arc::clone(&inner.serves).try_acquire_owned().ok()?;
        let mut peers = inner.peers.lock().unwrap_or_else(PoisonError::into_inner);
        let streams = peers.entry(who).or_default();
        if *streams >= inner.config.serves_per_peer_max {
            return None;
        }
        *streams += 1;
        Some(Self { inner: Arc::clone(inner), who, _permit: permit })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut peers = self.inner.peers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(streams) = peers.get_mut(&self.who) {
            *streams -= 1;
            if *streams == 0 {
                peers.remove(&self.who);
            }
        }
    }
}
