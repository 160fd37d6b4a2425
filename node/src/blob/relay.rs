//! A blob that another node has, read for somebody else: every segment verified before any of it is passed on, a segment
//! in memory at a time, nothing on this disk.

use super::{
    fetch::FetchError,
    outboard::GROUP_BYTES,
    partial::Verified,
    receive::{ProviderFailure, ReceiveError, read_segment},
    store::Inner,
    wire::{Request, SIZE_MAX},
};
use bytes::Bytes;
use futures::stream::{self, Stream};
use mesh_proto::id::{BlobId, NodeId};
use std::{collections::VecDeque, future::Future, io, sync::Arc};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::OwnedSemaphorePermit,
};

/// A blob whose first segment has come and is right: with that its size is proven.
pub struct Relay<S, O> {
    inner: Arc<Inner>,
    _slot: OwnedSemaphorePermit,
    id: BlobId,
    size: u64,
    opener: O,
    /// In the order in which they are asked, the present one first. Who lied is not among them any more.
    providers: VecDeque<NodeId>,
    source: Source<S>,
    segment: Verified,
    failures: Vec<(NodeId, ProviderFailure)>,
}

enum Source<S> {
    /// Its next segment is the one behind what was read.
    Open(S),
    Closed,
}

/// Failures of providers in a row, none of which brought anything.
const TRIES: usize = 4;

impl Inner {
    /// `None`: too many are under way already.
    pub(super) async fn relay<S, O, A>(
        self: &Arc<Self>,
        id: BlobId,
        providers: Vec<NodeId>,
        opener: O,
    ) -> Result<Option<Relay<S, O>>, FetchError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
        O: Fn(NodeId) -> A,
        A: Future<Output = io::Result<S>>,
    {
        let Ok(slot) = Arc::clone(&self.relays).try_acquire_owned() else { return Ok(None) };
        let mut relay = Relay {
            inner: Arc::clone(self),
            _slot: slot,
            id,
            size: 0,
            opener,
            providers: VecDeque::new(),
            source: Source::Closed,
            segment: Verified::default(),
            failures: Vec::new(),
        };
        let mut untried = VecDeque::from(providers);
        while let Some(provider) = untried.pop_front() {
            relay.providers = VecDeque::from([provider]);
            if relay.begin().await {
                relay.providers.extend(untried);
                return Ok(Some(relay));
            }
        }
        Err(FetchError::NoProvider { id, failures: relay.failures })
    }
}

