//! Content from a peer: every item is checked as it arrives, so that the first bad chunk is the last that is read.

use super::{
    error::BlobError,
    outboard::{Verifier, shape},
    partial::{Partial, SEGMENT_BYTES, Verified, segment},
    store::Inner,
    wire::Refusal,
};
use bao_tree::iter::{BaoChunk, ResponseIterRef};
use mesh_proto::id::BlobId;
use std::{io, sync::Arc, time::Duration};
use tokio::io::{AsyncRead, AsyncReadExt};

/// Why a provider did not give us a blob. For scoring: only [`Liar`](Self::Liar) is proof of ill will.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProviderFailure {
    #[error("not reached: {0}")]
    Unreachable(String),
    /// It sent content that does not match the hash, from this byte on; what came before is verified and kept.
    #[error("lied at byte {at}")]
    Liar { at: u64 },
    /// It does not have the size that the record gives: either of them is wrong.
    #[error("offers {claimed} bytes, {expected} are expected")]
    WrongSize { claimed: u64, expected: u64 },
    /// No size was expected, and what it claims does not fit here.
    #[error("claims {claimed} bytes, which do not fit here")]
    TooLarge { claimed: u64 },
    #[error("silent for {after:?} at byte {at}")]
    Silent { at: u64, after: Duration },
    #[error("ended the stream at byte {at}: {why}")]
    Closed { at: u64, why: String },
    #[error("refused: {0}")]
    Refused(Refusal),
    #[error("broke the protocol: {0}")]
    Protocol(String),
}

impl ProviderFailure {
    /// Whether it can only be ill will or a broken machine, and nothing that passes.
    pub fn is_lie(&self) -> bool {
        matches!(self, Self::Liar { .. } | Self::Protocol(_))
    }

    /// Whether the same provider may do better a little later.
    pub(super) fn may_pass(&self) -> bool {
        matches!(self, Self::Silent { .. } | Self::Closed { .. } | Self::Refused(Refusal::Busy { .. }))
    }
}

/// Whose fault it is that a stream did not bring the rest of a blob.
#[derive(Debug)]
pub(super) enum ReceiveError {
    Provider(ProviderFailure),
    Local(BlobError),
}

impl From<BlobError> for ReceiveError {
    fn from(error: BlobError) -> Self {
        Self::Local(error)
    }
}

impl Inner {
    /// Reads the segments that are missing. One is written while the other is read; whatever was verified is in the
    /// partial file on return, also when this fails.
    pub(super) async fn receive(
        self: &Arc<Self>,
        stream: &mut (impl AsyncRead + Unpin),
        partial: &Arc<Partial>,
        mut progress: impl FnMut(u64),
    ) -> Result<(), ReceiveError> {
        let size = partial.size();
        let mut next = Some(partial.verified()).filter(|_| !partial.is_complete());
        let mut ready: Option<Verified> = None;
        let mut spare = Verified::default();
        let mut failure = None;
        while (next.is_some() && failure.is_none()) || ready.is_some() {
            let write = async {
                let Some(verified) = ready.take() else { return Ok(Verified::default()) };
                let partial = Arc::clone(partial);
                self.disk(move |_| partial.write(&verified).map(|()| verified)).await
            };
            let read = async {
                let (Some(at), None) = (next, &failure) else { return None };
                let mut verified = std::mem::take(&mut spare);
                verified.restart(at);
                let within = self.config.segment_timeout;
                let read = tokio::time::timeout(within, read_segment(stream, partial.id(), size, &mut verified)).await;
                let read = read.unwrap_or_else(|_| Err(ProviderFailure::Silent { at: verified.end(), after: within }));
                Some((verified, read))
            };
            let (written, read) = tokio::join!(write, read);
            spare = written?;
            progress(partial.verified());
            let Some((verified, read)) = read else { continue };
            self.metrics.received.inc_by(verified.data.len() as u64);
            next = Some(verified.end()).filter(|end| *end < size);
            failure = read.err();
            ready = Some(verified);
        }
        match failure {
            None => Ok(()),
            Some(failure) => {
                if matches!(failure, ProviderFailure::Liar { .. }) {
                    self.metrics.verification_failures.inc();
                }
                Err(ReceiveError::Provider(failure))
            }
        }
    }
}

impl Verified {
    pub(super) fn restart(&mut self, offset: u64) {
        self.offset = offset;
        self.data.clear();
        self.pairs.clear();
    }

    pub(super) fn end(&self) -> u64 {
        self.offset + self.data.len() as u64
    }
}

/// Reads one segment, item by item. What is in `verified` afterwards is verified, whether or not this fails or is
/// dropped.
pub(super) async fn read_segment(
    stream: &mut (impl AsyncRead + Unpin),
    id: BlobId,
    size: u64,
    verified: &mut Verified,
) -> Result<(), ProviderFailure> {
    let shape = shape(size);
    let (chunks, end) = segment(shape, verified.offset);
    verified.data.reserve_exact(usize::try_from(end - verified.offset).unwrap_or(0).min(SEGMENT_BYTES as usize));
    let mut verifier = Verifier::new(id);
    let mut group = Vec::new();
    for item in ResponseIterRef::new(shape, &chunks) {
        let at = verified.end();
        let closed = |error: io::Error| ProviderFailure::Closed { at, why: error.to_string() };
        match item {
            BaoChunk::Parent { node, is_root, left, right, .. } => {
                let mut pair = [0; 64];
                stream.read_exact(&mut pair).await.map_err(closed)?;
                if !verifier.parent(&pair, is_root, left, right) {
                    return Err(ProviderFailure::Liar { at });
                }
                verified.pairs.push((node, pair));
            }
            BaoChunk::Leaf { start_chunk, size, is_root, .. } => {
                group.resize(size, 0);
                stream.read_exact(&mut group).await.map_err(closed)?;
                if start_chunk.to_bytes() != at || !verifier.group(at, &group, is_root) {
                    return Err(ProviderFailure::Liar { at });
                }
                verified.data.extend_from_slice(&group);
            }
        }
    }
    Ok(())
}
