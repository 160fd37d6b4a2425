//! Content goes out, segment by segment, each checked against the tree before it leaves: a bad disk must not make a
//! liar of its node.

use super::{
    error::BlobError,
    lease::Hold,
    outboard::{Pairs, stored},
    partial::{SEGMENT_BYTES, segment},
    store::Inner,
};
use bao_tree::io::{EncodeError, outboard::PostOrderOutboard, sync::Outboard, sync::encode_ranges_validated};
use std::{fs::File, io, sync::Arc};
use tokio::io::{AsyncWrite, AsyncWriteExt};

/// Why a blob was not sent to its end.
#[derive(Debug, thiserror::Error)]
pub(super) enum SendError {
    #[error("the peer took no segment in time")]
    Timeout,
    #[error("{0}")]
    Stream(#[source] io::Error),
    #[error(transparent)]
    Local(#[from] BlobError),
}

/// An open blob. What it sends stays readable when a collection takes its name.
pub(super) struct Source {
    hold: Hold,
    data: File,
    tree: PostOrderOutboard<Pairs>,
}

impl Source {
    /// Blocking.
    pub(super) fn open(inner: &Arc<Inner>, hold: Hold) -> Result<Self, BlobError> {
        let path = hold.path();
        let data = File::open(&path).map_err(BlobError::io("opening", &path))?;
        let tree = open_tree(inner, &hold)?;
        Ok(Self { hold, data, tree })
    }

    pub(super) fn size(&self) -> u64 {
        self.hold.size()
    }

    /// Blocking.
    fn encode(&mut self, inner: &Arc<Inner>, start: u64, mut buffer: Vec<u8>) -> Result<Vec<u8>, BlobError> {
        let (chunks, _) = segment(self.tree.tree(), start);
        buffer.clear();
        let mut error = match encode_ranges_validated(&self.data, &self.tree, &chunks, &mut buffer) {
            Ok(()) => return Ok(buffer),
            Err(error) => error,
        };
        if !matches!(&error, EncodeError::Io(e) if e.kind() != io::ErrorKind::UnexpectedEof) {
            inner.examine(&self.hold)?;
            self.tree = open_tree(inner, &self.hold)?;
            buffer.clear();
            match encode_ranges_validated(&self.data, &self.tree, &chunks, &mut buffer) {
                Ok(()) => return Ok(buffer),
                Err(again) => error = again,
            }
        }
        Err(BlobError::io("reading", self.hold.path())(error.into()))
    }
}

fn open_tree(inner: &Inner, hold: &Hold) -> Result<PostOrderOutboard<Pairs>, BlobError> {
    let path = inner.layout.tree(hold.id());
    let pairs = match File::open(&path) {
        Ok(file) => Some(file),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(BlobError::io("opening", &path)(error)),
    };
    Ok(stored(hold.id(), hold.size(), pairs))
}

impl Inner {
    /// Sends the segments from `start` on; returns the bytes sent. One is read while the other is written.
    pub(super) async fn send(
        self: &Arc<Self>,
        stream: &mut (impl AsyncWrite + Unpin),
        source: Source,
        start: u64,
    ) -> Result<u64, SendError> {
        let size = source.size();
        let mut next = Some(start).filter(|start| *start < size || size == 0);
        let mut idle = Some((source, Vec::with_capacity(ENCODED_BYTES)));
        let mut spare = Vec::with_capacity(if size > SEGMENT_BYTES { ENCODED_BYTES } else { 0 });
        let mut ready: Option<Vec<u8>> = None;
        let mut sent = 0;
        while next.is_some() || ready.is_some() {
            let encode = async {
                let Some((at, (mut source, buffer))) = next.zip(idle.take()) else { return Ok(None) };
                let encoded = self.disk(move |inner| {
                    let encoded = source.encode(inner, at, buffer)?;
                    Ok((source, encoded))
                });
                encoded.await.map(Some)
            };
            let write = async {
                let Some(bytes) = &ready else { return Ok(()) };
                let written = tokio::time::timeout(self.config.segment_timeout, async {
                    stream.write_all(bytes).await?;
                    stream.flush().await
                });
                written.await.map_err(|_| SendError::Timeout)?.map_err(SendError::Stream)
            };
            let (encoded, written) = tokio::join!(encode, write);
            written?;
            if let Some(bytes) = ready.take() {
                sent += bytes.len() as u64;
                self.metrics.sent.inc_by(bytes.len() as u64);
                spare = bytes;
            }
            let Some((source, encoded)) = encoded? else { break };
            let end = next.map_or(size, |at| (at / SEGMENT_BYTES + 1) * SEGMENT_BYTES);
            next = Some(end).filter(|end| *end < size);
            ready = Some(encoded);
            idle = Some((source, std::mem::take(&mut spare)));
        }
        Ok(sent)
    }
}

/// A segment's data, 31 pairs within it, and its path from the root of the largest blob.
const ENCODED_BYTES: usize = SEGMENT_BYTES as usize + (32 + 48) * 64;
