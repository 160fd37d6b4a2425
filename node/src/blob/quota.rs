//! Room is set aside before anything is written, and given back when it is not used after all.

use super::{error::BlobError, index::Index, store::Inner};
use mesh_proto::id::BlobId;
use std::{sync::Arc, sync::atomic::Ordering, time::Duration};

/// Bytes set aside in the quota. Given back on drop, or turned into a stored blob.
#[derive(Debug)]
pub(super) struct Reservation {
    inner: Arc<Inner>,
    bytes: u64,
}

impl Reservation {
    pub(super) fn none(inner: &Arc<Inner>) -> Self {
        Self { inner: Arc::clone(inner), bytes: 0 }
    }

    /// Sets aside up to `bytes` in all. When the quota is full, what may go is collected first, if it comes in time;
    /// what is referenced never goes.
    pub(super) async fn grow_to(&mut self, bytes: u64) -> Result<(), BlobError> {
        let Err(full) = self.try_grow_to(bytes) else { return Ok(()) };
        let result = match self.inner.make_room().await {
            true => self.try_grow_to(bytes),
            false => Err(full),
        };
        if result.is_err() {
            self.inner.metrics.refused_uploads.inc();
        }
        result
    }

    fn try_grow_to(&mut self, bytes: u64) -> Result<(), BlobError> {
        let more = bytes.saturating_sub(self.bytes);
        if more == 0 {
            return Ok(());
        }
        let config = &self.inner.config;
        let free_bytes = free_bytes(&self.inner)?;
        let mut index = self.inner.index();
        let available_bytes = config.quota_bytes.saturating_sub(index.spent_bytes());
        if more > available_bytes {
            let quota_bytes = config.quota_bytes;
            return Err(BlobError::QuotaFull { needed_bytes: more, available_bytes, quota_bytes });
        }
        // What others set aside and have not written yet will be taken from what is free now. What they have written
        // is counted twice, which errs on the careful side.
        let needed_bytes = index.reserved_bytes.saturating_add(more);
        if needed_bytes.saturating_add(config.free_floor_bytes) > free_bytes {
            return Err(BlobError::DiskFull { needed_bytes, free_bytes, floor_bytes: config.free_floor_bytes });
        }
        index.reserved_bytes += more;
        self.bytes += more;
        Ok(())
    }

    /// Takes over what an interrupted download has on the disk already.
    pub(super) fn absorb(&mut self, id: BlobId) {
        let mut index = self.inner.index();
        if let Some(bytes) = index.partials.remove(&id) {
            index.reserved_bytes = index.reserved_bytes.saturating_add(bytes);
            self.bytes = self.bytes.saturating_add(bytes);
        }
    }

    /// Ends the reservation in the same breath in which its blob is counted.
    pub(super) fn settle(mut self, index: &mut Index) {
        index.reserved_bytes = index.reserved_bytes.saturating_sub(self.bytes);
        self.bytes = 0;
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        // `settle` holds the index while it drops an empty reservation: it must not be locked again.
        if self.bytes > 0 {
            let mut index = self.inner.index();
            index.reserved_bytes = index.reserved_bytes.saturating_sub(self.bytes);
        }
    }
}

fn free_bytes(inner: &Inner) -> Result<u64, BlobError> {
    let root = inner.layout.root();
    let stat = rustix::fs::statvfs(root).map_err(|error| BlobError::io("measuring", root)(error.into()))?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

impl Inner {
    /// Drops interrupted downloads and waits for a collection, if one can help. Whether it is worth trying again.
    async fn make_room(self: &Arc<Self>) -> bool {
        let dropped = match self.drop_partials(0, Duration::ZERO).await {
            Ok(dropped) => dropped > 0,
            Err(error) => {
                tracing::warn!(%error, "interrupted downloads not removed");
                false
            }
        };
        let may_go = {
            let index = self.index();
            index.entries.values().any(|entry| entry.kept_by(&index.reach, &self.config).is_none())
        };
        if !may_go || self.collectors.load(Ordering::Relaxed) == 0 {
            return dropped;
        }
        let mut collections = self.collections.subscribe();
        self.pressure.notify_one();
        match tokio::time::timeout(self.config.room_wait, collections.changed()).await {
            Ok(changed) => changed.is_ok() || dropped,
            Err(_) => dropped,
        }
    }
}
