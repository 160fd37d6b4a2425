//! Getting a blob from whoever has it.

use super::{
    error::BlobError,
    flight::Turn,
    lease::Hold,
    partial::Partial,
    receive::{ProviderFailure, ReceiveError},
    store::Inner,
    wire::{self, Refusal, Reply, Request},
};
use mesh_proto::id::{BlobId, NodeId};
use std::{collections::BTreeSet, future::Future, io, sync::Arc, time::Duration};
use tokio::io::{AsyncRead, AsyncWrite};

/// What to fetch, and from whom.
#[derive(Debug, Clone)]
pub struct Fetch {
    pub id: BlobId,
    /// In bytes, as the record says. `None`: whatever the provider claims, if it fits and its content proves it.
    pub size: Option<u64>,
    /// Asked in this order.
    pub providers: Vec<NodeId>,
    /// How long the blob is spared when here. Default [`BlobConfig::upload_lease`](super::BlobConfig::upload_lease).
    pub lease: Option<Duration>,
}

/// How far a download is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Bytes verified and on the disk.
    pub verified: u64,
    pub size: u64,
}

/// A blob that is here now.
#[derive(Debug)]
pub struct Fetched {
    pub hold: Hold,
    /// Who sent the last of it. `None`: it was here, or another fetch brought it.
    pub from: Option<NodeId>,
    /// Who failed on the way, and how: [`ProviderFailure::is_lie`] is for scoring.
    pub failures: Vec<(NodeId, ProviderFailure)>,
}

/// Why a blob is not here. What was verified of it stays for the next fetch.
#[derive(Debug, Clone, thiserror::Error)]
pub enum FetchError {
    #[error("no provider has all of blob {id}: {}", describe(failures))]
    NoProvider { id: BlobId, failures: Vec<(NodeId, ProviderFailure)> },
    #[error("blob {id} has {actual} bytes, not {expected}")]
    WrongSize { id: BlobId, expected: u64, actual: u64 },
    #[error("too many fetches are waiting")]
    Busy,
    #[error(transparent)]
    Local(#[from] BlobError),
}

impl FetchError {
    /// Whether somebody who failed may do better a little later.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::NoProvider { failures, .. } => failures.iter().any(|(_, failure)| failure.may_pass()),
            Self::WrongSize { .. } => false,
            Self::Busy | Self::Local(_) => true,
        }
    }
}

fn describe(failures: &[(NodeId, ProviderFailure)]) -> String {
    if failures.is_empty() {
        return "none is known".to_string();
    }
    let each: Vec<_> = failures.iter().map(|(provider, failure)| format!("{provider}: {failure}")).collect();
    each.join("; ")
}

impl Inner {
    pub(super) async fn fetch<S, O, A>(
        self: &Arc<Self>,
        fetch: Fetch,
        opener: O,
        progress: impl Fn(Progress),
    ) -> Result<Fetched, FetchError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
        O: Fn(NodeId) -> A,
        A: Future<Output = io::Result<S>>,
    {
        if let Some(here) = self.here(&fetch)? {
            return Ok(here);
        }
        let _place = self.fetches_waiting.try_acquire().map_err(|_| FetchError::Busy)?;
        let flight = self.flights.join(fetch.id);
        let failed_before = flight.times_failed();
        let turn = {
            let mut news = flight.progress.subscribe();
            let mut turn = std::pin::pin!(flight.turn());
            loop {
                tokio::select! {
                    turn = &mut turn => break turn,
                    Ok(()) = news.changed() => progress(*news.borrow_and_update()),
                }
            }
        };
        if let Some(here) = self.here(&fetch)? {
            return Ok(here);
        }
        if let Some(error) = flight.failed_since(failed_before, &fetch.providers) {
            return Err(error);
        }
        let _slot = self.fetches.acquire().await.map_err(|_| BlobError::Stopping)?;
        let report = |now: Progress| {
            progress(now);
            flight.progress.send_replace(now);
        };
        let result = self.download(&fetch, turn, &opener, &report).await;
        match &result {
            Ok(_) => self.metrics.fetched_blobs.inc(),
            Err(error) => {
                flight.fail(&fetch.providers, error);
                self.metrics.failed_fetches.inc()
            }
        };
        result
    }

    pub(super) async fn open_to<S, O, A>(&self, provider: NodeId, opener: &O) -> Result<S, ReceiveError>
    where
        O: Fn(NodeId) -> A,
        A: Future<Output = io::Result<S>>,
    {
        let within = self.config.open_timeout;
        let unreachable = |why: String| ReceiveError::Provider(ProviderFailure::Unreachable(why));
        match tokio::time::timeout(within, opener(provider)).await {
            Ok(stream) => stream.map_err(|error| unreachable(error.to_string())),
            Err(_) => Err(unreachable(format!("no stream within {within:?}"))),
        }
    }

