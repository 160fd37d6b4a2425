//! What nothing needs goes. In two phases: the owner of the records is asked, and some seconds later asked again about
//! what it did not name; a lease, pin or hold that turns up meanwhile acquits the blob without asking anybody.
//!
//! Between the second answer and the removal a record could still come to name the blob. Therefore whoever makes a
//! record name a blob of this node takes a [`Hold`](super::Hold) until the record is held: then nothing is open.

use super::{
    error::{BlobError, InUse},
    index::Index,
    store::Inner,
};
use mesh_proto::id::BlobId;
use std::{
    collections::BTreeSet,
    fs,
    future::Future,
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

/// The owner of the records could not answer; nothing is removed on that ground.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the owner of the records did not answer")]
pub struct Unanswered;

/// What a collection did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Collected {
    pub blobs: u64,
    pub bytes: u64,
}

impl Inner {
    /// `referenced` is asked about at most 1,024 ids at a time, and returns those that a held record refers to.
    /// `pressed`: somebody waits for room, and what was used a moment ago is not spared.
    pub(super) async fn collect<F, A>(
        self: &Arc<Self>,
        referenced: &F,
        grace: Duration,
        pressed: bool,
    ) -> Result<Collected, BlobError>
    where
        F: Fn(Vec<BlobId>) -> A,
        A: Future<Output = Result<BTreeSet<BlobId>, Unanswered>>,
    {
        let _one_at_a_time = self.collecting.lock().await;
        self.drop_partials(self.config.partials_max, self.config.partial_keep).await?;
        let mut suspects = self.condemn(pressed);
        suspects = self.unreferenced(suspects, referenced).await?;
        let mut collected = Collected::default();
        if !suspects.is_empty() {
            tokio::time::sleep(grace).await;
            let suspects = self.unreferenced(suspects, referenced).await?;
            collected = self.disk(move |inner| inner.execute(&suspects)).await?;
        }
        self.metrics.collections.inc();
        self.collections.send_modify(|n| *n += 1);
        Ok(collected)
    }

    /// Collects now and then, and at once when an upload lacks room; for as long as it is polled.
    pub(super) async fn collect_always<F, A>(self: &Arc<Self>, referenced: F)
    where
        F: Fn(Vec<BlobId>) -> A,
        A: Future<Output = Result<BTreeSet<BlobId>, Unanswered>>,
    {
        let _attached = Attached::to(&self.collectors);
        loop {
            let pressed = tokio::time::timeout(self.config.collect_every, self.pressure.notified()).await.is_ok();
            // Somebody waits for room, for a shorter time than the grace may be.
            let grace = if pressed {
                self.config.collect_grace.min(self.config.room_wait / 4)
            } else {
                self.config.collect_grace
            };
            match self.collect(&referenced, grace, pressed).await {
                Ok(Collected { blobs: 0, .. }) => {}
                Ok(Collected { blobs, bytes }) => tracing::info!(blobs, bytes, "collected blobs that nothing needs"),
                Err(error) => tracing::warn!(%error, "no blobs collected"),
            }
        }
    }

    /// The operator's removal: a lease does not stand in its way, everything else does.
    pub(super) async fn remove<F, A>(self: &Arc<Self>, id: BlobId, referenced: F) -> Result<(), BlobError>
    where
        F: Fn(Vec<BlobId>) -> A,
        A: Future<Output = Result<BTreeSet<BlobId>, Unanswered>>,
    {
        let _one_at_a_time = self.collecting.lock().await;
        {
            let mut index = self.index();
            let Index { entries, reach, .. } = &mut *index;
            let entry = entries.get_mut(&id).filter(|entry| entry.durable).ok_or(BlobError::NotFound { id })?;
            let lease = entry.lease_end.take();
            if let Some(by) = entry.kept_by(reach, &self.config) {
                entry.lease_end = lease;
                return Err(BlobError::InUse { id, by });
            }
            (entry.lease_end, entry.lease_synced) = (None, None);
            entry.condemned = true;
        }
        if self.unreferenced(vec![id], &referenced).await?.is_empty() {
            return Err(BlobError::InUse { id, by: InUse::Referenced });
        }
        match self.disk(move |inner| inner.execute(&[id])).await? {
            Collected { blobs: 1, .. } => Ok(()),
            _ => {
                let by = self.index().kept_by(id, &self.config);
                Err(BlobError::InUse { id, by: by.unwrap_or(InUse::Held) })
            }
        }
    }

