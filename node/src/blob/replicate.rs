//! Asking a peer to keep a copy, and to say so only when it is durable there.

use super::{
    error::BlobError,
    lease::Hold,
    outboard::GROUP_BYTES,
    send::{SendError, Source},
    store::Inner,
    wire::{self, MessageError, Refusal, Reply, Request},
};
use mesh_proto::{codec::DecodeError, id::BlobId};
use std::{io, sync::Arc, time::Duration};
use tokio::io::{AsyncRead, AsyncWrite};

/// Why the peer does not have a durable copy, as far as we know; ask it again, or another.
#[derive(Debug, thiserror::Error)]
pub enum ReplicateError {
    #[error("the peer refused: {0}")]
    Refused(Refusal),
    #[error("the peer took more than {0:?}")]
    Timeout(Duration),
    #[error("the stream ended: {0}")]
    Stream(#[from] io::Error),
    /// The peer's fault, to be counted and scored.
    #[error("the peer broke the protocol: {0}")]
    Protocol(String),
    #[error(transparent)]
    Local(#[from] BlobError),
}

impl From<DecodeError> for ReplicateError {
    fn from(error: DecodeError) -> Self {
        Self::Protocol(error.to_string())
    }
}

impl Inner {
    pub(super) async fn replicate(
        self: &Arc<Self>,
        mut stream: impl AsyncRead + AsyncWrite + Unpin,
        id: BlobId,
        lease: Duration,
    ) -> Result<(), ReplicateError> {
        let hold = Hold::take(self, id).ok_or(BlobError::NotFound { id })?;
        let size = hold.size();
        let lease_ms = u64::try_from(lease.as_millis()).unwrap_or(u64::MAX);
        let within = self.config.reply_timeout;
        let asked = tokio::time::timeout(within, wire::write(&mut stream, &Request::Keep { id, size, lease_ms })).await;
        asked.map_err(|_| ReplicateError::Timeout(within))??;
        let start = match read(&mut stream, within).await? {
            Reply::Kept => return Ok(()),
            Reply::Refused(refusal) => return Err(ReplicateError::Refused(refusal)),
            Reply::Send { start } if start <= size && (start == size || start.is_multiple_of(GROUP_BYTES as u64)) => {
                start
            }
            reply => return Err(ReplicateError::Protocol(format!("{reply:?} is no answer to Keep"))),
        };
        let source = self.disk(move |inner| Source::open(inner, hold)).await?;
        match self.send(&mut stream, source, start).await {
            Ok(_) => {}
            Err(SendError::Timeout) => return Err(ReplicateError::Timeout(self.config.segment_timeout)),
            Err(SendError::Local(error)) => return Err(error.into()),
            // It may have said why it stopped listening.
            Err(SendError::Stream(error)) => {
                return match read(&mut stream, within).await {
                    Ok(Reply::Refused(refusal)) => Err(ReplicateError::Refused(refusal)),
                    _ => Err(error.into()),
                };
            }
        }
        match read(&mut stream, self.config.keep_timeout).await? {
            Reply::Kept => Ok(()),
            Reply::Refused(refusal) => Err(ReplicateError::Refused(refusal)),
            reply => Err(ReplicateError::Protocol(format!("{reply:?} is no answer to the content"))),
        }
    }
}

pub(super) async fn read(stream: &mut (impl AsyncRead + Unpin), within: Duration) -> Result<Reply, ReplicateError> {
    match tokio::time::timeout(within, wire::read(stream)).await {
        Err(_) => Err(ReplicateError::Timeout(within)),
        Ok(Ok(reply)) => Ok(reply),
        Ok(Err(MessageError::Io(error))) => Err(error.into()),
        Ok(Err(MessageError::Malformed(error))) => Err(error.into()),
    }
}
