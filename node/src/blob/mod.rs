//! Content-addressed blobs: the local verified store and their transfer between nodes. DESIGN section 7, Data.
//!
//! A [`BlobStore`] is a cheap handle, of which every part of the node has a clone. How to hold it:
//! - content comes in by [`ingest`](BlobStore::ingest), [`ingest_file`](BlobStore::ingest_file),
//!   [`fetch`](BlobStore::fetch), or a peer's `Keep` in [`serve`](BlobStore::serve);
//! - it is used through a [`Hold`], which spares it: executions hold their inputs, and who makes a record name a blob
//!   holds it until the record is held;
//! - it leaves by [`collect`](BlobStore::collect) or [`remove`](BlobStore::remove), both of which ask the owner of the
//!   records what is referenced.
//!
//! Invariants:
//! 1. What is visible under an id has that content, whole: names are given by renaming complete, synced files.
//! 2. Acknowledged is durable: content, name and lease are synced before `ingest` returns or `Kept` is sent.
//! 3. A blob that is pinned, leased, held, referenced here or needed elsewhere is never collected, however full the
//!    quota is.
//! 4. Quota and free disk are reserved before a byte is written, so that the sum never exceeds the quota.
//! 5. No unverified byte from a peer reaches the disk; memory is constant in the size of the blob.
//!
//! Files are read and written on blocking threads, at most [`BlobConfig::disk_jobs_max`] at once.

mod adopt;
mod collect;
mod config;
mod damage;
mod error;
mod fetch;
mod flight;
mod index;
mod ingest;
mod keeper;
mod layout;
mod lease;
mod metrics;
mod need;
mod outboard;
mod partial;
mod pin;
mod quota;
mod receive;
mod relay;
mod replicate;
mod send;
mod serve;
mod store;
#[cfg(test)]
mod tests;
mod wire;

pub use adopt::Take;
pub use collect::{Collected, Unanswered};
pub use config::{BlobConfig, BlobConfigError};
pub use error::{BlobError, InUse, OpenError};
pub use fetch::{Fetch, FetchError, Fetched, Progress};
pub use ingest::Ingested;
pub use keeper::Reach;
pub use lease::Hold;
pub use metrics::BlobMetrics;
pub use receive::ProviderFailure;
pub use relay::Relay;
pub use replicate::ReplicateError;
pub use serve::{ServeError, Served};
pub use wire::{MESSAGE_MAX, NEEDED_MAX, PROTOCOL, Refusal, Reply, Request, SIZE_MAX};

use mesh_proto::{
    id::{BlobId, NodeId},
    task::BlobRef,
};
use std::{
    collections::BTreeSet,
    future::Future,
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};
use tokio::io::{AsyncRead, AsyncWrite};

/// What `blob ls` shows of one blob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlobInfo {
    pub id: BlobId,
    /// In bytes.
    pub size: u64,
    pub pinned: bool,
    /// When it came to be on this disk.
    pub added: SystemTime,
    /// What is left of its upload lease.
    pub lease: Option<Duration>,
    /// A record on another node refers to it, or may.
    pub needed: bool,
    /// Executions and transfers that need it now.
    pub holds: u32,
}

/// What the quota is spent on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    pub blobs: u64,
    /// Whole blocks, with the trees.
    pub stored_bytes: u64,
    /// Stored, reserved by transfers under way, and interrupted downloads.
    pub spent_bytes: u64,
    pub quota_bytes: u64,
}

/// The blobs of this node. Clones share one store.
#[derive(Debug, Clone)]
pub struct BlobStore {
    inner: Arc<store::Inner>,
}

impl BlobStore {
    /// Opens or makes the store in `dir`, which no other process may use. Uploads that a crash interrupted are gone,
    /// downloads wait for their continuation. Blocking.
    pub fn open(dir: impl AsRef<Path>, config: BlobConfig) -> Result<Self, OpenError> {
        Self::open_with(dir.as_ref(), config, Box::new(|_| Ok(())))
    }

