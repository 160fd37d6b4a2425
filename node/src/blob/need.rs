//! Telling a peer which blobs our records need on its disk.

use super::{
    replicate::{ReplicateError, read},
    store::Inner,
    wire::{self, Reply, Request},
};
use mesh_proto::{id::BlobId, task::BlobRef};
use tokio::io::{AsyncRead, AsyncWrite};

impl Inner {
    /// Returns those that the peer lacks.
    pub(super) async fn tell_needed(
        &self,
        mut stream: impl AsyncRead + AsyncWrite + Unpin,
        blobs: Vec<BlobRef>,
    ) -> Result<Vec<BlobId>, ReplicateError> {
        let within = self.config.reply_timeout;
        let asked: Vec<BlobId> = blobs.iter().map(|blob| blob.id).collect();
        let told = tokio::time::timeout(within, wire::write(&mut stream, &Request::Need { blobs })).await;
        told.map_err(|_| ReplicateError::Timeout(within))??;
        match read(&mut stream, within).await? {
            Reply::Lacks { blobs } if blobs.iter().all(|id| asked.contains(id)) => Ok(blobs),
            Reply::Refused(refusal) => Err(ReplicateError::Refused(refusal)),
            reply => Err(ReplicateError::Protocol(format!("{reply:?} is no answer to Need"))),
        }
    }
}