impl<S, O, A> Relay<S, O>
where
    S: AsyncRead + AsyncWrite + Unpin,
    O: Fn(NodeId) -> A,
    A: Future<Output = io::Result<S>>,
{
    /// In bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The first segment, from the first provider, which says how large the blob is.
    async fn begin(&mut self) -> bool {
        let Some(provider) = self.providers.front().copied() else { return false };
        let begun = async {
            let (stream, size) = ask(&self.inner, &self.opener, provider, self.id, 0).await?;
            if size > SIZE_MAX {
                return Err(ProviderFailure::TooLarge { claimed: size });
            }
            self.size = size;
            self.source = Source::Open(stream);
            self.read(0).await
        };
        let failed = begun.await.err();
        if let Some(failure) = failed {
            self.fail(provider, failure);
            return false;
        }
        true
    }

    /// `length` bytes from `start` on, both within the blob.
    pub fn into_stream(self, start: u64, length: u64) -> impl Stream<Item = io::Result<Bytes>> {
        let end = start.saturating_add(length).min(self.size);
        stream::try_unfold((self, start), move |(mut relay, at)| async move {
            if at >= end {
                return Ok(None);
            }
            if !relay.segment.covers(at) {
                relay.reach(at).await?;
            }
            let bytes = relay.segment.part(at, end);
            let next = at + bytes.len() as u64;
            Ok(Some((bytes, (relay, next))))
        })
    }

    /// Brings the segment of `at` here, from whoever still has it.
    async fn reach(&mut self, at: u64) -> io::Result<()> {
        let start = at / GROUP_BYTES as u64 * GROUP_BYTES as u64;
        if start != self.segment.end() {
            self.source = Source::Closed;
        }
        for _ in 0..TRIES {
            let Some(provider) = self.providers.front().copied() else { break };
            match self.resume(provider, start).await {
                Ok(()) => {
                    // Of a long blob every segment may have had its own.
                    self.failures.clear();
                    return Ok(());
                }
                Err(failure) => self.fail(provider, failure),
            }
        }
        let failures = std::mem::take(&mut self.failures);
        Err(io::Error::other(FetchError::NoProvider { id: self.id, failures }))
    }

    async fn resume(&mut self, provider: NodeId, start: u64) -> Result<(), ProviderFailure> {
        if matches!(self.source, Source::Closed) {
            let (stream, claimed) = ask(&self.inner, &self.opener, provider, self.id, start).await?;
            if claimed != self.size {
                return Err(ProviderFailure::WrongSize { claimed, expected: self.size });
            }
            self.source = Source::Open(stream);
        }
        self.read(start).await
    }

    async fn read(&mut self, start: u64) -> Result<(), ProviderFailure> {
        let Source::Open(stream) = &mut self.source else { return Ok(()) };
        self.segment.restart(start);
        let within = self.inner.config.segment_timeout;
        let read = read_segment(stream, self.id, self.size, &mut self.segment);
        let read = tokio::time::timeout(within, read).await;
        read.unwrap_or(Err(ProviderFailure::Silent { at: start, after: within }))?;
        self.inner.metrics.received.inc_by(self.segment.data.len() as u64);
        self.inner.metrics.relayed.inc_by(self.segment.data.len() as u64);
        Ok(())
    }

    /// Another is next; this one again after the others, unless it did what no honest one does.
    fn fail(&mut self, provider: NodeId, failure: ProviderFailure) {
        tracing::debug!(id = %self.id, %provider, %failure, "a provider failed");
        (self.source, self.segment) = (Source::Closed, Verified::default());
        if matches!(failure, ProviderFailure::Liar { .. }) {
            self.inner.metrics.verification_failures.inc();
        }
        self.providers.pop_front();
        match failure.is_lie() {
            true => tracing::warn!(node = %provider, %failure, "a provider of a blob lied"),
            false => self.providers.push_back(provider),
        }
        self.failures.push((provider, failure));
    }
}

/// Opens a stream to a provider and asks for the blob from `start` on. With the size that it claims.
async fn ask<S, O, A>(
    inner: &Inner,
    opener: &O,
    provider: NodeId,
    id: BlobId,
    start: u64,
) -> Result<(S, u64), ProviderFailure>
where
    S: AsyncRead + AsyncWrite + Unpin,
    O: Fn(NodeId) -> A,
    A: Future<Output = io::Result<S>>,
{
    let asked = async {
        let mut stream = inner.open_to(provider, opener).await?;
        let size = inner.ask(&mut stream, Request::Get { id, start }, start).await?;
        Ok::<_, ReceiveError>((stream, size))
    };
    asked.await.map_err(|error| match error {
        ReceiveError::Provider(failure) => failure,
        // It touches nothing of ours.
        ReceiveError::Local(error) => ProviderFailure::Unreachable(error.to_string()),
    })
}

impl Verified {
    fn covers(&self, at: u64) -> bool {
        (self.offset..self.end()).contains(&at)
    }

    /// From `at` on, to the end of the segment or to `end`.
    fn part(&mut self, at: u64, end: u64) -> Bytes {
        let (from, to) = (at - self.offset, end.min(self.end()) - self.offset);
        let whole = from == 0 && to == self.data.len() as u64;
        let (from, to) = (from as usize, to as usize);
        // The stream goes on behind it: where it ends must stay known.
        let offset = self.end();
        let bytes = match whole {
            true => Bytes::from(std::mem::take(&mut self.data)),
            false => Bytes::copy_from_slice(&self.data[from..to]),
        };
        self.restart(offset);
        bytes
    }
}