    fn open_with(dir: &Path, config: BlobConfig, steps: store::Steps) -> Result<Self, OpenError> {
        Ok(Self { inner: Arc::new(store::Inner::open(dir, config, steps)?) })
    }

    pub fn config(&self) -> &BlobConfig {
        &self.inner.config
    }

    pub fn metrics(&self) -> &BlobMetrics {
        &self.inner.metrics
    }

    /// Streams an upload in. On return it is durable and leased for [`BlobConfig::upload_lease`]. If `expected` is
    /// known, in bytes, room is set aside at the start, and content of another size is refused.
    pub async fn ingest(&self, reader: impl AsyncRead + Unpin, expected: Option<u64>) -> Result<Ingested, BlobError> {
        self.inner.ingest(reader, expected, self.inner.config.upload_lease).await
    }

    /// Takes a regular file, links not followed; otherwise as [`Self::ingest`].
    pub async fn ingest_file(&self, path: impl Into<PathBuf>, take: Take) -> Result<Ingested, BlobError> {
        self.inner.ingest_file(path.into(), take, self.inner.config.upload_lease).await
    }

    pub fn has(&self, id: BlobId) -> bool {
        self.inner.index().visible(id).is_some()
    }

    /// In bytes.
    pub fn size(&self, id: BlobId) -> Option<u64> {
        self.inner.index().visible(id).map(|entry| entry.size)
    }

    /// Spares the blob while the guard lives; its path is there for as long.
    pub fn hold(&self, id: BlobId) -> Result<Hold, BlobError> {
        Hold::take(&self.inner, id).ok_or(BlobError::NotFound { id })
    }

    /// Where the content is at this moment; only a [`Hold`] keeps it there.
    pub fn path(&self, id: BlobId) -> Option<PathBuf> {
        self.has(id).then(|| self.inner.layout.data(id))
    }

    /// The content, to read. A collection does not disturb a file that is open.
    pub async fn read(&self, id: BlobId) -> Result<(tokio::fs::File, u64), BlobError> {
        let hold = self.hold(id)?;
        let path = hold.path();
        let file = tokio::fs::File::open(&path).await.map_err(BlobError::io("opening", &path))?;
        Ok((file, hold.size()))
    }

    /// At most `limit` blobs in the order of their ids, from behind `after` on.
    pub fn list(&self, after: Option<BlobId>, limit: usize) -> Vec<BlobInfo> {
        let now = Instant::now();
        let from = after.map_or(std::ops::Bound::Unbounded, std::ops::Bound::Excluded);
        let index = self.inner.index();
        let behind = index.entries.range((from, std::ops::Bound::Unbounded));
        let visible = behind.filter(|(_, entry)| entry.durable);
        visible
            .take(limit)
            .map(|(id, entry)| BlobInfo {
                id: *id,
                size: entry.size,
                pinned: entry.pinned,
                added: entry.added,
                needed: entry.keepers.need(now, &index.reach, &self.inner.config),
                lease: entry.lease_end.map(|end| end.saturating_duration_since(now)).filter(|left| !left.is_zero()),
                holds: entry.holds,
            })
            .collect()
    }

    pub fn usage(&self) -> Usage {
        let index = self.inner.index();
        Usage {
            blobs: index.entries.len() as u64,
            stored_bytes: index.stored_bytes,
            spent_bytes: index.spent_bytes(),
            quota_bytes: self.inner.config.quota_bytes,
        }
    }

    /// The operator wants this blob kept. Durable on return.
    pub async fn pin(&self, id: BlobId) -> Result<(), BlobError> {
        self.inner.pin(id).await
    }

    /// Takes the pin back, durably; the blob stays until a collection finds that nothing else needs it.
    pub async fn unpin(&self, id: BlobId) -> Result<(), BlobError> {
        self.inner.unpin(id).await
    }

    /// Extends the lease to `lease` from now, at most [`BlobConfig::lease_max`]; never shortens it. Durable on return.
    pub async fn renew_lease(&self, id: BlobId, lease: Duration) -> Result<(), BlobError> {
        let hold = self.hold(id)?;
        self.inner.disk(move |inner| inner.renew_lease(&hold, lease)).await
    }