    /// Phase 1: marks what this store sees no reason to keep.
    fn condemn(&self, pressed: bool) -> Vec<BlobId> {
        let mut index = self.index();
        let Index { entries, reach, .. } = &mut *index;
        let mut condemned = Vec::new();
        let now = Instant::now();
        for (id, entry) in entries {
            entry.keepers.tidy(now, reach, &self.config);
            let is_warm = !pressed && now < entry.used + self.config.warm;
            entry.condemned = !is_warm && entry.kept_by(reach, &self.config).is_none();
            condemned.extend(entry.condemned.then_some(*id));
        }
        condemned
    }

    /// Acquits what the records refer to; returns the rest.
    async fn unreferenced<F, A>(&self, ids: Vec<BlobId>, referenced: &F) -> Result<Vec<BlobId>, BlobError>
    where
        F: Fn(Vec<BlobId>) -> A,
        A: Future<Output = Result<BTreeSet<BlobId>, Unanswered>>,
    {
        let mut rest = Vec::new();
        for batch in ids.chunks(BATCH) {
            let needed = referenced(batch.to_vec()).await.map_err(|Unanswered| BlobError::Unanswered)?;
            let mut index = self.index();
            for id in batch {
                match index.entries.get_mut(id) {
                    Some(entry) if needed.contains(id) => entry.condemned = false,
                    Some(entry) if entry.condemned => rest.push(*id),
                    _ => {}
                }
            }
        }
        Ok(rest)
    }

    /// Phase 2: removes what is still condemned. Blocking.
    fn execute(&self, ids: &[BlobId]) -> Result<Collected, BlobError> {
        let mut collected = Collected::default();
        for id in ids {
            let _names = self.names();
            {
                let mut index = self.index();
                let is_condemned = index.entries.get(id).is_some_and(|entry| entry.condemned);
                if !is_condemned || index.kept_by(*id, &self.config).is_some() {
                    continue;
                }
                if let Some(entry) = index.remove(*id) {
                    collected.blobs += 1;
                    collected.bytes += entry.size;
                }
                self.measure(&index);
            }
            self.unlink(*id)?;
        }
        if collected.blobs > 0 {
            // Or a crash would bring back what an operator removed.
            self.sync_names()?;
        }
        self.metrics.collected.inc_by(collected.bytes);
        self.metrics.collected_blobs.inc_by(collected.blobs);
        Ok(collected)
    }

    /// Removes interrupted downloads that nobody continues: those older than `keep`, and the oldest above `most`.
    pub(super) async fn drop_partials(self: &Arc<Self>, most: usize, keep: Duration) -> Result<u64, BlobError> {
        self.disk(move |inner| {
            let mut idle = Vec::new();
            for id in inner.index().partials.keys().copied().collect::<Vec<_>>() {
                let age = match fs::metadata(inner.layout.partial_data(id)).and_then(|data| data.modified()) {
                    Ok(modified) => modified.elapsed().unwrap_or_default(),
                    // A tree alone, of which a crash has moved the data: nobody continues it.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => Duration::MAX,
                    Err(_) => Duration::ZERO,
                };
                idle.push((age, id));
            }
            idle.sort();
            let mut dropped = 0;
            while let Some((age, id)) = idle.pop() {
                if idle.len() < most && age < keep {
                    break;
                }
                // Whoever continues it has taken it out of the list under the turn of its flight.
                let Some(flight) = inner.flights.idle(id) else { continue };
                if inner.index().partials.remove(&id).is_some() {
                    inner.remove_partial(id)?;
                    dropped += 1;
                }
                drop(flight);
            }
            Ok(dropped)
        })
        .await
    }
}

/// Ids that the owner of the records is asked about at once: it answers between other work.
const BATCH: usize = 1024;

struct Attached<'a>(&'a AtomicUsize);

impl<'a> Attached<'a> {
    fn to(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Attached<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