    /// Sends a request and returns the size that the provider claims.
    pub(super) async fn ask<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: &mut S,
        request: Request,
        at: u64,
    ) -> Result<u64, ReceiveError> {
        let within = self.config.reply_timeout;
        let talk = async {
            let closed = |error: io::Error| ProviderFailure::Closed { at, why: error.to_string() };
            wire::write(stream, &request).await.map_err(closed)?;
            match wire::read(stream).await {
                Ok(Reply::Blob { size }) => Ok(size),
                Ok(Reply::Refused(refusal)) => Err(ProviderFailure::Refused(refusal)),
                Ok(reply) => Err(ProviderFailure::Protocol(format!("{reply:?} is no answer to {request:?}"))),
                Err(wire::MessageError::Io(error)) => Err(closed(error)),
                Err(wire::MessageError::Malformed(error)) => Err(ProviderFailure::Protocol(error.to_string())),
            }
        };
        let answer = tokio::time::timeout(within, talk).await;
        answer.unwrap_or(Err(ProviderFailure::Silent { at, after: within })).map_err(ReceiveError::Provider)
    }

    fn here(self: &Arc<Self>, fetch: &Fetch) -> Result<Option<Fetched>, FetchError> {
        let Some(hold) = Hold::take(self, fetch.id) else { return Ok(None) };
        match fetch.size {
            Some(expected) if expected != hold.size() => {
                Err(FetchError::WrongSize { id: fetch.id, expected, actual: hold.size() })
            }
            _ => Ok(Some(Fetched { hold, from: None, failures: Vec::new() })),
        }
    }

    async fn download<S, O, A>(
        self: &Arc<Self>,
        fetch: &Fetch,
        turn: Turn,
        opener: &O,
        report: &impl Fn(Progress),
    ) -> Result<Fetched, FetchError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
        O: Fn(NodeId) -> A,
        A: Future<Output = io::Result<S>>,
    {
        let mut download = Download { inner: self, fetch, turn, partial: None };
        if let Some(size) = fetch.size {
            let partial = download.partial(size).await?;
            if partial.is_complete() {
                return download.finish(partial, None, Vec::new()).await;
            }
        }
        let mut failures = Vec::new();
        let mut given_up = BTreeSet::new();
        for round in 0..self.config.fetch_rounds {
            if round > 0 {
                let Some(pause) = pause(&failures) else { break };
                tokio::time::sleep(pause).await;
            }
            for provider in &fetch.providers {
                if given_up.contains(provider) {
                    continue;
                }
                match download.attempt(*provider, opener, report).await {
                    Ok(partial) => return download.finish(partial, Some(*provider), failures).await,
                    Err(ReceiveError::Local(error)) => return Err(error.into()),
                    Err(ReceiveError::Provider(failure)) => {
                        tracing::debug!(id = %fetch.id, %provider, %failure, "a provider failed");
                        if !failure.may_pass() {
                            given_up.insert(*provider);
                        }
                        failures.push((*provider, failure));
                    }
                }
            }
        }
        Err(FetchError::NoProvider { id: fetch.id, failures })
    }
}

/// How long to wait before those who may do better are asked again; `None` if there are none.
fn pause(failures: &[(NodeId, ProviderFailure)]) -> Option<Duration> {
    let pauses = failures.iter().filter(|(_, failure)| failure.may_pass()).map(|(_, failure)| match failure {
        ProviderFailure::Refused(Refusal::Busy { retry_ms }) => Duration::from_millis(*retry_ms).min(PAUSE_MAX),
        _ => Duration::ZERO,
    });
    pauses.min()
}

/// However long a provider says that it is busy.
const PAUSE_MAX: Duration = Duration::from_secs(2);

struct Download<'a> {
    inner: &'a Arc<Inner>,
    fetch: &'a Fetch,
    turn: Turn,
    partial: Option<Arc<Partial>>,
}

impl Download<'_> {
    async fn partial(&mut self, size: u64) -> Result<Arc<Partial>, BlobError> {
        if let Some(partial) = self.partial.take_if(|partial| partial.size() == size) {
            self.partial = Some(Arc::clone(&partial));
            return Ok(partial);
        }
        // One that was opened for another size gives back its room first.
        self.partial = None;
        let partial = Partial::open(self.inner, self.fetch.id, size, Arc::clone(&self.turn)).await?;
        Ok(Arc::clone(self.partial.insert(Arc::new(partial))))
    }

    async fn attempt<S, O, A>(
        &mut self,
        provider: NodeId,
        opener: &O,
        report: &impl Fn(Progress),
    ) -> Result<Arc<Partial>, ReceiveError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
        O: Fn(NodeId) -> A,
        A: Future<Output = io::Result<S>>,
    {
        let id = self.fetch.id;
        let size = match self.fetch.size {
            Some(size) => size,
            None => {
                let mut stream = self.inner.open_to(provider, opener).await?;
                self.inner.ask(&mut stream, Request::Has { id }, 0).await?
            }
        };
        let partial = match self.partial(size).await {
            Err(BlobError::QuotaFull { .. } | BlobError::DiskFull { .. } | BlobError::TooLarge { .. })
                if self.fetch.size.is_none() =>
            {
                return Err(ReceiveError::Provider(ProviderFailure::TooLarge { claimed: size }));
            }
            partial => partial?,
        };
        if !partial.is_complete() {
            let mut stream = self.inner.open_to(provider, opener).await?;
            let start = partial.verified();
            let claimed = self.inner.ask(&mut stream, Request::Get { id, start }, start).await?;
            if claimed != size {
                return Err(ReceiveError::Provider(ProviderFailure::WrongSize { claimed, expected: size }));
            }
            report(Progress { verified: start, size });
            let received = |verified| report(Progress { verified, size });
            self.inner.receive(&mut stream, &partial, received).await?;
        }
        Ok(partial)
    }

    async fn finish(
        &self,
        partial: Arc<Partial>,
        from: Option<NodeId>,
        failures: Vec<(NodeId, ProviderFailure)>,
    ) -> Result<Fetched, FetchError> {
        let lease = self.fetch.lease.unwrap_or(self.inner.config.upload_lease);
        let hold = self.inner.disk(move |_| partial.finish(lease)).await?;
        Ok(Fetched { hold, from, failures })
    }
}
