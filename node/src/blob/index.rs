//! What is on the disk, in memory: one entry a blob, and what the quota is spent on.

use super::{
    config::BlobConfig,
    error::InUse,
    keeper::{Keepers, Reach},
};
use mesh_proto::id::BlobId;
use std::{
    collections::BTreeMap,
    time::{Instant, SystemTime},
};

#[derive(Debug, Default)]
pub(super) struct Index {
    pub(super) entries: BTreeMap<BlobId, Entry>,
    /// Bytes of the blobs in `entries`, whole blocks, with their trees.
    pub(super) stored_bytes: u64,
    /// Bytes set aside by uploads and downloads under way.
    pub(super) reserved_bytes: u64,
    /// Interrupted downloads: bytes each.
    pub(super) partials: BTreeMap<BlobId, u64>,
    /// As last told; whose silence means something.
    pub(super) reach: Reach,
    lives: u64,
}

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) size: u64,
    pub(super) added: SystemTime,
    pub(super) lease_end: Option<Instant>,
    /// The part of the lease that a restart would find.
    pub(super) lease_synced: Option<Instant>,
    /// Tells this entry from one that had the same id before: a hold on that one is none on this.
    pub(super) life: u64,
    pub(super) pinned: bool,
    pub(super) keepers: Keepers,
    /// The last hold was let go.
    pub(super) used: Instant,
    /// Running executions, transfers and commits that need it now.
    pub(super) holds: u32,
    /// Its name is in the directory on disk. Until then it is nobody's but its uploader's.
    pub(super) durable: bool,
    /// A collection found nothing that needs it, and will remove it unless something turns up.
    pub(super) condemned: bool,
}

impl Entry {
    /// Not yet durable, nor held.
    pub(super) fn new(size: u64, lease_end: Option<Instant>, pinned: bool, life: u64) -> Self {
        let (keepers, added, used) = (Keepers::default(), SystemTime::now(), Instant::now());
        let (holds, durable, condemned) = (0, false, false);
        let lease_synced = lease_end;
        Self { size, added, lease_end, lease_synced, life, pinned, keepers, used, holds, durable, condemned }
    }

    pub(super) fn leased(&self) -> bool {
        self.lease_end.is_some_and(|end| end > Instant::now())
    }

    /// What keeps it here, as far as this store knows; the records on this disk are their owner's to know.
    pub(super) fn kept_by(&self, reach: &Reach, config: &BlobConfig) -> Option<InUse> {
        if self.pinned {
            Some(InUse::Pinned)
        } else if self.holds > 0 {
            Some(InUse::Held)
        } else if self.leased() {
            Some(InUse::Leased)
        } else if self.keepers.need(Instant::now(), reach, config) {
            Some(InUse::Needed)
        } else {
            None
        }
    }
}

impl Index {
    pub(super) fn spent_bytes(&self) -> u64 {
        let partials = self.partials.values().fold(0u64, |sum, bytes| sum.saturating_add(*bytes));
        self.stored_bytes.saturating_add(self.reserved_bytes).saturating_add(partials)
    }

    /// What keeps a blob here; nothing keeps what is not here.
    pub(super) fn kept_by(&self, id: BlobId, config: &BlobConfig) -> Option<InUse> {
        self.entries.get(&id).and_then(|entry| entry.kept_by(&self.reach, config))
    }

    /// The entry, if others may see it.
    pub(super) fn visible(&self, id: BlobId) -> Option<&Entry> {
        self.entries.get(&id).filter(|entry| entry.durable)
    }

    pub(super) fn next_life(&mut self) -> u64 {
        self.lives += 1;
        self.lives
    }

    pub(super) fn remove(&mut self, id: BlobId) -> Option<Entry> {
        let entry = self.entries.remove(&id)?;
        self.stored_bytes = self.stored_bytes.saturating_sub(footprint(entry.size));
        Some(entry)
    }
}

/// What a blob of this size takes on the disk: data and tree in whole blocks, and one for names and inode, so that a
/// quota bounds the number of blobs too.
pub(super) fn footprint(size: u64) -> u64 {
    let blocks = |bytes: u64| bytes.div_ceil(BLOCK_BYTES).saturating_mul(BLOCK_BYTES);
    let tree = size.div_ceil(super::outboard::GROUP_BYTES as u64).saturating_sub(1).saturating_mul(64);
    blocks(size).saturating_add(blocks(tree)).saturating_add(BLOCK_BYTES)
}

const BLOCK_BYTES: u64 = 4096;