    /// `who` holds records that need these blobs here, for [`BlobConfig::keep_lease`] from now. Returns those that are
    /// not here.
    pub fn need(&self, who: NodeId, blobs: impl IntoIterator<Item = BlobId>) -> Vec<BlobId> {
        self.inner.need(who, blobs)
    }

    /// Tells the peer behind `stream` that our records need these blobs on its disk, at most [`NEEDED_MAX`]. Returns
    /// those that it lacks; it will try to get them.
    pub async fn tell_needed(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin,
        blobs: Vec<BlobRef>,
    ) -> Result<Vec<BlobId>, ReplicateError> {
        self.inner.tell_needed(stream, blobs).await
    }

    /// Whom this node can talk to: whose silence means that it needs nothing more.
    pub fn set_reach(&self, reach: Reach) {
        self.inner.index().reach = reach;
    }

    /// Removes what no pin, lease, hold or record keeps. `referenced` is asked twice, about at most 1,024 ids at a time,
    /// and answers which of them a held record refers to.
    pub async fn collect<F, A>(&self, referenced: F) -> Result<Collected, BlobError>
    where
        F: Fn(Vec<BlobId>) -> A,
        A: Future<Output = Result<BTreeSet<BlobId>, Unanswered>>,
    {
        self.inner.collect(&referenced, self.inner.config.collect_grace, false).await
    }

    /// Collects every [`BlobConfig::collect_every`], and at once when an upload lacks room. Never returns: drop it.
    pub async fn collect_always<F, A>(&self, referenced: F)
    where
        F: Fn(Vec<BlobId>) -> A,
        A: Future<Output = Result<BTreeSet<BlobId>, Unanswered>>,
    {
        self.inner.collect_always(referenced).await;
    }

    /// The operator's removal. Refused while pinned, held or referenced; a lease ends with it, also when refused.
    pub async fn remove<F, A>(&self, id: BlobId, referenced: F) -> Result<(), BlobError>
    where
        F: Fn(Vec<BlobId>) -> A,
        A: Future<Output = Result<BTreeSet<BlobId>, Unanswered>>,
    {
        self.inner.remove(id, referenced).await
    }

    /// Gets a blob from the first provider that has all of it, going on from what is on the disk. `opener` opens a
    /// stream of [`PROTOCOL`] to a provider. Fetches of one id share one download. Dropping the future stops it; what
    /// was verified stays for the next.
    pub async fn fetch<S, O, A>(
        &self,
        fetch: Fetch,
        opener: O,
        progress: impl Fn(Progress),
    ) -> Result<Fetched, FetchError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
        O: Fn(NodeId) -> A,
        A: Future<Output = io::Result<S>>,
    {
        self.inner.fetch(fetch, opener, progress).await
    }

    /// Reads a blob that one of the providers has, without keeping any of it. `None`: too many are read so already, and
    /// this one is to be fetched.
    pub async fn relay<S, O, A>(
        &self,
        id: BlobId,
        providers: Vec<NodeId>,
        opener: O,
    ) -> Result<Option<Relay<S, O>>, FetchError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
        O: Fn(NodeId) -> A,
        A: Future<Output = io::Result<S>>,
    {
        self.inner.relay(id, providers, opener).await
    }

    /// Asks the peer behind `stream` to take a blob of ours and keep it for `lease`. On return it is durable there.
    pub async fn replicate(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin,
        id: BlobId,
        lease: Duration,
    ) -> Result<(), ReplicateError> {
        self.inner.replicate(stream, id, lease).await
    }

    /// Answers the one request of a stream that `who` opened. An error that [is a
    /// violation](ServeError::is_violation) is to be counted against `who`.
    pub async fn serve(&self, stream: impl AsyncRead + AsyncWrite + Unpin, who: NodeId) -> Result<Served, ServeError> {
        self.inner.serve(stream, who).await
    }
}
