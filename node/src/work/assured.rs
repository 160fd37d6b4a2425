//! Blobs that were found on enough disks a moment ago, so that a thousand tasks with one input ask once.

use mesh_proto::id::{BlobId, NodeId};
use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// Blobs remembered. What does not fit is asked about again.
const MOST: usize = 16_384;

#[derive(Debug, Default)]
pub struct Assured(Mutex<BTreeMap<BlobId, (Vec<NodeId>, Instant)>>);

impl Assured {
    /// They keep it for `lease` from now; it is believed for a quarter of that, and the rest is for the record to be
    /// placed, and for its holders to say that they need it.
    pub fn note(&self, id: BlobId, nodes: &[NodeId], lease: Duration) {
        let mut known = self.lock();
        let now = Instant::now();
        if known.len() >= MOST {
            known.retain(|_, (_, until)| *until > now);
        }
        if known.len() < MOST {
            known.insert(id, (nodes.to_vec(), now + lease / 4));
        }
    }

    pub fn get(&self, id: BlobId) -> Option<Vec<NodeId>> {
        let known = self.lock();
        known.get(&id).filter(|(_, until)| *until > Instant::now()).map(|(nodes, _)| nodes.clone())
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<BlobId, (Vec<NodeId>, Instant)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_found_is_believed_for_a_while_and_the_memory_is_bounded() {
        let assured = Assured::default();
        let id = |n: u32| BlobId::from_bytes(*blake3::hash(&n.to_le_bytes()).as_bytes());
        let nodes = [NodeId::from_bytes([1; 32])];
        assured.note(id(0), &nodes, Duration::from_secs(3600));
        assert_eq!(assured.get(id(0)), Some(nodes.to_vec()));
        assured.note(id(1), &nodes, Duration::ZERO);
        assert_eq!(assured.get(id(1)), None);
        for n in 0..2 * MOST as u32 {
            assured.note(id(n), &nodes, Duration::from_secs(3600));
        }
        assert_eq!(assured.lock().len(), MOST);
    }
}
