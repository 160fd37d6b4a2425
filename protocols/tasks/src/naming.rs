//! Which blobs the records and results on this disk name, and the nodes that they name for them.

use crate::shelf::{Copy, Kept};
use mesh_proto::{
    id::{BlobId, NodeId},
    task::{BlobRef, Register, Spec},
};
use std::{collections::BTreeMap, ops::Bound};

/// Counts, so that whether a blob is needed is a matter of looking and not of reading a million records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Naming(BTreeMap<(BlobId, NodeId), Named>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Named {
    /// Of the blob, in bytes.
    size: u64,
    times: u32,
}

impl Naming {
    pub(crate) fn add(&mut self, blobs: &[BlobRef]) {
        for blob in blobs {
            for node in &blob.nodes {
                let named = self.0.entry((blob.id, *node)).or_insert(Named { size: blob.size, times: 0 });
                named.times = named.times.saturating_add(1);
            }
        }
    }

    pub(crate) fn remove(&mut self, blobs: &[BlobRef]) {
        for blob in blobs {
            for node in &blob.nodes {
                let key = (blob.id, *node);
                match self.0.get_mut(&key) {
                    Some(named) if named.times > 1 => named.times -= 1,
                    _ => drop(self.0.remove(&key)),
                }
            }
        }
    }

    /// Whether something here names this node for the blob.
    pub fn is_named(&self, blob: BlobId, node: NodeId) -> bool {
        self.0.contains_key(&(blob, node))
    }

    /// At most `limit` blobs behind `after`, in the order of their ids, each with all nodes that are named for it, of
    /// which a reference holds the first eight.
    pub fn page(&self, after: Option<BlobId>, limit: usize) -> Vec<BlobRef> {
        let last = NodeId::from_bytes([0xff; 32]);
        let from = after.map_or(Bound::Unbounded, |blob| Bound::Excluded((blob, last)));
        let mut page: Vec<BlobRef> = Vec::new();
        for ((id, node), named) in self.0.range((from, Bound::Unbounded)) {
            if let Some(blob) = page.last_mut().filter(|blob| blob.id == *id) {
                if blob.nodes.len() < mesh_proto::limits::BLOB_NODES {
                    blob.nodes.push(*node);
                }
            } else if page.len() == limit {
                break;
            } else {
                page.push(BlobRef { id: *id, size: named.size, nodes: vec![*node] });
            }
        }
        page
    }
}

/// Of a copy: its inputs, and its outputs once it has ended.
pub(crate) fn of_copy(copy: &Copy) -> Vec<BlobRef> {
    let mut blobs = of_spec(&copy.birth.spec);
    blobs.extend(of_register(&copy.register));
    blobs
}

pub(crate) fn of_kept(kept: &Kept) -> Vec<BlobRef> {
    kept.outcome.blobs().cloned().collect()
}

fn of_spec(encoded: &[u8]) -> Vec<BlobRef> {
    if !Spec::may_name_a_blob(encoded) {
        return Vec::new();
    }
    Spec::decode(encoded).map_or_else(|_| Vec::new(), |spec| spec.blobs().cloned().collect())
}

fn of_register(register: &Register) -> impl Iterator<Item = BlobRef> {
    let outcome = register.ending().and_then(|ending| ending.outcome.as_ref());
    outcome.into_iter().flat_map(|outcome| outcome.blobs().cloned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blob(id: u8, nodes: &[u8]) -> BlobRef {
        let nodes = nodes.iter().map(|n| NodeId::from_bytes([*n; 32])).collect();
        BlobRef { id: BlobId::from_bytes([id; 32]), size: 9, nodes }
    }

    #[test]
    fn a_blob_is_named_until_the_last_that_named_it_is_gone() {
        let mut naming = Naming::default();
        naming.add(&[blob(1, &[1, 2]), blob(2, &[2])]);
        naming.add(&[blob(1, &[2, 3])]);
        assert_eq!(naming.page(None, 10), [blob(1, &[1, 2, 3]), blob(2, &[2])]);
        naming.remove(&[blob(1, &[1, 2])]);
        assert_eq!(naming.page(None, 10), [blob(1, &[2, 3]), blob(2, &[2])]);
        assert!(!naming.is_named(BlobId::from_bytes([1; 32]), NodeId::from_bytes([1; 32])));
        naming.remove(&[blob(1, &[2, 3]), blob(2, &[2])]);
        assert_eq!(naming, Naming::default());
    }

    #[test]
    fn pages_follow_each_other_without_gap_or_repeat() {
        let mut naming = Naming::default();
        let all: Vec<_> = (0..7).map(|n| blob(n, &[1, 2, 255])).collect();
        naming.add(&all);
        let mut seen = Vec::new();
        loop {
            let page = naming.page(seen.last().map(|blob: &BlobRef| blob.id), 3);
            if page.is_empty() {
                break;
            }
            seen.extend(page);
        }
        assert_eq!(seen, all);
    }
}
