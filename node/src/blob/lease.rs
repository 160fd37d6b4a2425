//! What spares a blob without anybody's record: leases, durable and timed, and holds, of this process.

use super::{error::BlobError, store::Inner};
use mesh_proto::id::BlobId;
use std::{
    fs::{File, FileTimes},
    io,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

/// While this lives its blob is neither collected nor removed. A running execution holds its inputs; who is about to
/// make a record name a blob holds it until the record is held.
#[derive(Debug)]
pub struct Hold {
    inner: Arc<Inner>,
    id: BlobId,
    size: u64,
}

impl Hold {
    pub(super) fn take(inner: &Arc<Inner>, id: BlobId) -> Option<Self> {
        let mut index = inner.index();
        let entry = index.entries.get_mut(&id).filter(|entry| entry.durable)?;
        entry.holds += 1;
        entry.condemned = false;
        Some(Self { inner: Arc::clone(inner), id, size: entry.size })
    }

    /// For an entry whose count was raised already.
    pub(super) fn counted(inner: &Arc<Inner>, id: BlobId, size: u64) -> Self {
        Self { inner: Arc::clone(inner), id, size }
    }

    pub fn id(&self) -> BlobId {
        self.id
    }

    /// In bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Where the content is: a read-only file, which must not be written to, nor linked where others may write to it.
    pub fn path(&self) -> PathBuf {
        self.inner.layout.data(self.id)
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if let Some(entry) = self.inner.index().entries.get_mut(&self.id) {
            entry.holds = entry.holds.saturating_sub(1);
        }
    }
}

/// The end of a lease is the modification time of the file, so that one sync makes content and lease durable.
pub(super) fn stamp(file: &File, lease: Duration) -> io::Result<()> {
    file.set_times(FileTimes::new().set_modified(SystemTime::now() + lease))
}

/// What is left of a stamped lease. No more than `max`, whatever the wall clock did meanwhile.
pub(super) fn remaining(modified: SystemTime, max: Duration) -> Option<Instant> {
    let left = modified.duration_since(SystemTime::now()).ok()?.min(max);
    Instant::now().checked_add(left)
}

impl Inner {
    /// Extends the lease of a blob that is held; durable on return. Blocking.
    pub(super) fn renew_lease(&self, hold: &Hold, lease: Duration) -> Result<(), BlobError> {
        let lease = lease.min(self.config.lease_max);
        let end = Instant::now() + lease;
        {
            let mut index = self.index();
            let Some(entry) = index.entries.get_mut(&hold.id) else { return Err(BlobError::NotFound { id: hold.id }) };
            // A program that ten thousand tasks name is uploaded as often: a lease that reaches nearly as far saves
            // the sync.
            if entry.durable && entry.lease_end.is_some_and(|held| held + lease / 16 >= end) {
                return Ok(());
            }
            entry.lease_end = entry.lease_end.max(Some(end));
        }
        let path = hold.path();
        let file = File::open(&path).map_err(BlobError::io("opening", &path))?;
        stamp(&file, lease).map_err(BlobError::io("leasing", &path))?;
        file.sync_all().map_err(BlobError::io("syncing", &path))
    }
}
