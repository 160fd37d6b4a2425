//! Lets others find by Kademlia what is kept here. Slowly and a bounded number: the nodes that a record names are asked
//! first, and this is for when these are gone.

use crate::{blob::BlobStore, network::NetworkHandle};
use mesh_proto::id::BlobId;
use std::{collections::BTreeSet, time::Duration};

/// Blobs announced at most: the nodes near their ids remember each of them.
const MOST: usize = 2_048;
/// Between two rounds, and blobs announced in one: each costs a lookup and a message to twenty nodes.
const TICK: Duration = Duration::from_secs(10);
const BURST: usize = 32;
/// What is here for a shorter time is found where it came from, and may be gone again.
const SETTLED: Duration = Duration::from_secs(60);
/// Blobs looked at in one round.
const PAGE: usize = 1_024;

/// Announces, for as long as it is polled.
pub async fn announce(blobs: BlobStore, network: NetworkHandle) {
    let mut announcer = Announcer::default();
    loop {
        tokio::time::sleep(TICK).await;
        announcer.round(&blobs, &network);
    }
}

#[derive(Default)]
struct Announcer {
    announced: BTreeSet<BlobId>,
    /// Where the next round goes on.
    cursor: Option<BlobId>,
}

impl Announcer {
    fn round(&mut self, blobs: &BlobStore, network: &NetworkHandle) {
        self.announced.retain(|id| blobs.has(*id) || network.stop_providing(id.as_bytes()).is_err());
        for id in self.next(blobs) {
            match network.provide(id.as_bytes()) {
                Ok(()) => {
                    self.announced.insert(id);
                }
                Err(error) => {
                    // It comes up again when the cursor is round.
                    tracing::debug!(%id, %error, "a blob was not announced");
                    break;
                }
            }
        }
        blobs.metrics().announced.set(i64::try_from(self.announced.len()).unwrap_or(i64::MAX));
    }

    /// Blobs that are kept for some reason, are not announced yet, and have been here for a while.
    fn next(&mut self, blobs: &BlobStore) -> Vec<BlobId> {
        let room = BURST.min(MOST.saturating_sub(self.announced.len()));
        let page = blobs.list(self.cursor, PAGE);
        let mut next = Vec::new();
        let is_last = page.len() < PAGE;
        self.cursor = None;
        for blob in page {
            if next.len() >= room {
                return next;
            }
            self.cursor = Some(blob.id);
            let is_kept = blob.pinned || blob.needed || blob.lease.is_some();
            let is_settled = blob.added.elapsed().is_ok_and(|age| age >= SETTLED);
            if is_kept && is_settled && !self.announced.contains(&blob.id) {
                next.push(blob.id);
            }
        }
        if is_last {
            self.cursor = None;
        }
        next
    }
}
