//! What spares a blob without anybody's record: leases, durable and timed, and holds, of this process.

use super::{error::BlobError, index::Entry, store::Inner};
use mesh_proto::id::{BlobId, NodeId};
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
    life: u64,
}

impl Hold {
    pub(super) fn take(inner: &Arc<Inner>, id: BlobId) -> Option<Self> {
        let mut index = inner.index();
        let entry = index.entries.get_mut(&id).filter(|entry| entry.durable)?;
        Some(Self::on(inner, id, entry))
    }

    pub(super) fn on(inner: &Arc<Inner>, id: BlobId, entry: &mut Entry) -> Self {
        entry.holds += 1;
        entry.condemned = false;
        Self { inner: Arc::clone(inner), id, size: entry.size, life: entry.life }
    }

    pub(super) fn life(&self) -> u64 {
        self.life
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
        let mut index = self.inner.index();
        if let Some(entry) = index.entries.get_mut(&self.id).filter(|entry| entry.life == self.life) {
            entry.holds = entry.holds.saturating_sub(1);
            entry.used = Instant::now();
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
    /// Notes that `who` needs these blobs; returns those that are not here.
    pub(super) fn need(&self, who: NodeId, blobs: impl IntoIterator<Item = BlobId>) -> Vec<BlobId> {
        let until = Instant::now() + self.config.keep_lease;
        let mut index = self.index();
        let mut lacking = Vec::new();
        for id in blobs {
            match index.entries.get_mut(&id).filter(|entry| entry.durable) {
                Some(entry) => {
                    entry.keepers.state(who, until);
                    entry.condemned = false;
                }
                None => lacking.push(id),
            }
        }
        lacking
    }

    /// Extends the lease of a blob that is held; durable on return. Blocking.
    pub(super) fn renew_lease(&self, hold: &Hold, lease: Duration) -> Result<(), BlobError> {
        if lease.is_zero() {
            return Ok(());
        }
        let lease = lease.min(self.config.lease_max);
        let end = Instant::now() + lease;
        let path = hold.path();
        let file = File::open(&path).map_err(BlobError::io("opening", &path))?;
        let stamped = {
            // Of two renewals the longer one is to stay on the disk.
            let _names = self.names();
            let mut index = self.index();
            let Some(entry) = index.entries.get_mut(&hold.id) else { return Err(BlobError::NotFound { id: hold.id }) };
            // A program that ten thousand tasks name is uploaded as often: a lease that reaches nearly as far saves
            // the sync.
            if entry.lease_synced.is_some_and(|synced| synced + lease / 16 >= end) {
                return Ok(());
            }
            let longest = entry.lease_end.max(Some(end)).unwrap_or(end);
            entry.lease_end = Some(longest);
            drop(index);
            let left = longest.saturating_duration_since(Instant::now());
            stamp(&file, left).map_err(BlobError::io("leasing", &path))?;
            longest
        };
        file.sync_all().map_err(BlobError::io("syncing", &path))?;
        if let Some(entry) = self.index().entries.get_mut(&hold.id) {
            entry.lease_synced = entry.lease_synced.max(Some(stamped));
        }
        Ok(())
    }
}
